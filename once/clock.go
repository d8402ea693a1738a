package once

import (
	"sync/atomic"
	"time"
)

// clock is the store's time, as far as it is known here: what the store said last,
// and on by a clock that nobody sets. It never runs backwards. It is behind the
// store's by about what an answer takes, and follows it also where this machine's
// runs faster, or leases would look over that are not. Its zero value is the machine's
// time, until the store has said what it is. It is safe for concurrent use.
type clock struct {
	last atomic.Pointer[reading]
	told atomic.Int64 // Unix microseconds
}

type reading struct{ store, here time.Time }

// at is the store's time at a time of this machine.
func (r *reading) at(here time.Time) time.Time { return r.store.Add(here.Sub(r.here)) }

const (
	tolerance = time.Millisecond // what is not worth a new reading
	drift     = 1000             // clocks go apart by at most one part in so many
)

func (c *clock) now() time.Time {
	here := time.Now()
	now := here.UnixMicro()
	if r := c.last.Load(); r != nil {
		now = r.at(here).UnixMicro()
	}
	for {
		told := c.told.Load()
		if now <= told {
			return time.UnixMicro(told).UTC()
		}
		if c.told.CompareAndSwap(told, now) {
			return time.UnixMicro(now).UTC()
		}
	}
}

// saw takes a reading of the store's clock. One that is ahead of what is thought
// counts at once. One that is behind may be an answer that was long on its way: it is
// followed no faster than a clock can be wrong.
func (c *clock) saw(at time.Time) {
	for {
		last, here := c.last.Load(), time.Now()
		if last != nil {
			thought := last.at(here)
			at = later(at, thought.Add(-here.Sub(last.here)/drift))
			if at.Sub(thought).Abs() < tolerance {
				return
			}
		}
		if c.last.CompareAndSwap(last, &reading{at.UTC(), here}) {
			return
		}
	}
}
