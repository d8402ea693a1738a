package gateway

import (
	"strings"
	"sync/atomic"

	"github.com/oncepay/oncepay/pay"
)

// Stats are what a caller has counted since it was made, and how it is now.
type Stats struct {
	Sends, Checks int64 // requests of which a byte went out
	Others        int64 // those that were about no operation

	SendsInFlight, ChecksInFlight int64 // now, with those that wait for a place
	SendOutcomes, CheckOutcomes   Outcomes
	Breaker                       string // "closed", "open", "half_open" or "off"
}

// Outcomes counts what calls came to.
type Outcomes struct {
	Done, ActionRequired, Declined, Conflict int64

	Refused   int64 // sends of which the gateway said that it did nothing
	NeverLeft int64 // sends that certainly did not arrive
	Absent    int64 // checks that found nothing
	Unknown   int64 // all others: nothing was learned
}

// Stats returns the counts. They are read one by one: a call that ends just now
// may be in some and not in others.
func (c *Caller) Stats() Stats {
	return Stats{
		Sends: c.wire.sends.Load(), Checks: c.wire.checks.Load(), Others: c.wire.others.Load(),
		SendsInFlight: c.door.inside.Load(), ChecksInFlight: c.checking.Load(),
		SendOutcomes: c.sent.outcomes(), CheckOutcomes: c.told.outcomes(), Breaker: c.door.state(),
	}
}

func (d *door) state() string {
	if d.breaker == nil {
		return "off"
	}
	return strings.ReplaceAll(d.breaker.State().String(), "-", "_")
}

// tally counts findings.
type tally struct {
	outcome                             [pay.Conflict + 1]atomic.Int64
	refused, neverLeft, absent, unknown atomic.Int64
}

func (t *tally) count(f *pay.Finding) {
	switch {
	case f.Outcome != pay.Unknown:
		t.outcome[f.Outcome].Add(1)
	case f.Reach == pay.Refused, f.Reach == pay.TooLate:
		t.refused.Add(1)
	case f.Reach == pay.NeverLeft:
		t.neverLeft.Add(1)
	case f.Absent:
		t.absent.Add(1)
	default:
		t.unknown.Add(1)
	}
}

func (t *tally) outcomes() Outcomes {
	return Outcomes{
		Done: t.outcome[pay.Done].Load(), ActionRequired: t.outcome[pay.ActionRequired].Load(),
		Declined: t.outcome[pay.Declined].Load(), Conflict: t.outcome[pay.Conflict].Load(),
		Refused: t.refused.Load(), NeverLeft: t.neverLeft.Load(), Absent: t.absent.Load(), Unknown: t.unknown.Load(),
	}
}
