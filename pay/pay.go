// Package pay decides what becomes of payments: what is sent to a gateway, what
// is asked, what is waited for, what is booked, and what a human must decide.
//
// There are few types. A [Payment] is what a client wants paid, with its
// [Operation] values: everything that was ever asked of a gateway for it, each
// with an id of its own. A [Contract] is what a gateway promises, as data. A
// [Finding] is what a gateway said, or did not say. A [Command] works on a
// [Book]: it names the rows that it needs, and changes them. [Contract.Next] is
// the decision to send, check, wait or park. All of it is pure: no clock, no
// network, no goroutine.
//
// # What is promised
//
// An operation has its id, and is written down, before it is first sent; every
// send has that id. It is sent again only if an earlier send certainly did not
// arrive, or with the same id while the gateway promises to do it once, or after
// a lookup that must have seen it did not (claim A). What a gateway said is only
// ever added to: answers, checks and webhooks end in the same state in whatever
// order and however often they come. Money that moved is booked in the change
// that says so.
//
// # What is not promised
//
// A gateway that breaks its declared contract can charge twice; then the payment
// ends in needs_review. No protocol can do better (two generals).
package pay

import (
	"maps"
	"slices"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
)

// Ref names a payment of a tenant.
type Ref = ledger.Ref

// Limits. Each is a promise to whoever runs the store.
const (
	// MaxAmount is the largest payment, in minor units: what the amount field of
	// card messages holds (ISO 8583, field 4: n 12).
	MaxAmount = 999_999_999_999

	// MaxOperations is how many captures and refunds a payment has at most that
	// happened, or may have: they are loaded with it, all of them. As many again may
	// have been declined, and so that money which is reserved can always be released,
	// voids have places of their own.
	MaxOperations = 100
	maxVoids      = 20
)

// Payment is what a client wants paid, and all that was done for it.
type Payment struct {
	Ref
	Amount    int64 // minor units, 1 to MaxAmount
	Currency  money.Currency
	Method    string // the gateway's token for a card or an account; never a card number
	Reference string // the merchant's order, unique among payments that are not failed or canceled; "" is none
	Gateway   string
	Manual    bool // authorized first, captured by a request of its own

	Customer            string
	Description         string
	StatementDescriptor string
	ReturnURL           string
	Options             map[string]string // for the gateway
	Metadata            map[string]string

	Canceled   bool         // before anything was sent
	Operations []*Operation // in the order in which they were made; the first is the charge or the authorization

	// What the operations come to. Stores keep it for lists; [Payment.Check] says
	// whether it is what it should be.
	Status   Status
	InDoubt  bool  // the outcome of an operation is not known, or contradicts itself or another
	Captured int64 // what gateways said they captured
	Refunded int64 // what gateways said they gave back

	CreatedAt time.Time
	UpdatedAt time.Time // when it last changed for a client

	Version int64 // 1 when made; grows by one with every commit that changes it
}

// Status is where a payment stands. It follows from its operations.
type Status uint8

// The statuses of a payment. docs/states.md draws how they follow each other.
const (
	RequiresConfirmation Status = iota + 1 // nothing has moved and nothing was sent
	Processing                             // an operation has no outcome yet
	RequiresAction                         // the customer must do something
	Authorized                             // the money is reserved
	Succeeded                              // captured
	Failed                                 // certainly not charged
	Canceled                               // certainly not charged any more
	NeedsReview                            // a human must decide
)

var statusNames = [...]string{
	"", "requires_confirmation", "processing", "requires_action", "authorized", "succeeded", "failed", "canceled", "needs_review",
}

func (s Status) String() string { return nameOf("status", statusNames[:], uint8(s)) }

// ParseStatus returns the status of that name; ok is false if there is none.
func ParseStatus(name string) (s Status, ok bool) {
	i := slices.Index(statusNames[1:], name) + 1
	return Status(i), i > 0
}

// Clone returns a copy that shares nothing that changes.
func (p *Payment) Clone() *Payment {
	c := *p
	c.Options, c.Metadata = maps.Clone(p.Options), maps.Clone(p.Metadata)
	c.Operations = make([]*Operation, len(p.Operations))
	for i, o := range p.Operations {
		c.Operations[i] = new(*o)
	}
	return &c
}

// Operation returns the operation with the id, or nil if there is none.
func (p *Payment) Operation(id string) *Operation {
	for _, o := range p.Operations {
		if o.ID == id {
			return o
		}
	}
	return nil
}

// Charge is the operation that a payment began with, a Charge or an Authorize;
// nil if it was never confirmed.
func (p *Payment) Charge() *Operation {
	if len(p.Operations) == 0 {
		return nil
	}
	return p.Operations[0]
}

// Refundable is what can still be given back, refunds whose outcome is not known
// counted as if they had been.
func (p *Payment) Refundable() int64 {
	left := p.Captured
	for _, o := range p.Operations {
		if o.Kind == Refund && o.Outcome != Declined {
			left -= max(o.Amount, o.Moved)
		}
	}
	return left
}
