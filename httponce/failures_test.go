package httponce_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

// deadly is a store that cannot be reached while it is dead.
type deadly struct {
	once.Store
	dead atomic.Bool
}

var errDead = errors.New("the store is not there")

func (d *deadly) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	if d.dead.Load() {
		return once.Seen{}, errDead
	}
	return d.Store.Swap(ctx, next)
}

func (d *deadly) Load(ctx context.Context, key once.Key) (once.Seen, error) {
	if d.dead.Load() {
		return once.Seen{}, errDead
	}
	return d.Store.Load(ctx, key)
}

// quick is an engine that does not wait long for a store that is away.
func quick(t testing.TB, store once.Store) *once.Engine {
	return newEngine(t, store, func(c *once.Config) { c.Finish = time.Millisecond })
}

// The lease ends while the handler still works: it is told, and if somebody else
// has taken the key over, their answer is the key's and the late one's client gets it.
// So it is whatever the late one wants to write: it finishes, releases or doubts.
func TestTheLeaseEndsWhileTheHandlerWorks(t *testing.T) {
	for name, status := range map[string]int{"the late owner finishes": 201, "the late owner releases": 503, "the late owner does not know": 500} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := once.NewMemory()
				paused := &deadly{Store: store}
				other := shopOn(newEngine(t, store), httponce.Route{Vanished: once.Rerun}, created)
				late := shopOn(newEngine(t, paused), httponce.Route{Vanished: once.Rerun}, func(_ int64, w http.ResponseWriter, r *http.Request) {
					w.Header().Set("X-Late", "1")
					paused.dead.Store(true)
					<-r.Context().Done()
					if cause := context.Cause(r.Context()); !errors.Is(cause, once.ErrLeaseLost) {
						t.Errorf("it is told %v", cause)
					}
					if a := other.post("k", "/", ""); a.status != 201 || a.replayed() {
						t.Errorf("who takes it over gets %+v", a)
					}
					paused.dead.Store(false)
					w.WriteHeader(status)
					io.WriteString(w, "late")
				})
				for i := range 2 {
					a := late.post("k", "/", "")
					if a.status != 201 || a.body != "{\"run\":1}\n" || !a.replayed() || a.header.Get("X-Late") != "" || a.header.Get("Idempotency-Expires") == "" {
						t.Errorf("client %d of the late one gets %+v", i+1, a)
					}
				}
				if late.runs.Load() != 1 || other.runs.Load() != 1 {
					t.Errorf("they ran %d and %d times", late.runs.Load(), other.runs.Load())
				}
			})
		})
	}
}

// Who has taken the key over is still at work when the late owner ends: its client is
// told that the request is in progress, and nothing of the late answer.
func TestTheLateOwnerEndsBeforeTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		paused := &deadly{Store: store}
		goOn := make(chan struct{})
		other := shopOn(newEngine(t, store), httponce.Route{Vanished: once.Rerun}, func(run int64, w http.ResponseWriter, r *http.Request) {
			<-goOn
			created(run, w, r)
		})
		late := shopOn(newEngine(t, paused), httponce.Route{Vanished: once.Rerun}, func(_ int64, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "late=1")
			paused.dead.Store(true)
			<-r.Context().Done()
			go other.post("k", "/", "")
			synctest.Wait()
			paused.dead.Store(false)
		})
		if a := late.post("k", "/", ""); a.code() != httponce.InProgress || a.header.Get("Set-Cookie") != "" || a.header.Get("Retry-After") == "" {
			t.Errorf("it gets %+v", a)
		}
		close(goOn)
		if a := late.post("k", "/", ""); a.status != 201 || !a.replayed() {
			t.Errorf("then it gets %+v", a)
		}
	})
}

// A stream whose key was lost is cut off, so that nobody takes it for the key's answer.
func TestAStreamWhoseKeyIsLostIsCutOff(t *testing.T) {
	store := once.NewMemory()
	s := shopOn(newEngine(t, store), httponce.Route{}, func(_ int64, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		seen, err := store.Load(r.Context(), httponce.Attempt(r.Context()).Key())
		if err != nil {
			t.Error(err)
		}
		taken := seen.Record // as if somebody else had taken it over, and finished
		taken.Owner, taken.State, taken.Answer = "another", once.Done, once.Answer{Status: 200, Body: []byte("theirs")}
		taken.Attempt, taken.Version = taken.Attempt+1, taken.Version+1
		if seen, err := store.Swap(r.Context(), taken); err != nil || !seen.Won {
			t.Errorf("it is taken over: %v %v", seen.Won, err)
		}
	})
	for version, srv := range servers(t, s) {
		if a, _ := exchangeOver(t, srv, version); !a.broken {
			t.Errorf("%s: it gets %+v", version, a)
		}
		if a, _ := exchangeOver(t, srv, version); a.body != "theirs" || a.broken {
			t.Errorf("%s: then it gets %+v", version, a)
		}
	}
}

