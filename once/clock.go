package once

import (
	"sync/atomic"
	"time"
)

// clock is the store's time, as far as it is known here: what the store said last,
// and on by a clock that nobody sets. It never runs backwards, and is behind the
// store's by at most what an answer takes. Its zero value is the machine's time,
// until the store has said what it is.
type clock struct{ last atomic.Pointer[reading] }

type reading struct{ store, here time.Time }

// tolerance is what is not worth a new reading.
const tolerance = time.Millisecond

func (c *clock) now() time.Time {
	r := c.last.Load()
	if r == nil {
		return time.Now().UTC().Truncate(time.Microsecond)
	}
	return r.store.Add(time.Since(r.here)).Truncate(time.Microsecond)
}

// saw takes a reading of the store's clock.
func (c *clock) saw(at time.Time) {
	for {
		last := c.last.Load()
		if last != nil && at.Sub(last.store.Add(time.Since(last.here))) < tolerance {
			return
		}
		if c.last.CompareAndSwap(last, &reading{at.UTC(), time.Now()}) {
			return
		}
	}
}
