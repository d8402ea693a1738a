package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/oncepay/oncepay/once"
)

// keyMistake says what is wrong with an idempotency key.
type keyMistake struct {
	code   code
	detail string
}

// readKey reads the Idempotency-Key header.
func readKey(h http.Header) (string, *keyMistake) {
	lines := h["Idempotency-Key"]
	switch len(lines) {
	case 0:
		return "", &keyMistake{keyMissing, "This request needs an Idempotency-Key header."}
	case 1:
		return parseKey(lines[0])
	default:
		return "", &keyMistake{keyMalformed, "There is more than one Idempotency-Key header; send exactly one."}
	}
}

// parseKey reads a key: a structured field string (RFC 9651, as
// draft-ietf-httpapi-idempotency-key-header-07 has it) if it begins with a
// quote, and otherwise bare, as most clients send it. Parameters of a
// structured field mean nothing here.
func parseKey(s string) (string, *keyMistake) {
	if strings.HasPrefix(s, `"`) {
		item, err := httpsfv.UnmarshalItem([]string{s})
		text, ok := item.Value.(string)
		if err != nil || !ok {
			return "", &keyMistake{keyMalformed, "The key begins with a quote and is no structured field string; write \"key\", or key without quotes."}
		}
		s = text
	}
	if once.CheckID(s) != nil {
		return "", &keyMistake{keyMalformed, "A key is 1 to 255 visible ASCII characters, without spaces."}
	}
	return s, nil
}

// readWait returns how long a duplicate waits for the first request's answer,
// as Prefer: wait (RFC 7240, section 4.3) has it. The first preference of the
// name counts; one that is not understood is ignored, as all preferences are: then
// nothing was asked for.
func readWait(h http.Header) (most time.Duration, asked bool) {
	for _, line := range h["Prefer"] {
		for preference := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value, _, _ = strings.Cut(value, ";") // its parameters
			seconds, err := strconv.ParseUint(strings.Trim(value, " \t\""), 10, 31)
			if err != nil {
				return DefaultWait, false
			}
			return min(time.Duration(seconds)*time.Second, MaxWait), true
		}
	}
	return DefaultWait, false
}
