package web

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/store/sqlite"
)

// Only a valid key in one Authorization header opens /v1.
func TestWhoMayCall(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.DevKey = "sk_dev" })
	h.open()
	for name, row := range map[string]struct {
		lines  []string
		status int
	}{
		"a valid key":                 {[]string{"Bearer sk_acme"}, 200},
		"the scheme in another case":  {[]string{"bearer sk_acme"}, 200},
		"two spaces":                  {[]string{"Bearer  sk_acme"}, 200},
		"the key of --dev":            {[]string{"Bearer sk_dev"}, 404},
		"nothing":                     {nil, 401},
		"an empty header":             {[]string{""}, 401},
		"no key":                      {[]string{"Bearer "}, 401},
		"a key without a scheme":      {[]string{"sk_acme"}, 401},
		"another scheme":              {[]string{"Basic sk_acme"}, 401},
		"a key that nobody has":       {[]string{"Bearer sk_nobody"}, 401},
		"a key that begins like one":  {[]string{"Bearer sk_acm"}, 401},
		"two headers":                 {[]string{"Bearer sk_acme", "Bearer sk_acme"}, 401},
		"a key with something behind": {[]string{"Bearer sk_acme x"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("GET", "/v1/accounts/alice", "")
			r.Header["Authorization"] = row.lines
			a := h.send(r)
			if a.status != row.status || (a.status == 401) != strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("got %v, want %d", a, row.status)
			}
		})
	}
}

// Without --dev there is no key that everybody knows, and no empty one.
func TestThereIsNoDefaultKey(t *testing.T) {
	h := newHouse(t, nil)
	for _, key := range []string{"sk_dev", "sk_", `""`} {
		if a := h.do("GET", "/v1/accounts", "", "Authorization", "Bearer "+key); a.status != 401 {
			t.Errorf("%s: %v", key, a)
		}
	}
}

// A key that may read may read, and nothing else, whatever it sends.
func TestAReaderOnlyReads(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	for _, rt := range h.routes {
		for _, e := range rt.endpoints {
			if e.open && e.method != "GET" {
				continue // who sends a gateway's webhook has no API key
			}
			target := strings.NewReplacer("{id}", "alice", "{$}", "", "{code}", "internal").Replace(rt.path)
			a := h.do(e.method, target, "", "Authorization", "Bearer sk_reader", "Idempotency-Key", "open-alice")
			secret := strings.HasSuffix(rt.path, "/secret") // who has it could sign as we do
			if (a.status == 403) != (e.method != "GET" || secret) {
				t.Errorf("%s %s: %d %s", e.method, target, a.status, a.body)
			}
		}
	}
	if a := h.do("HEAD", "/v1/accounts/alice", "", "Authorization", "Bearer sk_reader"); a.status != 200 {
		t.Errorf("HEAD: %v", a)
	}
}

// counting counts look-ups.
type counting struct {
	Credentials
	lookups atomic.Int64
}

func (c *counting) Credential(ctx context.Context, h access.Hash) (access.Key, bool, error) {
	c.lookups.Add(1)
	return c.Credentials.Credential(ctx, h)
}

// A revocation works within two seconds, a new key at once, and a key that is
// used all the time is looked up once a second.
func TestRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		keys := h.store.backing.(*sqlite.Store)
		store := &counting{Credentials: keys}
		h.doorman.store = store
		status := func(secret string) int {
			return h.do("GET", "/v1/accounts", "", "Authorization", "Bearer "+secret).status
		}
		if got := status("sk_new"); got != 401 {
			t.Fatalf("before it exists: %d", got)
		}
		made := access.Key{ID: "ak_new", Tenant: "acme", Role: access.Full, Hash: access.HashKey("sk_new"), CreatedAt: time.Now()}
		if err := keys.CreateAPIKey(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		if got := status("sk_new"); got != 200 {
			t.Fatalf("just made: %d", got)
		}
		store.lookups.Store(0)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			status("sk_new")
		}
		if n := store.lookups.Load(); n < 9 || n > 10 {
			t.Errorf("looked up %d times in ten seconds", n)
		}
		if found, err := keys.RevokeAPIKey(t.Context(), "ak_new"); !found || err != nil {
			t.Fatal(found, err)
		}
		time.Sleep(2 * time.Second)
		if got := status("sk_new"); got != 401 {
			t.Errorf("two seconds after it was revoked: %d", got)
		}
	})
}

// What is remembered is bounded, and so is what was never a key.
func TestTheDoormanForgets(t *testing.T) {
	h := newHouse(t, nil)
	for i := range maxKnown + 10 {
		h.store.admit(fmt.Sprint("sk_", i), "acme", access.Full)
		if _, ok, _ := h.doorman.admit(t.Context(), fmt.Sprint("sk_", i)); !ok {
			t.Fatalf("key %d is not admitted", i)
		}
		h.doorman.admit(t.Context(), fmt.Sprint("sk_wrong_", i))
	}
	if n := len(h.doorman.known); n > maxKnown {
		t.Errorf("%d keys are remembered", n)
	}
}
