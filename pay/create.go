package pay

import (
	"maps"
	"slices"
	"strings"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// The codes of refusals that payments have beside the ledger's.
const (
	ReferenceConflict ledger.Code = "reference_conflict"        // the order has a payment of another amount
	ExceedsCaptured   ledger.Code = "refund_exceeds_captured"   // more would be given back than was taken
	ExceedsAuthorized ledger.Code = "amount_exceeds_authorized" // more would be taken than was reserved
)

func refuse(c ledger.Code, field, format string, args ...any) *ledger.Refusal {
	return ledger.Refuse(c, field, format, args...)
}

// Ask is what every command of a client has: whose answer it is.
type Ask struct {
	Key       once.Key // that the answer is kept under; zero: none
	RequestID string
	House     House
}

// CreatePayment makes a payment, and executes it at once if Confirm.
type CreatePayment struct {
	Ask
	Payment Payment // the members that a client sets; ID, if it is not made here, is empty
	Confirm bool
}

// Needs names the order's reference and its holder, and what the key has made.
func (c CreatePayment) Needs(b *Book) {
	if c.Payment.Reference != "" {
		b.WantReference(c.reference())
	}
	if made := b.made(c.Key); made != "" {
		b.WantPayment(Ref{Tenant: c.Payment.Tenant, ID: made})
	}
}

func (c CreatePayment) reference() ReferenceID {
	return ReferenceID{c.Payment.Tenant, c.Payment.Reference}
}

// made is the id of what an earlier attempt of a request made that is still at
// work; "" if there was none.
func (b *Book) made(k once.Key) string {
	if rec := b.Key(k); rec.State == once.Claimed || rec.State == once.Unknown {
		return rec.Resource
	}
	return ""
}

// Decide refuses with Invalid, ReferenceConflict or Unavailable. Where the
// reference has a holder, that is the result.
func (c CreatePayment) Decide(b *Book, m ledger.Moment) (Result, error) {
	if made := b.made(c.Key); made != "" {
		return c.again(b.payments.Get(Ref{Tenant: c.Payment.Tenant, ID: made}))
	}
	if p := b.holder(c.reference()); p != nil {
		return c.adopt(b, m, p)
	}
	_, known := c.House.Gateways[c.Payment.Gateway]
	_, closed := c.House.terms(c.Payment.Gateway)
	switch {
	case !known:
		return Result{}, refuse(ledger.Invalid, "/gateway", "there is no such gateway; leave gateway out, or use one that is configured")
	case c.Payment.Amount < 1 || c.Payment.Amount > MaxAmount:
		return Result{}, refuse(ledger.Invalid, "/amount", "a payment is of 1 to %d minor units", int64(MaxAmount))
	case c.Confirm && closed != nil:
		return Result{}, closed
	}
	if err := c.House.mayBeForgotten(c.Key); err != nil {
		return Result{}, err
	}
	p := c.make(b, m)
	if c.Confirm {
		return b.charge(p, m, c.Ask, ToCreate)
	}
	return Result{Verb: ToCreate, Payment: p}, nil
}

func (c CreatePayment) make(b *Book, m ledger.Moment) *Payment {
	p := new(c.Payment)
	p.ID, p.CreatedAt = m.IDs.New("pay_", m.Now), m.Now
	p.Options, p.Metadata = maps.Clone(p.Options), maps.Clone(p.Metadata)
	b.writePayment(p, m)
	if !c.Confirm { // or the charge has its line
		b.noteRequest(p, m, c.Ask, "created")
	}
	if p.Reference != "" {
		f := b.references.Get(c.reference())
		if f == nil {
			f = &Reference{Tenant: p.Tenant, Reference: p.Reference}
		}
		f.Payment = p.ID
		b.references.Write(f)
	}
	return p
}

// holder returns the payment that holds a reference, or nil if it is free.
func (b *Book) holder(r ReferenceID) *Payment {
	f := b.references.Get(r)
	if f == nil || r.Reference == "" {
		return nil
	}
	p := b.payments.Get(Ref{Tenant: r.Tenant, ID: f.Payment})
	if p.Status == Failed || p.Status == Canceled {
		return nil
	}
	return p
}

// adopt answers with the payment that the order has already.
func (c CreatePayment) adopt(b *Book, m ledger.Moment, p *Payment) (Result, error) {
	if p.Amount != c.Payment.Amount || p.Currency != c.Payment.Currency {
		return Result{}, refuse(ReferenceConflict, "/reference",
			"the order has the payment %s already, of another amount or currency; use its own reference for another order", p.ID)
	}
	switch {
	case c.Confirm && p.Status == RequiresConfirmation:
		return b.charge(p, m, c.Ask, ToAdopt)
	case p.Status == Processing:
		return b.follow(p, m, c.Key, ToAdopt)
	}
	return answered(p, p.Charge(), ToAdopt), nil
}

// MaxFollowers is how many requests, each with a key of its own, may wait for one
// operation beside the one that began it: their keys are stored with it. Only a
// client that makes a new key for every retry needs more than one.
const MaxFollowers = 20

// follow has a request for what is at work already answered with it: its key, if it
// has one, is kept with that, so that it is completed even if the request never comes
// again.
func (b *Book) follow(p *Payment, m ledger.Moment, k once.Key, v Verb) (Result, error) {
	o := p.atWork()
	if k.ID == "" || k.ID == o.Key || slices.Contains(strings.Fields(o.Followers), k.ID) {
		return answered(p, p.Charge(), v), nil
	}
	if len(strings.Fields(o.Followers)) >= MaxFollowers {
		return Result{}, refuse(ledger.InProgress, "", "the order's payment %s is at work, and %d requests wait for it", p.ID, MaxFollowers)
	}
	o.Followers = strings.TrimSpace(o.Followers + " " + k.ID)
	b.writePayment(p, m)
	return answered(p, p.Charge(), v), nil
}

// again answers a repeat of a request that is still at work.
func (c CreatePayment) again(p *Payment) (Result, error) {
	verb := ToAdopt
	if o := p.byKey(c.Key); o != nil {
		verb = o.Asked
	}
	return answered(p, p.Charge(), verb), nil
}

// answered is the result of a request that has nothing to do any more, or has to
// wait for what is at work.
func answered(p *Payment, o *Operation, v Verb) Result {
	return Result{Verb: v, Payment: p, Operation: o, Interim: p.Status == Processing}
}

// byKey returns the operation that a request with the key began, or nil.
func (p *Payment) byKey(k once.Key) *Operation {
	for _, o := range p.Operations {
		if o.Key != "" && o.Key == k.ID {
			return o
		}
	}
	return nil
}

// ConfirmPayment executes a payment. It is idempotent by itself: a payment that
// was confirmed is left as it is.
type ConfirmPayment struct {
	Ask
	Ref
}

// Needs names the payment.
func (c ConfirmPayment) Needs(b *Book) { b.WantPayment(c.Ref) }

// Decide refuses with NotFound, StateConflict or Unavailable.
func (c ConfirmPayment) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payments.Get(c.Ref)
	switch {
	case p == nil:
		return Result{}, noPayment()
	case p.Status == RequiresConfirmation:
		return b.charge(p, m, c.Ask, ToConfirm)
	case p.Status == Processing:
		return b.follow(p, m, c.Key, ToConfirm)
	case p.Status == Canceled:
		return Result{}, refuse(ledger.StateConflict, "", "the payment is canceled; create another one")
	}
	return answered(p, p.Charge(), ToConfirm), nil
}

func noPayment() *ledger.Refusal { return refuse(ledger.NotFound, "", "there is no such payment") }
