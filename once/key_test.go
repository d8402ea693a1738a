package once_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/once"
)

func TestCheckID(t *testing.T) {
	for _, row := range []struct {
		sentence string
		id       string
		ok       bool
	}{
		{"one character is enough", "a", true},
		{"255 characters are the most", strings.Repeat("k", 255), true},
		{"the first visible character", "!", true},
		{"the last visible character", "~", true},
		{"quotes and backslashes are visible characters", `"a\b"`, true},
		{"a UUID", "8e03978e-40d5-43e8-bc93-6894a57f9324", true},
		{"nothing is no key", "", false},
		{"256 characters are too many", strings.Repeat("k", 256), false},
		{"a space", "a b", false},
		{"a trailing space", "a ", false},
		{"a tab", "a\tb", false},
		{"a line feed", "a\n", false},
		{"a zero byte", "\x00", false},
		{"DEL", "a\x7f", false},
		{"an umlaut, whose bytes are above ASCII", "schlüssel", false},
		{"a byte that is no UTF-8", "\xff", false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			err := once.CheckID(row.id)
			if (err == nil) != row.ok || err != nil && !errors.Is(err, once.ErrMalformedKey) {
				t.Errorf("got %v, want ok: %v", err, row.ok)
			}
		})
	}
}

// Who sent a bad key finds out where it is bad, and no control character of it
// reaches the log.
func TestTheErrorSaysWhere(t *testing.T) {
	err := once.CheckID("ab\x1bc")
	if want := "character 3 is 0x1b"; !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %q, want it to say %q", err, want)
	}
}
