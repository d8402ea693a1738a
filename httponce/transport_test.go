package httponce_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

// script is a RoundTripper that answers as it is told to, and keeps what it is sent.
type script struct {
	mu      sync.Mutex
	answers []func(*http.Request) (*http.Response, error) // the last one for all that come later
	sent    []sent
}

// sent is a request that was handed down.
type sent struct {
	method, key, body string
	at                time.Time
	again             bool // it could be got again by who sends it
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := sent{method: r.Method, at: time.Now(), again: r.GetBody != nil}
	for name, lines := range r.Header {
		if strings.EqualFold(name, "Idempotency-Key") {
			got.key = strings.Join(lines, "|")
			got.again = got.again || r.Body == nil && name == "Idempotency-Key"
		}
	}
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if r.Body.Close(); err != nil {
			return nil, err
		}
		got.body = string(b)
	}
	s.sent = append(s.sent, got)
	return s.answers[min(len(s.sent), len(s.answers))-1](r)
}

var errReset = errors.New("connection reset by peer")

// reset is a connection that breaks: what became of the request is not known.
func reset(*http.Request) (*http.Response, error) { return nil, errReset }

// says is an answer with header lines in pairs.
func says(status int, body string, fields ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		res := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
		for i := 0; i < len(fields); i += 2 {
			res.Header.Add(fields[i], fields[i+1])
		}
		return res, nil
	}
}

func saysProblem(status int, code string, retryable, sameKey bool) func(*http.Request) (*http.Response, error) {
	body := fmt.Sprintf(`{"code":%q,"retryable":%v,"same_key":%v}`, code, retryable, sameKey)
	return says(status, body, "Content-Type", "application/problem+json; charset=utf-8")
}

// closable is a body that knows whether it was closed.
type closable struct {
	io.Reader
	closed bool
}

func (c *closable) Close() error { c.closed = true; return nil }

// A request has one key, over all its tries: a new one, its context's, or its own.
func TestTheKeyOfARequest(t *testing.T) {
	for name, row := range map[string]struct {
		method string
		header []string
		ctx    string
		keyed  func(*http.Request) bool
		want   string // "new": one that nobody has had
		wrong  httponce.Mistake
	}{
		"a POST gets a new one":             {"POST", nil, "", nil, "new", 0},
		"a PATCH gets a new one":            {"PATCH", nil, "", nil, "new", 0},
		"its context has one":               {"POST", nil, "order-42", nil, "order-42", 0},
		"it has one itself":                 {"POST", []string{"own"}, "order-42", nil, "own", 0},
		"it has a quoted one":               {"POST", []string{`"own"`}, "", nil, `"own"`, 0},
		"it has one that is none":           {"POST", []string{"a b"}, "", nil, "", httponce.BadCharacters},
		"it has two":                        {"POST", []string{"a", "b"}, "", nil, "", httponce.ManyKeys},
		"its context has one that is none":  {"POST", nil, "ö", nil, "", httponce.BadCharacters},
		"a GET needs none":                  {"GET", nil, "order-42", nil, "", 0},
		"a PUT needs none":                  {"PUT", nil, "order-42", nil, "", 0},
		"a server that honours none":        {"POST", nil, "order-42", func(*http.Request) bool { return false }, "", 0},
		"a server that wants it for DELETE": {"DELETE", nil, "order-42", func(*http.Request) bool { return true }, "order-42", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []func(*http.Request) (*http.Response, error){reset, says(201, "made")}}
				rt := &httponce.Transport{Base: s, Keyed: row.keyed}
				ctx := t.Context()
				if row.ctx != "" {
					ctx = httponce.WithKey(ctx, row.ctx)
				}
				body := &closable{Reader: strings.NewReader("body")}
				r, err := http.NewRequestWithContext(ctx, row.method, "http://x/", body)
				if err != nil {
					t.Fatal(err)
				}
				if row.header != nil {
					r.Header["Idempotency-Key"] = row.header
				}
				res, err := rt.RoundTrip(r)
				if wrong := (*httponce.KeyError)(nil); errors.As(err, &wrong) != (row.wrong != 0) || wrong != nil && wrong.Mistake != row.wrong {
					t.Fatalf("it fails with %v, want mistake %d", err, row.wrong)
				}
				if !body.closed && row.keyed == nil {
					t.Error("its body was not closed")
				}
				if lines := r.Header["Idempotency-Key"]; !slices.Equal(lines, row.header) {
					t.Errorf("the sender's own request has %q now", lines)
				}
				if row.wrong != 0 {
					if len(s.sent) != 0 {
						t.Errorf("it was sent: %+v", s.sent)
					}
					return
				}
				if name == "a server that honours none" {
					if len(s.sent) != 1 || s.sent[0].key != "" || !errors.Is(err, errReset) {
						t.Errorf("it was sent as %+v: %v", s.sent, err)
					}
					return
				}
				if err != nil || res.StatusCode != 201 || len(s.sent) != 2 || s.sent[0].key != s.sent[1].key || s.sent[1].body != "body" || s.sent[0].again {
					t.Fatalf("it was sent as %+v: %v", s.sent, err)
				}
				got := s.sent[0].key
				if u, err := uuid.Parse(got); row.want == "new" && (err != nil || u.Version() != 7) || row.want != "new" && got != row.want {
					t.Errorf("its key is %q, want %q", got, row.want)
				}
				if told := res.Request.Header.Get("Idempotency-Key"); told != got {
					t.Errorf("its sender is told the key %q, it was sent with %q", told, got)
				}
			})
		})
	}
}

