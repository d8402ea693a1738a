package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// Every address answers every method, with a problem where there is nothing.
func TestMethodsAndPaths(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	for name, row := range map[string]struct {
		method, target string
		status         int
		allow          string
	}{
		"HEAD works where GET does":            {"HEAD", "/v1/accounts/alice", 200, ""},
		"OPTIONS tells the methods":            {"OPTIONS", "/v1/accounts/alice", 204, "GET, HEAD, OPTIONS, PUT"},
		"OPTIONS of what can only be posted":   {"OPTIONS", "/v1/transfers/batch", 204, "OPTIONS, POST"},
		"a method that is not there":           {"DELETE", "/v1/accounts/alice", 405, "GET, HEAD, OPTIONS, PUT"},
		"PATCH is nowhere":                     {"PATCH", "/v1/accounts/alice", 405, "GET, HEAD, OPTIONS, PUT"},
		"HEAD of what can only be posted":      {"HEAD", "/v1/transfers/batch", 405, "OPTIONS, POST"},
		"a method that nobody knows":           {"BREW", "/livez", 405, "GET, HEAD, OPTIONS"},
		"a path that is not there":             {"GET", "/v1/nothing", 404, ""},
		"a path that is not there, for a POST": {"POST", "/v2/transfers", 404, ""},
		"a slash at the end":                   {"GET", "/v1/accounts/", 404, ""},
		"a slash twice":                        {"POST", "/v1//transfers", 404, ""},
		"a path that goes up":                  {"POST", "/v1/accounts/../transfers", 404, ""},
		"a path that stays":                    {"GET", "/v1/./accounts", 404, ""},
		"an id of dots":                        {"GET", "/v1/accounts/..", 404, ""},
		"an escaped slash is part of an id":    {"GET", "/v1/accounts/alice%2Fentries", 404, ""},
		"an escaped letter is a letter":        {"GET", "/v1/accounts/%61lice", 200, ""},
		"the first page":                       {"GET", "/", 200, ""},
		"the first page cannot be posted to":   {"POST", "/", 405, "GET, HEAD, OPTIONS"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.do(row.method, row.target, "", "Idempotency-Key", "k")
			if a.status != row.status || a.header.Get("Allow") != row.allow {
				t.Errorf("got %d, Allow %q, %s; want %d, %q", a.status, a.header.Get("Allow"), a.body, row.status, row.allow)
			}
		})
	}
}

// What a list is asked for is read strictly.
func TestQueries(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	for name, row := range map[string]struct {
		target    string
		status    int
		parameter string
	}{
		"all that a list takes":           {"/v1/accounts?limit=1&created_after=2020-01-01T00:00:00Z&created_before=2999-01-01T00:00:00%2B02:00", 200, ""},
		"a limit of 100":                  {"/v1/accounts?limit=100", 200, ""},
		"a limit of 101":                  {"/v1/accounts?limit=101", 422, "limit"},
		"a limit of nothing":              {"/v1/accounts?limit=0", 422, "limit"},
		"a limit that is a word":          {"/v1/accounts?limit=all", 422, "limit"},
		"a limit twice":                   {"/v1/accounts?limit=1&limit=2", 422, "limit"},
		"an empty parameter":              {"/v1/accounts?limit=", 422, "limit"},
		"a parameter that is misspelt":    {"/v1/transfers?acount=alice", 422, "acount"},
		"a parameter of another list":     {"/v1/events?account=alice", 422, "account"},
		"a parameter where there is none": {"/v1/transfers/tr_x?at=2020-01-01T00:00:00Z", 422, "at"},
		"a cursor of nobody's":            {"/v1/events?cursor=abc", 422, "cursor"},
		"a time that is a day":            {"/v1/accounts?created_after=2020-01-01", 422, "created_after"},
		"an at that is a word":            {"/v1/accounts/alice?at=noon", 422, "at"},
		"bytes that are not UTF-8":        {"/v1/transfers?reference=%ff", 422, "reference"},
		"a percent sign too many":         {"/v1/accounts?limit=%zz", 422, ""},
		"a key that is missing":           {"/v1/keys", 422, "key"},
		"a key with a space":              {"/v1/keys?key=a%20b", 422, "key"},
		"a key, quoted":                   {"/v1/keys?key=%22open-alice%22", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.do("GET", row.target, "")
			if a.status != row.status || row.parameter != "" && !strings.Contains(a.body, `"parameter":"`+row.parameter+`"`) {
				t.Errorf("got %d %s, want %d and the parameter %q", a.status, a.body, row.status, row.parameter)
			}
		})
	}
}

