package audit

import (
	"context"
	"fmt"
	"strings"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

func (f *facts) payment(p *pay.Payment) {
	f.happened(subject{"payment", p.Ref}, "payment.created", p.CreatedAt)
	if p.Reference != "" {
		f.plus(subject{"order", ledger.Ref{Tenant: p.Tenant, ID: p.Reference}}, orders, fact{what: "order"})
	}
	for _, o := range p.Operations {
		f.operation(p, o)
	}
}

// operation says where an operation left the money that it has booked. What a
// refund has booked went the other way.
func (f *facts) operation(p *pay.Payment, o *pay.Operation) {
	ref := ledger.Ref{Tenant: p.Tenant, ID: o.ID}
	merchant, suspended := o.Booked, o.Suspended
	if o.Kind == pay.Refund {
		f.happened(subject{"refund", ref}, "refund.created", o.CreatedAt)
		merchant, suspended = -merchant, -suspended
	}
	about := subject{"operation", ref}
	f.times(merchant, about, booked, standing("merchant:default", p.Currency))
	f.times(suspended, about, booked, standing("suspense", p.Currency))
	f.times(-merchant-suspended, about, booked, standing("gateway:"+p.Gateway+":clearing", p.Currency))
}

// books takes away what a transfer left of the operation that it books.
func (f *facts) books(t *ledger.Transfer) {
	about := subject{"operation", ledger.Ref{Tenant: t.Tenant, ID: t.Operation}}
	f.times(t.AmountPosted, about, booked, standing(t.From, t.Currency))
	f.times(-t.AmountPosted, about, booked, standing(t.To, t.Currency))
}

// standing is money on an account. The account may have its currency behind its
// name; see ledger.Candidates.
func standing(account string, c money.Currency) fact {
	return fact{what: "standing", words: [5]string{strings.TrimSuffix(account, ":"+string(c)), string(c)}}
}

func (f *facts) reference(r *pay.Reference, payments int64) {
	f.times(-payments, subject{"order", ledger.Ref{Tenant: r.Tenant, ID: r.Reference}}, orders, fact{what: "order"})
}

func (a *auditor) readPayments(ctx context.Context) error {
	return a.payments().Payments(ctx, func(p *pay.Payment) error {
		if err := checkRow(p); err != nil {
			a.found(Row, p.Tenant, p.ID, "%v", err)
		}
		for _, wrong := range checkPayment(p) {
			a.found(Payment, p.Tenant, p.ID, "%s", wrong)
		}
		a.facts.payment(p)
		a.claims.payment(p, a.found)
		return a.count(ctx, &a.rows.Payments)
	})
}

// checkRow says what is wrong with a payment's row and those of its operations.
func checkRow(p *pay.Payment) error {
	seen := map[string]bool{}
	for _, o := range p.Operations {
		if seen[o.ID] {
			return fmt.Errorf("operation %s is there twice", o.ID)
		}
		seen[o.ID] = true
	}
	return p.Check()
}

// checkPayment says in sentences what a payment says of its money that cannot be.
func checkPayment(p *pay.Payment) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	decided := p.Status == pay.NeedsReview || p.InDoubt // or will be, by a human
	for i, o := range p.Operations {
		decided = decided || o.Epoch > 0
		if has, had := o.Booked+o.Suspended, taken(o); has != had {
			say("operation %s has booked %d and moved %d", o.ID, has, had)
		}
		if o.Moved != 0 && !happened(o) {
			say("operation %s has moved %d and is %s", o.ID, o.Moved, o.Outcome)
		}
		if o.Outcome == pay.Conflict && o.Booked != 0 {
			say("operation %s contradicts itself, and %d of it is the merchant's", o.ID, o.Booked)
		}
		if i == 0 && o.Amount != p.Amount {
			say("its %s is of %d, and it is about %d", o.Kind, o.Amount, p.Amount)
		}
	}
	switch {
	case decided:
	case p.Captured > p.Amount:
		say("%d were captured of %d, and nobody is called to look at it", p.Captured, p.Amount)
	case p.Refunded > p.Captured:
		say("%d were given back of %d that were captured, and nobody is called to look at it", p.Refunded, p.Captured)
	}
	return wrong
}

// taken is how much of a merchant's money an operation says that it moved.
func taken(o *pay.Operation) int64 {
	if !happened(o) || o.Kind == pay.Authorize || o.Kind == pay.Void {
		return 0
	}
	return o.Moved
}

func happened(o *pay.Operation) bool { return o.Outcome == pay.Done || o.Outcome == pay.Conflict }

func (a *auditor) readReferences(ctx context.Context) error {
	return a.payments().References(ctx, func(r pay.Reference, held bool, payments int64) error {
		if !held {
			a.found(Reference, r.Tenant, r.Reference, "the payment %s that it names is not there, or is of another order", r.Payment)
		}
		a.facts.reference(&r, payments)
		return a.count(ctx, &a.rows.References)
	})
}

// payments is the source, if it holds payments.
func (a *auditor) payments() Payments {
	if src, ok := a.src.(Payments); ok {
		return src
	}
	return none{}
}

// none is a source without payments.
type none struct{}

func (none) Payments(context.Context, func(*pay.Payment) error) error                 { return nil }
func (none) References(context.Context, func(pay.Reference, bool, int64) error) error { return nil }

// key takes in a key.
func (a *auditor) key(r *once.Record) {
	switch {
	case strings.HasPrefix(r.Operation, opPayments):
		a.claims.key(r)
	case r.Operation == opAccount && ledger.IsReserved(r.Resource):
		a.openers[ledger.Ref{Tenant: r.Key.Tenant, ID: r.Resource}]++
	}
}
