package contract

import (
	"context"
	"fmt"
	"slices"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// askPayment has a client ask something of a payment: a new one, or one that was
// made not long ago, at times that of another tenant.
func (h *history) askPayment(r *request) {
	r.key = fmt.Sprintf("key-%d", len(h.names))
	n := h.luck.IntN(20)
	if n < 9 || len(h.paid) == 0 {
		h.create(r)
		return
	}
	ref := h.paid[max(0, len(h.paid)-1-h.luck.IntN(12))]
	if r.tenant = ref.Tenant; h.one(30) {
		ref.Tenant = tenants[h.luck.IntN(len(tenants))]
		r.tenant = ref.Tenant
	}
	var amount *int64
	if h.one(2) {
		amount = new([]int64{0, 1, 30, 50, 100, 101}[h.luck.IntN(6)])
	}
	switch n {
	case 9, 10:
		r.key, r.words = "", "confirm "+ref.ID
		r.payment = func(a pay.Ask) pay.Command { return pay.ConfirmPayment{Ask: a, Ref: ref} }
	case 11, 12, 13:
		more := h.one(2)
		r.words = fmt.Sprintf("capture %s of %s, more: %v", show(amount), ref.ID, more)
		r.payment = func(a pay.Ask) pay.Command {
			return pay.CapturePayment{Ask: a, Ref: ref, Amount: amount, More: more}
		}
	case 14, 15:
		r.words = "cancel " + ref.ID
		r.payment = func(a pay.Ask) pay.Command { return pay.CancelPayment{Ask: a, Ref: ref} }
	case 16, 17, 18:
		r.words = fmt.Sprintf("refund %s of %s", show(amount), ref.ID)
		r.payment = func(a pay.Ask) pay.Command { return pay.RefundPayment{Ask: a, Ref: ref, Amount: amount} }
	default:
		h.decide(r, ref)
	}
}

// decide has a human decide what is in doubt.
func (h *history) decide(r *request, ref pay.Ref) {
	happened := h.one(2)
	r.key, r.words = "", fmt.Sprintf("resolve %s, happened: %v", ref.ID, happened)
	r.payment = func(a pay.Ask) pay.Command {
		return pay.ResolvePayment{Ask: a, Ref: ref, Happened: happened, Evidence: "the gateway's report", Actor: "ü"}
	}
}

func show(amount *int64) string {
	if amount == nil {
		return "all"
	}
	return fmt.Sprint(*amount)
}

// create makes a payment, most often for one of a few orders that are in use.
func (h *history) create(r *request) {
	p := pay.Payment{
		Amount: 100, Currency: h.currency(), Method: "pm_ok", Manual: h.one(2),
		Gateway: []string{"sandbox", "sandbox", "blind", "nowhere"}[h.luck.IntN(4)*h.luck.IntN(2)],
		Options: h.metadata(), Metadata: h.metadata(), Description: "ü 🧾", ReturnURL: "https://shop.example/",
	}
	p.Tenant = r.tenant
	if !h.one(3) {
		p.Reference = fmt.Sprint("order ", len(h.names)/100, h.luck.IntN(8))
	}
	if h.one(10) {
		p.Amount = h.amount()
	}
	sent := !h.one(4)
	r.words = fmt.Sprintf("pay %+v, at once: %v", p, sent)
	r.payment = func(a pay.Ask) pay.Command { return pay.CreatePayment{Ask: a, Payment: p, Confirm: sent} }
}

// render renders what a face would, and says how far the payment is.
func (h *history) render(r pay.Reply) once.Answer {
	if r.Refusal != nil {
		return once.Answer{Status: 422, Body: fmt.Appendf(nil, "%s %s %s", r.Refusal.Code, r.Refusal.Field, r.Refusal.Detail)}
	}
	if !slices.Contains(h.paid, r.Payment.Ref) {
		h.paid = append(h.paid, r.Payment.Ref)
	}
	h.seen[r.Payment.Status.String()]++
	a := once.Answer{Status: 200, Header: []once.Field{{Name: "Location", Value: r.ResourceID()}, {Name: "Kind", Value: "payment"}}, Body: r.Payment.AppendJSON(nil)}
	if r.Interim {
		a.Status = 202
	}
	if o := r.Operation; o != nil && o.Kind == pay.Refund {
		a.Body = r.Payment.AppendRefund(a.Body, o)
	}
	return a
}

// readPayments reads payments in one of the ways that there are.
func (h *history) readPayments(tenant string, p engine.Page) {
	switch h.luck.IntN(5) {
	case 0:
		h.readPaymentList(tenant, engine.PaymentFilter{Status: pay.Status(1 + h.luck.IntN(8))}, p)
	case 1:
		h.readPaymentList(tenant, engine.PaymentFilter{InDoubt: new(h.one(2))}, p)
	case 2:
		h.readPaymentList(tenant, engine.PaymentFilter{Reference: fmt.Sprint("order ", len(h.names)/100, h.luck.IntN(8))}, p)
	case 3:
		h.readDoubtful(p)
	default:
		if n := len(h.paid); n > 0 {
			h.readPayment(h.paid[h.luck.IntN(n)])
		}
	}
}

func (h *history) readPaymentList(tenant string, f engine.PaymentFilter, p engine.Page) {
	readList(h, func(p engine.Page) (engine.List[*pay.Payment], error) {
		return h.store.Payments(context.Background(), tenant, f, p)
	}, p, h.writePayment)
}

func (h *history) readDoubtful(p engine.Page) {
	doubts, err := h.store.CountDoubts(context.Background(), p.Limit)
	h.must(err)
	h.write("  %+v", doubts)
	readList(h, func(p engine.Page) (engine.List[*pay.Payment], error) {
		return h.store.Doubtful(context.Background(), p)
	}, p, h.writePayment)
}

// readPayment reads a payment by its id and by those of its operations, and its
// timeline.
func (h *history) readPayment(ref pay.Ref) {
	p, err := h.store.Payment(context.Background(), ref)
	h.must(err)
	if p == nil { // it was decided, and not committed
		h.write("  no payment %s", ref.ID)
		return
	}
	h.writePayment(p)
	for _, o := range p.Operations {
		of, err := h.store.PaymentOf(context.Background(), pay.Ref{Tenant: ref.Tenant, ID: o.ID})
		h.must(err)
		h.write("  of %s: %v", o.ID, of != nil && of.Ref == ref && of.Version == p.Version)
	}
	lines, err := h.store.Lines(context.Background(), ref)
	h.must(err)
	for _, l := range lines {
		h.write("  line %+v", l)
	}
}

func (h *history) writePayment(p *pay.Payment) {
	whole := *p
	whole.Operations = nil // they are behind pointers
	h.write("  payment %+v", whole)
	for _, o := range p.Operations {
		h.write("    %s %+v", o.Kind, *o)
		h.seen["a "+o.Kind.String()]++
	}
	if p.InDoubt {
		h.seen["in doubt"]++
	}
}

func (h *history) readAllPayments() {
	h.readDoubtful(engine.Page{Limit: 100})
	for _, ref := range h.paid {
		h.readPayment(ref)
	}
	h.write("%d operations have something to do", len(h.due(h.now.AddDate(100, 0, 0))))
}