// A list is read page by page to its end, and shows everything once.
func TestPages(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	for i := range 7 {
		h.post(fmt.Sprint(i), "/v1/transfers", transferBody("1"))
	}
	var ids []string
	for next := "?limit=3"; next != ""; {
		a := h.do("GET", "/v1/transfers"+next, "")
		ids = append(ids, anID.FindAllString(a.body, -1)...)
		next = ""
		if _, rest, more := strings.Cut(a.body, `"next_cursor":"`); more {
			next = "?limit=3&cursor=" + strings.TrimSuffix(rest, `"}`)
		}
	}
	if len(ids) != 7 || !slices.IsSortedFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("got %v, want 7 ids, newest first", ids)
	}
}

// What stands on the page of a problem is what the table says, and the pages
// need nothing from elsewhere.
func TestPagesForPeople(t *testing.T) {
	h := newHouse(t, nil)
	targets := []string{"/", "/docs", "/docs/problems/"}
	for _, p := range problems {
		target := "/docs/problems/" + string(p.Code)
		targets = append(targets, target)
		if a := h.do("GET", target, ""); !strings.Contains(a.body, string(p.Code)) || !strings.Contains(a.body, fmt.Sprint(p.Status)) {
			t.Errorf("%s does not tell its code and status", target)
		}
		if p.Text == "" || p.Title == "" {
			t.Errorf("%s has no text", p.Code)
		}
	}
	for _, target := range targets {
		a := h.do("GET", target, "", "Authorization", "")
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", target, a.status, a.header)
		}
		for _, outside := range []string{`="http`, `url(http`, "<script", "<link", "<img", "@import", "ZgotmplZ"} {
			if strings.Contains(a.body, outside) {
				t.Errorf("%s has %s in it", target, outside)
			}
		}
	}
	reference := h.do("GET", "/docs", "").body
	for _, rt := range h.routes {
		if path := strings.TrimSuffix(rt.path, "{$}"); !strings.Contains(reference, path) {
			t.Errorf("/docs does not show %s", path)
		}
	}
	if a := h.do("GET", "/docs/problems/none", ""); a.status != 404 {
		t.Error(a)
	}
	if a := h.do("GET", "/openapi.json", "", "Authorization", ""); a.body != string(openAPI) {
		t.Error("/openapi.json is not the document")
	}
}

// A server that drains, or whose store cannot be read, is alive and not ready.
func TestHealth(t *testing.T) {
	h := newHouse(t, nil)
	for _, target := range []string{"/livez", "/healthz", "/readyz"} {
		if a := h.do("GET", target, "", "Authorization", ""); a.status != 200 || a.body != "ok\n" {
			t.Errorf("%s: %v", target, a)
		}
	}
	h.store.set(false, true)
	if a := h.do("GET", "/readyz?verbose", ""); a.status != 503 || !strings.Contains(a.body, "[+] serving\n[-] store") || strings.Contains(a.body, "secret") {
		t.Errorf("with a broken store: %v", a)
	}
	if a := h.do("GET", "/livez", ""); a.status != 200 {
		t.Errorf("with a broken store: %v", a)
	}
	h.store.set(false, false)
	h.Drain()
	if a := h.do("GET", "/readyz", ""); a.status != 503 || !strings.Contains(a.body, "draining") {
		t.Errorf("draining: %v", a)
	}
}

