package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// A Secret is known to a sender and a receiver and to nobody else. Make one
// with [NewSecret] or [ParseSecret]. It never shows itself in a log: only
// [Secret.Reveal] does.
type Secret struct{ key []byte }

const secretPrefix = "whsec_"

// Bounds of a secret in bytes, as the specification has them.
const (
	MinSecretLen = 24
	MaxSecretLen = 64
)

// NewSecret returns the secret made of random bytes.
func NewSecret(random [32]byte) Secret { return Secret{random[:]} }

// ParseSecret reads "whsec_" and base64 (RFC 4648, section 4) of 24 to 64
// bytes. Its errors do not quote what it was given.
func ParseSecret(s string) (Secret, error) {
	text, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return Secret{}, errors.New("webhook: a secret begins with " + secretPrefix)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return Secret{}, errors.New("webhook: a secret is " + secretPrefix + " and base64")
	}
	if n := len(key); n < MinSecretLen || n > MaxSecretLen {
		return Secret{}, fmt.Errorf("webhook: a secret has %d to %d bytes, not %d", MinSecretLen, MaxSecretLen, n)
	}
	return Secret{key}, nil
}

// Reveal returns s as [ParseSecret] reads it, for whoever has to know it.
func (s Secret) Reveal() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.key) }

// String hides what s is.
func (s Secret) String() string { return secretPrefix + "…" }

// GoString hides it too.
func (s Secret) GoString() string { return s.String() }