// Nobody has taken the key over while its owner was late: what it answers is true.
func TestALateOwnerMayStillFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paused := &deadly{Store: once.NewMemory()}
		late := shopOn(newEngine(t, paused), httponce.Route{}, func(run int64, w http.ResponseWriter, r *http.Request) {
			paused.dead.Store(true)
			<-r.Context().Done()
			paused.dead.Store(false)
			created(run, w, r)
		})
		for i := range 2 {
			if a := late.post("k", "/", ""); a.status != 201 || a.replayed() != (i == 1) {
				t.Errorf("client %d gets %+v", i+1, a)
			}
		}
	})
}

// The client hangs up after the effect: the handler is not told, its answer is kept,
// and the client's retry gets it.
func TestTheClientHangsUpAfterTheEffect(t *testing.T) {
	effect, gone := make(chan struct{}), make(chan struct{})
	s := newShop(t, httponce.Route{}, func(run int64, w http.ResponseWriter, r *http.Request) {
		close(effect)
		<-gone
		if err := r.Context().Err(); err != nil {
			t.Errorf("the handler is told %v", err)
		}
		if _, ends := r.Context().Deadline(); ends {
			t.Error("the handler has a deadline")
		}
		created(run, w, r)
	})
	hung := signOff(s, gone)
	srv := httptest.NewServer(hung)
	defer srv.Close()
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("As", "acme")
	r.Header.Set("Idempotency-Key", "k")
	go func() { <-effect; hangUp() }()
	if res, err := srv.Client().Do(r); err == nil {
		res.Body.Close()
		t.Fatalf("the client got %v", res.Status)
	}
	if a := s.post("k", "/", ""); a.status != 201 || !a.replayed() || s.runs.Load() != 1 {
		t.Errorf("a retry gets %+v after %d runs", a, s.runs.Load())
	}
}

// signOff closes gone when the first request's client has hung up.
func signOff(next http.Handler, gone chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go func() { <-r.Context().Done(); close(gone) }()
		next.ServeHTTP(w, r)
	})
}

// The process dies between the effect and the record: nobody knows, and nothing runs
// again by itself. What then is the route's policy.
func TestTheProcessDiesBetweenEffectAndRecord(t *testing.T) {
	charge := once.Answer{Status: 201, Header: []once.Field{{Name: "Location", Value: "/charges/1"}}, Body: []byte("found")}
	for name, row := range map[string]struct {
		policy  once.Policy
		found   once.Found
		err     error
		status  int
		code    httponce.Code
		runs    int64
		retries bool
	}{
		"where nothing is said, a human decides":            {once.Park, 0, nil, 409, httponce.OutcomeUnknown, 0, false},
		"where it is declared safe, it runs again":          {once.Rerun, 0, nil, 201, "", 1, false},
		"where it has recovery points, it goes on":          {once.Resume, 0, nil, 201, "", 1, false},
		"where it can be asked, that is answered":           {once.Probe, once.Happened, nil, 201, "", 0, false},
		"where it is asked, and has not, it runs":           {once.Probe, once.NotThere, nil, 201, "", 1, false},
		"where it is asked, and not known, a human decides": {once.Probe, once.NotKnown, nil, 409, httponce.OutcomeUnknown, 0, false},
		"where it cannot be asked now, it is asked later":   {once.Probe, 0, errors.New("no route"), 409, httponce.InProgress, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := once.NewMemory()
				dying := &deadly{Store: store}
				dead := shopOn(quick(t, dying), httponce.Route{}, func(int64, http.ResponseWriter, *http.Request) { dying.dead.Store(true) })
				dead.post("k", "/", `{"a":1}`)
				time.Sleep(time.Minute) // its lease is over

				route := httponce.Route{Vanished: row.policy}
				route.Probe = func(r *http.Request, a *once.Attempt) (once.Answer, once.Found, error) {
					if !a.Recovers || readBody(t, r) != `{"a":1}` {
						t.Error("the probe does not know what it asks about")
					}
					return charge, row.found, row.err
				}
				s := shopOn(newEngine(t, store), route, func(run int64, w http.ResponseWriter, r *http.Request) {
					if readBody(t, r) != `{"a":1}` {
						t.Error("the handler cannot read the body")
					}
					if in := httponce.Attempt(r.Context()).Recovers; in != (row.policy != once.Probe) {
						t.Errorf("the handler is told that it recovers: %v", in)
					}
					created(run, w, r)
				})
				a := s.post("k", "/", `{"a":1}`)
				if a.status != row.status || a.code() != row.code || s.runs.Load() != row.runs {
					t.Fatalf("a retry gets %+v after %d runs", a, s.runs.Load())
				}
				if p := a.problem(); row.code != "" && (*p.Retryable != row.retries || !*p.SameKey) {
					t.Errorf("it is told that it may retry: %v, with this key: %v", *p.Retryable, *p.SameKey)
				}
				if row.found == once.Happened && (a.body != "found" || a.header.Get("Location") != "/charges/1" || !a.replayed()) {
					t.Errorf("a retry gets %+v, want what was found", a)
				}
				if again := s.post("k", "/", `{"a":1}`); row.code == "" && (!again.replayed() || again.body != a.body) {
					t.Errorf("one more gets %+v", again)
				}
				time.Sleep(2 * time.Hour) // what the dead one tries in the background gives up
			})
		})
	}
}

