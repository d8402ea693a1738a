package pay

import (
	"fmt"
	"time"
)

// Kind is what an operation asks of a gateway.
type Kind uint8

// The kinds of operations.
const (
	Charge    Kind = iota + 1 // authorizes and captures at once
	Authorize                 // reserves
	Capture                   // takes what was reserved, all or a part
	Void                      // gives up what was reserved, or was about to be
	Refund                    // gives back what was captured
)

var kindNames = [...]string{"", "charge", "authorize", "capture", "void", "refund"}

func (k Kind) String() string { return nameOf("kind", kindNames[:], uint8(k)) }

// prefix is what the ids of a kind begin with.
func (k Kind) prefix() string {
	return [...]string{Charge: "att_", Authorize: "att_", Capture: "cap_", Void: "att_", Refund: "re_"}[k]
}

// Outcome is what became of an operation. Outcomes only grow: see [Outcome.Join].
//
// Unknown is the zero value on purpose: silence is not a failure, money may have
// moved.
type Outcome uint8

// The outcomes of an operation.
const (
	Unknown        Outcome = iota
	ActionRequired         // the customer must do something at the gateway
	Declined               // it certainly did not happen
	Done                   // it happened
	Conflict               // the gateway contradicted itself, or its contract
)

var outcomeNames = [...]string{"unknown", "action_required", "declined", "succeeded", "conflict"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", o)
}

// Join is what two things that a gateway said come to: the least outcome that is
// not below either. It is commutative, associative and idempotent, so that the
// order and the number of answers do not matter.
//
//	      Conflict
//	     /        \
//	Declined      Done
//	     \        /
//	   ActionRequired
//	         |
//	      Unknown
func (o Outcome) Join(p Outcome) Outcome {
	low, high := min(o, p), max(o, p)
	if low == Declined && high == Done {
		return Conflict
	}
	return high
}

// Final says whether it is known what became of the operation.
func (o Outcome) Final() bool { return o == Declined || o == Done }

// Operation is one thing that was asked of a gateway, with an id of its own that
// every send of it carries.
type Operation struct {
	ID     string // att_…, cap_… or re_…: the gateway's idempotency key
	Kind   Kind
	Amount int64 // minor units; 0 for a Void
	Last   bool  // of a Capture: what is not captured by now is given up

	Outcome   Outcome
	Moved     int64 // what the gateway says it did: reserved, captured or given back
	GatewayID string
	ActionURL string // ActionRequired: where the customer goes
	Failure   Failure
	Parked    string // why it waits for a human; "" if it does not
	Epoch     int64  // how often a human has decided it

	// Sending. Attempt is the fencing token: it grows with every send.
	Attempt     int64     // sends that were written down
	Exposed     bool      // one that has ended may have arrived
	Owner       string    // the process that wrote the last one down
	FirstSentAt time.Time // when the first one was written down
	SentAt      time.Time // when the last one was
	LeaseUntil  time.Time // a send may be at work until then; zero: none is
	StoppedAt   time.Time // when the last sender was known to have stopped; zero: it is not known
	ResendUntil time.Time // the gateway promises to do it once until then; zero: it does not
	Adrift      int64     // the first attempt whose sender was lost and may still be at it; 0: none

	// The longest that the gateway has promised when it was sent: it keeps to the
	// contract of then, whatever it promises now.
	LookupLag time.Duration // H
	InFlight  time.Duration // L

	// Checking.
	Checks    int64         // how often the gateway was asked
	Blanks    int64         // so many checks since the last send settled nothing
	CheckedAt time.Time     // when the last check began
	AbsentAt  time.Time     // when the last check began that did not find it; zero: none since it was last sent
	Lag       time.Duration // by how much that check may have missed what had happened, if the gateway says so
	Hinted    bool          // the gateway sent a notice, or somebody asks: look, even if it is settled

	// DueAt is when there is something to do next; zero: nothing. The index that
	// recovery reads.
	DueAt time.Time

	// Whose answer waits for the outcome.
	Key       string // id of the idempotency key that is completed with it; "" is none
	Followers string // ids of keys of other requests for the same order that are, too; separated by spaces
	Asked     Verb   // what the request wanted
	RequestID string // of the request that it was made by

	// What is booked of it, in minor units.
	Booked    int64  // on the merchant's account
	Suspended int64  // on the suspense account
	Transfer  string // id of the last transfer that was made for it

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Failure says why an operation did not happen.
type Failure struct {
	Code        string // "card_declined", "gateway_rejected", "gateway_unavailable", "resolved_absent"
	DeclineCode string // the gateway's, e.g. "insufficient_funds"; "" if it gave none
	Message     string // for the merchant
}

// open says whether the operation keeps others from the payment: its outcome
// is open and nobody decided that a human must settle it. A customer who must act
// is waited for with an answer; whoever must for a capture, a void or a refund is
// not, it may happen yet.
func (o *Operation) open() bool {
	waits := o.Outcome == ActionRequired && o.Kind != Charge && o.Kind != Authorize
	return o.Parked == "" && (o.Outcome == Unknown || waits)
}

// Repeatable says whether the operation may yet be sent again for no better reason
// than the time. What is written down of it while the clock is lost ends that.
func (o *Operation) Repeatable() bool { return o.open() && !o.ResendUntil.IsZero() }

// unsettled says whether there may be something to do about the operation.
func (o *Operation) unsettled() bool {
	return !o.Outcome.Final() && o.Outcome != Conflict && o.Parked == ""
}

// doubtful says whether somebody should worry: it may have happened, and it is
// not known, or what is known contradicts itself.
func (o *Operation) doubtful() bool {
	return o.Outcome == Conflict || o.Parked != "" || o.Outcome == Unknown && o.Exposed && o.LeaseUntil.IsZero()
}

// Verb is what a client asked for.
type Verb uint8

// The verbs.
const (
	ToCreate Verb = iota + 1
	ToAdopt       // to create what was there already: its reference has a holder
	ToConfirm
	ToCapture
	ToCancel
	ToRefund
	ToResolve
	ToCheck // to have the gateway asked
)

func nameOf(of string, names []string, v uint8) string {
	if v > 0 && int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", of, v)
}
