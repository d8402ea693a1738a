package pay

import (
	"cmp"
	"time"
)

// Contract is what a gateway promises. The zero Contract is the careful default
// for a gateway that declares nothing: it is not idempotent, it cannot be asked,
// and it captures once and in full.
type Contract struct {
	// Window is how long the gateway remembers an operation's id and does it once
	// (W). 0: it does not.
	Window time.Duration

	// Lookup says that the gateway can be asked by our id.
	Lookup bool

	// LookupLag is by how much a lookup may miss what has happened (H).
	//
	// Defaults to 15 minutes.
	LookupLag time.Duration

	// InFlight is how long a request may be on its way that nobody waits for any
	// more (L).
	//
	// Defaults to 15 minutes.
	InFlight time.Duration

	// LagKnown says that a lookup which finds nothing tells by how much it lags.
	LagKnown bool

	// PartialCapture says that less than the authorized amount can be captured;
	// ManyCaptures, that it can be done in parts, one after the other.
	PartialCapture bool
	ManyCaptures   bool

	// Timeout is how long a send waits for its answer.
	//
	// Defaults to 30 seconds.
	Timeout time.Duration

	// Skew is how far clocks may be apart.
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
	c.LookupLag = cmp.Or(c.LookupLag, 15*time.Minute)
	c.InFlight = cmp.Or(c.InFlight, 15*time.Minute)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.Skew = cmp.Or(c.Skew, 5*time.Minute)
	c.ResendFor = cmp.Or(c.ResendFor, 15*time.Minute)
	c.Patience = cmp.Or(c.Patience, 24*time.Hour)
	return c
}

// Wait is how long a send, or a check, waits for its answer.
func (c Contract) Wait() time.Duration { return c.withDefaults().Timeout }

// Lease is how long a send may be unheard of before it is taken for vanished:
// its timeout and what it takes to be written down.
func (c Contract) Lease() time.Duration { return c.withDefaults().Timeout + leaseMargin }

const leaseMargin = 5 * time.Second

// Terms are a gateway as a command sees it.
type Terms struct {
	Contract Contract
	Untold   bool   // it has not said yet what it promises: nothing is decided by Contract
	Closed   string // why it takes nothing new just now: its breaker is open, or it has too much to do; "" if it does
}

// House is what a command must know beside its rows: who we are, and the gateways.
type House struct {
	Process  string    // this process: what it sends is its own
	Jumped   bool      // the clock cannot be relied on
	Steady   time.Time // nobody has set it since then; zero: since ever
	Gateways map[string]Terms
}
