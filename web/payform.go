package web

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oncepay/oncepay/internal/card"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// What the bodies about payments have beside what all bodies have.

// charge reads an amount of a payment.
func (f *form) charge(pointer string, v jcs.Value) int64 {
	n := f.amount(pointer, v)
	if n > pay.MaxAmount {
		f.fail(pointer, "An amount is at most %d minor units.", int64(pay.MaxAmount))
	}
	return n
}

// method reads a gateway's token. What it refuses it does not repeat: it may be a
// card's number.
func (f *form) method(pointer string, v jcs.Value) string {
	s, ok := v.Text()
	switch {
	case !ok:
		f.fail(pointer, "A payment method is a string, the token that your gateway gave for a card or an account, not %s.", kindName(v))
	case card.IsNumber(s) || card.In(s):
		f.fail(pointer, "This is a card's number, or has one in it. Send the token that your gateway gave for the card: card numbers are not taken here, and nothing of this one was kept.")
	case once.CheckID(s) != nil: // the same characters, and as many: MaxMethod
		f.fail(pointer, "A payment method is a token of 1 to %d visible ASCII characters, without spaces.", MaxMethod)
	}
	return s
}

// gatewayID reads what a gateway calls something. Some gateways' ids are numbers that
// look like a card's, so that these are taken here.
func (f *form) gatewayID(pointer string, v jcs.Value) string {
	s, ok := v.Text()
	switch {
	case !ok:
		f.fail(pointer, "A gateway's id is a string, not %s; leave it out if it is not known.", kindName(v))
	case once.CheckID(s) != nil: // the same characters, and as many: MaxGatewayID
		f.fail(pointer, "A gateway's id is 1 to %d visible ASCII characters, without spaces.", MaxGatewayID)
	}
	return s
}

// text reads a string of 1 to most characters that can be printed on a line.
func (f *form) text(pointer string, v jcs.Value, most int) string {
	s := f.characters(pointer, v, most)
	f.oneLine(pointer, s)
	return s
}

// prose is text that people write, who may write a card's number.
func (f *form) prose(pointer string, v jcs.Value, most int) string {
	s := f.text(pointer, v, most)
	f.noCard(pointer, s)
	return s
}

// evidence reads what a decision rests on.
func (f *form) evidence(pointer string, v jcs.Value) string {
	s := f.characters(pointer, v, MaxEvidence)
	f.checkEvidence(pointer, s)
	return s
}

// checkEvidence refuses what would be kept for ever and may not be. Evidence may have
// several lines, and tables.
func (f *form) checkEvidence(pointer, s string) {
	f.plain(pointer, s, "\n\t")
	f.noCard(pointer, s)
}

// CheckEvidence says what is wrong with what a decision rests on, as the API does.
func CheckEvidence(s string) error {
	var f form
	if f.counted("", s, MaxEvidence) {
		f.checkEvidence("", s)
	}
	if len(f.issues) > 0 {
		return errors.New(f.issues[0].detail)
	}
	return nil
}

func (f *form) characters(pointer string, v jcs.Value, most int) string {
	s, ok := v.Text()
	if !ok {
		f.fail(pointer, "This is a string, not %s; leave it out if there is none.", kindName(v))
		return ""
	}
	if !f.counted(pointer, s, most) {
		return ""
	}
	return s
}

// counted refuses what is empty or too long.
func (f *form) counted(pointer, s string, most int) bool {
	n := utf8.RuneCountInString(s)
	if n < 1 || n > most {
		f.fail(pointer, "This has 1 to %d characters, not %d.", most, n)
		return false
	}
	return true
}

// choice reads one of a few words.
func (f *form) choice(pointer string, v jcs.Value, words ...string) string {
	s, ok := v.Text()
	if !ok || !slices.Contains(words, s) {
		f.fail(pointer, "This must be %s.", strings.Join(words, " or "))
	}
	return s
}

// address reads where a customer is sent back to.
func (f *form) address(pointer string, v jcs.Value) string {
	s := f.characters(pointer, v, MaxReturnURL)
	u, err := url.Parse(s)
	switch {
	case s == "": // told already
	case len(s) > MaxReturnURL:
		f.fail(pointer, "A URL has at most %d bytes in UTF-8, this one has %d.", MaxReturnURL, len(s))
	case err != nil, strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || isHidden(r) }),
		!u.IsAbs(), u.Hostname() == "", u.Scheme != "http" && u.Scheme != "https":
		f.fail(pointer, "This must be an absolute URL, such as https://shop.example/orders/4711.")
	case u.User != nil:
		f.fail(pointer, "A URL for customers has no user name or password in it.")
	default:
		plain, _ := url.QueryUnescape(s)
		f.noCard(pointer, s+"\n"+plain)
	}
	return s
}
