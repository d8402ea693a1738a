package once

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

// Scheme numbers the way a fingerprint is made. It is kept with the
// fingerprint, so that a later version can still compare with an old one.
type Scheme uint8

// SchemeV1 is HMAC-SHA-256 under a key of the tenant's over method, path and
// canonical body, each preceded by its length.
const SchemeV1 Scheme = 1

// Fingerprint tells whether two requests are the same one. It is a keyed hash:
// it shows nothing of the request, and tells nothing across tenants.
type Fingerprint struct {
	Scheme Scheme
	Sum    [sha256.Size]byte
}

// Equal compares in constant time. Fingerprints of different schemes are never
// equal.
func (f Fingerprint) Equal(g Fingerprint) bool {
	return f.Scheme == g.Scheme && subtle.ConstantTimeCompare(f.Sum[:], g.Sum[:]) == 1
}

// Hasher makes the fingerprints of one tenant. It is not safe for concurrent
// use.
type Hasher struct {
	mac  hash.Hash
	part []byte // of a request, on its way to mac
	sum  [sha256.Size]byte
}

// NewHasher makes a Hasher for a tenant from the service's secret (32 random
// bytes).
func NewHasher(secret []byte, tenant string) *Hasher {
	derive := hmac.New(sha256.New, secret)
	derive.Write([]byte("oncepay fingerprint v1\x00" + tenant))
	return &Hasher{mac: hmac.New(sha256.New, derive.Sum(nil))}
}

// Request is the fingerprint of a request. canonical is the body in canonical
// form (RFC 8785); an absent body has the form of an empty object.
func (h *Hasher) Request(method, path string, canonical []byte) Fingerprint {
	h.mac.Reset()
	h.part = append(appendSize(h.part[:0], len(method)), method...)
	h.part = append(appendSize(h.part, len(path)), path...)
	h.part = appendSize(h.part, len(canonical))
	h.mac.Write(h.part)
	h.mac.Write(canonical)
	return Fingerprint{Scheme: SchemeV1, Sum: [sha256.Size]byte(h.mac.Sum(h.sum[:0]))}
}

func appendSize(b []byte, n int) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }
