package pay

import (
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
)

// Evidence is what a notice says became of an operation: the part of a [Finding]
// that is kept with one that waits for its payment.
type Evidence struct {
	Outcome  Outcome
	Amount   int64
	Currency money.Currency
	Failure  Failure
}

// evidence is the part of a finding that is kept.
func (f *Finding) evidence() Evidence {
	return Evidence{Outcome: f.Outcome, Amount: f.Amount, Currency: f.Currency, Failure: f.Failure}
}

// Finding is what a notice that was kept says.
func (n *Notice) Finding() Finding {
	e := n.Evidence
	return Finding{Outcome: e.Outcome, Amount: e.Amount, Currency: e.Currency, GatewayID: n.GatewayID, Failure: e.Failure}
}

// TakeNotice writes down that a gateway sent a webhook: once, however often it
// comes. It has the gateway asked, unless it says what is settled already; only
// where that is not possible is the notice itself evidence.
type TakeNotice struct {
	Notice
	Finding Finding // what it says
	House   House
}

// Needs names the notice and what it is about, then the accounts of its money.
func (c TakeNotice) Needs(b *Book) {
	b.WantNotice(c.NoticeID)
	if c.Payment == "" {
		return
	}
	ref := Ref{Tenant: c.Tenant, ID: c.Notice.Payment}
	b.WantPayment(ref)
	if p := b.payments.Get(ref); p != nil {
		b.wantSettling(p, c.about(p))
	}
}

// about is the operation that the notice is about, or nil. A gateway knows nothing
// of the payments of another.
func (c TakeNotice) about(p *Payment) *Operation {
	if p == nil || p.Gateway != c.Gateway {
		return nil
	}
	for _, o := range p.Operations {
		if o.ID == c.Notice.Operation || c.Notice.Operation == "" && o.GatewayID != "" && o.GatewayID == c.GatewayID {
			return o
		}
	}
	return nil
}

// Decide refuses nothing. Its result has a Payment if the notice was new and is
// about one that is there.
func (c TakeNotice) Decide(b *Book, m ledger.Moment) (Result, error) {
	seen := b.notices.Get(c.NoticeID)
	if seen != nil && seen.Matched {
		return Result{}, nil
	}
	p := b.payments.Get(Ref{Tenant: c.Tenant, ID: c.Notice.Payment})
	o := c.about(p)
	switch {
	case seen == nil:
		seen = new(c.Notice)
		seen.At, seen.Matched, seen.Version = m.Now, o != nil, 0
		seen.Evidence = c.Finding.evidence()
	case o == nil:
		return Result{}, nil
	default:
		seen.Matched = true
	}
	b.notices.Write(seen)
	if o == nil {
		return Result{}, nil
	}
	return c.match(b, p, o, m), nil
}

// match takes a notice for what it is worth: evidence or a hint.
func (c TakeNotice) match(b *Book, p *Payment, o *Operation, m ledger.Moment) Result {
	b.note(p, m, "webhook", o, c.Type)
	if !c.House.Gateways[p.Gateway].Contract.Lookup {
		before := *o
		o.join(p, &c.Finding)
		return b.settle(p, o, before, m, c.House)
	}
	if o.knows(p, &c.Finding) { // the usual one, a moment after the answer
		b.writePayment(p, m)
		return Result{Payment: p, Operation: o}
	}
	o.hint(m)
	b.writePayment(p, m)
	return Result{Payment: p, Operation: o, Order: &Order{Payment: p.Clone(), Operation: o.ID}}
}

// knows says whether a finding says no more than what is settled already.
func (o *Operation) knows(p *Payment, f *Finding) bool {
	after := *o
	after.join(p, f)
	return f.Outcome.Final() && o.Outcome.Final() && !o.Hinted &&
		after.Outcome == o.Outcome && after.Moved == o.Moved && after.GatewayID == o.GatewayID
}

// hint has the gateway asked about an operation, also if nothing else would.
func (o *Operation) hint(m ledger.Moment) {
	o.Hinted, o.DueAt = true, m.Now
	if !o.open() {
		o.Blanks = 0 // the count begins anew: see hintAt
	}
}

// Due is an operation that has something to do.
type Due struct {
	Ref
	Operation string
	Gateway   string
	At        time.Time
}