// Counts are by route and class of status.
func TestMetrics(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	h.post("k", "/v1/transfers", transferBody("1"))
	h.post("k", "/v1/transfers", transferBody("1"))
	h.post("k", "/v1/transfers", transferBody("2"))
	h.do("GET", "/nowhere", "")
	body := h.do("GET", "/metrics", "", "Authorization", "").body
	for _, line := range []string{
		`oncepay_http_requests_total{class="2xx",route="POST /v1/transfers"} 2`,
		`oncepay_http_requests_total{class="4xx",route="POST /v1/transfers"} 1`,
		`oncepay_http_requests_total{class="4xx",route="none"} 1`,
		`oncepay_http_request_seconds_count{route="POST /v1/transfers"} 3`,
		`oncepay_engine_executed_total 3`,
		`oncepay_engine_replayed_total 1`,
		`oncepay_engine_mismatched_total 1`,
		`oncepay_build_info{version="dev"} 1`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}

// A store that fails is told without saying what is inside.
func TestNothingInternalShows(t *testing.T) {
	h := newHouse(t, nil)
	h.store.set(false, true)
	for i, a := range []answer{h.do("GET", "/v1/accounts", ""), h.post("k", "/v1/transfers", transferBody("1"))} {
		if a.status != 503 || a.code() != "store_unavailable" || strings.Contains(a.body, "disk") || a.header.Get("Retry-After") == "" {
			t.Errorf("got %v", a)
		}
		id := a.header.Get("Request-Id") // the log tells of the first one only
		if told := strings.Contains(h.log.String(), "request="+id); told != (i == 0) || !strings.Contains(h.log.String(), "disk I/O error") {
			t.Errorf("the log of %s: %s", id, h.log)
		}
	}
}

// damaged has rows that are broken, and says so.
type damaged struct{ backing }

func (damaged) Payment(_ context.Context, r pay.Ref) (*pay.Payment, error) {
	return &pay.Payment{Ref: r, Amount: -1}, errors.New("the amount is negative")
}

func TestARowThatIsBrokenIsNotShown(t *testing.T) {
	h := newHouseOn(t, damaged{engine.NewMemory()}, nil)
	for _, path := range []string{"", "/timeline", "/refunds"} {
		a := h.do("GET", "/v1/payments/pay_1"+path, "")
		if a.status != 503 || a.code() != "store_unavailable" {
			t.Errorf("%s: %v", path, a)
		}
	}
}

// A handler that panics is answered for, and cut off if it had begun to answer.
func TestPanics(t *testing.T) {
	h := newHouse(t, nil)
	for name, begun := range map[string]bool{"before an answer": false, "in an answer": true} {
		h.mux.HandleFunc("/panics/"+fmt.Sprint(begun), func(w http.ResponseWriter, _ *http.Request) {
			if begun {
				w.WriteHeader(200)
			}
			panic("a secret")
		})
		t.Run(name, func(t *testing.T) {
			var cut any
			var w *httptest.ResponseRecorder
			func() {
				defer func() { cut = recover() }()
				w = httptest.NewRecorder()
				h.ServeHTTP(w, request("GET", "/panics/"+fmt.Sprint(begun), ""))
			}()
			if begun != (cut == http.ErrAbortHandler) {
				t.Errorf("the handler ended with %v", cut)
			}
			if !begun && (w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), `"code":"internal"`)) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if !strings.Contains(h.log.String(), "a secret") {
				t.Error("the log does not tell")
			}
		})
	}
}

