package web

import (
	"context"
	"log/slog"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/pay"
)

// What a human does about a payment in doubt: have the gateway asked now, and,
// where that cannot help, decide.

// check is POST /v1/payments/{id}/check. Asking moves nothing, but takes its time:
// so it is done between looking the key up and keeping the answer under it. Of two
// at once with one key, both may ask, and one answer is kept. Who does not want to
// wait has it asked by whoever comes to it, and is told how the payment is: nothing
// is kept of that.
func (x *exchange) check() {
	o := x.readOrder(checkPayment)
	if o == nil {
		return
	}
	most := x.keepsTo()
	o.NoWait = most == 0
	show := o.Payment
	o.Payment = held{key: o.Request.Key}
	came := x.do(&o.Job, most)
	if came.Err != nil || came.Answer.Status != 0 || o.instead.Status != 0 {
		x.answer(x.payOutcome(o, came))
		return
	}
	p, ok := x.askable()
	switch {
	case !ok: // it has answered
	case p != nil && most == 0:
		ask := pay.AskGateway{Ref: p.Ref, House: x.api.payments.House()}
		x.answer(x.payOutcome(o, x.do(&engine.Job{Tenant: p.Tenant, RequestID: x.id, Payment: ask}, 0)))
	case p == nil || x.gatewayAsked(p.Ref, most):
		o.Payment = show
		x.answer(x.payOutcome(o, x.do(&o.Job, most)))
	}
}

var checkPayment = &operation{name: "POST /v1/payments/{id}/check", pay: readCheckPayment, verb: "check"}

func readCheckPayment(f *form, a asked, body jcs.Value) pay.Command {
	f.empty(body)
	return pay.ShowPayment{Ref: a.Ref}
}

// askable is the payment in the path, or nil if there is none, or nothing of it that
// the gateway could be asked about. If the gateway cannot be asked at all, it has
// answered, and reports false.
func (x *exchange) askable() (p *pay.Payment, ok bool) {
	p, err := x.api.store.Payment(x.r.Context(), x.ref())
	if err != nil {
		x.failed("read a payment", err)
		return nil, false
	}
	if p == nil || p.Charge() == nil {
		return nil, true
	}
	if terms, known := x.api.payments.House().Gateways[p.Gateway]; known && !terms.Untold && !terms.Contract.Lookup {
		x.refuse(stateConflict, "This gateway cannot be asked what became of something. See its own records, and resolve the payment.")
		return nil, false
	}
	return p, true
}

// gatewayAsked asks the gateway of a payment, and waits for what it says. If it
// could not be asked, it has answered.
func (x *exchange) gatewayAsked(r pay.Ref, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(x.r.Context(), most)
	defer cancel()
	if err := x.api.payments.Check(ctx, r); err != nil {
		x.whyNotAsked(r, err)
		return false
	}
	return true
}

var resolvePayment = &operation{name: "POST /v1/payments/{id}/resolve", pay: readResolvePayment, verb: "resolve"}

func readResolvePayment(f *form, a asked, body jcs.Value) pay.Command {
	c := pay.ResolvePayment{Ask: a.Ask, Ref: a.Ref, Actor: a.actor}
	for name, v := range body.Members() {
		switch name {
		case "as":
			c.Happened = f.choice("/as", v, "captured", "absent") == "captured"
		case "evidence":
			c.Evidence = f.evidence("/evidence", v)
		case "operation":
			c.Operation = f.text("/operation", v, MaxReference)
		case "gateway_id":
			c.GatewayID = f.gatewayID("/gateway_id", v)
		default:
			f.unknown(name)
		}
	}
	f.require(body, "as", "evidence")
	return &pay.Resolution{ResolvePayment: c}
}

// LogResolved tells the log who decided what. What the decision rests on is in the
// payment's timeline, and not for a log.
func LogResolved(log *slog.Logger, r *pay.Resolution) {
	log.Info("a payment in doubt was resolved",
		"tenant", r.Tenant, "payment", r.ID, "operation", r.Decided, "as", r.As(), "actor", r.Actor)
}
