package httponce_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

// byBadge is who operates a shop: whose name is in the header Badge.
func byBadge(r *http.Request) (string, error) {
	if name := r.Header.Get("Badge"); name != "" {
		return name, nil
	}
	return "", errors.New("the secret list of operators")
}

// operate asks a shop's operators' face, as ann.
func operate(s *shop, method, target, body string, fields ...string) (status int, told map[string]any) {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Badge", "ann")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	httponce.Operator{Engine: s.engine, Actor: byBadge}.ServeHTTP(w, r)
	json.Unmarshal(w.Body.Bytes(), &told)
	return w.Code, told
}

// doubtful is a shop at which nobody knows what became of some orders.
func doubtful(t *testing.T, keys ...string) *shop {
	s := newShop(t, httponce.Route{}, func(run int64, w http.ResponseWriter, r *http.Request) {
		if run > int64(len(keys)) {
			created(run, w, r)
			return
		}
		w.WriteHeader(502)
	})
	for _, k := range keys {
		s.post(k, "/orders", "")
	}
	return s
}

// An operator finds what is in doubt, decides with the evidence, and repeats are told.
func TestAnOperatorSettlesWhatIsInDoubt(t *testing.T) {
	s := doubtful(t, "order-1", "order-2", "order-3")
	var listed []any
	for after, pages := "", 0; after != "" || pages == 0; pages++ {
		status, page := operate(s, "GET", "/?limit=2&after="+after, "")
		if status != 200 || pages > 5 {
			t.Fatalf("page %d: %d %v", pages, status, page)
		}
		listed = append(listed, page["data"].([]any)...)
		after = page["next"].(string)
	}
	if len(listed) != 3 {
		t.Fatalf("listed are %v", listed)
	}
	first := listed[0].(map[string]any)
	if first["tenant"] != "acme" || first["state"] != "unknown" || first["operation"] != "POST /orders" || first["why"] == "" || first["attempt"] != 1.0 {
		t.Errorf("listed is %v", first)
	}

	status, told := operate(s, "POST", "/settle", `{"tenant":"acme","key":"order-1","as":"happened","evidence":"line 311",
		"answer":{"status":201,"headers":[["location","/charges/7"],["Set-Cookie","a=1, b"]],"body":"it did"}}`)
	if status != 200 || told["state"] != "done" || told["why"] != "settled as happened by ann: line 311" {
		t.Errorf("it is settled: %d %v", status, told)
	}
	if a := s.post("order-1", "/orders", ""); a.status != 201 || a.body != "it did" || a.header.Get("Location") != "/charges/7" || a.header.Get("Set-Cookie") != "a=1, b" {
		t.Errorf("then a repeat gets %+v", a)
	}
	bytes := base64.StdEncoding.EncodeToString([]byte{0xff, 0})
	operate(s, "POST", "/settle", `{"tenant":"acme","key":"order-2","as":"happened","evidence":"e","answer":{"status":200,"body_base64":"`+bytes+`"}}`)
	if a := s.post("order-2", "/orders", ""); a.body != "\xff\x00" {
		t.Errorf("of bytes a repeat gets %q", a.body)
	}
	if status, told = operate(s, "POST", "/settle", `{"tenant":"acme","key":"order-3","as":"absent","evidence":"e"}`); status != 200 || told["state"] != "released" {
		t.Errorf("it is absent: %d %v", status, told)
	}
	if a := s.post("order-3", "/orders", ""); a.status != 201 || s.runs.Load() != 4 {
		t.Errorf("then it runs: %+v after %d runs", a, s.runs.Load())
	}
	if status, told = operate(s, "GET", "/key?tenant=acme&key=order-1", ""); status != 200 || told["status"] != 201.0 || strings.Contains(fmt.Sprint(told), "it did") {
		t.Errorf("it is shown as %d %v", status, told)
	}
	if status, told = operate(s, "GET", "/", ""); status != 200 || len(told["data"].([]any)) != 0 || told["next"] != "" {
		t.Errorf("at last %d %v are unfinished", status, told)
	}
}

