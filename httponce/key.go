package httponce

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oncepay/oncepay/internal/keyform"
	"github.com/oncepay/oncepay/once"
)

// HeaderKey is the request header that a key is in, if a route says nothing else.
const HeaderKey = "Idempotency-Key"

// Key reads the Idempotency-Key header. It fails with a *KeyError.
func Key(h http.Header) (string, error) { return keyIn(h[HeaderKey]) }

// keyIn reads a key from the lines of its header.
func keyIn(lines []string) (string, error) {
	switch len(lines) {
	case 0:
		return "", &KeyError{NoKey}
	case 1:
		return ParseKey(lines[0])
	default:
		return "", &KeyError{ManyKeys}
	}
}

// ParseKey reads a key as it is written: as a structured field string (RFC 9651,
// as draft-ietf-httpapi-idempotency-key-header-07 has it) if it begins with a
// quote, and otherwise bare, as most clients send it. So "abc" and abc are the same
// key. Parameters of a structured field mean nothing here. It fails with a *KeyError.
func ParseKey(s string) (string, error) {
	key, err := keyform.Parse(s)
	switch {
	case err == nil:
		return key, nil
	case errors.Is(err, keyform.ErrQuotes):
		return "", &KeyError{BadQuotes}
	}
	return "", &KeyError{BadCharacters}
}

// KeyError says what is wrong with a key. But for NoKey, it is a
// [once.ErrMalformedKey].
type KeyError struct{ Mistake Mistake }

// Mistake is what can be wrong with a key.
type Mistake uint8

// The mistakes.
const (
	NoKey         Mistake = iota + 1 // there is none
	ManyKeys                         // there is more than one header line of it
	BadQuotes                        // it begins with a quote, and is no structured field string
	BadCharacters                    // it is not 1 to 255 visible ASCII characters
	NotJSON                          // the body that it should be in is not JSON
	NotText                          // the member of the body that it should be in is no string
	NoUUID                           // it is not the kind of UUID that the route wants
)

var mistakes = [...]string{
	NoKey:         "there is no idempotency key",
	ManyKeys:      "there is more than one idempotency key",
	BadQuotes:     "the idempotency key begins with a quote and is no structured field string",
	BadCharacters: "the idempotency key is not 1 to 255 visible ASCII characters",
	NotJSON:       "the body that the idempotency key should be in is not valid JSON",
	NotText:       "the idempotency key in the body is no string",
	NoUUID:        "the idempotency key is not the UUID that is wanted",
}

func (e *KeyError) Error() string { return "httponce: " + mistakes[e.Mistake] }

// Is says that a key that is there, and wrong, is a [once.ErrMalformedKey].
func (e *KeyError) Is(target error) bool {
	return target == once.ErrMalformedKey && e.Mistake != NoKey
}

// Wait returns how long a client would wait for an answer, as Prefer: wait
// (RFC 7240, section 4.3) has it, and whether it says so. The first preference of
// the name counts; one that is not understood is ignored, as all preferences are.
func Wait(h http.Header) (wait time.Duration, stated bool) {
	for _, line := range h["Prefer"] {
		for preference := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value, _, _ = strings.Cut(value, ";") // its parameters
			seconds, err := strconv.ParseUint(strings.Trim(value, " \t\""), 10, 31)
			if err != nil {
				return 0, false
			}
			return time.Duration(seconds) * time.Second, true
		}
	}
	return 0, false
}
