package web

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// confirmed is the body of a payment that is confirmed at once.
func confirmed(method string) string {
	return `{"amount":1250,"currency":"EUR","payment_method":"` + method + `","confirm":true}`
}

// Of a thousand requests with one key one is sent to the gateway, all wait for
// its answer, and one of them is the first.
func TestAStormOfOnePayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		answers := make([]answer, 1000)
		var storm sync.WaitGroup
		for i := range answers {
			storm.Go(func() { answers[i] = h.post("k", "/v1/payments", confirmed("pm_slow")) })
		}
		storm.Wait()
		first := 0
		for _, a := range answers {
			if a.status != 201 || a.body != answers[0].body || a.header.Get("Idempotency-Expires") != answers[0].header.Get("Idempotency-Expires") {
				t.Fatalf("got %v and %v", a, answers[0])
			}
			if a.header.Get("Idempotency-Replayed") == "" {
				first++
			}
		}
		if sends := h.till.sent(); first != 1 || sends != 1 {
			t.Errorf("%d answers are the first, %d requests went to the gateway; want 1 and 1", first, sends)
		}
	})
}

// sent is how often anything was sent.
func (l *till) sent() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, times := range l.sends {
		n += times
	}
	return n
}

// A thousand confirms of one payment are one execution; all of them wake at once
// and are answered, though the queue has room for a few only.
func TestAStormOfConfirms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		id := h.makePayment("k", paymentBody("payment_method", `"pm_slow"`))
		var storm sync.WaitGroup
		h.post("", "/v1/payments/"+id+"/confirm", "") // so that all of them wait for what is at work
		id = h.makePayment("l", paymentBody("payment_method", `"pm_slow"`))
		h.narrow(engine.Config{MaxQueue: 50, MaxBatch: 50})
		for i := range 1000 {
			storm.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
				if a := h.post("", "/v1/payments/"+id+"/confirm", ""); a.status != 200 || !strings.Contains(a.body, "succeeded") {
					t.Errorf("got %v", a)
				}
			})
		}
		storm.Wait()
		if sends := h.till.sent(); sends != 2 {
			t.Errorf("%d requests went to the gateway, want 2", sends)
		}
	})
}

// Of many who wait for one payment only some may wait for one key at a time. All
// are woken when the payment falls into doubt; those who find no place then wait on,
// and get the final answer like the others.
func TestMoreWaitForAPaymentThanForAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.narrow(engine.Config{MaxWaiters: 3})
		var all sync.WaitGroup
		for i := range 200 {
			time.Sleep(time.Millisecond) // they do not come together
			all.Go(func() {
				began := time.Now()
				a := h.do("POST", "/v1/payments", confirmed("pm_silent"), "Idempotency-Key", "k", "Prefer", "wait=60")
				if took := time.Since(began); a.status != 201 || took > terms.Timeout+time.Second+lastCrowd {
					t.Errorf("request %d: got %d after %v: %s", i, a.status, took, a.body)
				}
			})
		}
		all.Wait()
	})
}

// Who finds no place for as long as it waits is told how far the payment is.
func TestAWaitThatFindsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.narrow(engine.Config{MaxWaiters: 1})
		var all sync.WaitGroup
		for range 5 {
			time.Sleep(time.Millisecond)
			all.Go(func() {
				began := time.Now()
				a := h.do("POST", "/v1/payments", confirmed("pm_lost"), "Idempotency-Key", "k", "Prefer", "wait=5")
				if took := time.Since(began); a.status != 202 || took < 5*time.Second || took > 5050*time.Millisecond || !strings.Contains(a.body, `"in_doubt":true`) {
					t.Errorf("got %d after %v: %s", a.status, took, a.body)
				}
			})
		}
		all.Wait()
	})
}

// narrow gives the API an executor with less room than usual.
func (h *house) narrow(cfg engine.Config) {
	cfg.Render, cfg.Act, cfg.Seed = RenderPayment, h.till.Act, [32]byte{7}
	small := engine.New(h.store, cfg)
	h.t.Cleanup(func() {
		h.till.work.Wait()
		small.Close(context.Background())
	})
	h.executor = small
	h.till.use(small)
}