// What an operator must not, or gets wrong, changes nothing and is told why.
func TestAnOperatorIsRefused(t *testing.T) {
	s := doubtful(t, "order-1", "done")
	decided := func(more string) string { return `{"tenant":"acme","key":"order-1","evidence":"e",` + more + `}` }
	operate(s, "POST", "/settle", `{"tenant":"acme","key":"done","as":"happened","evidence":"e","answer":{"status":200}}`)
	for what, row := range map[string]struct {
		method, target, body string
		fields               []string
		status               int
		says                 string
	}{
		"nobody who is known":         {"GET", "/", "", []string{"Badge", ""}, 403, "Sign in"},
		"a path there is not":         {"GET", "/keys", "", nil, 404, ""},
		"the wrong method":            {"POST", "/", "", nil, 405, ""},
		"reading by a decision":       {"GET", "/settle", "", nil, 405, ""},
		"no number":                   {"GET", "/?limit=x", "", nil, 422, "1 to 1000"},
		"too many":                    {"GET", "/?limit=1001", "", nil, 422, "1 to 1000"},
		"a cursor of one's own":       {"GET", "/?after=acme%00order", "", nil, 422, "next"},
		"a form that reads":           {"GET", "/key", "--b\r\nContent-Disposition: form-data; name=tenant\r\n\r\nacme\r\n--b\r\nContent-Disposition: form-data; name=key\r\n\r\norder-1\r\n--b--\r\n", []string{"Content-Type", "multipart/form-data; boundary=b"}, 422, "tenant"},
		"a key without a tenant":      {"GET", "/key?key=order-1", "", nil, 422, "tenant"},
		"a key nobody knows":          {"GET", "/key?tenant=acme&key=x", "", nil, 404, ""},
		"another tenant's":            {"GET", "/key?tenant=other&key=order-1", "", nil, 404, ""},
		"a form":                      {"POST", "/settle", "as=absent", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, ""},
		"no JSON":                     {"POST", "/settle", "{", nil, 400, ""},
		"a member twice":              {"POST", "/settle", decided(`"as":"happened","as":"absent"`), nil, 400, ""},
		"a member that is misspelt":   {"POST", "/settle", decided(`"as":"absent","evidenze":"x"`), nil, 422, "evidenze"},
		"a number for a text":         {"POST", "/settle", decided(`"as":7`), nil, 422, "as is a number"},
		"no verdict":                  {"POST", "/settle", decided(`"as":"maybe"`), nil, 422, `"happened"`},
		"no evidence":                 {"POST", "/settle", `{"tenant":"acme","key":"order-1","as":"absent"}`, nil, 422, "evidence"},
		"a novel for evidence":        {"POST", "/settle", `{"tenant":"acme","key":"order-1","as":"absent","evidence":"` + strings.Repeat("x", 1001) + `"}`, nil, 422, "1000"},
		"no answer":                   {"POST", "/settle", decided(`"as":"happened"`), nil, 422, "answer"},
		"an answer of what was not":   {"POST", "/settle", decided(`"as":"absent","answer":{"status":200}`), nil, 422, "answer"},
		"a status there is not":       {"POST", "/settle", decided(`"as":"happened","answer":{"status":99}`), nil, 422, "200 to 599"},
		"two bodies":                  {"POST", "/settle", decided(`"as":"happened","answer":{"status":200,"body":"a","body_base64":"YQ=="}`), nil, 422, "one of them"},
		"a header of two lines":       {"POST", "/settle", decided(`"as":"happened","answer":{"status":200,"headers":[["A","b\r\nC: d"]]}`), nil, 422, "headers"},
		"more than a body may be":     {"POST", "/settle", decided(`"as":"absent","x":"` + strings.Repeat("x", 3<<20) + `"`), nil, 413, ""},
		"what is not in doubt":        {"POST", "/settle", `{"tenant":"acme","key":"done","as":"absent","evidence":"e"}`, nil, 409, ""},
		"what nobody has heard of":    {"POST", "/settle", `{"tenant":"acme","key":"x","as":"absent","evidence":"e"}`, nil, 409, ""},
		"a key of the other tenant's": {"POST", "/settle", `{"tenant":"other","key":"order-1","as":"absent","evidence":"e"}`, nil, 409, ""},
	} {
		status, told := operate(s, row.method, row.target, row.body, row.fields...)
		if detail, _ := told["detail"].(string); status != row.status || told["code"] == nil || !strings.Contains(detail, row.says) {
			t.Errorf("%s: %d %v, want %d %q", what, status, told, row.status, row.says)
		}
		if strings.Contains(fmt.Sprint(told), "secret list") {
			t.Errorf("%s: it is told why it may not", what)
		}
	}
	if r, err := s.engine.Find(t.Context(), keyOf("order-1")); err != nil || r.State != once.Unknown || r.Version != 2 {
		t.Errorf("then the key is %+v %v", r, err)
	}
}

