package web

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/webhook"
)

// till is the tests' gateway and what carries payments out there: the payment's
// method says what happens. It keeps what it did, and tells it when it is asked.
//
//	pm_ok               takes what it is asked for
//	pm_declined         declines
//	pm_rejected         says that it did nothing
//	pm_action           wants the customer to act; tests say what they do
//	pm_slow             takes two seconds
//	pm_held             takes as long as a test wants
//	pm_silent           takes the money and never answers; asked, it tells
//	pm_lost             takes the money, never answers, and cannot tell
//	pm_capture_declined authorizes, and declines to capture
//	pm_no_way_back      neither cancels nor refunds
type till struct {
	store PaymentReader

	mu     sync.Mutex
	engine *engine.Executor
	closed string
	did    map[string]pay.Finding // by operation
	sends  map[string]int         // by operation
	began  time.Time              // when it was sent anything first
	broken bool                   // nothing can be learned
	held   chan struct{}          // what pm_held waits for
	work   sync.WaitGroup
}

func (l *till) executor() *engine.Executor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.engine
}

func (l *till) use(e *engine.Executor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engine = e
}

// terms are those of the sandbox.
var terms = pay.Contract{
	Window: 24 * time.Hour, Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second,
	PartialCapture: true, ManyCaptures: true,
}

func newTill() *till { return &till{did: map[string]pay.Finding{}, sends: map[string]int{}} }

func (l *till) House() pay.House {
	l.mu.Lock()
	defer l.mu.Unlock()
	return pay.House{Process: "test", Gateways: map[string]pay.Terms{"sandbox": {Contract: terms, Closed: l.closed}}}
}

// set closes the gateway for what is new, or opens it; broken, it answers no check.
func (l *till) set(closed string, broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.broken = closed, broken
}

// Act is engine.Config.Act.
func (l *till) Act(o *pay.Order) {
	l.work.Go(func() {
		call := o.Payment.Call(o.Payment.Operation(o.Operation))
		if o.Attempt == 0 {
			l.check(call)
			return
		}
		f := l.send(call)
		l.record(call, o.Attempt, l.executor().Now(), f)
		if f.Outcome == pay.Unknown && f.Reach == pay.MayHaveArrived && call.Method != "pm_lost" {
			time.Sleep(time.Second)
			l.check(call)
		}
	})
}

func (l *till) record(c pay.Call, attempt int64, began time.Time, f pay.Finding) error {
	return l.executor().Do(context.Background(), &engine.Job{Tenant: c.Tenant, Payment: pay.Record{
		Ref: pay.Ref{Tenant: c.Tenant, ID: c.Payment}, Operation: c.Operation, House: l.House(), Finding: &f, Attempt: attempt, Began: began,
	}}).Err
}

// send does what is asked, and says so unless it is silent.
func (l *till) send(c pay.Call) pay.Finding {
	f := answerTo(c)
	l.note(c, f)
	switch c.Method {
	case "pm_slow":
		time.Sleep(2 * time.Second)
	case "pm_held":
		<-l.held
	}
	if c.Method == "pm_silent" || c.Method == "pm_lost" {
		time.Sleep(terms.Timeout)
		return pay.Finding{Detail: "no answer in 3s"}
	}
	return f
}

func (l *till) note(c pay.Call, f pay.Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.did[c.Operation] = f
	l.sends[c.Operation]++
	if l.began.IsZero() {
		l.began = time.Now()
	}
}

func answerTo(c pay.Call) pay.Finding {
	done := pay.Finding{Outcome: pay.Done, Amount: c.Amount, Currency: c.Currency, GatewayID: "ch." + c.Operation}
	no := pay.Finding{Outcome: pay.Declined, Failure: pay.Failure{Code: "card_declined", DeclineCode: "insufficient_funds", Message: "The card has not enough money."}}
	charge := c.Kind == pay.Charge || c.Kind == pay.Authorize
	switch {
	case c.Method == "pm_declined", c.Method == "pm_capture_declined" && c.Kind == pay.Capture:
		return no
	case c.Method == "pm_rejected":
		return pay.Finding{Reach: pay.Refused, Failure: pay.Failure{Code: "gateway_rejected", Message: "This merchant cannot take this currency."}}
	case c.Method == "pm_no_way_back" && (c.Kind == pay.Void || c.Kind == pay.Refund):
		return pay.Finding{Outcome: pay.Declined, Failure: pay.Failure{Code: "gateway_rejected", Message: "It is settled already."}}
	case c.Method == "pm_action" && charge:
		done.Outcome, done.ActionURL = pay.ActionRequired, "https://gateway.example/act/"+c.Operation
	}
	return done
}

// check asks what became of an operation.
func (l *till) check(c pay.Call) error {
	began := l.executor().Now()
	l.mu.Lock()
	f := l.did[c.Operation]
	if l.broken || c.Method == "pm_lost" {
		f = pay.Finding{Detail: "no answer in 3s"}
	}
	l.mu.Unlock()
	return l.record(c, 0, began, f)
}

// Check is Payments'.
func (l *till) Check(ctx context.Context, r pay.Ref) error {
	l.mu.Lock()
	broken := l.broken
	l.mu.Unlock()
	if broken {
		<-ctx.Done()
		return ctx.Err()
	}
	p, err := l.store.Payment(ctx, r)
	if err != nil || p == nil {
		return errors.Join(err, errNoGateway)
	}
	for _, o := range p.Operations {
		if !o.Outcome.Final() {
			if err := l.check(p.Call(o)); err != nil {
				return err
			}
		}
	}
	return nil
}

// act is what a customer does at the gateway.
func (l *till) act(p *pay.Payment, approved bool) {
	c := p.Call(p.Charge())
	f := pay.Finding{Outcome: pay.Done, Amount: c.Amount, Currency: c.Currency, GatewayID: "ch." + c.Operation}
	if !approved {
		f = pay.Finding{Outcome: pay.Declined, Failure: pay.Failure{Code: "card_declined", DeclineCode: "authentication_failed", Message: "The customer refused."}}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.did[c.Operation] = f
}

// secretOf is what the webhooks of a tenant are signed with.
func secretOf(tenant string) webhook.Secret {
	return webhook.NewSecret(sha256.Sum256([]byte("webhooks of " + tenant)))
}

// Notice is Payments'.
func (l *till) Notice(ctx context.Context, gateway, tenant string, h http.Header, body []byte) error {
	v := webhook.Verifier{Secrets: []webhook.Secret{secretOf(tenant)}}
	m, err := v.Verify(h, body, time.Now())
	if err != nil {
		return err
	}
	var said struct{ Type, Payment, Operation string }
	if err := json.Unmarshal(body, &said); err != nil {
		return err
	}
	take := pay.TakeNotice{House: l.House(), Notice: pay.Notice{
		NoticeID: pay.NoticeID{Tenant: tenant, Gateway: gateway, ID: m.ID},
		Type:     said.Type, Payment: said.Payment, Operation: said.Operation,
	}}
	return l.executor().Do(ctx, &engine.Job{Tenant: tenant, Payment: take}).Err
}
