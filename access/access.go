// Package access says who may call: API keys, whose tenant and role they carry.
//
// # What is promised
//
// A key is 256 random bits that are shown once; what is kept is their hash, and
// hashes are compared in constant time. The tenant comes from the key and from
// nowhere else.
//
// # What is not promised
//
// Keys do not expire by themselves; revoke them.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Role says what a key may do.
type Role string

// The roles.
const (
	Full Role = "full" // everything of its tenant
	Read Role = "read" // GET and HEAD
)

// ParseRole reads a role.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Full, Read:
		return r, nil
	}
	return "", fmt.Errorf("access: %q is no role; roles are full and read", s)
}

// MaxTenantLen is how long a tenant's name may be: it is part of every row.
const MaxTenantLen = 64

// CheckTenant says whether name can be a tenant: 1 to 64 of A-Z a-z 0-9 . _ -
func CheckTenant(name string) error {
	if name == "" || len(name) > MaxTenantLen {
		return fmt.Errorf("access: a tenant's name has 1 to %d characters, this one has %d", MaxTenantLen, len(name))
	}
	for _, c := range []byte(name) {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", rune(c)) {
			return fmt.Errorf("access: a tenant's name has letters, digits, '.', '_' and '-' only, not %q", c)
		}
	}
	return nil
}

// Hash is the SHA-256 of a key. Keys are random and long, so a slow hash would
// add nothing.
type Hash [sha256.Size]byte

// HashKey is the hash of a secret key.
func HashKey(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Equal compares in constant time.
func (h Hash) Equal(g Hash) bool { return subtle.ConstantTimeCompare(h[:], g[:]) == 1 }

// Key is what is kept of an API key.
type Key struct {
	ID        string // "ak_…", to list and revoke it by
	Tenant    string
	Role      Role
	Hash      Hash
	CreatedAt time.Time
	RevokedAt time.Time // zero: it is valid
}

// prefix marks a string as a secret key of this service, so that scanners find
// keys that leaked.
const prefix = "sk_"

// NewSecret makes a secret key. It is never stored.
func NewSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}
