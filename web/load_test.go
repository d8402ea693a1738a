package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

// Of a thousand requests with one key one is executed, and all get its answer.
func TestAStormOfDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.open()
		h.store.set(true, false)
		answers := make([]answer, 1000)
		var storm sync.WaitGroup
		for i := range answers {
			storm.Go(func() { answers[i] = h.post("k", "/v1/transfers", transferBody("1")) })
		}
		synctest.Wait()
		h.store.set(false, false)
		storm.Wait()
		first := 0
		for _, a := range answers {
			if a.status != 201 || a.body != answers[0].body {
				t.Fatalf("got %v and %v", a, answers[0])
			}
			if a.header.Get("Idempotency-Replayed") == "" {
				first++
			}
		}
		if n := len(transfers(t, h)); first != 1 || n != 1 {
			t.Errorf("%d answers are the first, %d transfers were made; want 1 and 1", first, n)
		}
	})
}

func transfers(t *testing.T, h *house) []*ledger.Transfer {
	t.Helper()
	list, err := h.store.Transfers(t.Context(), "acme", engine.TransferFilter{}, engine.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// A client that goes away changes nothing: what it asked for is done, and a
// repeat gets the answer. A duplicate that goes away is soon not waited for.
func TestClientsThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.open()
		h.store.set(true, false)
		ctx, leave := context.WithCancel(t.Context())
		var gone sync.WaitGroup
		for range 2 { // the first request and a duplicate
			gone.Go(func() {
				r := request("POST", "/v1/transfers", transferBody("1"), "Idempotency-Key", "k", "Prefer", "wait=60").WithContext(ctx)
				h.send(r)
			})
			synctest.Wait()
		}
		began := time.Now()
		leave()
		gone.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("handlers noticed after %v", took)
		}
		h.store.set(false, false)
		if a := h.post("k", "/v1/transfers", transferBody("1")); a.status != 201 || a.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("the repeat got %v", a)
		}
	})
}

// How long a duplicate waits is its own choice, up to a minute.
func TestWaiting(t *testing.T) {
	for prefer, want := range map[string]time.Duration{
		"":                                 10 * time.Second,
		"wait=0":                           0,
		"wait=5":                           5 * time.Second,
		"wait=3600":                        time.Minute,
		"respond-async, wait=5":            5 * time.Second,
		"Wait = 5":                         5 * time.Second,
		`wait="5"`:                         5 * time.Second,
		"wait=5; priority=1, wait=7":       5 * time.Second,
		"wait=soon":                        10 * time.Second,
		"wait=-1":                          10 * time.Second,
		"wait":                             10 * time.Second,
		"waiting=5":                        10 * time.Second,
		"wait=99999999999999999999":        10 * time.Second,
		"handling=lenient;wait=1, wait=2 ": 2 * time.Second,
	} {
		t.Run(prefer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, nil)
				h.open()
				h.store.set(true, false)
				go h.post("k", "/v1/transfers", transferBody("1"))
				synctest.Wait()
				began := time.Now()
				a := h.do("POST", "/v1/transfers", transferBody("1"), "Idempotency-Key", "k", "Prefer", prefer)
				took := time.Since(began)
				if a.code() != "in_progress" || took < want || took > want+50*time.Millisecond {
					t.Errorf("got %s after %v, want in_progress after %v", a.code(), took, want)
				}
				h.store.set(false, false)
				synctest.Wait()
			})
		})
	}
}

// A request without a key that the store takes too long for is not told of a key.
func TestUpdatesThatTakeTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.open()
		h.store.set(true, false)
		a := h.do("PUT", "/v1/accounts/bob", `{"min_balance":-5}`)
		if a.status != 503 || a.code() != "store_unavailable" || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "still at work") {
			t.Errorf("got %v", a)
		}
		h.store.set(false, false)
		if a := h.do("PUT", "/v1/accounts/bob", `{"min_balance":-5}`); a.status != 200 {
			t.Errorf("again: %v", a)
		}
	})
}

