package web

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/oncepay/oncepay/internal/card"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
)

// form reads the members of a body, strictly, and collects what is wrong with
// them: a client should mend everything at once. Each of its readers returns
// the zero value for what it refuses.
type form struct{ issues []issue }

func (f *form) fail(pointer, format string, args ...any) {
	if len(f.issues) < maxIssues {
		f.issues = append(f.issues, issue{pointer: pointer, detail: fmt.Sprintf(format, args...)})
	}
}

// object refuses a body that is no object.
func (f *form) object(v jcs.Value) bool {
	if v.Kind() != jcs.Object {
		f.fail("", "The body must be a JSON object, not %s.", kindName(v))
		return false
	}
	return true
}

// require refuses a body that lacks one of these members.
func (f *form) require(v jcs.Value, names ...string) {
	for _, name := range names {
		if _, ok := v.Member(name); !ok {
			f.fail("/"+name, "The member %s is required.", name)
		}
	}
}

func (f *form) unknown(name string) {
	f.fail("/"+escapePointer(name), "There is no such member here; leave it out, or correct its name.")
}

// accountID reads an account's id.
func (f *form) accountID(pointer string, v jcs.Value) string {
	s, ok := v.Text()
	switch {
	case !ok:
		f.fail(pointer, "An account's id is a string, not %s.", kindName(v))
	case !isAccountID(s):
		f.fail(pointer, "An account's id is 1 to %d of the characters A-Z a-z 0-9 . _ : -", MaxAccountID)
	case s == "." || s == "..": // RFC 3986, section 5.2.4: clients and proxies take them out of a path
		f.fail(pointer, "An account's id cannot be . or .. since no address can end with these.")
	}
	return s
}

func isAccountID(s string) bool {
	if len(s) == 0 || len(s) > MaxAccountID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > ':') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// integer reads an integer of 64 bits. It takes what RFC 8259 calls an int and
// nothing else: 1e2 and 1.0 are floats, whatever their value.
func (f *form) integer(pointer string, v jcs.Value) int64 {
	if v.Kind() != jcs.Number {
		f.fail(pointer, "This must be an integer, not %s.", kindName(v))
		return 0
	}
	n, err := strconv.ParseInt(string(v.Raw()), 10, 64)
	switch {
	case err == nil:
		return n
	case errors.Is(err, strconv.ErrRange):
		f.fail(pointer, "This must fit a signed 64-bit integer: -9223372036854775808 to 9223372036854775807.")
	default:
		f.fail(pointer, "This must be an integer in minor units, written without a point or an exponent: 1250 is 12.50 EUR.")
	}
	return 0
}

// amount reads an amount that moves: at least 1.
func (f *form) amount(pointer string, v jcs.Value) int64 {
	before := len(f.issues)
	n := f.integer(pointer, v)
	if n < 1 && len(f.issues) == before {
		f.fail(pointer, "An amount is at least 1 minor unit.")
	}
	return n
}

func (f *form) currency(pointer string, v jcs.Value) money.Currency {
	s, ok := v.Text()
	if !ok {
		f.fail(pointer, "A currency is a string, an ISO 4217 code such as EUR, not %s.", kindName(v))
		return ""
	}
	c, err := money.ParseCurrency(s)
	if err != nil {
		f.fail(pointer, "%s", sentence(err.Error()))
	}
	return c
}

func (f *form) boolean(pointer string, v jcs.Value) bool {
	if v.Kind() != jcs.Bool {
		f.fail(pointer, "This must be true or false, not %s.", kindName(v))
		return false
	}
	return v.Raw()[0] == 't'
}

// reference reads a label: what can be printed on one line.
func (f *form) reference(pointer string, v jcs.Value) string {
	s, ok := v.Text()
	switch n := utf8.RuneCountInString(s); {
	case !ok:
		f.fail(pointer, "A reference is a string, not %s; leave it out if there is none.", kindName(v))
	case n < 1 || n > MaxReference:
		f.fail(pointer, "A reference has 1 to %d characters, this one has %d.", MaxReference, n)
	default:
		f.oneLine(pointer, s)
	}
	return s
}

