package contract

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// The other side of a history: gateways that answer as luck has it, late, twice,
// never, or against what they said before.

// gateway has something come from the other side: an answer, or a notice.
func (h *history) gateway() {
	switch {
	case h.one(4):
		h.notice()
	case len(h.orders) > 0:
		h.respond()
	}
	h.act()
}

// respond answers an order, or has it lost. Some are answered again later.
func (h *history) respond() {
	i := h.luck.IntN(len(h.orders))
	o := h.orders[i]
	if h.one(10) {
		h.record(o.Payment, o.Operation, pay.Record{Gone: h.one(2), Lost: true, Sender: o.Attempt})
		return
	}
	if !h.one(6) {
		h.orders = slices.Delete(h.orders, i, i+1)
	}
	h.record(o.Payment, o.Operation, pay.Record{Attempt: o.Attempt, Began: h.now, Finding: h.finding(o.Payment, o.Operation, o.Attempt == 0)})
}

// record submits what came of an operation.
func (h *history) record(p *pay.Payment, operation string, r pay.Record) {
	r.Ref, r.Operation = p.Ref, operation
	words := fmt.Sprintf("record of %s: attempt %d, gone %v, lost %v", operation, r.Attempt, r.Gone, r.Lost)
	if r.Finding != nil {
		words += fmt.Sprintf(", found %+v", *r.Finding)
	}
	h.submit(&request{tenant: p.Tenant, words: words, payment: func(a pay.Ask) pay.Command {
		r.House = a.House
		return r
	}})
}

// finding is what a gateway says of an operation: most often that it did what it
// was asked.
func (h *history) finding(p *pay.Payment, operation string, check bool) *pay.Finding {
	o := p.Operation(operation)
	f := &pay.Finding{Outcome: pay.Done, Amount: o.Amount, Currency: p.Currency, GatewayID: "ch_" + strings.TrimPrefix(p.ID, "pay_")}
	if o.Kind == pay.Refund {
		f.GatewayID = "gre_" + strings.TrimPrefix(o.ID, "re_")
	}
	switch h.luck.IntN(30) {
	case 0, 1, 2:
		return &pay.Finding{Outcome: pay.Declined, Failure: pay.Failure{Code: "card_declined", DeclineCode: "luck", Message: "ü 🧾"}}
	case 3, 4:
		return &pay.Finding{Absent: check, Lag: time.Duration(h.luck.IntN(2)) * time.Second, Detail: "no answer in 3s"}
	case 5:
		return &pay.Finding{Reach: pay.NeverLeft}
	case 6:
		return &pay.Finding{Reach: pay.Refused, Failure: pay.Failure{Code: "gateway_rejected"}}
	case 7, 8:
		f.Outcome, f.ActionURL = pay.ActionRequired, "https://gateway.example/actions/"+o.ID
	case 9:
		f.GatewayID += "-again"
	case 10:
		f.Amount = h.luck.Int64N(2 * p.Amount)
	case 11:
		f.Outcome = pay.Conflict
	}
	return f
}

// notice has a webhook come: of a payment that is there or of none, by its id, by
// that of its operation or by the gateway's; some come again.
func (h *history) notice() {
	n := pay.Notice{NoticeID: pay.NoticeID{
		Tenant: tenants[h.luck.IntN(len(tenants))], Gateway: []string{"sandbox", "blind"}[h.luck.IntN(2)], ID: fmt.Sprint("evt ", h.luck.IntN(40)),
	}, Type: "operation.succeeded"}
	f := &pay.Finding{}
	if len(h.orders) > 0 && !h.one(3) {
		o := h.orders[h.luck.IntN(len(h.orders))]
		n.Tenant, n.Gateway = o.Payment.Tenant, o.Payment.Gateway
		f = h.finding(o.Payment, o.Operation, true)
		n.GatewayID = f.GatewayID
		if h.one(2) {
			n.Payment = o.Payment.ID
		}
		if h.one(2) {
			n.Operation = o.Operation
		}
	}
	h.take(n, *f)
}

func (h *history) take(n pay.Notice, f pay.Finding) {
	h.submit(&request{tenant: n.Tenant, words: fmt.Sprintf("notice %+v says %+v", n, f), payment: func(a pay.Ask) pay.Command {
		return pay.TakeNotice{Notice: n, Finding: f, House: a.House}
	}})
}

// recover does what is due: it asks the gateway, or looks what is next. Notices
// whose payment has come are matched.
func (h *history) recover() {
	due := h.due(h.now)
	slices.SortFunc(due, func(a, b pay.Due) int { return strings.Compare(a.Tenant+a.Operation, b.Tenant+b.Operation) })
	for _, d := range due {
		h.seen["an operation that is due"]++
		p, err := h.store.Payment(context.Background(), d.Ref)
		h.must(err)
		h.write("  due: %s of %s at %s: %s", d.Operation, d.ID, d.Gateway, stamp(d.At))
		switch h.luck.IntN(4) {
		case 0:
			h.record(p, d.Operation, pay.Record{})
		case 1:
			h.record(p, d.Operation, pay.Record{Gone: true})
		default:
			h.record(p, d.Operation, pay.Record{Began: h.now, Finding: h.finding(p, d.Operation, true)})
		}
	}
	h.match()
	h.act()
}

// due is what is due by then, at every gateway that is found by what has been due
// there longest.
func (h *history) due(by time.Time) (all []pay.Due) {
	longest, err := h.store.LongestDue(context.Background(), by)
	h.must(err)
	for _, first := range longest {
		due, err := h.store.DueOperations(context.Background(), first.Gateway, by, 100_000)
		h.must(err)
		all = append(all, due...)
	}
	return all
}

func (h *history) match() {
	var found []pay.Notice
	for gateway := range house.Gateways {
		some, err := h.store.Matchable(context.Background(), gateway, 1000)
		h.must(err)
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b pay.Notice) int { return strings.Compare(fmt.Sprint(a.NoticeID), fmt.Sprint(b.NoticeID)) })
	for _, n := range found {
		h.seen["a notice that is matched later"]++
		h.write("  matchable: %+v", n)
		h.take(n, n.Finding())
	}
}

// house is who we are: at times a gateway takes nothing, or the clock has jumped.
func (h *history) house() pay.House {
	us := pay.House{Process: "p1", Jumped: h.one(30), Gateways: map[string]pay.Terms{}}
	for name, terms := range house.Gateways {
		us.Gateways[name] = terms
	}
	if h.one(20) {
		us.Gateways["sandbox"] = pay.Terms{Contract: house.Gateways["sandbox"].Contract, Closed: "the gateway rests"}
	}
	return us
}
