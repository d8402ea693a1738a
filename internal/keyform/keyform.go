// Package keyform reads idempotency keys as clients write them: bare, or as structured
// field strings. It is what the faces of package once have in common; each says in its
// own words what is wrong.
package keyform

import (
	"errors"
	"strings"

	"github.com/dunglas/httpsfv"

	"github.com/oncepay/oncepay/once"
)

// What can be wrong with how a key is written.
var (
	ErrQuotes     = errors.New("keyform: it begins with a quote and is no structured field string")
	ErrCharacters = errors.New("keyform: it is not 1 to 255 visible ASCII characters")
)

// Parse reads a key: as a structured field string (RFC 9651, as
// draft-ietf-httpapi-idempotency-key-header-07 has it) if it begins with a quote, and
// otherwise bare, as most clients send it. So "abc" and abc are the same key.
// Parameters of a structured field mean nothing here. It fails with ErrQuotes or
// ErrCharacters.
func Parse(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		text, ok := unquote(s)
		if !ok {
			return "", ErrQuotes
		}
		s = text
	}
	if once.CheckID(s) != nil {
		return "", ErrCharacters
	}
	return s, nil
}

// unquote reads a structured field string. What needs no parser, which is nearly
// all of them, gets none: it takes no memory.
func unquote(s string) (string, bool) {
	if n := len(s); n >= 2 && s[n-1] == '"' && isPlain(s[1:n-1]) {
		return s[1 : n-1], true
	}
	item, err := httpsfv.UnmarshalItem([]string{s})
	text, ok := item.Value.(string)
	return text, ok && err == nil
}

// isPlain says whether s means itself between two quotes.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