// What is sent again, and what not.
func TestWhatIsSentAgain(t *testing.T) {
	wrongHost := func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("tls: %w", &tls.CertificateVerificationError{Err: errors.New("another host's")})
	}
	for name, row := range map[string]struct {
		first func(*http.Request) (*http.Response, error)
		again bool
	}{
		"a connection that breaks":                  {reset, true},
		"who answers is somebody else":              {wrongHost, false},
		"it is in progress":                         {saysProblem(409, "in_progress", true, true), true},
		"the key's window is over":                  {saysProblem(409, "key_expired", false, false), false},
		"the outcome is not known":                  {saysProblem(409, "outcome_unknown", false, true), false},
		"a conflict that says nothing of retries":   {says(409, "{}", "Content-Type", "application/problem+json"), false},
		"a conflict that is no problem":             {says(409, `{"retryable":true,"same_key":true}`, "Content-Type", "application/json"), false},
		"the rate":                                  {says(429, ""), true},
		"a bad gateway":                             {says(502, ""), true},
		"unavailable":                               {says(503, ""), true},
		"a gateway's time-out":                      {says(504, ""), true},
		"unavailable, and it says not to try again": {saysProblem(503, "gone", false, true), false},
		"unavailable, and only with another key":    {saysProblem(503, "new_key", true, false), false},
		"a defect":                                  {says(500, ""), false},
		"a defect that says that it may":            {saysProblem(500, "internal", true, true), true},
		"a problem that is none":                    {says(503, "{", "Content-Type", "application/problem+json"), true},
		"a success":                                 {says(201, ""), false},
		"a success that looks like a problem":       {saysProblem(200, "ok", true, true), false},
		"a redirect":                                {says(307, "", "Location", "/b"), false},
		"a refusal":                                 {says(422, ""), false},
	} {
		for _, method := range []string{"POST", "DELETE"} {
			t.Run(name+", "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &script{answers: []func(*http.Request) (*http.Response, error){row.first, says(200, "then")}}
					r, _ := http.NewRequestWithContext(t.Context(), method, "http://x/", strings.NewReader("body"))
					res, err := (&httponce.Transport{Base: s}).RoundTrip(r)
					if again := len(s.sent) == 2; again != row.again {
						t.Fatalf("it was sent %d times: %v", len(s.sent), err)
					}
					if row.again && (err != nil || res.StatusCode != 200) {
						t.Errorf("then it got %v %v", res, err)
					}
				})
			})
		}
	}
}

// An answer that is not asked for again comes to its reader in full.
func TestAProblemCanStillBeRead(t *testing.T) {
	long := `{"retryable":false,"same_key":true,"detail":"` + strings.Repeat("x", 100_000) + `"}`
	broken := func(*http.Request) (*http.Response, error) {
		res, _ := says(409, "", "Content-Type", "application/problem+json")(nil)
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), failing{}))
		return res, nil
	}
	for name, row := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		want   string
		err    error
	}{
		"a short one":         {saysProblem(409, "key_expired", false, false), `{"code":"key_expired","retryable":false,"same_key":false}`, nil},
		"a long one":          {says(409, long, "Content-Type", "application/problem+json"), long, nil},
		"one that breaks off": {broken, "{", errReset},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: []func(*http.Request) (*http.Response, error){row.answer}}
			r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/", nil)
			res, err := (&httponce.Transport{Base: s}).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(res.Body); string(b) != row.want || !errors.Is(err, row.err) {
				t.Errorf("it reads %.100s %v", b, err)
			}
		})
	}
}

