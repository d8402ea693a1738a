package httponce_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

func TestARepeatGetsTheAnswerAgain(t *testing.T) {
	for _, method := range []string{"POST", "PATCH"} {
		t.Run(method, func(t *testing.T) {
			s := newShop(t, httponce.Route{}, created)
			first := s.send(request(method, "/charges", `{"amount":1}`, "Idempotency-Key", "k"))
			if first.status != 201 || first.body != "{\"run\":1}\n" || first.replayed() {
				t.Fatalf("the first gets %+v", first)
			}
			again := s.send(request(method, "/charges", `{"amount":1}`, "Idempotency-Key", `"k"`))
			if again.status != 201 || again.body != first.body || !again.replayed() || s.runs.Load() != 1 {
				t.Errorf("a repeat gets %+v after %d runs", again, s.runs.Load())
			}
			if at := first.header.Get("Idempotency-Expires"); at == "" || at != again.header.Get("Idempotency-Expires") {
				t.Errorf("they are kept until %q and %q", at, again.header.Get("Idempotency-Expires"))
			}
			if other := s.send(request(method, "/charges", `{"amount":1}`, "Idempotency-Key", "k2")); other.body != "{\"run\":2}\n" || other.replayed() {
				t.Errorf("another key gets %+v", other)
			}
		})
	}
}

func TestOtherMethodsPass(t *testing.T) {
	s := newShop(t, httponce.Route{}, created)
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"} {
		before := s.runs.Load()
		for range 2 {
			if a := s.send(request(method, "/charges", "", "Idempotency-Key", "k", "As", "")); a.status != 201 || a.header.Get("Idempotency-Expires") != "" {
				t.Errorf("%s gets %+v", method, a)
			}
		}
		if s.runs.Load() != before+2 {
			t.Errorf("%s ran %d times", method, s.runs.Load()-before)
		}
	}
}

// What is part of a request, and what is not.
func TestFingerprints(t *testing.T) {
	const body = `{"amount":10,"to":"bob"}`
	for name, row := range map[string]struct {
		again *http.Request
		same  bool
	}{
		"the same":                   {request("POST", "/charges?x=1", body), true},
		"the order of members":       {request("POST", "/charges?x=1", ` { "to":"\u0062ob", "amount":10 } `), true},
		"a charset":                  {request("POST", "/charges?x=1", body, "Content-Type", "application/json; charset=utf-8"), true},
		"another header":             {request("POST", "/charges?x=1", body, "Prefer", "wait=3", "Request-Id", "r"), true},
		"another amount":             {request("POST", "/charges?x=1", `{"amount":11,"to":"bob"}`), false},
		"an amount spelt as a float": {request("POST", "/charges?x=1", `{"amount":10.0,"to":"bob"}`), true},
		"no body":                    {request("POST", "/charges?x=1", ""), false},
		"another path":               {request("POST", "/refunds?x=1", body), false},
		"a path of another spelling": {request("POST", "/%63harges?x=1", body), false},
		"another query":              {request("POST", "/charges?x=2", body), false},
		"no query":                   {request("POST", "/charges", body), false},
		"another method":             {request("PATCH", "/charges?x=1", body), false},
		"not said to be JSON":        {request("POST", "/charges?x=1", `{"to":"bob","amount":10}`, "Content-Type", "text/plain"), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, httponce.Route{}, created)
			s.post("k", "/charges?x=1", body)
			row.again.Header.Set("Idempotency-Key", "k")
			a := s.send(row.again)
			if row.same && (a.status != 201 || !a.replayed()) {
				t.Errorf("it gets %+v, want the first one's answer", a)
			}
			if !row.same && (a.status != 422 || a.code() != httponce.KeyReused || a.header.Get("Idempotency-Expires") == "") {
				t.Errorf("it gets %+v, want key_reused", a)
			}
			if s.runs.Load() != 1 {
				t.Errorf("it ran %d times", s.runs.Load())
			}
		})
	}
}

