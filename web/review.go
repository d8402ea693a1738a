package web

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/pay"
)

// What a human does about a payment in doubt: have the gateway asked now, and,
// where that cannot help, decide.

// check is POST /v1/payments/{id}/check. Asking moves nothing, but takes its time:
// so it is done between looking the key up and keeping the answer under it. Of two
// at once with one key, both may ask, and one answer is kept.
func (x *exchange) check() {
	o := x.readOrder(checkPayment)
	if o == nil {
		return
	}
	most := x.keepsTo()
	if o.NoWait = most == 0; o.NoWait {
		x.Header().Del("Preference-Applied") // the gateway is waited for all the same
	}
	show := o.Payment
	o.Payment = held{key: o.Request.Key}
	came := x.do(&o.Job, most)
	if came.Err != nil || came.Answer.Status != 0 || o.instead.Status != 0 {
		x.answer(x.payOutcome(o, came))
		return
	}
	if !x.gatewayAsked(most) {
		return
	}
	o.Payment = show
	x.answer(x.payOutcome(o, x.do(&o.Job, most)))
}

var checkPayment = &operation{name: "POST /v1/payments/{id}/check", pay: readCheckPayment, verb: "check"}

func readCheckPayment(f *form, a asked, body jcs.Value) pay.Command {
	f.empty(body)
	return pay.ShowPayment{Ref: a.Ref}
}

// gatewayAsked asks the gateway of the payment in the path, if there is one. If it
// could not be asked, it has answered.
func (x *exchange) gatewayAsked(most time.Duration) bool {
	p, err := x.api.store.Payment(x.r.Context(), x.ref())
	if err != nil {
		x.failed("read a payment", err)
		return false
	}
	if p == nil || p.Charge() == nil { // not found, or nothing was ever asked of the gateway
		return true
	}
	if terms, known := x.api.payments.House().Gateways[p.Gateway]; known && !terms.Untold && !terms.Contract.Lookup {
		x.refuse(stateConflict, "This gateway cannot be asked what became of something. See its own records, and resolve the payment.")
		return false
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), cmp.Or(most, DefaultWait))
	defer cancel()
	if err := x.api.payments.Check(ctx, p.Ref); err != nil {
		x.whyNotAsked(p.Ref, err)
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