// How long a request waits for the gateway is its own choice, up to a minute;
// then it is told how the payment is by then.
func TestWaitingForAGateway(t *testing.T) {
	for prefer, row := range map[string]struct {
		want    time.Duration
		applied string
	}{
		"": {10 * time.Second, ""}, "wait=0": {0, "wait=0"}, "wait=1": {time.Second, "wait=1"}, "wait=5": {5 * time.Second, "wait=5"},
		"wait=3600": {time.Minute, "wait=60"}, "wait=soon": {10 * time.Second, ""},
	} {
		want := row.want
		for _, verb := range []string{"create", "confirm"} {
			t.Run(verb+" "+prefer, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHouseOn(t, engine.NewMemory(), nil)
					target, body, fields := "/v1/payments", confirmed("pm_lost"), []string{"Prefer", prefer, "Idempotency-Key", "k"}
					if verb == "confirm" {
						target, body = "/v1/payments/"+h.makePayment("p", paymentBody("payment_method", `"pm_lost"`))+"/confirm", ""
					}
					for range 2 { // the first and a repeat
						began := time.Now()
						a := h.do("POST", target, body, fields...)
						took := time.Since(began)
						synctest.Wait()
						inDoubt := fmt.Sprintf(`"in_doubt":%t`, time.Since(h.till.firstSent()) >= terms.Timeout)
						if a.status != 202 || took < want || took > want+50*time.Millisecond || !strings.Contains(a.body, inDoubt) {
							t.Errorf("got %d after %v, want 202 after %v and %s: %s", a.status, took, want, inDoubt, a.body)
						}
						if a.header.Get("Retry-After") == "" || a.header.Get("Location") == "" || a.header.Get("Idempotency-Replayed") != "" ||
							(a.header.Get("Idempotency-Expires") == "") != (verb == "confirm") {
							t.Errorf("its header is %v", a.header)
						}
						if got := a.header.Get("Preference-Applied"); got != row.applied {
							t.Errorf("it says that it kept to %q, want %q", got, row.applied)
						}
					}
					if sends := h.till.sent(); sends != 1 {
						t.Errorf("it was sent %d times", sends)
					}
				})
			})
		}
	}
}

// firstSent is when a thing was sent first.
func (l *till) firstSent() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.began
}

// A client that goes away is soon not waited for, and changes nothing.
func TestClientsThatLeaveAPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			h.ServeHTTP(httptest.NewRecorder(), request("POST", "/v1/payments", confirmed("pm_slow"), "Idempotency-Key", "k").WithContext(ctx))
			close(gone)
		}()
		time.Sleep(time.Second)
		began := time.Now()
		leave()
		<-gone
		if took := time.Since(began); took > glance {
			t.Errorf("it was noticed after %v", took)
		}
		time.Sleep(2 * time.Second)
		if a := h.post("k", "/v1/payments", confirmed("pm_slow")); a.status != 201 || a.header.Get("Idempotency-Replayed") != "true" || h.till.sent() != 1 {
			t.Errorf("the repeat got %v after %d sends", a, h.till.sent())
		}
	})
}

// A request that waits costs no goroutine but its own, and a few KiB.
func TestWaitingCostsLittle(t *testing.T) {
	const waiting, most = 2000, 16 << 10
	synctest.Test(t, func(t *testing.T) {
		h := newHouseOn(t, engine.NewMemory(), nil)
		h.till.held = make(chan struct{})
		h.post("warm", "/v1/payments", confirmed("pm_ok"))
		var all sync.WaitGroup
		goroutines, heap := runtime.NumGoroutine(), liveHeap()
		for i := range waiting {
			all.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, request("POST", "/v1/payments", confirmed("pm_held"), "Idempotency-Key", fmt.Sprint(i)))
				if w.Code != 201 {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			})
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - goroutines; more > 2*waiting+10 { // the client's and the gateway's
			t.Errorf("%d goroutines for %d requests", more, waiting)
		}
		if each := (liveHeap() - heap) / waiting; each > most {
			t.Errorf("each takes %d bytes, want %d at most", each, most)
		}
		close(h.till.held)
		all.Wait()
	})
}

// A server that goes away tells those who wait for a gateway how far it is, before
// their connections are cut.
func TestDrainingEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		var all sync.WaitGroup
		for i, row := range []struct {
			method string
			status int
			after  time.Duration
		}{{"pm_slow", 201, 2 * time.Second}, {"pm_lost", 202, drainWait}} {
			all.Go(func() {
				began := time.Now()
				a := h.do("POST", "/v1/payments", confirmed(row.method), "Idempotency-Key", fmt.Sprint(i), "Prefer", "wait=60")
				if took := time.Since(began); a.status != row.status || took < row.after || took > row.after+50*time.Millisecond {
					t.Errorf("%s: got %d after %v, want %d after %v", row.method, a.status, took, row.status, row.after)
				}
			})
		}
		synctest.Wait()
		h.Drain()
		h.Drain()
		all.Wait()
	})
}

// It ends waits for a place as well.
func TestDrainingEndsWaitsForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		p := h.wait(t.Context(), MaxWait)
		defer p.giveBack()
		began := time.Now()
		h.Drain()
		if p.pause(time.Hour, h.enough) || time.Since(began) != drainWait {
			t.Errorf("it waited for %v", time.Since(began))
		}
	})
}

