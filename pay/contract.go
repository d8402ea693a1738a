package pay

import (
	"cmp"
	"time"

	"github.com/oncepay/oncepay/ledger"
)

// Contract is what a gateway promises. The zero Contract is the careful default
// for a gateway that declares nothing: it is not idempotent, it cannot be asked,
// and it captures once and in full. A time that is not positive is one that was
// not declared.
type Contract struct {
	// Window is how long the gateway remembers an operation's id and does it once
	// (W), from when it first came.
	//
	// Defaults to none: whatever is sent is done.
	Window time.Duration

	// Lookup says that the gateway can be asked by our id.
	Lookup bool

	// LookupLag is by how much a lookup may miss what has happened (H). The longer
	// it is, the later something that is not found is sent again.
	//
	// Defaults to 15 minutes.
	LookupLag time.Duration

	// InFlight is how long a request may be on its way that nobody waits for any
	// more (L).
	//
	// Defaults to 15 minutes.
	InFlight time.Duration

	// LagKnown says that a lookup which finds nothing tells by how much it lags, so
	// that a lag beyond LookupLag is seen.
	LagKnown bool

	// PartialCapture says that less than the authorized amount can be captured.
	PartialCapture bool

	// ManyCaptures says that it can be captured in parts, one after the other.
	ManyCaptures bool

	// Timeout is how long a send, or a check, waits for its answer.
	//
	// Defaults to 30 seconds.
	Timeout time.Duration

	// Skew is how far the gateway's clock and ours may be apart: what it remembers
	// by its clock is not counted on to the last moment by ours.
	//
	// Defaults to 5 minutes.
	Skew time.Duration

	// ResendFor is for how long an operation is sent again by itself: a customer
	// is not charged tomorrow for what failed today.
	//
	// Defaults to 15 minutes.
	ResendFor time.Duration

	// Patience is how long an operation may be in doubt before a human is called.
	//
	// Defaults to 24 hours.
	Patience time.Duration
}

func (c Contract) withDefaults() Contract {
	c.LookupLag = declared(c.LookupLag, 15*time.Minute)
	c.InFlight = declared(c.InFlight, 15*time.Minute)
	c.Timeout = declared(c.Timeout, 30*time.Second)
	c.Skew = declared(c.Skew, 5*time.Minute)
	c.ResendFor = declared(c.ResendFor, 15*time.Minute)
	c.Patience = declared(c.Patience, 24*time.Hour)
	return c
}

// towards is what the gateway promises of an operation: what it did when that was
// sent, where it promises more now.
func (c Contract) towards(o *Operation) Contract {
	c = c.withDefaults()
	c.LookupLag, c.InFlight = max(c.LookupLag, o.LookupLag), max(c.InFlight, o.InFlight)
	return c
}

func declared(d, otherwise time.Duration) time.Duration {
	return cmp.Or(max(0, d), otherwise)
}

// Wait is how long a send, or a check, waits for its answer.
func (c Contract) Wait() time.Duration { return c.withDefaults().Timeout }

// Lease is how long a send may be unheard of before it is taken for vanished.
func (c Contract) Lease() time.Duration { return c.withDefaults().Timeout + leaseMargin }

// leaseMargin is what a send may take beside its timeout: to begin once it is
// durable, and to have its answer written down by a store that is busy.
const leaseMargin = 5 * time.Second

// Terms are a gateway as a command sees it.
type Terms struct {
	Contract Contract
	Untold   bool   // it has not said yet what it promises: nothing is decided by Contract
	Closed   string // why it takes nothing new just now: its breaker is open, or it has too much to do; "" if it does
}

// House is what a command must know beside its rows: who we are, and the gateways.
type House struct {
	Process  string        // this process: what it sends is its own
	Jumped   bool          // the clock cannot be relied on
	Steady   time.Time     // nobody has set it since then; zero: since ever
	Apart    time.Duration // by how much the clocks of those who share the store may be apart
	Forgot   time.Time     // the store may have lost what was written before; zero: it lost nothing
	Gateways map[string]Terms
}

// Clock is what the house knows of the time.
func (h House) Clock(now time.Time) Clock {
	return Clock{Now: now, Jumped: h.Jumped, Steady: h.Steady, Apart: h.Apart, Forgot: h.Forgot}
}

// terms are those of a gateway, or an Unavailable refusal: it is not here, has not
// said what it promises, or takes nothing new.
func (h House) terms(gateway string) (Terms, error) {
	t, known := h.Gateways[gateway]
	switch {
	case !known:
		return Terms{}, refuse(ledger.Unavailable, "", "the gateway %s is not configured at this server", gateway)
	case t.Closed != "":
		return Terms{}, refuse(ledger.Unavailable, "", "%s", t.Closed)
	case t.Untold:
		return Terms{}, refuse(ledger.Unavailable, "", "the gateway %s has not said yet what it promises; nothing was begun, try again in some seconds", gateway)
	}
	return t, nil
}