// oneLine refuses what cannot be printed on one line as it reads.
func (f *form) oneLine(pointer, s string) { f.plain(pointer, s, "") }

// plain refuses characters that do not show, but for those that may be in it: a
// text with them is read otherwise than it is written, or by a terminal obeyed.
func (f *form) plain(pointer, s, but string) {
	for _, r := range s {
		if isHidden(r) && !strings.ContainsRune(but, r) {
			f.fail(pointer, "The character U+%04X is not taken here: it is a control, a line break, or changes how the text reads without being seen. Leave it out.", r)
			return
		}
	}
}

// isHidden says whether a character is a control, a separator of lines, or of
// Unicode's format characters, such as those that change the direction. The
// joiners are none, which Persian, Hindi and emojis are written with, nor the
// signs of Arabic that stand before numbers and show.
func isHidden(r rune) bool {
	shows := r == '\u200c' || r == '\u200d' || unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	return !shows && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// moment reads a time; digits beyond microseconds are dropped.
func (f *form) moment(pointer string, v jcs.Value) time.Time {
	s, _ := v.Text()
	t, ok := parseTime(s)
	if !ok {
		f.fail(pointer, "%s", wantTime)
	}
	return t
}

const wantTime = "A time is written as RFC 3339 has it, such as 2026-01-31T12:00:00Z."

// parseTime reads RFC 3339, which has years of four digits, in UTC too, and no
// comma. It is stricter than time.Parse.
func parseTime(s string) (time.Time, bool) {
	var t time.Time
	err := t.UnmarshalText([]byte(s))
	t = t.UTC().Truncate(time.Microsecond)
	return t, err == nil && t.Year() >= 0 && t.Year() <= 9999 && !strings.Contains(s, ",")
}

// noCard refuses what looks like a card's number, without repeating it.
func (f *form) noCard(pointer, s string) {
	if card.In(s) {
		f.fail(pointer, "There is something in this that looks like a card's number. Card numbers are not taken here, and nothing of this one was kept; leave it out.")
	}
}

// metadata reads pairs of strings, in whose names or values there may be no card's
// number. It is not nil if it was read.
func (f *form) metadata(pointer string, v jcs.Value) map[string]string {
	switch {
	case v.Kind() != jcs.Object:
		f.fail(pointer, "Metadata is an object of strings, not %s; leave it out if there is none.", kindName(v))
		return nil
	case v.Len() > MaxMetadata:
		f.fail(pointer, "Metadata has at most %d pairs, this has %d.", MaxMetadata, v.Len())
		return nil
	}
	m := make(map[string]string, v.Len())
	for name, v := range v.Members() {
		at := pointer + "/" + escapePointer(name)
		value, ok := v.Text()
		if n := utf8.RuneCountInString(name); n < 1 || n > MaxMetadataName {
			f.fail(at, "A name of metadata has 1 to %d characters, this one has %d.", MaxMetadataName, n)
		}
		switch n := utf8.RuneCountInString(value); {
		case !ok:
			f.fail(at, "A value of metadata is a string, not %s.", kindName(v))
		case n > MaxMetadataValue:
			f.fail(at, "A value of metadata has at most %d characters, this one has %d.", MaxMetadataValue, n)
		}
		f.noCard(at, name+"\n"+value) // a line break is the end of a number
		m[name] = value
	}
	return m
}

// floor reads a lowest balance; null is none.
func (f *form) floor(pointer string, v jcs.Value) ledger.Floor {
	if v.Kind() == jcs.Null {
		return ledger.Floor{None: true}
	}
	return ledger.Floor{Minor: f.integer(pointer, v)}
}

func kindName(v jcs.Value) string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[v.Kind()]
}

// escapePointer makes a name one step of a JSON pointer (RFC 6901, section 3).
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// sentence makes one of a core room's message that is fit for clients.
func sentence(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s + "."
	}
	return string(s[0]-'a'+'A') + s[1:] + "."
}
