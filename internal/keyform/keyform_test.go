package keyform_test

import (
	"errors"
	"testing"

	"github.com/oncepay/oncepay/internal/keyform"
)

func TestForms(t *testing.T) {
	for written, want := range map[string]struct {
		key string
		err error
	}{
		`abc`:                   {"abc", nil},
		`"abc"`:                 {"abc", nil},
		`"a\"c"`:                {`a"c`, nil},
		`"abc";version=1`:       {"abc", nil},
		`a"c`:                   {`a"c`, nil},
		`"abc`:                  {"", keyform.ErrQuotes},
		`"abc" x`:               {"", keyform.ErrQuotes},
		``:                      {"", keyform.ErrCharacters},
		`""`:                    {"", keyform.ErrCharacters},
		`a c`:                   {"", keyform.ErrCharacters},
		"\"a\tc\"":              {"", keyform.ErrQuotes},
		`"` + "schlüssel" + `"`: {"", keyform.ErrQuotes},
	} {
		key, err := keyform.Parse(written)
		if key != want.key || !errors.Is(err, want.err) {
			t.Errorf("%s is %q, %v; want %q, %v", written, key, err, want.key, want.err)
		}
	}
}
