package web

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Card numbers (ISO/IEC 7812-1) do not belong here: a gateway's token does. Who
// sends one by mistake is told so before it is written down anywhere, and no
// answer repeats it.

// isCardNumber says whether s, spaces and dashes aside, can be a card's number:
// 12 to 19 digits whose check digit is right.
func isCardNumber(s string) bool {
	digits := make([]byte, 0, maxCard)
	for _, c := range []byte(s) {
		switch {
		case c == ' ' || c == '-':
		case c < '0' || c > '9' || len(digits) == maxCard:
			return false
		default:
			digits = append(digits, c)
		}
	}
	return len(digits) >= fewestDigits && hasCheckDigit(digits)
}

// fewestDigits is how many a card's number has at least: some of Maestro's. In
// texts nobody looks for those.
const fewestDigits = 12

// hasCheckDigit computes the check digit of ISO/IEC 7812-1, annex B (Luhn).
func hasCheckDigit(digits []byte) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return sum%10 == 0
}

// hasCardNumber says whether there is something in a text that looks like a
// card's number: digits, perhaps in groups, of an issuer that is known. One
// number in ten has the right check digit by chance, so the issuer and the length
// have to match, too: a telephone's number has fewer digits.
func hasCardNumber(text string) bool { return len(findCards(text)) > 0 }

// maskCards returns a text with *** in place of each card's number in it.
func maskCards(text string) string {
	cards := findCards(text)
	if len(cards) == 0 {
		return text // nearly always
	}
	var masked strings.Builder
	behind := 0
	for _, c := range cards {
		masked.WriteString(text[behind:c.from] + "***")
		behind = c.to
	}
	return masked.String() + text[behind:]
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

// findCards returns where the cards' numbers in a text are. It looks at each
// character once, since anybody may send a long one.
func findCards(text string) (cards []span) {
	var run digitRun
	id := 0 // where the last UUID ends
	for at, r := range text {
		if at >= id && isUUID(text[at:]) && (at == 0 || !isWord(text[at-1])) {
			id = at + uuidLength
		}
		if at < id || !run.add(at, r) {
			cards = run.appendCards(cards)
			run.clear()
		}
	}
	return run.appendCards(cards)
}

// uuidLength is that of a UUID (RFC 9562, section 4), in bytes.
const uuidLength = 36

// isUUID says whether a text begins with a UUID. One in many has so few letters
// that its digits are like a card's.
func isUUID(s string) bool {
	if len(s) < uuidLength || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || len(s) > uuidLength && isWord(s[uuidLength]) {
		return false
	}
	for i := range uuidLength {
		if c := s[i] | 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') && s[i] != '-' {
			return false
		}
	}
	return strings.Count(s[:uuidLength], "-") == 4
}

// isWord says whether a byte goes on with a word or a number.
func isWord(c byte) bool { return c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// digitRun is digits with little between two of them, as they come up in a text.
type digitRun struct {
	digits []byte
	at     []span // where in the text each digit is
	groups []int  // where in digits a group begins
	marks  []rune // what kind of separator stands before each group
	gap    rune   // that which came behind the last digit; 0: none
	apart  int    // how many characters it has
}

func (n *digitRun) clear() {
	*n = digitRun{digits: n.digits[:0], at: n.at[:0], groups: n.groups[:0], marks: n.marks[:0]}
}

// mostApart is how many characters may stand between two groups of one number: a
// dash between two spaces, and one more.
const mostApart = 4

// add takes what continues the run, and reports whether r does.
func (n *digitRun) add(at int, r rune) bool {
	if d, ok := digitOf(r); ok {
		if n.apart > 0 || len(n.digits) == 0 {
			n.groups, n.marks = append(n.groups, len(n.digits)), append(n.marks, n.gap)
		}
		n.digits, n.at = append(n.digits, d), append(n.at, span{at, at + utf8.RuneLen(r)})
		n.gap, n.apart = 0, 0
		return true
	}
	mark := separator(r)
	switch {
	case len(n.digits) == 0:
		return false
	case isUnseen(r):
		return true
	case mark == 0 || n.apart == mostApart:
		return false
	case n.gap == 0 || n.gap == ' ':
		n.gap = mark
	}
	n.apart++
	return true
}

// digitOf is the ASCII digit of the same value as a decimal digit of any script.
// Unicode has them in rows of ten, from nought to nine.
func digitOf(r rune) (byte, bool) {
	if r < utf8.RuneSelf {
		return byte(r), r >= '0' && r <= '9'
	}
	for _, row := range unicode.Nd.R16 {
		if r >= rune(row.Lo) && r <= rune(row.Hi) {
			return '0' + byte((r-rune(row.Lo))%10), true
		}
	}
	for _, row := range unicode.Nd.R32 {
		if r >= rune(row.Lo) && r <= rune(row.Hi) {
			return '0' + byte((r-rune(row.Lo))%10), true
		}
	}
	return 0, false
}

// separator is what kind of separator a character is, by one that stands for
// all of the kind; 0 if it is none. A line break is none: numbers below each
// other are a table.
func separator(r rune) rune {
	switch {
	case strings.ContainsRune("\n\v\f\r\u0085\u2028\u2029", r):
		return 0
	case unicode.IsSpace(r):
		return ' '
	case unicode.Is(unicode.Pd, r), r == '\u2212':
		return '-'
	case unicode.Is(unicode.Pc, r):
		return '_'
	case strings.ContainsRune(".\u00b7\u2022\u2024\uff0e", r):
		return '.'
	case strings.ContainsRune("/\\\u2044\u2215\uff0f", r):
		return '/'
	}
	return 0
}

// isUnseen says whether a character takes no room of its own.
func isUnseen(r rune) bool {
	return r >= 0x80 && unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me, unicode.Other_Default_Ignorable_Code_Point)
}