// failing is a body that breaks off.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errReset }

// The server says when to come again, within what its client has.
func TestRetryAfter(t *testing.T) {
	for name, row := range map[string]struct {
		fields []string
		wait   time.Duration // 0: it is not sent again
	}{
		"seconds":                        {[]string{"Retry-After", "7"}, 7 * time.Second},
		"a date":                         {[]string{"Retry-After", "Sat, 01 Jan 2000 00:00:07 GMT"}, 7 * time.Second},
		"a date by the server's clock":   {[]string{"Retry-After", "Wed, 21 Oct 2026 07:28:07 GMT", "Date", "Wed, 21 Oct 2026 07:28:00 GMT"}, 7 * time.Second},
		"a date that is over":            {[]string{"Retry-After", "Fri, 31 Dec 1999 00:00:00 GMT"}, time.Millisecond},
		"something else":                 {[]string{"Retry-After", "soon"}, time.Millisecond},
		"nothing":                        {nil, time.Millisecond},
		"longer than the client goes on": {[]string{"Retry-After", "61"}, 0},
		"longer than anybody waits":      {[]string{"Retry-After", "99999999999999999999"}, 0},
		"a date in no client's life":     {[]string{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []func(*http.Request) (*http.Response, error){says(503, "no", row.fields...), says(200, "")}}
				r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/", nil)
				began := time.Now()
				res, err := (&httponce.Transport{Base: s, Pause: time.Millisecond}).RoundTrip(r)
				took := time.Since(began)
				if err != nil {
					t.Fatal(err)
				}
				if row.wait == 0 {
					if res.StatusCode != 503 || took != 0 || len(s.sent) != 1 {
						t.Errorf("after %v it got %d", took, res.StatusCode)
					}
					return
				}
				if res.StatusCode != 200 || took < row.wait.Truncate(time.Second) || took > row.wait+time.Millisecond {
					t.Errorf("after %v it got %d, want to wait %v", took, res.StatusCode, row.wait)
				}
			})
		})
	}
}

// Pauses are by chance, and their bound doubles; how often, and for how long, is bounded.
func TestHowOftenAndForHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		longest, shortest := make([]time.Duration, 9), slices.Repeat([]time.Duration{time.Hour}, 9)
		for range 200 {
			s := &script{answers: []func(*http.Request) (*http.Response, error){reset}}
			r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/", nil)
			_, err := (&httponce.Transport{Base: s, Tries: 10, Pause: 100 * time.Millisecond, MaxPause: 2 * time.Second}).RoundTrip(r)
			call := (*httponce.CallError)(nil)
			if !errors.As(err, &call) || call.Tries != 10 || call.Key != s.sent[0].key || len(s.sent) != 10 || !errors.Is(err, errReset) {
				t.Fatalf("it was sent %d times: %v", len(s.sent), err)
			}
			for i := range longest {
				pause := s.sent[i+1].at.Sub(s.sent[i].at)
				longest[i], shortest[i] = max(longest[i], pause), min(shortest[i], pause)
			}
		}
		for i, got := range longest {
			most := min(100*time.Millisecond<<i, 2*time.Second)
			if got > most || got < most*9/10 || shortest[i] > most/10 {
				t.Errorf("200 pauses before try %d are %v to %v, want 0 to %v", i+2, shortest[i], got, most)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) (*http.Response, error){reset}}
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/", nil)
		began := time.Now()
		_, err := (&httponce.Transport{Base: s, Tries: 1000, MaxTime: 30 * time.Second}).RoundTrip(r)
		if took := time.Since(began); err == nil || took > 30*time.Second || took < 20*time.Second || len(s.sent) < 6 {
			t.Errorf("after %v and %d tries it is given up: %v", took, len(s.sent), err)
		}
	})
}

// A context that ends, ends the tries; one that would end before the next try leaves
// the last answer.
func TestAContextEndsTheTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{answers: []func(*http.Request) (*http.Response, error){says(503, "", "Retry-After", "30")}}
		r, _ := http.NewRequestWithContext(ctx, "POST", "http://x/", nil)
		time.AfterFunc(10*time.Second, cancel)
		began := time.Now()
		_, err := (&httponce.Transport{Base: s}).RoundTrip(r)
		if call := (*httponce.CallError)(nil); !errors.Is(err, context.Canceled) || !errors.As(err, &call) || call.Key == "" || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s := &script{answers: []func(*http.Request) (*http.Response, error){says(503, "", "Retry-After", "30")}}
		r, _ := http.NewRequestWithContext(ctx, "POST", "http://x/", nil)
		began := time.Now()
		res, err := (&httponce.Transport{Base: s}).RoundTrip(r)
		if err != nil || res.StatusCode != 503 || time.Since(began) != 0 {
			t.Errorf("after %v: %v %v", time.Since(began), res, err)
		}
	})
}

