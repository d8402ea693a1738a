package card

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