// appendCards looks at every row of whole groups: a card's number may stand next
// to another number.
func (n *digitRun) appendCards(cards []span) []span {
	if len(n.digits) < minCard {
		return cards
	}
	ends := append(n.groups[1:len(n.groups):len(n.groups)], len(n.digits))
	for i := 0; i < len(n.groups); i++ {
		if last := n.cardFrom(i, ends); last >= 0 {
			cards = append(cards, span{n.at[n.groups[i]].from, n.at[ends[last]-1].to})
			i = last
		}
	}
	return cards
}

// cardFrom returns the last group of the longest card's number that begins with
// a group, or -1.
func (n *digitRun) cardFrom(group int, ends []int) int {
	found, first := -1, n.groups[group]
	for last := group; last < len(ends) && ends[last]-first <= maxCard; last++ {
		if one := n.digits[first:ends[last]]; isIssued(string(one)) && hasCheckDigit(one) && n.areOne(group, last) {
			found = last
		}
	}
	return found
}

// areOne says whether groups are likely to be one number: they have the same
// between them, or are of four digits each, as on a card, or of 4, 6 and the
// rest. Dates and telephones' numbers in a row are not.
func (n *digitRun) areOne(first, last int) bool {
	same, fours := true, true
	for i := first + 1; i <= last; i++ {
		same = same && n.marks[i] == n.marks[first+1]
		fours = fours && n.groups[i]-n.groups[i-1] == 4
	}
	amex := last-first == 2 && n.groups[first+1]-n.groups[first] == 4 && n.groups[last]-n.groups[first+1] == 6
	return same || fours || amex
}

const (
	minCard = 14
	maxCard = 19
)

// issuer is a range of numbers that a card scheme gives out: what they begin
// with, and how many digits they have.
type issuer struct {
	from, to        string
	fewest, longest int
}

// issuers are the schemes whose cards are in use. Cards of 13 digits, Visa's of
// old and some of Maestro's, are not among them: an article's number (EAN) looks
// the same.
var issuers = []issuer{
	{"4", "4", 16, 19},       // Visa
	{"51", "55", 16, 16},     // Mastercard
	{"2221", "2720", 16, 16}, // Mastercard
	{"34", "34", 15, 15},     // American Express
	{"37", "37", 15, 15},     // American Express
	{"300", "305", 14, 19},   // Diners Club
	{"36", "36", 14, 19},     // Diners Club
	{"38", "39", 14, 19},     // Diners Club
	{"3528", "3589", 16, 19}, // JCB
	{"6011", "6011", 16, 19}, // Discover
	{"644", "659", 16, 19},   // Discover
	{"62", "62", 16, 19},     // UnionPay
	{"2200", "2204", 16, 19}, // Mir
	{"5018", "5018", 14, 19}, // Maestro
	{"5020", "5020", 14, 19}, // Maestro
	{"5038", "5038", 14, 19}, // Maestro
	{"5893", "5893", 14, 19}, // Maestro
	{"6304", "6304", 14, 19}, // Maestro
	{"6759", "6763", 14, 19}, // Maestro
}

func isIssued(number string) bool {
	for _, i := range issuers {
		if n := len(number); n < i.fewest || n > i.longest {
			continue
		}
		if head := number[:len(i.from)]; head >= i.from && head <= i.to {
			return true
		}
	}
	return false
}