// Over its rate a tenant begins nothing, and is told of what it began all the same.
func TestRatesOfPayments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.Rate, c.Burst = 0.001, 2 })
		now := []string{"Idempotency-Key", "k", "Prefer", "wait=0"}
		for range 3 {
			if a := h.do("POST", "/v1/payments", confirmed("pm_slow"), now...); a.status != 202 {
				t.Errorf("the payment at work: %v", a)
			}
		}
		if a := h.post("new", "/v1/payments", confirmed("pm_ok")); a.code() != "rate_limited" || a.header.Get("Retry-After") == "" {
			t.Errorf("a new one: %v", a)
		}
		if a := h.do("POST", "/v1/payments", confirmed("pm_ok"), now...); a.code() != "key_reused" {
			t.Errorf("another request with the key: %v", a)
		}
		if a := h.post("k", "/v1/payments", confirmed("pm_slow")); a.status != 201 || a.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("a repeat that waits: %v", a)
		}
		if a := h.post("new", "/v1/payments", "[]"); a.code() != "invalid" {
			t.Errorf("a body that is wrong: %v", a)
		}
		if sends := h.till.sent(); sends != 1 {
			t.Errorf("%d requests went to the gateway", sends)
		}
	})
}

// When the queue is full, what began is not denied.
func TestOverloadWhileAPaymentIsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.open()
		h.do("POST", "/v1/payments", confirmed("pm_slow"), "Idempotency-Key", "k", "Prefer", "wait=0")
		time.Sleep(time.Second)
		h.narrow(engine.Config{MaxQueue: 1, MaxBatch: 1})
		h.store.set(true, false)
		var waiting sync.WaitGroup
		for i := range 3 { // one commits, one is loaded, one is in the queue
			waiting.Go(func() { h.post(fmt.Sprint(i), "/v1/transfers", transferBody("1")) })
			synctest.Wait()
		}
		if a := h.post("k", "/v1/payments", confirmed("pm_slow")); a.code() != "in_progress" || a.header.Get("Retry-After") == "" {
			t.Errorf("a payment at work: %v", a)
		}
		if a := h.post("new", "/v1/payments", confirmed("pm_ok")); a.code() != "overloaded" {
			t.Errorf("a new one: %v", a)
		}
		h.store.set(false, false)
		waiting.Wait()
	})
}

// The gateway is asked by a confirm while the customer acts, as long as the client
// waits, and by no other.
func TestConfirmAsksWhileTheCustomerActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		id := h.makePayment("k", confirmed("pm_action"))
		confirm := func(prefer string) (answer, time.Duration) {
			began := time.Now()
			a := h.do("POST", "/v1/payments/"+id+"/confirm", "", "Prefer", prefer)
			return a, time.Since(began)
		}
		p, err := h.store.Payment(t.Context(), pay.Ref{Tenant: "acme", ID: id})
		if err != nil {
			t.Fatal(err)
		}
		h.till.act(p, true)
		if a, _ := confirm("wait=0"); a.status != 200 || !strings.Contains(a.body, "requires_action") {
			t.Errorf("without a wait: %v", a)
		}
		h.till.set("", true)
		if a, took := confirm("wait=3"); a.status != 200 || !strings.Contains(a.body, "requires_action") || took > 3100*time.Millisecond {
			t.Errorf("a gateway that says nothing: %v after %v", a, took)
		}
		h.till.set("", false)
		if a, _ := confirm("wait=3"); a.status != 200 || !strings.Contains(a.body, `"status":"succeeded"`) {
			t.Errorf("the customer approved: %v", a)
		}
	})
}

// A check is made once for a key, and its answer is kept.
func TestAKeyIsCheckedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		a := h.do("POST", "/v1/payments", confirmed("pm_lost"), "Idempotency-Key", "k", "Prefer", "wait=4")
		target := "/v1/payments/" + a.id() + "/check"
		first := h.post("c", target, "")
		h.till.set("", true) // it would take for ever now
		again := h.post("c", target, "{}")
		if first.status != 200 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("got %v and %v", first, again)
		}
		if a := h.post("c", "/v1/payments/"+a.id()+"/cancel", ""); a.code() != "key_reused" {
			t.Errorf("the key of a check, used again: %v", a)
		}
		if a := h.post("d", target, ""); a.code() != "gateway_unavailable" {
			t.Errorf("a gateway that does not answer: %v", a)
		}
		if a := h.post("e", "/v1/payments/pay_none/check", ""); a.status != 404 {
			t.Errorf("a payment that is not there: %v", a)
		}
		if a := h.post("f", "/v1/payments/"+h.makePayment("p", paymentBody("", ""))+"/check", ""); a.status != 200 {
			t.Errorf("a payment that was never sent: %v", a)
		}
	})
}

