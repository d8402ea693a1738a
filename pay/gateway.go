package pay

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/money"
)

// Gateway is the other side. contract.TestGateway holds every implementation to
// this.
//
// Neither method returns an error: what is not known is a Finding that is
// Unknown. Both may be called at once, also for the same operation.
type Gateway interface {
	// Send asks for the operation, once: it makes at most one request, follows no
	// redirect, and leaves no copy of it to be sent later.
	Send(ctx context.Context, c Call) Finding

	// Check asks what became of the operation. It moves nothing.
	Check(ctx context.Context, c Call) Finding
}

// Call is what a gateway is asked, or asked about.
type Call struct {
	Operation string // its idempotency key
	Kind      Kind
	Payment   string // "pay_…": in the metadata of everything
	Tenant    string
	Target    string // Capture, Void and Refund: the gateway's id of the charge; "" if it gave none
	TargetOp  string // and ours: the id of the operation that made it
	Amount    int64
	Currency  money.Currency
	Last      bool // of a Capture: nothing more will be captured

	Method, Reference, Customer, Description, StatementDescriptor, ReturnURL string
	Options                                                                  map[string]string
}

// Call is what the gateway is asked for an operation of the payment.
func (p *Payment) Call(o *Operation) Call {
	c := Call{
		Operation: o.ID, Kind: o.Kind, Payment: p.ID, Tenant: p.Tenant, Amount: o.Amount, Currency: p.Currency, Last: o.Last,
		Method: p.Method, Reference: p.Reference, Customer: p.Customer, Description: p.Description,
		StatementDescriptor: p.StatementDescriptor, ReturnURL: p.ReturnURL, Options: p.Options,
	}
	if charge := p.Charge(); o.ID != charge.ID {
		c.Target, c.TargetOp = charge.GatewayID, charge.ID
	}
	return c
}

// Reach is how far a send came. The zero Reach is that it may have arrived.
type Reach uint8

// How far a send can come.
const (
	MayHaveArrived Reach = iota
	NeverLeft            // no byte of it was written: it certainly did nothing
	Refused              // it was answered that nothing was done, for a reason that is not the customer's bank: it certainly did nothing
	TooLate              // it was answered that it came too late to be done: it certainly did nothing, and the same again may
)

// Finding is what a gateway said of an operation, or that it said nothing.
type Finding struct {
	Outcome   Outcome
	Amount    int64 // ActionRequired and Done: how much it is about; a Conflict: how much moved altogether
	Currency  money.Currency
	GatewayID string // of the charge; a refund's own
	ActionURL string
	Failure   Failure // Declined and Refused: why

	Reach  Reach         // of a send
	Absent bool          // of a check: the gateway knows of no such operation
	Lag    time.Duration // of a check that is Absent: what happened less than this ago may be missing, if the contract says that it tells

	Detail string // what happened, for people: "no answer in 3s", "HTTP 500"; never anything from a body
}