// A wait that is used again has nothing left of the one before.
func TestPatienceIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &API{}
		for i := range 20 {
			most := time.Duration(i+1) * 100 * time.Millisecond
			began, p := time.Now(), a.wait(t.Context(), most)
			if i%2 == 0 {
				time.Sleep(most / 2)
				if p.Err() != nil {
					t.Fatalf("wait %d ended early", i)
				}
				p.giveBack()
				continue
			}
			<-p.Done()
			if took := time.Since(began); took != most || p.Err() != context.DeadlineExceeded {
				t.Fatalf("wait %d of %v took %v and ended with %v", i, most, took, p.Err())
			}
			p.giveBack()
		}
	})
}

// Over its rate a tenant is refused before anything begins, but a key that is
// known is answered, and other tenants are not touched.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.Rate, c.Burst = 0.5, 4 })
		h.open() // takes two
		made := h.post("k", "/v1/transfers", transferBody("1"))
		if got := made.header.Get("RateLimit-Policy"); got != `"tenant";q=4;w=8` {
			t.Errorf("RateLimit-Policy: %s", got)
		}
		if got := made.header.Get("RateLimit"); got != `"tenant";r=1;t=6` {
			t.Errorf("RateLimit: %s", got)
		}
		h.do("GET", "/v1/accounts", "")
		for name, a := range map[string]answer{
			"a read":                              h.do("GET", "/v1/accounts", ""),
			"an update":                           h.do("PUT", "/v1/accounts/bob", `{}`),
			"a transfer":                          h.post("new", "/v1/transfers", transferBody("1")),
			"a transfer with a mistake":           h.post("new", "/v1/transfers", transferBody("0")),
			"the same transfer is not remembered": h.post("new", "/v1/transfers", transferBody("1")),
		} {
			if a.status != 429 || a.code() != "rate_limited" || a.header.Get("Retry-After") != "2" {
				t.Errorf("%s: %v, want 429", name, a)
			}
		}
		if a := h.post("k", "/v1/transfers", transferBody("1")); a.body != made.body || a.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("a known key: %v, want the first answer", a)
		}
		if a := h.post("k", "/v1/transfers", transferBody("2")); a.code() != "key_reused" {
			t.Errorf("a known key and another request: %v", a)
		}
		a := h.do("POST", "/v1/transfers/batch", batchOf(transferBody("1"), "k", "new"))
		if !strings.Contains(a.body, `"status":201,"replayed":true`) || !strings.Contains(a.body, `"code":"rate_limited"`) {
			t.Errorf("a batch: %v, want a replay and a refusal", a)
		}
		if a := h.do("GET", "/v1/accounts", "", "Authorization", "Bearer sk_other"); a.status != 200 {
			t.Errorf("another tenant: %v", a)
		}
		if a := h.do("GET", "/livez", ""); a.status != 200 || a.header.Get("RateLimit") != "" {
			t.Errorf("/livez: %v", a)
		}
		time.Sleep(2 * time.Second)
		if a := h.post("new", "/v1/transfers", transferBody("1")); a.status != 201 {
			t.Errorf("two seconds later: %v", a)
		}
	})
}

func batchOf(item string, keys ...string) string {
	var items []string
	for _, k := range keys {
		items = append(items, `{"idempotency_key":"`+k+`",`+item[1:])
	}
	return `{"transfers":[` + strings.Join(items, ",") + `]}`
}

// No rate is configured, none is told.
func TestNoRateByDefault(t *testing.T) {
	h := newHouse(t, nil)
	if a := h.do("GET", "/v1/accounts", ""); a.header.Get("RateLimit") != "" || a.header.Get("RateLimit-Policy") != "" {
		t.Errorf("got %v", a.header)
	}
}

