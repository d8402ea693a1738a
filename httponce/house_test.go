package httponce_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

var secret = []byte("0123456789abcdef")

// tenant is what the authentication around a handler puts into its context.
type tenant struct{}

// byTenant is a Scope for requests that went through signIn.
func byTenant(ctx context.Context) (string, error) {
	if name, _ := ctx.Value(tenant{}).(string); name != "" {
		return name, nil
	}
	return "", errors.New("nobody is signed in")
}

// signIn is the authentication: the header As names the tenant.
func signIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tenant{}, r.Header.Get("As"))))
	})
}

func newEngine(t testing.TB, store once.Store, change ...func(*once.Config)) *once.Engine {
	t.Helper()
	cfg := once.Config{Scope: byTenant, Secret: secret}
	for _, c := range change {
		c(&cfg)
	}
	eng, err := once.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

// shop is an API whose requests must not run twice.
type shop struct {
	http.Handler
	engine *once.Engine
	runs   atomic.Int64
}

// newShop makes a shop whose every route is the same, and whose handler is given how
// often it has run.
func newShop(t testing.TB, route httponce.Route, handle func(run int64, w http.ResponseWriter, r *http.Request)) *shop {
	t.Helper()
	return shopOn(newEngine(t, once.NewMemory()), route, handle)
}

func shopOn(eng *once.Engine, route httponce.Route, handle func(run int64, w http.ResponseWriter, r *http.Request)) *shop {
	s := &shop{engine: eng}
	h := httponce.Handler{Engine: eng, Route: func(*http.Request) httponce.Route { return route }}
	s.Handler = signIn(h.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(s.runs.Add(1), w, r) })))
	return s
}

// created is a handler that answers 201 with how often it has run.
func created(run int64, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]int64{"run": run})
}

// request makes one of acme's, with header lines in pairs.
func request(method, target, body string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("As", "acme")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Del(fields[i])
		if fields[i+1] != "" {
			r.Header.Set(fields[i], fields[i+1])
		}
	}
	return r
}

// answer is what came of a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *shop) send(r *http.Request) answer {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return answer{w.Code, w.Result().Header, w.Body.String()}
}

func (s *shop) post(key, target, body string, fields ...string) answer {
	return s.send(request("POST", target, body, append(fields, "Idempotency-Key", key)...))
}

// code is that of a problem.
func (a answer) code() httponce.Code { return a.problem().Code }

// problem is the body of one.
type problem struct {
	Type, Title, Detail string
	Status              int
	Code                httponce.Code
	RequestID           string `json:"request_id"`
	Retryable           *bool
	SameKey             *bool `json:"same_key"`
	OriginalStatus      int   `json:"original_status"`
}

func (a answer) problem() (p problem) {
	if a.header.Get("Content-Type") == "application/problem+json" {
		json.Unmarshal([]byte(a.body), &p)
	}
	return p
}

func (a answer) replayed() bool { return a.header.Get("Idempotency-Replayed") == "true" }

// readBody is the body of a request, for handlers.
func readBody(t testing.TB, r *http.Request) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// keyOf is a key of acme's.
func keyOf(id string) once.Key { return once.Key{Tenant: "acme", ID: id} }
