package gateway

import (
	"strings"
	"unicode"
)

// Clean returns what a gateway wrote for people, fit to be shown to a merchant:
// at most that many characters, on one line, and no run of digits that could be
// the number of a card or an account.
func Clean(s string, most int) string {
	var b strings.Builder
	digits := 0
	for _, r := range strings.ToValidUTF8(s, "") {
		if most--; most < 0 {
			break
		}
		switch {
		case '0' <= r && r <= '9':
			if digits++; digits > maxDigits {
				r = '*'
			}
		case r == ' ' || r == '-': // a number may be written in groups
		default:
			digits = 0
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// maxDigits are shown of a number: no more of a card may be (PCI DSS 4.0, 3.4.1).
const maxDigits = 6