// Buckets are bounded; those that are full are forgotten first.
func TestBucketsAreBounded(t *testing.T) {
	ts := &tenants{secret: make([]byte, 32), rate: rate.Limit(0.001), burst: 2, by: map[string]*tenant{}}
	busy := ts.get("busy")
	busy.take()
	for i := range maxTenants + 100 {
		ts.get(fmt.Sprint(i))
	}
	if len(ts.by) > maxTenants {
		t.Errorf("%d tenants are kept", len(ts.by))
	}
	if ts.get("busy") != busy {
		t.Error("a tenant with an open account was forgotten before idle ones")
	}
}

// When the queue is full a request is refused, unless its key is known.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.open()
		small := engine.New(h.store, engine.Config{MaxQueue: 1, MaxBatch: 1})
		defer small.Close(context.Background())
		h.executor = small
		made := h.post("k", "/v1/transfers", transferBody("1"))
		h.store.set(true, false)
		var waiting sync.WaitGroup
		for i := range 3 { // one commits, one is loaded, one is in the queue
			waiting.Go(func() { h.post(fmt.Sprint(i), "/v1/transfers", transferBody("1")) })
			synctest.Wait()
		}
		if a := h.post("new", "/v1/transfers", transferBody("1")); a.status != 503 || a.code() != "overloaded" || a.header.Get("Retry-After") == "" {
			t.Errorf("a new key: %v, want overloaded", a)
		}
		if a := h.post("k", "/v1/transfers", transferBody("1")); a.body != made.body {
			t.Errorf("a known key: %v, want its answer", a)
		}
		if h.log.String() != "" {
			t.Errorf("load that is shed is logged: %s", h.log)
		}
		h.store.set(false, false)
		waiting.Wait()
	})
}

// A store that is gone fails every request, and the log tells of it once a second.
func TestOutagesAreToldOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.open()
		h.store.set(false, true)
		for i := range 1000 { // the first fails to find out who asks, or to commit
			a := h.post(fmt.Sprint(i), "/v1/transfers", transferBody("1"))
			if a.code() != "store_unavailable" {
				t.Fatalf("got %v", a)
			}
		}
		if n := strings.Count(h.log.String(), "\n"); n != 1 {
			t.Errorf("%d lines at once, want 1:\n%s", n, h.log)
		}
		time.Sleep(outageTime + time.Millisecond)
		synctest.Wait()
		if n := strings.Count(h.log.String(), "\n"); n != 2 || !strings.Contains(h.log.String(), "requests=999 within=1s") {
			t.Errorf("%d lines after a second, want 2:\n%s", n, h.log)
		}
		time.Sleep(outageTime + time.Millisecond)
		synctest.Wait()
		h.do("GET", "/v1/accounts", "")
		h.post("new", "/v1/transfers", transferBody("1"))
		if n := strings.Count(h.log.String(), "\n"); n != 3 {
			t.Errorf("%d lines later, want one more:\n%s", n, h.log)
		}
		h.store.set(false, false)
		time.Sleep(3 * outageTime)
		synctest.Wait()
	})
}

// A server that shuts down says so, and nothing begins.
func TestShuttingDown(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	h.executor.Close(t.Context())
	for _, a := range []answer{h.post("k", "/v1/transfers", transferBody("1")), h.do("PUT", "/v1/accounts/bob", "{}")} {
		if a.status != http.StatusServiceUnavailable || a.code() != "overloaded" || !strings.Contains(a.body, "shutting down") {
			t.Errorf("got %v", a)
		}
	}
}

// A batch has a thousand items at most.
func TestBatchSizes(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	keys := make([]string, MaxBatch+1)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	if a := h.do("POST", "/v1/transfers/batch", batchOf(transferBody("1"), keys...)); a.status != 422 {
		t.Errorf("%d items: %d", len(keys), a.status)
	}
	a := h.do("POST", "/v1/transfers/batch", batchOf(transferBody("1"), keys[1:]...))
	if n := strings.Count(a.body, `{"status":201,"replayed":false`); n != MaxBatch {
		t.Errorf("%d items: %d were executed", MaxBatch, n)
	}
	ids := anID.FindAllString(a.body, -1)
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			t.Fatalf("results are not in the order of the items: %s, %s", ids[i-1], ids[i])
		}
	}
}
