package web

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
func hasCardNumber(text string) bool {
	var run digitRun
	for _, r := range text {
		if run.add(r) {
			continue
		}
		if run.hasCard() {
			return true
		}
		run = digitRun{digits: run.digits[:0], groups: run.groups[:0]}
	}
	return run.hasCard()
}

// digitRun is digits with at most one space or dash between two of them.
type digitRun struct {
	digits []byte
	groups []int // where in digits a group begins
	apart  bool  // a separator came last
}

// add takes what continues the run, and reports whether r does.
func (n *digitRun) add(r rune) bool {
	switch {
	case r >= '0' && r <= '9':
		if n.apart || len(n.digits) == 0 {
			n.groups = append(n.groups, len(n.digits))
		}
		n.digits, n.apart = append(n.digits, byte(r)), false
		return true
	case isSeparator(r) && len(n.digits) > 0 && !n.apart:
		n.apart = true
		return true
	}
	return false
}

func isSeparator(r rune) bool { return r == ' ' || r == '-' || r == '\u00a0' || r == '\u202f' }

// hasCard looks at every row of whole groups: a card's number may stand next to
// another number.
func (n *digitRun) hasCard() bool {
	if len(n.digits) < minCard {
		return false
	}
	ends := append(n.groups[1:len(n.groups):len(n.groups)], len(n.digits))
	for i, from := range n.groups {
		for _, to := range ends[i:] {
			if to-from > maxCard {
				break
			}
			if one := n.digits[from:to]; isIssued(string(one)) && hasCheckDigit(one) {
				return true
			}
		}
	}
	return false
}

const (
	minCard = 13
	maxCard = 19
)

// issuer is a range of numbers that a card scheme gives out: what they begin
// with, and how many digits they have.
type issuer struct {
	from, to        string
	fewest, longest int
}

// issuers are the schemes whose cards are in use. Visa's old cards of 13 digits
// are not among them: an article's number (EAN) looks the same.
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
	{"5018", "5018", 13, 19}, // Maestro
	{"5020", "5020", 13, 19}, // Maestro
	{"5038", "5038", 13, 19}, // Maestro
	{"5893", "5893", 13, 19}, // Maestro
	{"6304", "6304", 13, 19}, // Maestro
	{"6759", "6763", 13, 19}, // Maestro
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
