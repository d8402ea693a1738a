package sandbox_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/gateway/sandbox"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
	"github.com/oncepay/oncepay/webhook"
)

// What the gateways of the matrix declare: it is faster than elsewhere, so that
// the whole of it takes seconds, and slower than a busy machine, which would break
// its contract for it. A first check comes within a second, so lookups must lag by
// more for it to be wrong.
const (
	matrixTimeout = 1500 * time.Millisecond
	matrixLag     = 1400 * time.Millisecond // H
	matrixFlight  = 1500 * time.Millisecond // L
	matrixLate    = 100 * time.Millisecond  // after its sender has given up: well within L
)

// misdeed is what goes wrong with the first send of a charge.
type misdeed struct {
	sentence string
	fault    sandbox.Fault
	executed bool // the first send is carried out, or declined
	answered bool // and its answer is believed
	declined bool // it ends so
	breach   bool // a lie: only a human can tell
}

var misdeeds = []misdeed{
	{"nothing goes wrong", sandbox.Fault{}, true, true, false, false},
	{"no answer after the charge", sandbox.Fault{Answer: sandbox.Hang}, true, false, false, false},
	{"no answer, and no charge", sandbox.Fault{Skip: true, Answer: sandbox.Hang}, false, false, false, false},
	{"the request arrives when its sender has given up", sandbox.Fault{Before: matrixTimeout + matrixLate}, true, false, false, false},
	{"500 after the charge", sandbox.Fault{Status: 500}, true, false, false, false},
	{"500, and no charge", sandbox.Fault{Skip: true, Status: 500}, false, false, false, false},
	{"429 after the charge", sandbox.Fault{Status: 429}, true, false, false, false},
	{"429, and no charge", sandbox.Fault{Skip: true, Status: 429}, false, false, false, false},
	{"a redirect after the charge", sandbox.Fault{Redirect: "http://127.0.0.1:1/elsewhere"}, true, false, false, false},
	{"an answer that is cut off", sandbox.Fault{Answer: sandbox.Truncated}, true, false, false, false},
	{"an answer that is no JSON", sandbox.Fault{Answer: sandbox.Broken}, true, false, false, false},
	{"a reset before the first byte of the answer", sandbox.Fault{Answer: sandbox.ResetBefore}, true, false, false, false},
	{"a reset after the first byte of the answer", sandbox.Fault{Answer: sandbox.ResetWithin}, true, false, false, false},
	{"an answer that drips", sandbox.Fault{Answer: sandbox.Drip}, true, false, false, false},
	{"declined", sandbox.Fault{Decline: "insufficient_funds"}, true, true, true, false},
	{"200 with a body that says declined", sandbox.Fault{Decline: "insufficient_funds", Status: 200}, true, false, true, false},
	{"charged, and 200 with a body that says declined", sandbox.Fault{Status: 200, SayStatus: "declined"}, true, false, false, false},
	{"charged, and said to be declined", sandbox.Fault{Status: 402, SayStatus: "declined"}, true, true, false, true},
	{"another amount than was asked", sandbox.Fault{Amount: 1}, true, true, false, true},
	{"another currency than was asked", sandbox.Fault{Currency: "USD"}, true, true, false, true},
	{"webhooks twice, and an older one last", sandbox.Fault{Answer: sandbox.Hang, Webhooks: sandbox.Webhooks{Copies: 3, Stale: true}}, true, false, false, false},
	{"webhooks that say declined", sandbox.Fault{Answer: sandbox.Hang, Webhooks: sandbox.Webhooks{Say: "declined"}}, true, false, false, false},
}

// The matrix of what a gateway can do to a payment: every misdeed, at gateways
// that do an operation once and at those that do it as often as it comes, inside
// their window and after it, with lookups that lag not at all, within their
// bound, and beyond it. Nothing is ever captured twice; what the gateway's
// contract explains ends well, and what breaks the contract ends in needs_review.
func TestNothingIsCapturedTwiceWhateverAGatewayDoes(t *testing.T) {
	for _, gw := range []struct {
		sentence string
		cfg      sandbox.Config
	}{
		{"once for each id, inside the window", sandbox.Config{}},
		{"once for each id, after the window", sandbox.Config{Window: time.Millisecond}},
		{"as often as it comes", sandbox.Config{Hostile: true}},
	} {
		for _, lag := range []struct {
			sentence string
			lag      time.Duration
			beyond   bool
		}{
			{"lookups do not lag", 0, false},
			{"lookups lag within the bound", matrixLag * 9 / 10, false},
			{"lookups lag beyond the bound", 2 * (matrixLag + matrixFlight), true},
		} {
			t.Run(gw.sentence+"/"+lag.sentence, func(t *testing.T) {
				t.Parallel()
				s := newShop(t, gw.cfg)
				var cells sync.WaitGroup
				defer cells.Wait()
				for _, m := range misdeeds {
					m.fault.Lag = lag.lag
					m.fault.Webhooks.Delay = 2 * matrixTimeout // or it would be the answer
					cells.Go(func() { s.suffer(t, m, lag.beyond) })
				}
			})
		}
	}
}