// Where nobody has vanished there is nothing to be asked; and where there is nobody to
// ask, a human decides.
func TestWhenAProbeIsAsked(t *testing.T) {
	route := httponce.Route{Vanished: once.Probe}
	route.Probe = func(*http.Request, *once.Attempt) (once.Answer, once.Found, error) {
		t.Error("it is asked")
		return once.Answer{}, once.NotKnown, nil
	}
	if a := newShop(t, route, created).post("k", "/", ""); a.status != 201 {
		t.Errorf("the first gets %+v", a)
	}
	s := newShop(t, httponce.Route{Vanished: once.Probe}, func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	s.post("k", "/", "")
	if a := s.post("k", "/", ""); a.code() != httponce.OutcomeUnknown || s.runs.Load() != 1 {
		t.Errorf("a repeat gets %+v after %d runs", a, s.runs.Load())
	}
}

// A human decides, and then the key has the answer.
func TestAHumanDecides(t *testing.T) {
	s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) })
	s.post("k", "/", "")
	if a := s.post("k", "/", ""); a.code() != httponce.OutcomeUnknown || a.header.Get("Idempotency-Expires") == "" {
		t.Errorf("before, a repeat gets %+v", a)
	}
	decided := once.Settlement{Happened: true, Evidence: "the gateway's report", Actor: "ann", Answer: once.Answer{Status: 201, Body: []byte("it did")}}
	if _, err := s.engine.Settle(t.Context(), keyOf("k"), decided); err != nil {
		t.Fatal(err)
	}
	if a := s.post("k", "/", ""); a.status != 201 || a.body != "it did" || !a.replayed() || s.runs.Load() != 1 {
		t.Errorf("then a repeat gets %+v after %d runs", a, s.runs.Load())
	}
}

// The store is unreachable before the claim: nothing runs.
func TestTheStoreIsUnreachableBeforeTheClaim(t *testing.T) {
	store := &deadly{Store: once.NewMemory()}
	s := shopOn(newEngine(t, store), httponce.Route{}, created)
	store.dead.Store(true)
	a := s.post("k", "/", "")
	if p := a.problem(); a.status != 503 || p.Code != httponce.StoreUnavailable || !*p.Retryable || !*p.SameKey || a.header.Get("Retry-After") == "" || s.runs.Load() != 0 {
		t.Errorf("it gets %+v after %d runs", a, s.runs.Load())
	}
	if a.header.Get("Idempotency-Expires") == "" {
		t.Error("it is not told until when its key would be kept")
	}
	store.dead.Store(false)
	if a := s.post("k", "/", ""); a.status != 201 || a.replayed() {
		t.Errorf("then it gets %+v", a)
	}
}

