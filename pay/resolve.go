package pay

import (
	"cmp"
	"time"

	"github.com/oncepay/oncepay/ledger"
)

// ResolvePayment is a human's decision about what is in doubt: what the gateway's
// own records say, when it could not be learned otherwise. It opens a new epoch:
// what the gateway says from now on is joined with the decision.
type ResolvePayment struct {
	Ask
	Ref
	Operation string // "" is the first one that is in doubt
	Happened  bool   // it was captured (reserved, given up, given back); otherwise it certainly was not
	Evidence  string // what the decision rests on, for the audit
	Actor     string // who decided
}

// Needs names the payment, then the accounts of its money and the key that waits.
func (c ResolvePayment) Needs(b *Book) {
	b.WantPayment(c.Ref)
	if p := b.payment(c.Ref); p != nil {
		b.wantSettling(p, p.doubt(c.Operation))
	}
}

// Decide refuses with NotFound, InProgress or StateConflict.
func (c ResolvePayment) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payment(c.Ref)
	if p == nil {
		return Result{}, noPayment()
	}
	o := p.doubt(c.Operation)
	switch {
	case o == nil:
		return Result{}, refuse(ledger.StateConflict, "", "nothing of the payment is in doubt; it is %s", p.Status)
	case m.Now.Before(o.LeaseUntil):
		return Result{}, refuse(ledger.InProgress, "", "the %s %s is being sent; decide when its answer did not come", o.Kind, o.ID)
	case o.Kind == Void && c.Happened && p.Captured > 0:
		return Result{}, refuse(ledger.StateConflict, "", "the payment was captured; decide first that it was not")
	}
	before := *o
	c.decide(p, o)
	b.note(p, m, "resolved", o, c.Evidence).Actor = c.Actor
	r := b.settle(p, o, before, m, c.House)
	r.Verb = ToResolve
	b.Emit(m, p.Tenant, "payment.resolved", p.ID, p.AppendJSON(make([]byte, 0, usualJSON)))
	return r, nil
}

// decide makes the decision what is known. Of a payment that was given up and
// charged, one is not true: who says that it was charged says what is not.
func (c ResolvePayment) decide(p *Payment, o *Operation) {
	o.resolve(c.Happened)
	if !c.Happened || o.Kind != Charge && o.Kind != Capture {
		return
	}
	for _, v := range p.Operations {
		if v.Kind == Void && v.Outcome == Done {
			v.resolve(false)
		}
	}
}

// resolve sets what became of an operation. How much it moved is what the gateway
// said, at most what was asked, and all of it if the gateway said nothing.
func (o *Operation) resolve(happened bool) {
	o.Epoch++
	o.Parked, o.Hinted, o.LeaseUntil = "", false, zeroTime
	if happened {
		o.Outcome, o.Moved, o.Failure = Done, min(cmp.Or(o.Moved, o.Amount), o.Amount), Failure{}
		return
	}
	o.Outcome, o.Moved = Declined, 0
	o.Failure = Failure{Code: "resolved_absent", Message: "A review found that it did not happen."}
}

// doubt returns the operation of that id, or without one the first, that a human
// can decide; nil if there is none.
func (p *Payment) doubt(id string) *Operation {
	for _, o := range p.Operations {
		if (id == "" || o.ID == id) && (o.open() || o.doubtful()) {
			return o
		}
	}
	for _, o := range p.Operations {
		moved := o.Kind == Charge || o.Kind == Capture
		if p.clashes() && o.Outcome == Done && (o.ID == id && o.Kind == Void || (id == "" || o.ID == id) && moved) {
			return o
		}
	}
	return nil
}

// TakeNotice writes down that a gateway sent a webhook: once, however often it
// comes. It has the gateway asked; only where that is not possible is the notice
// itself evidence.
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
	if p := b.payment(ref); p != nil {
		b.wantSettling(p, c.about(p))
	}
}

// about is the operation that the notice is about, or nil.
func (c TakeNotice) about(p *Payment) *Operation {
	if p.Gateway != c.Gateway {
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
	seen := b.notice(c.NoticeID)
	if seen != nil && seen.Matched {
		return Result{}, nil
	}
	p := b.payment(Ref{Tenant: c.Tenant, ID: c.Notice.Payment})
	var o *Operation
	if p != nil {
		o = c.about(p)
	}
	if seen == nil {
		seen = new(c.Notice)
		seen.At, seen.Matched, seen.Version = m.Now, false, 0
	} else if o == nil {
		return Result{}, nil
	}
	seen.Matched = o != nil
	b.writeNotice(seen)
	if o == nil {
		return Result{}, nil
	}
	return c.match(b, p, o, m), nil
}

func (c TakeNotice) match(b *Book, p *Payment, o *Operation, m ledger.Moment) Result {
	before := *o
	b.note(p, m, "webhook", o, c.Type)
	lookup := c.House.Gateways[p.Gateway].Contract.Lookup
	if !lookup {
		o.join(p, &c.Finding)
		return b.settle(p, o, before, m, c.House)
	}
	o.hint(m)
	b.writePayment(p, m)
	return Result{Payment: p, Operation: o, Order: &Order{Payment: p.Clone(), Operation: o.ID}}
}

// hint has the gateway asked about an operation, also if nothing else would.
func (o *Operation) hint(m ledger.Moment) {
	o.Hinted, o.DueAt = true, m.Now
	if !o.open() {
		o.Blanks = 0 // the count begins anew: see hintAt
	}
}

func (b *Book) notice(n NoticeID) *Notice {
	if row, ok := b.notices[n]; ok {
		return row.value
	}
	return nil
}

// Due is an operation that has something to do.
type Due struct {
	Ref
	Operation string
	Gateway   string
	At        time.Time
}