// suffer has a payment suffer a misdeed, and judges what became of it.
func (s *shop) suffer(t *testing.T, m misdeed, beyond bool) {
	id := s.create(t)
	s.script.Add(sandbox.Rule{Payment: id, Nth: 1, Fault: m.fault})
	s.confirm(t, id)
	p := s.settled(t, id)
	want := pay.Succeeded
	if m.declined {
		want = pay.Failed
	}
	lags := beyond && m.executed && !m.answered
	if m.breach || lags && p.Status != want { // a lookup that lags too long needs a review, until it does tell
		want = pay.NeedsReview
	}
	if lags && p.Charge().Attempt != 1 {
		t.Errorf("%s: it was sent %d times on the word of a lookup that lags", m.sentence, p.Charge().Attempt)
	}
	charges, err := s.gateway.Charges(t.Context(), id)
	if err != nil {
		t.Error(err)
	}
	var captured int64
	for _, c := range charges {
		captured += c.AmountCaptured
	}
	most := 1
	if m.declined {
		most = 0
	}
	if p.Status != want || len(charges) > most || captured > matrixAmount {
		t.Errorf("%s: it is %s, want %s; the gateway's books have %+v\nsent %d times, checked %d times, %q",
			m.sentence, p.Status, want, charges, p.Charge().Attempt, p.Charge().Checks, p.Charge().Parked)
	}
	if want != pay.NeedsReview && captured != p.Captured {
		t.Errorf("%s: %d was captured, the payment says %d", m.sentence, captured, p.Captured)
	}
}

const matrixAmount = 1250

// shop is a whole service on a sandbox: executor, processor, connector.
type shop struct {
	gateway  *sandbox.Server
	script   *sandbox.Script
	store    *engine.Memory
	executor *engine.Executor
	carrier  *processor.Processor
}

func newShop(t *testing.T, cfg sandbox.Config) *shop {
	t.Helper()
	s := &shop{script: sandbox.NewScript(), store: engine.NewMemory()}
	cfg.Script, cfg.Timeout, cfg.LookupLag, cfg.InFlight = s.script, matrixTimeout, matrixLag, matrixFlight
	h := open(t, cfg)
	s.gateway = h.Server
	door := httptest.NewServer(http.HandlerFunc(s.webhook))
	t.Cleanup(door.Close)
	c := connect(t, sandbox.ConnectorConfig{
		URL: h.url, Limits: gateway.Config{Breaker: gateway.Breaker{Off: true}},
		NotifyURL: func(string) string { return door.URL }, Secret: func(string) string { return webhook.NewSecret([32]byte{1}).Reveal() },
	})
	s.carrier = processor.New(processor.Config{
		Store: s.store, Connectors: map[string]processor.Connector{"sandbox": c}, Exclusive: true, Log: slog.New(slog.DiscardHandler),
	})
	s.executor = engine.New(s.store, engine.Config{Act: s.carrier.Act, Render: func(r pay.Reply) once.Answer {
		if r.Refusal != nil {
			return once.Answer{Status: 422, Body: []byte(r.Refusal.Error())}
		}
		return once.Answer{Status: 200, Body: []byte(r.Payment.ID)}
	}})
	s.carrier.Start(s.executor)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.carrier.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, closed := range []error{s.carrier.Close(ctx), s.executor.Close(ctx)} {
			if closed != nil {
				t.Error(closed)
			}
		}
	})
	return s
}

// webhook takes a webhook of the gateway.
func (s *shop) webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = s.carrier.Notice(r.Context(), "sandbox", "dev", r.Header, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

func (s *shop) do(t *testing.T, c pay.Command) string {
	o := s.executor.Do(t.Context(), &engine.Job{Tenant: "dev", Payment: c})
	if o.Err != nil || o.Answer.Status != 200 {
		t.Errorf("%T: %d %s %v", c, o.Answer.Status, o.Answer.Body, o.Err)
	}
	return string(o.Answer.Body)
}

func (s *shop) create(t *testing.T) string {
	return s.do(t, pay.CreatePayment{Ask: pay.Ask{House: s.carrier.House()}, Payment: pay.Payment{
		Ref: ledger.Ref{Tenant: "dev"}, Amount: matrixAmount, Currency: "EUR", Method: "pm_ok", Gateway: "sandbox",
	}})
}

func (s *shop) confirm(t *testing.T, id string) {
	s.do(t, pay.ConfirmPayment{Ask: pay.Ask{House: s.carrier.House()}, Ref: ledger.Ref{Tenant: "dev", ID: id}})
}

// settled waits until the payment is not processing, and all that the gateway may
// still say of it has been said: its webhooks and late requests.
func (s *shop) settled(t *testing.T, id string) *pay.Payment {
	deadline := time.Now().Add(30 * time.Second)
	var since time.Time
	for {
		p, err := s.store.Payment(t.Context(), ledger.Ref{Tenant: "dev", ID: id})
		switch {
		case err != nil:
			t.Error(err)
			return &pay.Payment{Operations: []*pay.Operation{{}}}
		case p.Status == pay.Processing, !p.Charge().DueAt.IsZero():
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > 2*matrixTimeout+matrixFlight+time.Second, p.Status == pay.NeedsReview:
			return p
		}
		if time.Now().After(deadline) {
			t.Errorf("%s is %s for ever", id, p.Status)
			return p
		}
		time.Sleep(20 * time.Millisecond)
	}
}
