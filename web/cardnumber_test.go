package web

import (
	"strings"
	"testing"
)

// What is a card's number and nothing else is no payment method.
func TestCardNumbersAreNoPaymentMethods(t *testing.T) {
	for name, row := range map[string]struct {
		method string
		card   bool
	}{
		"a card's number":                   {"4242424242424242", true},
		"in groups":                         {"4242 4242 4242 4242", true},
		"with dashes":                       {"4242-4242-4242-4242", true},
		"in strange groups":                 {" 42424-2424 24242-42 ", true},
		"American Express":                  {"378282246310005", true},
		"an old Visa of 13 digits":          {"4222222222222", true},
		"a Maestro of 19 digits":            {"6759649826438453102", true},
		"12 digits":                         {"501800000009", true},
		"11 digits are too few":             {"42424242424", false},
		"20 digits are too many":            {"42424242424242424242", false},
		"a wrong check digit":               {"4242424242424241", false},
		"two digits swapped":                {"4224424242424242", false},
		"a token":                           {"pm_4242424242424242", false},
		"a token of digits":                 {"1234567890123456", false},
		"nothing":                           {"", false},
		"digits that are not ASCII are not": {"４２４２４２４２４２４２４２４２", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isCardNumber(row.method); got != row.card {
				t.Errorf("%q: got %t, want %t", row.method, got, row.card)
			}
		})
	}
}

// In a text only what is most likely a card's number is taken for one: a text
// that is refused by chance is refused again, whatever is mended.
func TestCardNumbersInTexts(t *testing.T) {
	for name, row := range map[string]struct {
		text string
		card bool
	}{
		"alone":                                    {"4242424242424242", true},
		"within a sentence":                        {"Please charge 4242424242424242, thank you.", true},
		"in groups":                                {"card:4242 4242 4242 4242.", true},
		"with dashes":                              {"4242-4242-4242-4242", true},
		"with spaces that do not break":            {"4242\u00a04242\u00a04242\u00a04242", true},
		"with its date behind it":                  {"4242 4242 4242 4242 12/27", true},
		"with a number before it":                  {"room 12 4242 4242 4242 4242", true},
		"between other numbers":                    {"1 2 3 4 5555 5555 5555 4444 5 6", true},
		"every digit apart":                        {"4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2", true},
		"at the end of a long text":                {strings.Repeat("lorem ipsum 12 ", 30) + "378282246310005", true},
		"Mastercard's newer range":                 {"2223003122003222", true},
		"Amex":                                     {"3782 822463 10005", true},
		"Diners":                                   {"30569309025904", true},
		"Discover":                                 {"6011111111111117", true},
		"JCB":                                      {"3566002020360505", true},
		"UnionPay":                                 {"6200000000000005", true},
		"two separators are the end of it":         {"4242 4242 - 4242 4242", false},
		"a line break is the end of it":            {"4242 4242\n4242 4242", false},
		"letters are the end of it":                {"4242x4242424242424242x", true},
		"a wrong check digit":                      {"4242424242424241", false},
		"part of a longer number":                  {"14242424242424242", false},
		"an issuer that does not exist":            {"1234567812345670", false},
		"a moment in milliseconds":                 {"1763683200000", false},
		"a moment in microseconds":                 {"1763683200000009", false},
		"an article's number that looks like Visa": {"4006381333931", false},
		"a telephone's number":                     {"+49 1512 3456789, +1 212 555 0123", false},
		"an IBAN":                                  {"DE89 3704 0044 0532 0130 00", false},
		"a short number":                           {"4242", false},
		"nothing":                                  {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hasCardNumber(row.text); got != row.card {
				t.Errorf("%q: got %t, want %t", row.text, got, row.card)
			}
		})
	}
}

// A card's number is found wherever it stands between other words and numbers.
func FuzzCardNumbersInTexts(f *testing.F) {
	f.Add("before ", " 17 behind")
	f.Add("4242 ", "\n")
	f.Fuzz(func(t *testing.T, before, behind string) {
		touches := func(s string) bool { return strings.ContainsAny(s, "0123456789") }
		if len(before) > 0 && touches(before[len(before)-1:]) || len(behind) > 0 && touches(behind[:1]) {
			return // a part of another number
		}
		if !hasCardNumber(before + "5105105105105100" + behind) {
			t.Errorf("not found between %q and %q", before, behind)
		}
	})
}