// A client that says how long it waits is told that this is kept to, wherever
// somebody would have waited; and nowhere else.
func TestWhatIsKeptToIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.open()
		made := h.makePayment("made", paymentBody("", ""))
		for _, row := range []struct {
			sentence, method, target, body, prefer string
			key                                    string
			status                                 int
			applied                                string
		}{
			{"what was done", "POST", "/v1/transfers", transferBody("1"), "wait=5", "a", 201, "wait=5"},
			{"a repeat", "POST", "/v1/transfers", transferBody("1"), "wait=7", "a", 201, "wait=7"},
			{"another request with its key", "POST", "/v1/transfers", transferBody("2"), "wait=7", "a", 422, "wait=7"},
			{"what was refused for its state", "POST", "/v1/payments/" + made + "/capture", "", "wait=5", "b", 409, "wait=5"},
			{"what was declined", "POST", "/v1/payments", confirmed("pm_declined"), "WAIT = 5", "c", 402, "wait=5"},
			{"what does not exist", "POST", "/v1/transfers/tr_1/post", "", "wait=5", "d", 404, "wait=5"},
			{"a body that is wrong, whose key is looked up", "POST", "/v1/transfers", "{}", "wait=5", "e", 422, "wait=5"},
			{"a batch", "POST", "/v1/transfers/batch", `{"transfers":[{"idempotency_key":"f"}]}`, "wait=5", "", 200, "wait=5"},
			{"a decision", "POST", "/v1/payments/" + made + "/resolve", `{"as":"absent","evidence":"x"}`, "wait=5", "g", 409, "wait=5"},
			{"a check", "POST", "/v1/payments/" + made + "/check", "", "wait=5", "h", 200, "wait=5"},
			{"a check that does not wait for its gateway", "POST", "/v1/payments/" + made + "/check", "", "wait=0", "i", 200, "wait=0"},
			{"a client that asks for something else", "POST", "/v1/transfers", transferBody("1"), "return=minimal", "j", 201, ""},
			{"a request without a key", "POST", "/v1/transfers", transferBody("1"), "wait=5", "", 400, ""},
			{"a body that is no JSON", "POST", "/v1/transfers", "{", "wait=5", "k", 400, ""},
			{"what waits for nobody", "GET", "/v1/payments/" + made, "", "wait=5", "", 200, ""},
		} {
			a := h.do(row.method, row.target, row.body, "Prefer", row.prefer, "Idempotency-Key", row.key)
			if got := a.header.Get("Preference-Applied"); a.status != row.status || got != row.applied {
				t.Errorf("%s: got %d, kept to %q; want %d, %q: %s", row.sentence, a.status, got, row.status, row.applied, a.body)
			}
		}
	})
}

// Who does not want to wait for a check does not, however long the gateway takes:
// it is asked all the same, and the key is as free as before.
func TestACheckThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.till.set("", true)
		id := h.do("POST", "/v1/payments", confirmed("pm_silent"), "Idempotency-Key", "k", "Prefer", "wait=5").id()
		target, began := "/v1/payments/"+id+"/check", time.Now()
		check := func(wait string) answer {
			return h.do("POST", target, "", "Idempotency-Key", "c", "Prefer", wait)
		}
		a := check("wait=0")
		if a.status != 202 || !strings.Contains(a.body, `"in_doubt":true`) || a.header.Get("Location") != "/v1/payments/"+id ||
			a.header.Get("Retry-After") == "" || a.header.Get("Preference-Applied") != "wait=0" || time.Since(began) > 0 {
			t.Errorf("after %s: %v", time.Since(began), a)
		}
		h.till.work.Wait()
		if a := h.do("GET", "/v1/keys?key=c", ""); a.status != 404 {
			t.Errorf("something is kept under its key: %v", a)
		}
		h.till.set("", false)
		if a := check("wait=0"); a.status != 202 {
			t.Errorf("again: %v", a)
		}
		h.till.work.Wait()
		if a := h.do("GET", "/v1/payments/"+id, ""); !strings.Contains(a.body, `"succeeded"`) {
			t.Errorf("the gateway was not asked: %v", a)
		}
		first := check("wait=1")
		if again := check("wait=0"); first.status != 200 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("got %v and %v", first, again)
		}
		for name, row := range map[string]struct {
			payments Payments
			want     string
		}{
			"it is not there":     {gateways{house: having("another")}, "gateway_unavailable"},
			"it has told nothing": {gateways{house: pay.House{Gateways: map[string]pay.Terms{"sandbox": {Untold: true}}}}, "gateway_unavailable"},
			"it cannot be asked":  {gateways{house: having("sandbox")}, "state_conflict"},
		} {
			h.payments = row.payments
			if a := h.do("POST", target, "", "Idempotency-Key", "d", "Prefer", "wait=0"); a.code() != row.want {
				t.Errorf("%s: %v", name, a)
			}
		}
	})
}
