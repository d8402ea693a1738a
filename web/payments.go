package web

import (
	"cmp"
	"context"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/pay"
)

// PaymentReader reads payments and what happened to them.
type PaymentReader interface {
	// Payment returns a payment, or nil if there is none.
	Payment(ctx context.Context, r pay.Ref) (*pay.Payment, error)

	// PaymentOf returns the payment that has the operation, or nil if there is none.
	PaymentOf(ctx context.Context, operation pay.Ref) (*pay.Payment, error)

	// Payments lists a tenant's payments, newest first.
	Payments(ctx context.Context, tenant string, f engine.PaymentFilter, p engine.Page) (engine.List[*pay.Payment], error)

	// Lines returns what was noted of a payment, oldest first: of more than
	// engine.MaxLines the first and the last half of so many.
	Lines(ctx context.Context, r pay.Ref) ([]pay.Line, error)
}

const paymentPath = "/v1/payments"

// asked is what a payment's command is made of, beside the body.
type asked struct {
	pay.Ask
	pay.Ref        // of the payment in the path; of a new one without an id
	gateway string // that of payments that name none
	actor   string // whose API key it is
}

// ask is what every command of this request has. key is "" where there is none.
func (x *exchange) ask(key string) asked {
	a := asked{Ref: x.ref(), actor: x.caller.key}
	a.RequestID, a.House = x.id, x.api.payments.House()
	a.gateway = x.api.usualGateway(a.House)
	if key != "" {
		a.Key.Tenant, a.Key.ID = a.Tenant, key
	}
	return a
}

var createPayment = &operation{name: "POST " + paymentPath, pay: readCreatePayment, verb: "create"}

func readCreatePayment(f *form, a asked, body jcs.Value) pay.Command {
	c := pay.CreatePayment{Ask: a.Ask, Payment: pay.Payment{Ref: a.Ref, Gateway: a.gateway}}
	p := &c.Payment
	for name, v := range body.Members() {
		switch name {
		case "amount":
			p.Amount = f.charge("/amount", v)
		case "currency":
			p.Currency = f.currency("/currency", v)
		case "payment_method":
			p.Method = f.method("/payment_method", v)
		case "reference":
			p.Reference = f.reference("/reference", v)
		case "gateway":
			p.Gateway = f.text("/gateway", v, MaxGateway)
		case "capture_method":
			p.Manual = f.choice("/capture_method", v, "automatic", "manual") == "manual"
		case "confirm":
			c.Confirm = f.boolean("/confirm", v)
		case "customer":
			p.Customer = f.prose("/customer", v, MaxCustomer)
		case "description":
			p.Description = f.prose("/description", v, MaxDescription)
		case "statement_descriptor":
			p.StatementDescriptor = f.prose("/statement_descriptor", v, MaxDescriptor)
		case "return_url":
			p.ReturnURL = f.address("/return_url", v)
		case "gateway_options":
			p.Options = f.metadata("/gateway_options", v)
		case "metadata":
			p.Metadata = f.metadata("/metadata", v)
		default:
			f.unknown(name)
		}
	}
	f.require(body, "amount", "currency", "payment_method")
	_, named := body.Member("gateway")
	f.someGateway(a.House, named || p.Gateway != "")
	return c
}

// someGateway refuses a payment that no gateway could carry out. Whether the one
// that is named exists is decided with the payment, since an order may have one
// already.
func (f *form) someGateway(h pay.House, named bool) {
	switch {
	case len(h.Gateways) == 0:
		f.fail("/gateway", "This server has no gateway, so there can be no payments: configure one, or start it with --dev.")
	case !named:
		f.fail("/gateway", "This server has more than one gateway and none that is used by default: name the gateway.")
	}
}

var capturePayment = &operation{name: "POST /v1/payments/{id}/capture", pay: readCapturePayment, verb: "capture"}

