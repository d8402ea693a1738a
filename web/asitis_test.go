package web

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/webhook"
)

// Who does not want to wait is told how the payment is, also if that changed in
// the very commit in which they were told.
func TestWhoDoesNotWaitIsToldHowItIs(t *testing.T) {
	for verb, want := range map[string]string{"create": "/v1/payments/", "confirm": "/v1/payments/", "refund": "/v1/refunds/"} {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouseOn(t, engine.NewMemory(), nil)
				h.till.held = make(chan struct{})
				ask := func() answer {
					return h.do("POST", "/v1/payments", confirmed("pm_held"), "Idempotency-Key", "k", "Prefer", "wait=0")
				}
				a := ask()
				switch target := "/v1/payments/" + a.id(); verb {
				case "confirm":
					ask = func() answer { return h.do("POST", target+"/confirm", "", "Prefer", "wait=0") }
				case "refund":
					close(h.till.held)
					h.till.work.Wait()
					h.till.held = make(chan struct{})
					ask = func() answer {
						return h.do("POST", target+"/refunds", "", "Idempotency-Key", "r", "Prefer", "wait=0")
					}
					a = ask()
				}
				if a.status != 202 || !strings.Contains(a.body, `"processing"`) {
					t.Fatalf("it is not at work: %v", a)
				}
				again := h.inOneCommit(ask, func() { close(h.till.held) })
				if again.status != 202 || !strings.Contains(again.body, `"succeeded"`) || !strings.HasPrefix(again.header.Get("Location"), want) {
					t.Errorf("got %v, want it to have succeeded", again)
				}
				if a := ask(); a.status != 200 && a.status != 201 || !strings.Contains(a.body, `"succeeded"`) {
					t.Errorf("then %v, want the final answer", a)
				}
			})
		})
	}
}

// inOneCommit has a request decided, and behind it what something else leads to,
// before either is written down.
func (h *house) inOneCommit(ask func() answer, then func()) (a answer) {
	h.store.set(true, false)
	go h.post("another", "/v1/accounts", `{"currency":"EUR"}`) // holds the commit before theirs
	synctest.Wait()
	told := make(chan answer)
	go func() { told <- ask() }()
	synctest.Wait()
	then()
	synctest.Wait()
	h.store.set(false, false)
	return <-told
}

// However often a payment is confirmed that is settled, and whatever its gateway
// and others say meanwhile, the answer has the same bytes.
func TestConfirmsOfWhatIsSettledAreTheSame(t *testing.T) {
	for method, status := range map[string]int{"pm_ok": 200, "pm_declined": 402, "pm_rejected": 402} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouseOn(t, engine.NewMemory(), nil)
				target := "/v1/payments/" + h.makePayment("k", paymentBody("payment_method", `"`+method+`"`))
				first := h.post("", target+"/confirm", "")
				if first.status != status {
					t.Fatal(first)
				}
				for i, meanwhile := range []func(key string){
					func(string) {},
					func(key string) { h.post(key, target+"/check", "") },
					func(key string) { h.recordAgain(strings.TrimPrefix(target, "/v1/payments/")) },
					func(key string) { h.notice(key, strings.TrimPrefix(target, "/v1/payments/")) },
					func(key string) { h.post(key, target+"/cancel", "") },
					func(key string) { h.post(key, target+"/capture", "") },
					func(key string) { h.post(key, target+"/refunds", `{"amount":2000}`) },
				} {
					time.Sleep(time.Hour)
					key := strings.Repeat("x", i+1)
					meanwhile(key)
					synctest.Wait()
					if a := h.post(key, target+"/confirm", ""); a.status != status || a.body != first.body {
						t.Errorf("after %d got\n%v, want\n%v", i, a, first)
					}
				}
				if p, err := h.store.Payment(t.Context(), pay.Ref{Tenant: "acme", ID: strings.TrimPrefix(target, "/v1/payments/")}); err != nil || h.till.sent() != 1 || len(p.Operations) != 1 {
					t.Errorf("%d sends, %v", h.till.sent(), err)
				}
			})
		})
	}
}

// recordAgain has the gateway asked about everything, also what is settled.
func (h *house) recordAgain(id string) {
	p, err := h.store.Payment(h.t.Context(), pay.Ref{Tenant: "acme", ID: id})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, o := range p.Operations {
		if err := h.till.check(p.Call(o)); err != nil {
			h.t.Error(err)
		}
	}
}

// notice has the gateway tell of a payment.
func (h *house) notice(key, id string) {
	p, err := h.store.Payment(h.t.Context(), pay.Ref{Tenant: "acme", ID: id})
	if err != nil {
		h.t.Fatal(err)
	}
	body := `{"type":"charge.updated","payment":"` + id + `","operation":"` + p.Charge().ID + `"}`
	r := request("POST", "/v1/gateways/sandbox/webhooks/acme", body)
	if err := webhook.Sign(r.Header, webhook.Message{ID: "msg_" + key, At: time.Now(), Body: []byte(body)}, secretOf("acme")); err != nil {
		h.t.Fatal(err)
	}
	if a := h.send(r); a.status != 200 {
		h.t.Error(a)
	}
}