// What the server itself sees to, over a connection.
func TestOverTheWire(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	address := listen(t, h.API)
	for name, row := range map[string]struct{ request, first string }{
		"control characters in a header are the server's own 400": {
			"POST /v1/transfers HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\x01b\r\n\r\n", "HTTP/1.1 400"},
		"a header that is too long": {
			"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", MaxHeader+8192) + "\r\n\r\n", "HTTP/1.1 431"},
		"a chunked body": {
			wire("Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(transferBody("1")), transferBody("1")), "HTTP/1.1 201"},
		"a chunked body that is too large": {
			wire("Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", MaxBody+1, strings.Repeat(" ", MaxBody+1)), "HTTP/1.1 413"},
		"a body that says it is too large is not waited for long": {
			wire(fmt.Sprintf("Content-Length: %d", MaxBody+1)), "HTTP/1.1 413"},
		"HEAD has no body": {
			"HEAD /v1/accounts/alice HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_acme\r\nConnection: close\r\n\r\n", "HTTP/1.1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go io.WriteString(c, row.request) // the server may stop reading
			in := bufio.NewReader(c)
			head, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(head, row.first) {
				t.Fatalf("got %q, %v, want %s", head, err, row.first)
			}
			if strings.HasPrefix(row.request, "HEAD") {
				rest, _ := io.ReadAll(in)
				if !strings.HasSuffix(string(rest), "\r\n\r\n") {
					t.Errorf("HEAD has a body: %q", rest)
				}
			}
		})
	}
}

func wire(length string) string {
	return "POST /v1/transfers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_acme\r\nContent-Type: application/json\r\nIdempotency-Key: " +
		fmt.Sprint(len(length)) + "\r\n" + length + "\r\n\r\n"
}

// listen serves h as the program does.
func listen(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(h, slog.New(slog.DiscardHandler))
	go s.Serve(Limit(l, 100))
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// An API that lacks what it needs is not made.
func TestWhatAnAPINeeds(t *testing.T) {
	store := &gate{backing: engine.NewMemory(), keys: map[access.Hash]access.Key{}}
	executor := engine.New(store, engine.Config{})
	defer executor.Close(context.Background())
	good := Config{Executor: executor, Store: store, Secret: make([]byte, 32)}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no executor":        func(c *Config) { c.Executor = nil },
		"no store":           func(c *Config) { c.Store = nil },
		"a short secret":     func(c *Config) { c.Secret = c.Secret[1:] },
		"a rate below zero":  func(c *Config) { c.Rate = -1 },
		"a burst below zero": func(c *Config) { c.Burst = -1 },
	} {
		bad := good
		if spoil(&bad); func() error { _, err := New(bad); return err }() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// A wait can never outlast the server's own limits.
func TestServerWaitsLongerThanAnyRequest(t *testing.T) {
	s := NewServer(nil, slog.New(slog.DiscardHandler))
	if s.ReadTimeout < MaxWait+time.Second || s.WriteTimeout <= s.ReadTimeout || s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("timeouts: %v %v %v %v", s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout)
	}
}

// A client that sends all of a body before it looks for an answer gets the
// refusal, not a reset that it would take for an unknown outcome.
func TestATooLargeBodyIsToldToWhoSendsItAll(t *testing.T) {
	h := newHouse(t, nil)
	address := listen(t, h.API)
	for range 5 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, wire(fmt.Sprintf("Content-Length: %d", 5<<20))+strings.Repeat(" ", 5<<20)); err != nil {
			t.Errorf("sending: %v", err)
		}
		head, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 413") {
			t.Errorf("got %q, %v", head, err)
		}
		c.Close()
	}
}

// A query on a request that has a body is refused: nothing of it would count.
func TestAQueryBesideABodyIsRefused(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	for _, target := range []string{"/v1/transfers?pending=true", "/v1/transfers/batch?x=1", "/v1/accounts?x=1"} {
		if a := h.send(request("POST", target, transferBody("1"), "Idempotency-Key", "k")); a.status != 422 || !strings.Contains(string(a.body), `"parameter"`) {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
}

// What is no time of RFC 3339 is refused, though Go would read it.
func TestTimes(t *testing.T) {
	for s, good := range map[string]bool{
		"2026-01-31T12:00:00Z": true, "2026-01-31T12:00:00.123456+02:00": true,
		"2026-01-31T12:00:00,5Z": false, "9999-12-31T23:59:59-23:59": false, "2026-01-31 12:00:00Z": false, "": false,
	} {
		if _, ok := parseTime(s); ok != good {
			t.Errorf("%q: read %t, want %t", s, ok, good)
		}
	}
}
