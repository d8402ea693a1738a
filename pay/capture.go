package pay

import (
	"github.com/oncepay/oncepay/ledger"
)

// CapturePayment takes what was authorized, all or a part.
type CapturePayment struct {
	Ask
	Ref
	Amount *int64 // nil: all that is left
	More   bool   // a part: more will follow
}

// Needs names the payment.
func (c CapturePayment) Needs(b *Book) { b.WantPayment(c.Ref) }

// Decide refuses with NotFound, InProgress, StateConflict, Invalid,
// ExceedsAuthorized or Unavailable.
func (c CapturePayment) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payments.Get(c.Ref)
	if r, err, done := c.known(p, ToCapture); done {
		return r, err
	}
	if p.Status != Authorized {
		return Result{}, refuse(ledger.StateConflict, "", "only an authorized payment is captured; this one is %s", p.Status)
	}
	left := p.capturable()
	o := &Operation{Kind: Capture, Amount: left, Last: !c.More}
	if c.Amount != nil {
		o.Amount = *c.Amount
	}
	terms, err := c.House.terms(p.Gateway)
	if err != nil {
		return Result{}, err
	}
	if err := c.check(o, left, p.Gateway, terms.Contract); err != nil {
		return Result{}, err
	}
	return b.begin(p, o, m, c.Ask, ToCapture)
}

// capturable is what is reserved and not captured.
func (p *Payment) capturable() int64 { return p.Charge().Moved - p.Captured }

func (c CapturePayment) check(o *Operation, left int64, gateway string, rules Contract) error {
	switch {
	case o.Amount < 1:
		return refuse(ledger.Invalid, "/amount", "an amount is at least 1 minor unit")
	case o.Amount > left:
		return refuse(ExceedsAuthorized, "/amount", "%d is more than the %d that can still be captured", o.Amount, left)
	case o.Amount < left && !rules.PartialCapture:
		return refuse(ledger.Invalid, "/amount", "the gateway %s captures all of it or nothing", gateway)
	case c.More && !rules.ManyCaptures:
		return refuse(ledger.Invalid, "/final", "the gateway %s captures once; leave final out", gateway)
	}
	return nil
}

// known settles what does not depend on the verb: there is no such payment, the
// request was begun before, or another operation is at work.
func (a Ask) known(p *Payment, v Verb) (r Result, err error, done bool) {
	if p == nil {
		return Result{}, noPayment(), true
	}
	if o := p.byKey(a.Key); o != nil {
		return Result{Verb: v, Payment: p, Operation: o, Interim: o.open()}, nil, true
	}
	for _, o := range p.Operations {
		if o.open() {
			return Result{}, refuse(ledger.InProgress, "", "the %s %s has no outcome yet; ask again when it has", o.Kind, o.ID), true
		}
	}
	return Result{}, nil, false
}

// CancelPayment gives a payment up that has not captured anything.
type CancelPayment struct {
	Ask
	Ref
}

// Needs names the payment.
func (c CancelPayment) Needs(b *Book) { b.WantPayment(c.Ref) }

// Decide refuses with NotFound, InProgress, StateConflict or Unavailable.
func (c CancelPayment) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payments.Get(c.Ref)
	if r, err, done := c.known(p, ToCancel); done {
		return r, err
	}
	switch {
	case p.Status == RequiresConfirmation && c.House.mayHaveGoneOn(p, m) != nil:
		return Result{}, c.House.mayHaveGoneOn(p, m)
	case p.Status == RequiresConfirmation:
		p.Canceled = true
		b.noteRequest(p, m, c.Ask, "cancel")
		b.writePayment(p, m)
		return answered(p, nil, ToCancel), nil
	case p.Status == Authorized && p.Captured > 0:
		return Result{}, refuse(ledger.StateConflict, "", "a part of it is captured; capture the last part with final, or refund what was captured")
	case p.Status == Authorized, p.Status == RequiresAction:
		return b.begin(p, &Operation{Kind: Void}, m, c.Ask, ToCancel)
	default:
		return Result{}, refuse(ledger.StateConflict, "", "the payment is %s and cannot be canceled", p.Status)
	}
}

// RefundPayment gives back what was captured, all that is left or a part.
type RefundPayment struct {
	Ask
	Ref
	Amount *int64 // nil: all that is left
}

// Needs names the payment.
func (c RefundPayment) Needs(b *Book) { b.WantPayment(c.Ref) }

// Decide refuses with NotFound, InProgress, StateConflict, Invalid,
// ExceedsCaptured or Unavailable.
func (c RefundPayment) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payments.Get(c.Ref)
	if r, err, done := c.known(p, ToRefund); done {
		return r, err
	}
	left := min(p.Refundable(), MaxAmount) // captured twice it can be more, which is given back in two
	o := &Operation{Kind: Refund, Amount: left}
	if c.Amount != nil {
		o.Amount = *c.Amount
	}
	switch {
	case p.contradicts(): // that too much was captured is what a refund is for
		return Result{}, refuse(ledger.StateConflict, "", "the payment needs a review first: what was captured is not certain")
	case p.Captured == 0:
		return Result{}, refuse(ledger.StateConflict, "", "nothing of the payment was captured; it is %s", p.Status)
	case c.Amount != nil && *c.Amount < 1:
		return Result{}, refuse(ledger.Invalid, "/amount", "an amount is at least 1 minor unit")
	case left < 1: // below nothing, if a gateway gave back more than it should
		return Result{}, refuse(ExceedsCaptured, "", "all that was captured was given back already")
	case o.Amount > left:
		return Result{}, refuse(ExceedsCaptured, "/amount", "%d is more than the %d that can still be given back", o.Amount, left)
	}
	return b.begin(p, o, m, c.Ask, ToRefund)
}
