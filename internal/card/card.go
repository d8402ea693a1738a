// Package card finds the numbers of payment cards (ISO/IEC 7812-1) in texts.
//
// They do not belong here: a gateway's token does. Who writes one by mistake is
// told so before it is kept anywhere, and nothing that is said repeats it.
//
//	card.In("paid with 4242 4242 4242 4242")   // true
//	card.Mask("paid with 4242 4242 4242 4242") // "paid with ***"
//
// # What is promised
//
// A number of an issuer in use is found wherever it stands in a text, in digits of
// any script, alone or in groups. A text is read once, however long it is.
//
// # What is not promised
//
// Something else may look like a card's number: one in ten numbers of that length
// that begin like an issuer's has the right check digit by chance. Numbers that
// nobody would read as one are not found: spread over lines, or in words.
package card

import "strings"

// IsNumber says whether s, spaces and dashes aside, can be a card's number:
// 12 to 19 digits whose check digit is right.
func IsNumber(s string) bool {
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

// In says whether there is something in a text that looks like a card's number:
// digits, perhaps in groups, of an issuer that is known. One number in ten has the
// right check digit by chance, so the issuer and the length have to match, too: a
// telephone's number has fewer digits.
func In(text string) bool { return len(find(text)) > 0 }

// Mask returns a text with *** in place of each card's number in it.
func Mask(text string) string {
	cards := find(text)
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

// span is a part of a text, in bytes.
type span struct{ from, to int }

// find returns where the cards' numbers in a text are. It looks at each
// character once, since anybody may send a long one.
func find(text string) (cards []span) {
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