// Bodies that are not JSON, or not what they are said to be, are told by their bytes.
func TestBodiesThatAreNotJSON(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for name, row := range map[string]struct{ media, body, other string }{
		"a form":                    {"application/x-www-form-urlencoded", "a=1&b=2", "b=2&a=1"},
		"broken JSON":               {"application/json", `{"a":1`, `{"a":2`},
		"a member that is twice":    {"application/json", `{"a":1,"a":2}`, `{"a":2,"a":1}`},
		"deeper than is looked":     {"application/json", deep, " " + deep},
		"of another kind of JSON":   {"application/vnd.api+json", `{"a":1}`, `{"a":2}`},
		"compressed, it is said":    {"application/json", `{"a":1}`, `{ "a":1}`},
		"of no media type":          {"", `{"a":1}`, `{ "a":1}`},
		"of a media type like none": {";;", `{"a":1}`, `{ "a":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			fields := []string{"Content-Type", row.media}
			if strings.HasPrefix(name, "compressed") {
				fields = append(fields, "Content-Encoding", "gzip")
			}
			s := newShop(t, httponce.Route{}, created)
			s.post("k", "/", row.body, fields...)
			if a := s.post("k", "/", row.body, fields...); !a.replayed() {
				t.Errorf("the same gets %+v", a)
			}
			if a := s.post("k", "/", row.other, fields...); a.code() != httponce.KeyReused {
				t.Errorf("another one gets %+v", a)
			}
		})
	}
}

// What is refused before anything runs, and how.
func TestRefusals(t *testing.T) {
	for name, row := range map[string]struct {
		r      *http.Request
		status int
		code   httponce.Code
		expire bool // it is told until when its key would be kept
	}{
		"nobody is signed in":           {request("POST", "/", "", "As", "", "Idempotency-Key", "k"), 401, httponce.Unauthenticated, true},
		"nobody, and no key":            {request("POST", "/", "", "As", ""), 401, httponce.Unauthenticated, false},
		"no key":                        {request("POST", "/", ""), 400, httponce.KeyMissing, false},
		"a key with a space":            {request("POST", "/", "", "Idempotency-Key", "a b"), 400, httponce.KeyMalformed, false},
		"a body that is too large":      {request("POST", "/", strings.Repeat("x", 1<<20+1), "Idempotency-Key", "k"), 413, httponce.TooLarge, true},
		"one whose length is not told":  {chunked(request("POST", "/", strings.Repeat("x", 1<<20+1), "Idempotency-Key", "k")), 413, httponce.TooLarge, true},
		"one that others bound":         {limited(request("POST", "/", "xxx", "Idempotency-Key", "k")), 413, httponce.TooLarge, true},
		"a body that breaks off":        {broken(request("POST", "/", "xxx", "Idempotency-Key", "k")), 400, httponce.BodyIncomplete, true},
		"a body that was read already":  {drained(request("POST", "/", "xxx", "Idempotency-Key", "k")), 400, httponce.BodyIncomplete, true},
		"a key that is out of its time": {request("POST", "/", "", "Idempotency-Key", "016f5e66-e800-7abc-8abc-0123456789ab"), 409, httponce.KeyExpired, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, httponce.Route{}, created)
			row.r.Header.Set("X-Request-Id", "req-1")
			a := s.send(row.r)
			p := a.problem()
			if a.status != row.status || p.Code != row.code || p.Status != row.status || s.runs.Load() != 0 {
				t.Fatalf("got %+v, and it ran %d times", a, s.runs.Load())
			}
			if p.Type != "/docs/problems/"+string(row.code) || p.Title == "" || p.Detail == "" || p.RequestID != "req-1" || p.Retryable == nil || p.SameKey == nil {
				t.Errorf("it says %s", a.body)
			}
			if (a.header.Get("Idempotency-Expires") != "") != row.expire {
				t.Errorf("it is told until when the key is kept: %q", a.header.Get("Idempotency-Expires"))
			}
			if (a.header.Get("WWW-Authenticate") == "Bearer") != (row.status == 401) {
				t.Errorf("it is challenged: %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
}

// A body that is said to be too large is not read, nor asked for.
func TestABodyThatIsToldToBeTooLargeIsNotRead(t *testing.T) {
	s := newShop(t, httponce.Route{}, created)
	r := request("POST", "/", "", "Idempotency-Key", "k")
	r.Body, r.ContentLength = io.NopCloser(failing{}), 1<<20+1
	if a := s.send(r); a.code() != httponce.TooLarge {
		t.Errorf("it gets %+v", a)
	}
}

// What is refused because of an earlier request is told when that one's key is over.
func TestRefusalsSayWhenTheKeyIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, httponce.Route{}, created)
		first := s.post("k", "/", "1")
		time.Sleep(time.Hour)
		if a := s.post("k", "/", "2"); a.code() != httponce.KeyReused || a.header.Get("Idempotency-Expires") != first.header.Get("Idempotency-Expires") {
			t.Errorf("the first is told %v, another one %v", first.header, a.header)
		}
		time.Sleep(23 * time.Hour)
		if a := s.post("k", "/", "1"); a.code() != httponce.KeyExpired || a.header.Get("Idempotency-Expires") != first.header.Get("Idempotency-Expires") {
			t.Errorf("too late it gets %+v", a)
		}
	})
}

// The largest body is taken, whether its length is told or not.
func TestTheLargestBody(t *testing.T) {
	s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, r *http.Request) {
		if n := len(readBody(t, r)); n != 1<<20 {
			t.Errorf("the handler reads %d bytes", n)
		}
	})
	body := strings.Repeat("x", 1<<20)
	s.post("a", "/", body)
	s.send(chunked(request("POST", "/", body, "Idempotency-Key", "b")))
	if s.runs.Load() != 2 {
		t.Errorf("it ran %d times", s.runs.Load())
	}
}

func chunked(r *http.Request) *http.Request {
	r.ContentLength = -1
	return r
}

func limited(r *http.Request) *http.Request {
	r.Body = http.MaxBytesReader(nil, r.Body, 1)
	return r
}

func broken(r *http.Request) *http.Request {
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("x"), failing{}))
	return r
}

func drained(r *http.Request) *http.Request {
	r.Body.Read(make([]byte, 100))
	return r
}

// A key is its tenant's: another one who uses it is not told that it is in use.
func TestAKeyOfAnotherTenant(t *testing.T) {
	s := newShop(t, httponce.Route{}, created)
	s.post("k", "/", "1")
	for _, body := range []string{"1", "2"} {
		a := s.post("k", "/", body, "As", "other-"+body)
		if a.status != 201 || a.replayed() {
			t.Errorf("another tenant gets %+v", a)
		}
	}
	if a := s.post("k", "/", "1"); a.body != "{\"run\":1}\n" || !a.replayed() {
		t.Errorf("then the first tenant gets %+v", a)
	}
}

// Where keys are optional, requests without one pass; where they are ignored, all do.
func TestRoutesWithoutKeys(t *testing.T) {
	for name, row := range map[string]struct {
		route  httponce.Route
		fields []string
		runs   int64
	}{
		"optional, and none":              {httponce.Route{Optional: true}, []string{"As", ""}, 2},
		"optional, and one":               {httponce.Route{Optional: true}, []string{"Idempotency-Key", "k"}, 1},
		"another header, and one":         {httponce.Route{Optional: true, Header: "Request-Token"}, []string{"Request-Token", "k"}, 1},
		"another header, in lower case":   {httponce.Route{Optional: true, Header: "request-token"}, []string{"Request-Token", "k"}, 1},
		"another header, and not that":    {httponce.Route{Optional: true, Header: "Request-Token"}, []string{"Idempotency-Key", "k"}, 2},
		"ignored":                         {httponce.Route{Unkeyed: true}, []string{"Idempotency-Key", "k", "As", ""}, 2},
		"in the body":                     {httponce.Route{Pointer: "/id"}, nil, 1},
		"in the body, and another header": {httponce.Route{Pointer: "/id"}, []string{"Idempotency-Key", "a b"}, 1},
		"optional in the body":            {httponce.Route{Pointer: "/none", Optional: true}, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			const body = `{"id":"k"}`
			s := newShop(t, row.route, func(run int64, w http.ResponseWriter, r *http.Request) {
				if got := readBody(t, r); got != body {
					t.Errorf("the handler reads %q", got)
				}
				created(run, w, r)
			})
			for i := range 2 {
				if a := s.send(request("POST", "/", body, row.fields...)); a.status != 201 || a.replayed() != (row.runs == 1 && i == 1) {
					t.Errorf("request %d gets %+v", i+1, a)
				}
			}
			if s.runs.Load() != row.runs {
				t.Errorf("it ran %d times, want %d", s.runs.Load(), row.runs)
			}
		})
	}
}

// A key in the body is where the pointer points.
func TestKeysInTheBody(t *testing.T) {
	for _, row := range []struct {
		pointer, body string
		code          httponce.Code // "": it runs
	}{
		{"/id", `{"id":"k"}`, ""},
		{"/id", `{"id":"\u006b"}`, ""},
		{"/id", `{"id":"a b"}`, httponce.KeyMalformed},
		{"/id", `{"id":7}`, httponce.KeyMalformed},
		{"/id", `{"id":null}`, httponce.KeyMissing},
		{"/id", `{"id":""}`, httponce.KeyMissing},
		{"/id", `{"ID":"k"}`, httponce.KeyMissing},
		{"/id", `["k"]`, httponce.KeyMissing},
		{"/id", ``, httponce.KeyMissing},
		{"/id", `{"id":"k"`, httponce.KeyMalformed},
		{"/id", `{"id":"k","id":"l"}`, httponce.KeyMalformed},
		{"/a~1b/~01/2", `{"a/b":{"~1":["x","y","k"]}}`, ""},
		{"/a/3", `{"a":["k"]}`, httponce.KeyMissing},
		{"/a/00", `{"a":["k"]}`, httponce.KeyMissing},
		{"/a/-", `{"a":["k"]}`, httponce.KeyMissing},
		{"/a/", `{"a":{"":"k"}}`, ""},
		{"/a/b/c", `{"a":"k"}`, httponce.KeyMissing},
	} {
		t.Run(row.pointer+" "+row.body, func(t *testing.T) {
			s := newShop(t, httponce.Route{Pointer: row.pointer}, created)
			a := s.send(request("POST", "/", row.body, "Content-Type", "text/plain"))
			if a.code() != row.code || (a.status == 201) != (row.code == "") {
				t.Fatalf("it gets %+v, want %q", a, row.code)
			}
			if a = s.send(request("POST", "/", " "+row.body)); row.code == "" && !a.replayed() {
				t.Errorf("a repeat gets %+v", a)
			}
		})
	}
}

// An attempt is known to its handler, the same in every attempt where that matters.
func TestTheHandlerKnowsItsAttempt(t *testing.T) {
	var derived []string
	s := newShop(t, httponce.Route{Vanished: once.Rerun, Optional: true}, func(run int64, w http.ResponseWriter, r *http.Request) {
		a := httponce.Attempt(r.Context())
		if a == nil {
			w.WriteHeader(204)
			return
		}
		if a.Token() != run || a.Key().ID != "k" || a.Recovers != (run > 1) {
			t.Errorf("run %d is attempt %d of %v", run, a.Token(), a.Key())
		}
		if derived = append(derived, a.Derive("charge")); run == 1 {
			w.WriteHeader(500)
		}
	})
	if a := s.post("k", "/", ""); a.status != 500 {
		t.Errorf("first it gets %+v", a)
	}
	if a := s.post("k", "/", ""); a.status != 200 || a.replayed() || len(derived) != 2 || derived[0] != derived[1] || derived[0] == "" {
		t.Errorf("then it gets %+v, with %q", a, derived)
	}
	if a := s.send(request("POST", "/", "")); a.status != 204 {
		t.Errorf("without a key it gets %+v", a)
	}
}

// A table finds the most specific route, and gives it a name.
func TestTable(t *testing.T) {
	find := httponce.Table(map[string]httponce.Route{
		"/":                     {Optional: true},
		"POST /charges/{id}":    {Wait: time.Second},
		"/hooks/":               {Unkeyed: true, Name: "a hook"},
		"POST shop.test/orders": {Name: "order"},
	})
	for target, want := range map[string]httponce.Route{
		"http://x/":                 {Optional: true, Name: "POST /"},
		"http://x/charges/1":        {Wait: time.Second, Name: "POST /charges/{id}"},
		"http://x/hooks/a":          {Unkeyed: true, Name: "a hook"},
		"http://shop.test/orders":   {Name: "order"},
		"http://other.test/orders":  {Optional: true, Name: "POST /"},
		"http://x/charges/1/refund": {Optional: true, Name: "POST /"},
	} {
		got := find(request("POST", target, ""))
		if got.Name != want.Name || got.Optional != want.Optional || got.Unkeyed != want.Unkeyed || got.Wait != want.Wait {
			t.Errorf("%s is %+v, want %+v", target, got, want)
		}
	}
	if got := httponce.Table(nil)(request("POST", "/", "")); got.Optional || got.Unkeyed {
		t.Errorf("what no pattern has is %+v", got)
	}
	for name, routes := range map[string]map[string]httponce.Route{
		"a pattern that is none":     {"POST": {}},
		"a pointer without slash":    {"/": {Pointer: "id"}},
		"a probe that asks nobody":   {"/": {Vanished: once.Probe}},
		"two patterns that conflict": {"/a/{b}/": {}, "/{a}/b/": {}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", name)
				}
			}()
			httponce.Table(routes)
		}()
	}
}

func TestWithoutAnEngineThereIsNoHandler(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it is made")
		}
	}()
	httponce.Handler{}.Wrap(http.NotFoundHandler())
}

// A duplicate waits as long as it wants to, or its route says, or the engine.
func TestHowLongADuplicateWaits(t *testing.T) {
	for name, row := range map[string]struct {
		route  time.Duration
		prefer string
		waits  time.Duration
	}{
		"as the engine says":       {0, "", 10 * time.Second},
		"as the route says":        {3 * time.Second, "", 3 * time.Second},
		"not at all, by route":     {-1, "", 0},
		"as its client says":       {3 * time.Second, "wait=20", 20 * time.Second},
		"not at all, by client":    {3 * time.Second, "wait=0", 0},
		"no longer than may be":    {0, "wait=600", 60 * time.Second},
		"an unknown preference":    {3 * time.Second, "handling=lenient", 3 * time.Second},
		"a wait that is no number": {3 * time.Second, "wait=soon", 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				goOn := make(chan struct{})
				s := newShop(t, httponce.Route{Wait: row.route}, func(run int64, w http.ResponseWriter, r *http.Request) {
					<-goOn
					created(run, w, r)
				})
				first := make(chan answer)
				go func() { first <- s.post("k", "/", "") }()
				synctest.Wait()
				began := time.Now()
				a := s.post("k", "/", "", "Prefer", row.prefer)
				if a.status != 409 || a.code() != httponce.InProgress || time.Since(began) != row.waits {
					t.Errorf("after %v it gets %+v", time.Since(began), a)
				}
				if p := a.problem(); a.header.Get("Retry-After") != "1" || !*p.Retryable || !*p.SameKey || a.header.Get("Idempotency-Expires") == "" {
					t.Errorf("it is told %+v", a)
				}
				close(goOn)
				if a := <-first; a.status != 201 {
					t.Errorf("the first gets %+v", a)
				}
			})
		})
	}
}

// A duplicate that waits gets the first one's answer.
func TestADuplicateWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, httponce.Route{}, func(run int64, w http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * time.Second)
			created(run, w, r)
		})
		go s.post("k", "/", "")
		synctest.Wait()
		if a := s.post("k", "/", ""); a.status != 201 || !a.replayed() || s.runs.Load() != 1 {
			t.Errorf("it gets %+v after %d runs", a, s.runs.Load())
		}
	})
}
