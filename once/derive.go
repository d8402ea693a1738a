package once

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"
)

// Derive makes a key from what a request says, for callers that have none of their
// own: the same parts in the same order give the same key, and no others do.
//
// It is the weakest kind of key, and has two traps. Parts that change from retry to
// retry (a time, a trace id, a counter) make every retry a new operation. And two
// real orders that are equal in all parts are one: say which order it is (a cart's
// id, a sequence number), or the second customer's coffee is never made.
func Derive(parts ...string) string {
	h := sha256.New()
	h.Write([]byte("oncepay derived key v1"))
	writeParts(h, parts...)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// writeParts writes each part with its length before it, so that none can pass for
// two.
func writeParts(h hash.Hash, parts ...string) {
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
}

// hashers makes keyed hashes under one secret. It is safe for concurrent use.
type hashers struct {
	secret []byte

	mu    sync.Mutex
	pools map[string]*sync.Pool // of Hashers, by tenant
}

// maxPools bounds the tenants whose hashers are kept: some 1 KB each.
const maxPools = 10_000

// request is the fingerprint of a tenant's request.
func (h *hashers) request(tenant, method, target string, body []byte) Fingerprint {
	pool := h.pool(tenant)
	hasher := pool.Get().(*Hasher)
	defer pool.Put(hasher)
	return hasher.Request(method, target, body)
}

func (h *hashers) pool(tenant string) *sync.Pool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pools[tenant]
	if p == nil {
		if h.pools == nil || len(h.pools) >= maxPools {
			h.pools = map[string]*sync.Pool{}
		}
		p = &sync.Pool{New: func() any { return NewHasher(h.secret, tenant) }}
		h.pools[tenant] = p
	}
	return p
}

// derive is the downstream key of a step.
func (h *hashers) derive(k Key, operation, step string) string {
	return h.keyed("oncepay downstream key v1", k.Tenant, operation, k.ID, step)
}

// hashed is a key's id as it is stored where keys are hashed.
func (h *hashers) hashed(k Key) string { return h.keyed("oncepay stored key v1", k.Tenant, k.ID) }

func (h *hashers) keyed(use string, parts ...string) string {
	mac := hmac.New(sha256.New, h.secret)
	mac.Write([]byte(use))
	writeParts(mac, parts...)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// stored is a key as it is stored.
func (e *Engine) stored(k Key) Key {
	if e.cfg.HashKeys {
		k.ID = e.prints.hashed(k)
	}
	return k
}