// A body that is too large to be kept is sent once, and in full.
func TestABodyThatIsTooLargeToBeSentAgain(t *testing.T) {
	for name, length := range map[string]int64{"its length is told": 0, "its length is not told": -1} {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: []func(*http.Request) (*http.Response, error){reset}}
			body := &closable{Reader: strings.NewReader(strings.Repeat("x", 101))}
			r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/", body)
			if r.ContentLength = 101; length < 0 {
				r.ContentLength = -1
			}
			_, err := (&httponce.Transport{Base: s, MaxBody: 100}).RoundTrip(r)
			if !errors.Is(err, errReset) || len(s.sent) != 1 || len(s.sent[0].body) != 101 || s.sent[0].key == "" || !body.closed {
				t.Errorf("it was sent as %d times: %v", len(s.sent), err)
			}
		})
	}
	s := &script{answers: []func(*http.Request) (*http.Response, error){says(200, "")}}
	broken := &closable{Reader: failing{}}
	r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/", broken)
	if _, err := (&httponce.Transport{Base: s}).RoundTrip(r); !errors.Is(err, errReset) || len(s.sent) != 0 || !broken.closed {
		t.Errorf("a body that cannot be read was sent %d times: %v", len(s.sent), err)
	}
}

// Methods of which nobody knows whether they are idempotent pass as they are.
func TestUnknownMethodsPass(t *testing.T) {
	s := &script{answers: []func(*http.Request) (*http.Response, error){reset}}
	r, _ := http.NewRequestWithContext(t.Context(), "LOCK", "http://x/", nil)
	if _, err := (&httponce.Transport{Base: s}).RoundTrip(r); err != errReset || len(s.sent) != 1 || s.sent[0].key != "" {
		t.Errorf("it was sent as %+v: %v", s.sent, err)
	}
}

// A CallError is what a net.Error is, as far as it goes.
func TestCallError(t *testing.T) {
	slow := &httponce.CallError{Key: "k", Tries: 2, Err: context.DeadlineExceeded}
	if !slow.Timeout() || (&httponce.CallError{Err: errReset}).Timeout() || !strings.Contains(slow.Error(), "the key k") {
		t.Errorf("it is %v, a time-out: %v", slow, slow.Timeout())
	}
	if s := (&httponce.CallError{Tries: 2, Err: errReset}).Error(); strings.Contains(s, "key") {
		t.Errorf("one without a key is %s", s)
	}
}

// lossy is a handler whose answers get lost: the effect is there, the connection is not.
func lossy(next http.Handler, lose *int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if *lose--; *lose >= 0 {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// Transport and Handler together: answers get lost, and it happens once.
func TestLostAnswersEndToEnd(t *testing.T) {
	lose := 0
	s := newShop(t, httponce.Route{}, created)
	for version, srv := range servers(t, lossy(s, &lose)) {
		client := &http.Client{Transport: &httponce.Transport{Base: srv.Client().Transport, Pause: time.Millisecond}}
		for _, body := range []string{"", `{"amount":1}`} {
			before := s.runs.Load()
			lose = 3
			r, _ := http.NewRequestWithContext(t.Context(), "POST", srv.URL+"/charges", strings.NewReader(body))
			r.Header.Set("As", "acme")
			res, err := client.Do(r)
			if err != nil {
				t.Fatalf("%s: %v", version, err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != 201 || string(got) != fmt.Sprintf("{\"run\":%d}\n", before+1) || res.Header.Get("Idempotency-Replayed") != "true" || s.runs.Load() != before+1 {
				t.Errorf("%s: it got %d %s %v after %d runs", version, res.StatusCode, got, err, s.runs.Load()-before)
			}
			rec, err := s.engine.Find(t.Context(), keyOf(res.Request.Header.Get("Idempotency-Key")))
			if err != nil || rec.State != once.Done {
				t.Errorf("%s: the key that its sender is told of is %v %v", version, rec.State, err)
			}
		}
		client.CloseIdleConnections()
	}
}