// An answer that a human has written down is given again as it would be if a handler had:
// lines of one name stay together, and none is the connection's.
func TestAHumansAnswerIsAHeader(t *testing.T) {
	s := doubtful(t, "order-1")
	status, told := operate(s, "POST", "/settle", `{"tenant":"acme","key":"order-1","as":"happened","evidence":"e","answer":{"status":200,"body":"it did",
		"headers":[["Set-Cookie","a=1"],["Location","/7"],["Set-Cookie","b=2"],["Content-Length","2"],["Connection","close"]]}}`)
	if status != 200 {
		t.Fatalf("it is settled: %d %v", status, told)
	}
	a := s.post("order-1", "/orders", "")
	if got := a.header.Values("Set-Cookie"); !slices.Equal(got, []string{"a=1", "b=2"}) || a.header.Get("Location") != "/7" {
		t.Errorf("a repeat gets %v", a.header)
	}
	if a.header.Get("Content-Length") == "2" || a.header.Get("Connection") != "" || a.body != "it did" {
		t.Errorf("a repeat gets what is not the answer's: %v", a.header)
	}
}

// Paths can have any bytes: what stores keep, and operators read, is text.
func TestOperationsAreText(t *testing.T) {
	s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) })
	s.post("k", "/%00%1b%ff%E2%98%95"+strings.Repeat("/%E2%98%95", 30), "")
	r, err := s.engine.Find(t.Context(), keyOf("k"))
	if err != nil || !strings.HasPrefix(r.Operation, "POST /%00%1b%ff%E2%98%95/") || len(r.Operation) != 200 {
		t.Errorf("it is called %q %v", r.Operation, err)
	}
}

// misplaced is a store whose lists go on nowhere.
type misplaced struct{ once.Store }

func (misplaced) Unfinished(context.Context, string, int) ([]once.Record, string, error) {
	return nil, "", fmt.Errorf("the store: %w", once.ErrCursor)
}

// A place that the store does not know is its sender's mistake: to ask again does not help.
func TestAListGoesOnNowhere(t *testing.T) {
	s := &shop{engine: newEngine(t, misplaced{once.NewMemory()})}
	if status, told := operate(s, "GET", "/?after=eA", ""); status != 422 || told["code"] != "invalid" || told["retryable"] != false {
		t.Errorf("it is told %d %v", status, told)
	}
}

// An attempt that is at work, a store that lists nothing, and one that is away.
func TestAnOperatorHasToWait(t *testing.T) {
	store := &deadly{Store: once.NewMemory()}
	single := &shop{engine: newEngine(t, store, func(c *once.Config) { c.Scope = once.SingleTenant })}
	turn, err := single.engine.Begin(t.Context(), once.Request{Key: once.Key{Tenant: "default", ID: "k"}}, once.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	absent := `{"tenant":"default","key":"k","as":"absent","evidence":"e"}`
	if status, told := operate(single, "POST", "/settle", absent); status != 409 || told["code"] != "in_progress" {
		t.Errorf("at work: %d %v", status, told)
	}
	if status, told := operate(single, "GET", "/key?tenant=default&key=k", ""); status != 200 || told["lease_until"] == nil {
		t.Errorf("it is shown as %d %v", status, told)
	}
	if status, told := operate(single, "GET", "/", ""); status != 501 || told["code"] != "not_listed" {
		t.Errorf("a store that lists nothing: %d %v", status, told)
	}
	store.dead.Store(true)
	if status, told := operate(single, "GET", "/key?tenant=default&key=k", ""); status != 503 || told["code"] != "store_unavailable" {
		t.Errorf("a store that is away: %d %v", status, told)
	}
	store.dead.Store(false)
	turn.Attempt.Release(t.Context())
}
