package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/oncepay/oncepay/httponce"
)

// keyMistake says what is wrong with an idempotency key.
type keyMistake struct {
	code   code
	detail string
}

// keyMistakes are what can be wrong with a key, in this API's words.
var keyMistakes = map[httponce.Mistake]*keyMistake{
	httponce.NoKey:         {keyMissing, "This request needs an Idempotency-Key header."},
	httponce.ManyKeys:      {keyMalformed, "There is more than one Idempotency-Key header; send exactly one."},
	httponce.BadQuotes:     {keyMalformed, "The key begins with a quote and is no structured field string; write \"key\", or key without quotes."},
	httponce.BadCharacters: {keyMalformed, "A key is 1 to 255 visible ASCII characters, without spaces."},
}

// readKey reads the Idempotency-Key header.
func readKey(h http.Header) (string, *keyMistake) {
	key, err := httponce.Key(h)
	return key, mistakeOf(err)
}

// parseKey reads a key from elsewhere.
func parseKey(s string) (string, *keyMistake) {
	key, err := httponce.ParseKey(s)
	return key, mistakeOf(err)
}

func mistakeOf(err error) *keyMistake {
	if wrong := (*httponce.KeyError)(nil); errors.As(err, &wrong) {
		return keyMistakes[wrong.Mistake]
	}
	return nil
}

// readWait returns how long a duplicate waits for the first request's answer, and
// whether its client asked for that: what Prefer: wait says, within this API's bounds.
func readWait(h http.Header) (most time.Duration, asked bool) {
	most, asked = httponce.Wait(h)
	if !asked {
		return DefaultWait, false
	}
	return min(most, MaxWait), true
}
