package pay

import (
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Command is something to be done to a payment. It is decided in a book that
// holds the rows it needs.
type Command interface {
	// Needs names the rows that the command reads or writes. It is called again
	// after the rows it named were loaded; two calls must be enough.
	Needs(b *Book)

	// Decide does it, or returns a *ledger.Refusal and changes nothing.
	Decide(b *Book, m ledger.Moment) (Result, error)
}

// Result is what a command came to.
type Result struct {
	Verb      Verb
	Payment   *Payment   // as it is after the command; it may change once the result was used
	Operation *Operation // the one that the command is about; nil if there is none
	Interim   bool       // there is no final answer yet: the payment is at work
	Order     *Order     // to be carried out once all of it is durable
	Answers   []Answer   // keys whose answer is now known
	Review    string     // why a human must decide about Operation, or now the payment, since this command; "" if that is nothing new
}

// ResourceID is the id of what the command made or touched; "" if that is nothing.
func (r Result) ResourceID() string {
	if r.Payment == nil {
		return ""
	}
	if r.Operation != nil && r.Operation.Kind == Refund {
		return r.Operation.ID
	}
	return r.Payment.ID
}

// Reply is what a request about a payment is answered with: a result, or a
// refusal.
type Reply struct {
	Result
	Refusal   *ledger.Refusal
	RequestID string // of the request that is answered
}

// Answer says that a request which left the house can be answered now.
type Answer struct {
	Key       once.Key
	Verb      Verb
	Operation *Operation
}

// Order tells a processor to ask the gateway. It is its own: nobody changes it.
type Order struct {
	Payment   *Payment
	Operation string
	Attempt   int64 // of a send: what it must be for the answer to count; 0 of a check
}

// Reference is a merchant's order and the payment that holds it.
type Reference struct {
	Tenant, Reference string
	Payment           string // its present holder
	Version           int64  // 1 when made; grows by one with every commit that changes it
}

// ReferenceID names a reference of a tenant.
type ReferenceID struct{ Tenant, Reference string }

// Notice is a webhook of a gateway that was seen, so that it is seen once.
type Notice struct {
	NoticeID
	Payment   string // what it says it is about: "" if it names no payment of ours
	Operation string
	GatewayID string
	Type      string
	Matched   bool // the payment was there
	Evidence       // what it says of it, for when it is matched
	At        time.Time

	Version int64 // 1 when it came; 2 when it was matched
}

// NoticeID names a gateway's webhook.
type NoticeID struct{ Tenant, Gateway, ID string }

// Line is a line of a payment's timeline. Lines are never changed.
type Line struct {
	Tenant, Payment string
	At              time.Time
	Type            string // "request", "send", "answer", "check", "webhook", "parked", "resolved"
	Operation       string // id of the operation, "" if it is about none
	Key             string // of a request: its idempotency key
	Detail          string // for people
	Actor           string // who resolved it
}