// The store is unreachable after the effect: the answer is given all the same. The
// key is settled when the store is back.
func TestTheStoreIsUnreachableAfterTheEffect(t *testing.T) {
	for name, stream := range map[string]bool{"an answer": false, "a stream": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := once.NewMemory()
				away := &deadly{Store: store}
				other := shopOn(newEngine(t, store), httponce.Route{}, created)
				s := shopOn(quick(t, away), httponce.Route{}, func(run int64, w http.ResponseWriter, r *http.Request) {
					away.dead.Store(true)
					if created(run, w, r); stream {
						w.(http.Flusher).Flush()
					}
				})
				first := s.post("k", "/", "")
				if first.status != 201 || first.replayed() {
					t.Fatalf("it gets %+v", first)
				}
				if a := other.post("k", "/", "", "Prefer", "wait=0"); a.code() != httponce.InProgress {
					t.Errorf("meanwhile a repeat elsewhere gets %+v", a)
				}
				away.dead.Store(false)
				time.Sleep(10 * time.Second)
				for _, s := range []*shop{s, other} {
					if a := s.post("k", "/", ""); a.body != first.body || !a.replayed() {
						t.Errorf("then a repeat gets %+v", a)
					}
				}
				if s.runs.Load() != 1 || other.runs.Load() != 0 {
					t.Errorf("it ran %d and %d times", s.runs.Load(), other.runs.Load())
				}
			})
		})
	}
}

// The fingerprint is of the body that came, whatever handlers do with what they read.
func TestTheFingerprintReadsABodyThatALaterHandlerMutates(t *testing.T) {
	const body = `{"amount":1}`
	s := newShop(t, httponce.Route{Vanished: once.Rerun}, func(run int64, w http.ResponseWriter, r *http.Request) {
		if got := readBody(t, r); got != body {
			t.Errorf("run %d reads %q", run, got)
		}
		r.Body = io.NopCloser(strings.NewReader(`{"amount":999}`))
		r.URL.Path, r.Method = "/elsewhere", "PUT"
		r.Header.Set("Idempotency-Key", "another")
		if run == 1 {
			w.WriteHeader(500)
		}
	})
	var sent bytes.Buffer
	for i := range 3 {
		sent.WriteString(body)
		r := request("POST", "/", "", "Idempotency-Key", "k")
		r.Body, r.ContentLength = io.NopCloser(&sent), int64(len(body))
		if a := s.send(r); a.replayed() != (i == 2) {
			t.Errorf("request %d gets %+v", i+1, a)
		}
	}
	if a := s.post("k", "/", `{"amount":999}`); a.code() != httponce.KeyReused {
		t.Errorf("what the handler made of it gets %+v", a)
	}
}

// 10,000 goroutines with one key: one of them runs, all get its answer.
func TestTenThousandGoroutinesWithOneKey(t *testing.T) {
	const n = 10_000
	begin, all := make(chan struct{}), make(chan struct{})
	var waiting atomic.Int64
	s := newShop(t, httponce.Route{}, func(run int64, w http.ResponseWriter, r *http.Request) {
		<-all
		created(run, w, r)
	})
	var clients sync.WaitGroup
	var firsts, replays atomic.Int64
	for range n {
		clients.Go(func() {
			r := request("POST", "/", `{"amount":1}`, "Idempotency-Key", "k")
			<-begin
			if waiting.Add(1) == n {
				close(all)
			}
			switch a := s.send(r); {
			case a.status != 201 || a.body != "{\"run\":1}\n":
				t.Errorf("one gets %+v", a)
			case a.replayed():
				replays.Add(1)
			default:
				firsts.Add(1)
			}
		})
	}
	close(begin)
	clients.Wait()
	if s.runs.Load() != 1 || firsts.Load() != 1 || replays.Load() != n-1 {
		t.Errorf("it ran %d times, %d were first, %d were repeats", s.runs.Load(), firsts.Load(), replays.Load())
	}
}

// A panic leaves the outcome unknown, and goes on. Nothing of a held answer is sent.
func TestAPanicLeavesTheOutcomeUnknown(t *testing.T) {
	for name, cause := range map[string]any{"a panic": "oops", "the panic that ends an answer": http.ErrAbortHandler} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "half an answer")
				panic(cause)
			})
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if got := recover(); got != cause {
						t.Errorf("what goes on is %v", got)
					}
				}()
				s.ServeHTTP(w, request("POST", "/", "", "Idempotency-Key", "k"))
			}()
			if w.Body.Len() != 0 {
				t.Errorf("it is told %q", w.Body)
			}
			if a := s.post("k", "/", ""); a.code() != httponce.OutcomeUnknown || s.runs.Load() != 1 {
				t.Errorf("a repeat gets %+v after %d runs", a, s.runs.Load())
			}
		})
	}
}

