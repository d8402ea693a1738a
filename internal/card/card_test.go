package card

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
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
			if got := IsNumber(row.method); got != row.card {
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
		"alone":                         {"4242424242424242", true},
		"within a sentence":             {"Please charge 4242424242424242, thank you.", true},
		"in groups":                     {"card:4242 4242 4242 4242.", true},
		"with dashes":                   {"4242-4242-4242-4242", true},
		"with spaces that do not break": {"4242\u00a04242\u00a04242\u00a04242", true},
		"with its date behind it":       {"4242 4242 4242 4242 12/27", true},
		"with a number before it":       {"room 12 4242 4242 4242 4242", true},
		"between other numbers":         {"1 2 3 4 5555 5555 5555 4444 5 6", true},
		"every digit apart":             {"4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2", true},
		"at the end of a long text":     {strings.Repeat("lorem ipsum 12 ", 30) + "378282246310005", true},
		"Mastercard's newer range":      {"2223003122003222", true},
		"Amex":                          {"3782 822463 10005", true},
		"Diners":                        {"30569309025904", true},
		"Discover":                      {"6011111111111117", true},
		"JCB":                           {"3566002020360505", true},
		"UnionPay":                      {"6200000000000005", true},
		"several spaces":                {"4242  4242   4242  4242", true},
		"dashes between spaces":         {"4242 - 4242 - 4242 - 4242", true},
		"another dash in the middle":    {"4242 4242 - 4242 4242", true},
		"dots":                          {"4242.4242.4242.4242", true},
		"slashes":                       {"4242/4242/4242/4242", true},
		"underscores":                   {"4242_4242_4242_4242", true},
		"en dashes":                     {"4242\u20134242\u20134242\u20134242", true},
		"em dashes":                     {"4242\u20144242\u20144242\u20144242", true},
		"minus signs":                   {"4242\u22124242\u22124242\u22124242", true},
		"thin spaces":                   {"4242\u20094242\u20094242\u20094242", true},
		"wide spaces":                   {"4242\u30004242\u30004242\u30004242", true},
		"tabs":                          {"4242\t4242\t4242\t4242", true},
		"a space without width":         {"424242\u200b4242424242", true},
		"joiners between all digits":    {strings.Join(strings.Split("4242424242424242", ""), "\u200d"), true},
		"a soft hyphen":                 {"42424242\u00ad42424242", true},
		"a byte order mark within":      {"42424242\ufeff42424242", true},
		"a filler that does not show":   {"42424242\u316442424242", true},
		"a mark of direction at a gap":  {"4242 \u200e4242 4242 4242", true},
		"full-width digits":             {"\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12", true},
		"Arabic digits":                 {"\u0664\u0662\u0664\u0662\u0664\u0662\u0664\u0662\u0664\u0662\u0664\u0662\u0664\u0662\u0664\u0662", true},
		"bold digits among others":      {"\U0001d7d2\U0001d7d042424242424242", true},
		"within a token":                {"pm_4111111111111111", true},
		"Amex with dots":                {"3782.822463.10005", true},
		"far apart":                     {"4242     4242     4242     4242", false},
		"two dates of the same form":    {"2026-01-23 2026-02-01 2026-02-03", false},
		"days before months":            {"23.11.2026 - 24.11.2026", false},
		"a date and a time":             {"2026-11-21 04:18:09.123456 +01:00", false},
		"telephones' numbers in a row":  {"030/4123450 030/4123400", false},
		"a telephone in Spain":          {"+34 612 34 56 78 / +34 91 123 45 67", false},
		"UUIDs":                         {"550e8400-e29b-41d4-a716-446655440000 01936f2e-7c00-7123-8456-426614174000", false},
		"a UUID of digits only":         {"41111111-1107-4111-8111-111111111111", false},
		"an article's number that looks like UK's": {"5018374000088", false},
		"an article's number in groups":            {"4 006381 333931", false},
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
			if got := In(row.text); got != row.card {
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
		touches := func(r rune) bool {
			_, digit := digitOf(r)
			return digit || isUnseen(r)
		}
		last, _ := utf8.DecodeLastRuneInString(before)
		first, _ := utf8.DecodeRuneInString(behind)
		if touches(last) || touches(first) {
			return // perhaps a part of another number
		}
		if !In(before + "5105105105105100" + behind) {
			t.Errorf("not found between %q and %q", before, behind)
		}
	})
}

// Whatever is found is masked, and nothing else.
func TestCardNumbersAreMasked(t *testing.T) {
	for text, want := range map[string]string{
		"nothing to see, 4711": "nothing to see, 4711",
		"4242424242424242":     "***",
		"/metadata/4242 4242 4242 4242 and 5555-5555-5555-4444.": "/metadata/*** and ***.",
		"1 2 4242\u20094242 4242\u200b 4242 3\u00e9":             "1 2 *** 3\u00e9",
		"4242 4242 4242 4242 4242 4242 4242 4242":                "*** ***",
	} {
		if got := Mask(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Rows of digits in Unicode are whole: their members have the values that
// their places say.
func TestDecimalDigitsOfAnyScript(t *testing.T) {
	n := 0
	for _, row := range unicode.Nd.R16 {
		n++
		if row.Stride != 1 || (row.Hi-row.Lo+1)%10 != 0 {
			t.Errorf("%x to %x is no row of ten", row.Lo, row.Hi)
		}
	}
	for _, row := range unicode.Nd.R32 {
		n++
		if row.Stride != 1 || (row.Hi-row.Lo+1)%10 != 0 {
			t.Errorf("%x to %x is no row of ten", row.Lo, row.Hi)
		}
	}
	for r, want := range map[rune]byte{'\u0660': '0', '\u06f9': '9', '\uff14': '4', '\U0001d7d0': '2', '\U0001d7ff': '9'} {
		if got, ok := digitOf(r); !ok || got != want {
			t.Errorf("%x is read as %c, %t", r, got, ok)
		}
	}
	if n < 30 {
		t.Errorf("only %d rows", n)
	}
}