func readCapturePayment(f *form, a asked, body jcs.Value) pay.Command {
	c := pay.CapturePayment{Ask: a.Ask, Ref: a.Ref}
	for name, v := range body.Members() {
		switch name {
		case "amount":
			c.Amount = new(f.charge("/amount", v))
		case "final":
			c.More = !f.boolean("/final", v)
		default:
			f.unknown(name)
		}
	}
	return c
}

var cancelPayment = &operation{name: "POST /v1/payments/{id}/cancel", pay: readCancelPayment, verb: "cancel"}

func readCancelPayment(f *form, a asked, body jcs.Value) pay.Command {
	f.empty(body)
	return pay.CancelPayment{Ask: a.Ask, Ref: a.Ref}
}

var refundPayment = &operation{name: "POST /v1/payments/{id}/refunds", pay: readRefundPayment, verb: "refund"}

func readRefundPayment(f *form, a asked, body jcs.Value) pay.Command {
	c := pay.RefundPayment{Ask: a.Ask, Ref: a.Ref}
	for name, v := range body.Members() {
		if name != "amount" {
			f.unknown(name)
			continue
		}
		c.Amount = new(f.charge("/amount", v))
	}
	return c
}

// confirm is POST /v1/payments/{id}/confirm: idempotent by the payment's id, so
// that it needs no key.
func (x *exchange) confirm() {
	if x.hasQuery() || !x.emptyBody() {
		return
	}
	a, most := x.ask(""), x.keepsTo()
	p := x.api.wait(x.r.Context(), cmp.Or(most, DefaultWait))
	defer p.giveBack()
	job := &engine.Job{Tenant: a.Tenant, RequestID: x.id, Payment: pay.ConfirmPayment{Ask: a.Ask, Ref: a.Ref}}
	o := x.api.executor.Do(p, job)
	switch {
	case most == 0:
	case o.Interim:
		o = x.settled(p, job, o)
	case outcomeOf(o) == pay.RequiresAction.String():
		o = x.lookAgain(p, a.Ref, job, o)
	}
	o = x.asItIs(o)
	x.countPayment(o, "confirm")
	x.answerUnkeyed(o)
}

// emptyBody refuses a body that has members. If it has answered, it reports
// false.
func (x *exchange) emptyBody() bool {
	s := x.api.borrow()
	defer x.api.giveBack(s)
	body, bad := x.readBody(s, oneBody)
	if bad != nil {
		x.refuseBody(bad)
		return false
	}
	var f form
	if f.object(body) {
		f.empty(body)
	}
	if len(f.issues) > 0 {
		x.invalid(f.issues)
	}
	return len(f.issues) == 0
}

// showPayment is GET /v1/payments/{id}.
func (x *exchange) showPayment() {
	if p := x.readPayment(); p != nil {
		x.json(p.AppendJSON(nil))
	}
}

// readPayment reads the payment in the path. If there is none, it has answered.
func (x *exchange) readPayment() *pay.Payment {
	if x.mistaken(x.query()) {
		return nil
	}
	return x.payment()
}

// payment is readPayment for a request that has looked at its query itself.
func (x *exchange) payment() *pay.Payment {
	p, err := x.api.store.Payment(x.r.Context(), x.ref())
	if err != nil { // p may be a row that is broken
		x.failed("read a payment", err)
		return nil
	}
	if p == nil {
		x.refuse(notFound, "There is no such payment.")
	}
	return p
}

// listPayments is GET /v1/payments.
func (x *exchange) listPayments() {
	q := x.query(append([]string{"reference", "status", "in_doubt"}, paging...)...)
	page, filter := q.page(), engine.PaymentFilter{Reference: q.get("reference"), InDoubt: q.boolean("in_doubt")}
	if s := q.get("status"); s != "" {
		var known bool
		if filter.Status, known = pay.ParseStatus(s); !known {
			q.fail("status", "There is no such status of a payment.")
		}
	}
	if x.mistaken(q) {
		return
	}
	list, err := x.api.store.Payments(x.r.Context(), x.caller.tenant.id, filter, page)
	answerList(x, list, err, func(b []byte, p *pay.Payment) []byte { return p.AppendJSON(b) })
}
