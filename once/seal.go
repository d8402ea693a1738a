package once

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// Secret is a key that answers are encrypted with.
type Secret struct {
	ID  string // kept beside what it encrypts: 1 to 32 visible ASCII characters
	Key []byte // 32 random bytes
}

// ErrSealed means that what is kept cannot be decrypted: the secret is not among
// those of the engine, or it was tampered with, or is another key's.
var ErrSealed = errors.New("once: what is kept cannot be decrypted")

func checkSecrets(all []Secret) error {
	seen := map[string]bool{}
	for _, s := range all {
		switch {
		case CheckID(s.ID) != nil || len(s.ID) > maxSecretID:
			return fmt.Errorf("once: a secret's id is 1 to %d visible ASCII characters", maxSecretID)
		case seen[s.ID]:
			return fmt.Errorf("once: two secrets have the id %s", s.ID)
		case len(s.Key) != 32:
			return fmt.Errorf("once: the secret %s has %d bytes, want 32 random ones", s.ID, len(s.Key))
		}
		seen[s.ID] = true
	}
	return nil
}

const (
	maxSecretID = 32
	saltLen     = 16
)

// seals encrypts what is kept: AES-256-GCM under a key of its own for every text,
// derived (HKDF-SHA-256, RFC 5869) from a secret, the tenant and 16 random bytes, so
// that no nonce is ever used twice under a key. The tenant and the key are
// authenticated with it: one key's answer cannot be put under another. With no
// secrets it does nothing. A sealed text is id length, id, salt, ciphertext.
type seals struct {
	first string
	keys  map[string][]byte
}

func newSeals(all []Secret) seals {
	s := seals{keys: map[string][]byte{}}
	for i, x := range all {
		if i == 0 {
			s.first = x.ID
		}
		s.keys[x.ID] = x.Key
	}
	return s
}

// seal encrypts a text of a key.
func (s seals) seal(k Key, text []byte) ([]byte, error) {
	if s.first == "" {
		return text, nil
	}
	salt := make([]byte, saltLen)
	rand.Read(salt)
	aead, err := s.cipher(s.first, k, salt)
	if err != nil {
		return nil, err
	}
	out := append(append([]byte{byte(len(s.first))}, s.first...), salt...)
	return aead.Seal(out, make([]byte, aead.NonceSize()), text, boundTo(k)), nil
}

// unseal is the inverse of seal, for a text that is encrypted. It fails with an ErrSealed.
func (s seals) unseal(k Key, sealed []byte) ([]byte, error) {
	if len(sealed) < 1 || len(sealed) < 1+int(sealed[0])+saltLen {
		return nil, fmt.Errorf("%w: it is cut off", ErrSealed)
	}
	id, rest := string(sealed[1:1+sealed[0]]), sealed[1+sealed[0]:]
	aead, err := s.cipher(id, k, rest[:saltLen])
	if err != nil {
		return nil, err
	}
	text, err := aead.Open(nil, make([]byte, aead.NonceSize()), rest[saltLen:], boundTo(k))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return text, nil
}

func (s seals) cipher(id string, k Key, salt []byte) (cipher.AEAD, error) {
	secret, known := s.keys[id]
	if !known {
		return nil, fmt.Errorf("%w: there is no secret %q", ErrSealed, id)
	}
	key, err := hkdf.Key(sha256.New, secret, salt, "oncepay answer v1\x00"+k.Tenant, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func boundTo(k Key) []byte { return []byte(k.Tenant + "\x00" + k.ID) }

// seal encrypts an answer: its header lines and its body.
func (e *Engine) seal(k Key, a Answer) (Answer, error) {
	if e.seals.first == "" {
		return a, nil
	}
	text, err := json.Marshal(clearText{a.Header, a.Body})
	if err != nil {
		return Answer{}, err
	}
	body, err := e.seals.seal(k, text)
	return Answer{Status: a.Status, Body: body, Dropped: a.Dropped, Seal: e.seals.first}, err
}

// clearText is what an answer's sealed body holds.
type clearText struct {
	Header []Field `json:"h,omitempty"`
	Body   []byte  `json:"b"`
}

// open decrypts a record's answer. It fails with an ErrSealed.
func (e *Engine) open(r Record) (Record, error) {
	if r.Answer.Seal == "" {
		return r, nil
	}
	text, err := e.seals.unseal(r.Key, r.Answer.Body)
	var clear clearText
	if err == nil {
		err = json.Unmarshal(text, &clear)
	}
	if err != nil {
		return Record{}, err
	}
	r.Answer.Header, r.Answer.Body, r.Answer.Seal = clear.Header, clear.Body, ""
	return r, nil
}
