package web

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/access"
)

// Credentials are the API keys that a store knows.
type Credentials interface {
	// Credential returns the key of that hash, revoked or not, and whether there
	// is one.
	Credential(ctx context.Context, h access.Hash) (access.Key, bool, error)
}

// caller is who sent a request.
type caller struct {
	tenant *tenant
	role   access.Role
	key    string // the API key's id
}

// doorman knows who is who. It remembers keys for a moment, so that most
// requests need no look-up. What it does not find it does not remember: a new
// key works at once.
type doorman struct {
	store   Credentials
	tenants *tenants
	dev     access.Hash // of the key of --dev; zero: none

	mu    sync.RWMutex
	known map[access.Hash]*credential
}

type credential struct {
	caller  caller
	checked atomic.Int64 // when it was looked up last, Unix nanoseconds
}

const (
	maxKnown = 4096 // credentials; more than that at once are looked up more often

	// trustTime is how long a credential is believed. With the time of a look-up
	// it is how late a revocation works: less than 2 seconds.
	trustTime = time.Second

	lookupTime = 500 * time.Millisecond // of a credential, before its caller is told 503
)

func newDoorman(store Credentials, tenants *tenants, devKey string) *doorman {
	d := &doorman{store: store, tenants: tenants, known: map[access.Hash]*credential{}}
	if devKey != "" {
		d.dev = access.HashKey(devKey)
	}
	return d
}

// devTenant is whose the key of --dev is.
const devTenant = "dev"

// admit finds out who sends a secret. It reports false for what is no valid key.
func (d *doorman) admit(ctx context.Context, secret string) (caller, bool, error) {
	h := access.HashKey(secret)
	if d.dev != (access.Hash{}) && d.dev.Equal(h) {
		return caller{d.tenants.get(devTenant), access.Full, devTenant}, true, nil
	}
	d.mu.RLock()
	c := d.known[h] // by hash: what it takes tells nothing of a key
	d.mu.RUnlock()
	if c != nil && c.trusted(time.Now().UnixNano()) {
		return c.caller, true, nil
	}
	return d.lookUp(ctx, h)
}

// trusted says whether c was looked up just now. When its time is over, one
// request gets to look it up again; the others trust it until that one is back.
func (c *credential) trusted(now int64) bool {
	checked := c.checked.Load()
	return now-checked < int64(trustTime) || !c.checked.CompareAndSwap(checked, now)
}

func (d *doorman) lookUp(ctx context.Context, h access.Hash) (caller, bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTime)
	defer cancel()
	began := time.Now().UnixNano() // a revocation during the look-up may be missed by it
	key, found, err := d.store.Credential(ctx, h)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || !found || !key.RevokedAt.IsZero() {
		delete(d.known, h)
		return caller{}, false, err
	}
	if len(d.known) >= maxKnown {
		clear(d.known)
	}
	c := &credential{caller: caller{d.tenants.get(key.Tenant), key.Role, key.ID}}
	c.checked.Store(began)
	d.known[h] = c
	return c.caller, true, nil
}

// authenticate finds out who sends the request, and whether they may. If not,
// it has answered.
func (x *exchange) authenticate() bool {
	secret, ok := bearer(x.r.Header)
	if !ok {
		x.set("Www-Authenticate", `Bearer realm="oncepay"`)
		x.refuse(unauthenticated, "Send your API key in exactly one header Authorization: Bearer KEY.")
		return false
	}
	who, ok, err := x.api.doorman.admit(x.r.Context(), secret)
	switch {
	case err != nil:
		x.failed("look up a credential", err)
		return false
	case !ok:
		x.set("Www-Authenticate", `Bearer realm="oncepay", error="invalid_token"`)
		x.refuse(unauthenticated, "This API key is not known, or was revoked.")
		return false
	}
	x.caller = who
	if who.role != access.Full && x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		x.refuse(forbidden, "This API key may only read: GET and HEAD.")
		return false
	}
	return true
}

// bearer returns the token of the Authorization header (RFC 6750).
func bearer(h http.Header) (string, bool) {
	lines := h["Authorization"]
	if len(lines) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(lines[0], " ")
	token = strings.TrimLeft(token, " ")
	return token, ok && token != "" && strings.EqualFold(scheme, "Bearer")
}
