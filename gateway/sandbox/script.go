package sandbox

import (
	"sync"
	"time"
)

// A Fault is what goes otherwise than usual with one send or one check. The zero
// Fault is that nothing does.
type Fault struct {
	// Before is how long a send is on its way: it is executed after that, also if
	// its sender has left.
	Before time.Duration

	// Skip executes nothing.
	Skip bool

	// Decline declines the operation with this code.
	Decline string

	// Action makes a charge or authorization wait for its customer's approval.
	Action bool

	// Amount and Currency are executed instead of what was asked.
	Amount   int64
	Currency string

	// Lag is for how long lookups do not see the execution. They say so, unless
	// the contract says that they do not; more than the declared lag is a breach.
	Lag time.Duration

	// Webhooks says what becomes of the webhooks of the execution.
	Webhooks Webhooks

	// Missing makes a check say "not found" whatever there is.
	Missing bool

	// After is how long the answer is on its way.
	After time.Duration

	// Status is answered instead of the right one: 200 and 402 with the right
	// body, others with an error.
	Status int

	// SayStatus, SayAmount and SayCurrency are said instead of the truth.
	SayStatus   string
	SayAmount   int64
	SayCurrency string

	// Redirect is an address to which the answer points (with Status, or 307).
	Redirect string

	// Answer is what becomes of the answer on its way.
	Answer Answer
}

// Answer is what becomes of an answer on its way. The zero Answer is that it
// arrives.
type Answer uint8

// What can become of an answer.
const (
	Whole       Answer = iota
	Hang               // it never comes, until the client leaves
	Truncated          // half of its body comes, then the end
	Broken             // all of it comes, but it is no JSON
	ResetBefore        // the connection is reset before its first byte
	ResetWithin        // the connection is reset after its first byte
	ResetInBody        // the connection is reset after half of its body
	Drip               // its body comes a byte every 200 ms: it takes half a minute
)

// Webhooks is what becomes of the webhooks of one execution. Zero: each is sent
// once.
type Webhooks struct {
	None   bool          // none is sent
	Copies int           // how many times each is sent, with the same id
	Delay  time.Duration // how much later
	Stale  bool          // one of an earlier state follows
	Say    string        // the status they tell instead of the true one
}

// On is what a rule is about.
type On uint8

// What a rule can be about.
const (
	Send On = iota
	Check
)

// A Rule is a fault and when it happens. What is zero matches all.
type Rule struct {
	On            On
	Kind          string // of the operation: charge, authorize, capture, void, refund
	PaymentMethod string // of the charge; of others the option that was chosen, pm_ok if none was
	Operation     string
	Payment       string
	Nth           int // the nth send or check of the operation, from 1
	Times         int // how often at most

	Fault Fault
}

// A Script chooses faults, in place of what payment methods choose. The first
// rule that matches counts. Its zero value has no rules. It is safe for
// concurrent use.
type Script struct {
	mu    sync.Mutex
	rules []*scripted
}

type scripted struct {
	Rule
	used int
}

// NewScript returns a script of these rules.
func NewScript(rules ...Rule) *Script {
	s := &Script{}
	s.Add(rules...)
	return s
}

// Add adds rules after those that are there.
func (s *Script) Add(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rules {
		s.rules = append(s.rules, &scripted{Rule: r})
	}
}

// Clear forgets all rules: the faults stop.
func (s *Script) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// An arrival is a send or a check that came.
type arrival struct {
	on                                      On
	kind, paymentMethod, operation, payment string
	nth                                     int
}

// pick returns the fault for an arrival, and whether a rule chose it.
func (s *Script) pick(a arrival) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if r.matches(a) && (r.Times == 0 || r.used < r.Times) {
			r.used++
			return r.Fault, true
		}
	}
	return Fault{}, false
}

func (r *Rule) matches(a arrival) bool {
	for _, want := range [][2]string{
		{r.Kind, a.kind}, {r.PaymentMethod, a.paymentMethod}, {r.Operation, a.operation}, {r.Payment, a.payment},
	} {
		if want[0] != "" && want[0] != want[1] {
			return false
		}
	}
	return r.On == a.on && (r.Nth == 0 || r.Nth == a.nth)
}
