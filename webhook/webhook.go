// Package webhook signs webhooks and verifies them, as Standard Webhooks 1.0.0
// (https://www.standardwebhooks.com) says with secrets that both sides share.
//
//	err := webhook.Sign(req.Header, webhook.Message{ID: "evt_1", At: now, Body: body}, secret)
//
//	v := webhook.Verifier{Secrets: []webhook.Secret{current, former}}
//	msg, err := v.Verify(req.Header, body, time.Now())
//
// # What is promised
//
// A message that Verify returns was signed, byte for byte, by somebody who has
// one of the secrets, at most the tolerance before or after now. Comparing takes
// the same time wherever a signature differs. No error quotes a secret or a
// signature.
//
// # What is not promised
//
// A message can come twice within the tolerance: remember the ids, for longer
// than that. Signatures with a key pair ("v1a") are passed over.
package webhook

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The three headers of a webhook.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// DefaultTolerance is how far a timestamp may be from the receiver's clock,
// where nothing else is said.
const DefaultTolerance = 5 * time.Minute

// A Message is what is signed.
type Message struct {
	// ID names the event and is the same each time it is sent, so that a receiver
	// can tell that it had it before. 1 to 255 visible ASCII characters but a
	// full stop: that is what stands between the parts that are signed.
	ID string

	// At is when this attempt is made, not when the event was. The wire carries
	// whole seconds.
	At time.Time

	// Body is what is sent, as it is sent.
	Body []byte
}

// Sign writes the headers of m to h: one signature for each secret, so that a
// receiver may know either while a secret is being changed. It fails without a
// secret, and with an [ErrMalformed] for an ID or a time that cannot be signed.
func Sign(h http.Header, m Message, secrets ...Secret) error {
	timestamp := strconv.FormatInt(m.At.Unix(), 10)
	if !isID(m.ID) {
		return &HeaderError{HeaderID, ErrMalformed}
	}
	if _, ok := parseSeconds(timestamp); !ok {
		return &HeaderError{HeaderTimestamp, ErrMalformed}
	}
	if len(secrets) == 0 {
		return errNoSecret
	}
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = s.signature(m.ID, timestamp, m.Body)
	}
	h.Set(HeaderID, m.ID)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, strings.Join(signatures, " "))
	return nil
}

// A Verifier tells messages of one sender from all others. Its zero value
// refuses everything: it has no secret. It is safe for concurrent use.
type Verifier struct {
	// Secrets that the sender may sign with: any of them will do.
	Secrets []Secret

	// Tolerance is how far a timestamp may be from now, in the past or in the
	// future.
	//
	// Defaults to [DefaultTolerance].
	Tolerance time.Duration
}

// Verify returns the message that came with headers h and the raw bytes body,
// at now. It fails with [ErrMissing] or [ErrMalformed] (in a [*HeaderError]),
// with [ErrTimestamp] (in a [*TimestampError]), or with [ErrSignature].
func (v Verifier) Verify(h http.Header, body []byte, now time.Time) (Message, error) {
	for _, name := range []string{HeaderID, HeaderTimestamp, HeaderSignature} {
		if h.Get(name) == "" {
			return Message{}, &HeaderError{name, ErrMissing}
		}
	}
	id, timestamp := h.Get(HeaderID), h.Get(HeaderTimestamp)
	if !isID(id) {
		return Message{}, &HeaderError{HeaderID, ErrMalformed}
	}
	seconds, ok := parseSeconds(timestamp)
	if !ok {
		return Message{}, &HeaderError{HeaderTimestamp, ErrMalformed}
	}
	at := time.Unix(seconds, 0).UTC()
	if off := now.Sub(at).Abs(); off > cmp.Or(v.Tolerance, DefaultTolerance) {
		return Message{}, &TimestampError{At: at, Now: now}
	}
	if !v.matches(id, timestamp, body, h.Get(HeaderSignature)) {
		return Message{}, ErrSignature
	}
	return Message{ID: id, At: at, Body: body}, nil
}

// matches reports whether one of the signatures in the list is by one of the
// secrets. It compares the texts and not what they decode to: the last
// character of 32 bytes in base64 has two bits that mean nothing.
func (v Verifier) matches(id, timestamp string, body []byte, list string) bool {
	found := 0
	for _, s := range v.Secrets {
		want := []byte(s.signature(id, timestamp, body))
		for got := range strings.FieldsSeq(list) {
			found |= subtle.ConstantTimeCompare([]byte(got), want)
		}
	}
	return found == 1
}

// signature is "v1," and the HMAC-SHA256 of "id.timestamp.body".
func (s Secret) signature(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// isID refuses a full stop, as the specification advises: "a.1" at 2 and "a" at
// "1.2" would be signed alike.
func isID(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '.' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 255
}

// parseSeconds takes digits only, as many as the year 33658 needs, so that no
// sum with them overflows.
func parseSeconds(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && len(s) <= 12
}
