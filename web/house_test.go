package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/store/sqlite"
)

// house is an API with everything that it needs.
type house struct {
	*API
	t     testing.TB
	store *gate
	till  *till
	log   *logbook
}

// logbook is what was logged. Some of it is logged beside the requests.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// backing is what a store is, but for API keys.
type backing interface {
	engine.Store
	engine.Upkeep
	AccountReader
	TransferReader
	PaymentReader
	KeyReader
	EventReader
}

// gate is a store with API keys and a tap: commits wait while it is shut, and
// fail while it is broken.
type gate struct {
	backing
	keys map[access.Hash]access.Key

	mu     sync.Mutex
	shut   chan struct{} // nil: open
	broken bool
}

func (g *gate) Commit(ctx context.Context, c *engine.Changes) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.backing.Commit(ctx, c)
}

func (g *gate) pass() error {
	g.mu.Lock()
	shut, broken := g.shut, g.broken
	g.mu.Unlock()
	if broken {
		return engine.ErrNotCommitted
	}
	if shut != nil {
		<-shut
	}
	return nil
}

func (g *gate) set(shut, broken bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
	if shut {
		g.shut = make(chan struct{})
	}
	g.broken = broken
}

func (g *gate) Credential(_ context.Context, h access.Hash) (access.Key, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken {
		return access.Key{}, false, errBroken
	}
	k, ok := g.keys[h]
	return k, ok, nil
}

func (g *gate) Ping(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken {
		return errBroken
	}
	return nil
}

var errBroken = errors.New("disk I/O error on /secret/path")

// newHouse makes an API on SQLite, with the API keys sk_acme and
// sk_other of the tenants acme and other, and sk_reader, which may only read
// what is acme's.
func newHouse(t testing.TB, set func(*Config)) *house {
	t.Helper()
	return newHouseOn(t, openSQLite(t), set)
}

func newHouseOn(t testing.TB, on backing, set func(*Config)) *house {
	t.Helper()
	store := &gate{backing: on, keys: map[access.Hash]access.Key{}}
	store.admit("sk_acme", "acme", access.Full)
	store.admit("sk_other", "other", access.Full)
	store.admit("sk_reader", "acme", access.Read)
	till := newTill()
	executor := engine.New(store, engine.Config{Render: RenderPayment, Act: till.Act})
	till.use(executor)
	till.store = store
	t.Cleanup(func() {
		store.set(false, false)
		till.work.Wait()
		executor.Close(context.Background())
	})
	h := &house{t: t, store: store, till: till, log: &logbook{}}
	cfg := Config{
		Executor: executor, Store: store, Secret: []byte("a secret of thirty-two bytes, no less"), Payments: till,
		Log: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	if deliveries, ok := on.(WebhookStore); ok {
		cfg.Webhooks = &Webhooks{Store: deliveries, Secrets: delivery.NewSecrets(cfg.Secret), Wake: func() {}}
	}
	if set != nil {
		set(&cfg)
	}
	var err error
	if h.API, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return h
}

// openSQLite opens the store that people use.
func openSQLite(t testing.TB) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "oncepay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func (g *gate) admit(secret, tenant string, role access.Role) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := access.HashKey(secret)
	g.keys[h] = access.Key{ID: "ak_" + secret, Tenant: tenant, Role: role, Hash: h}
}

// answer is an answer that was read.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is that of a problem, or "".
func (a answer) code() string {
	var p struct{ Code string }
	json.Unmarshal([]byte(a.body), &p)
	return p.Code
}

// send sends a request, and holds the answer against the document.
func (h *house) send(r *http.Request) answer {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := theSpec().check(h.API, r, res, body); err != nil {
		h.t.Errorf("%s %s: the answer %d %s is not as the document says: %v", r.Method, r.URL, res.StatusCode, body, err)
	}
	if r.Method == http.MethodHead {
		body = nil // what net/http does
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// request makes a request of acme's. fields are names and values of header
// lines; a value of "" takes a line away.
func request(method, target, body string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer sk_acme")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Del(fields[i])
		if fields[i+1] != "" {
			r.Header.Set(fields[i], fields[i+1])
		}
	}
	return r
}

func (h *house) do(method, target, body string, fields ...string) answer {
	return h.send(request(method, target, body, fields...))
}

// post sends a keyed request.
func (h *house) post(key, target, body string) answer {
	return h.do("POST", target, body, "Idempotency-Key", key)
}

// open opens the accounts alice, who may go below nothing, and bob.
func (h *house) open() {
	h.t.Helper()
	for id, floor := range map[string]string{"alice": "null", "bob": "0"} {
		a := h.post("open-"+id, "/v1/accounts", `{"id":"`+id+`","currency":"EUR","min_balance":`+floor+`}`)
		if a.status != 201 {
			h.t.Fatal(a)
		}
	}
}

func transferBody(amount string) string {
	return `{"from":"alice","to":"bob","amount":` + amount + `,"currency":"EUR"}`
}