// What is refused for credentials or for load comes before the claim, or frees it:
// the same key, mended, runs.
func TestRefusalsComeBeforeTheClaim(t *testing.T) {
	limited := true
	limit := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if limited {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(429)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	eng := newEngine(t, once.NewMemory())
	h := httponce.Handler{Engine: eng}
	for name, handler := range map[string]http.Handler{
		"around": signIn(limit(h.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { created(1, w, r) })))),
		"inside": signIn(h.Wrap(limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { created(1, w, r) })))),
	} {
		s := &shop{Handler: handler}
		limited = false
		if a := s.post(name, "/", "", "As", ""); a.status != 401 {
			t.Errorf("%s: nobody gets %+v", name, a)
		}
		limited = true
		if a := s.post(name, "/", "1"); a.status != 429 || a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: over the rate one gets %+v", name, a)
		}
		limited = false
		if a := s.post(name, "/", "2"); a.status != 201 || a.replayed() {
			t.Errorf("%s: then it gets %+v", name, a)
		}
	}
}

// A handler that says that nothing happened frees the key, whatever its status.
func TestNothingHappened(t *testing.T) {
	s := newShop(t, httponce.Route{}, func(run int64, w http.ResponseWriter, r *http.Request) {
		if run == 1 {
			httponce.NothingHappened(r.Context())
			http.Error(w, "the amount is missing", http.StatusUnprocessableEntity)
			return
		}
		http.Error(w, "the account has no money", http.StatusUnprocessableEntity)
	})
	if a := s.post("k", "/", "{}"); a.status != 422 || a.header.Get("Idempotency-Expires") == "" {
		t.Errorf("first it gets %+v", a)
	}
	mended := s.post("k", "/", `{"amount":1}`)
	if mended.status != 422 || mended.replayed() {
		t.Errorf("mended it gets %+v", mended)
	}
	if a := s.post("k", "/", `{"amount":1}`); a.body != mended.body || !a.replayed() || s.runs.Load() != 2 {
		t.Errorf("again it gets %+v after %d runs", a, s.runs.Load())
	}
	httponce.NothingHappened(context.Background()) // means nothing to anybody
}

// What is kept cannot be read: that is a defect, and nothing runs.
func TestAnAnswerThatCannotBeRead(t *testing.T) {
	store := once.NewMemory()
	key := func(id string) func(*once.Config) {
		return func(c *once.Config) { c.Encrypt = []once.Secret{{ID: id, Key: bytes.Repeat([]byte(id), 32)}} }
	}
	shopOn(newEngine(t, store, key("a")), httponce.Route{}, created).post("k", "/", "")
	s := shopOn(newEngine(t, store, key("b")), httponce.Route{}, created)
	if a := s.post("k", "/", ""); a.status != 500 || a.code() != httponce.Internal || a.header.Get("Retry-After") != "" || s.runs.Load() != 0 {
		t.Errorf("it gets %+v after %d runs", a, s.runs.Load())
	}
}

// Answers that are encrypted, and keys that are hashed, come back all the same; also
// to a late owner.
func TestSealedAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		sealed := func(c *once.Config) {
			c.HashKeys = true
			c.Encrypt = []once.Secret{{ID: "a", Key: bytes.Repeat([]byte("a"), 32)}}
		}
		paused := &deadly{Store: store}
		other := shopOn(newEngine(t, store, sealed), httponce.Route{Vanished: once.Rerun}, created)
		late := shopOn(newEngine(t, paused, sealed), httponce.Route{Vanished: once.Rerun}, func(_ int64, _ http.ResponseWriter, r *http.Request) {
			paused.dead.Store(true)
			<-r.Context().Done()
			other.post("k", "/", "")
			paused.dead.Store(false)
		})
		for range 2 {
			if a := late.post("k", "/", ""); a.body != "{\"run\":1}\n" || !a.replayed() {
				t.Errorf("it gets %+v", a)
			}
		}
	})
}
