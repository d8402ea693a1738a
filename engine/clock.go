package engine

import (
	"sync/atomic"
	"time"
)

// clock is the store's time: that of the machine, in microseconds, but never
// before a time that it told already, nor before the last commit of whoever had
// the store before. It is safe for concurrent use.
type clock struct{ told atomic.Int64 } // Unix microseconds

// start has the clock begin no earlier than since.
func (c *clock) start(since time.Time) { c.told.Store(since.UnixMicro()) }

func (c *clock) now() time.Time {
	now := time.Now().UnixMicro()
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

// Now is the store's time, in microseconds: that of this machine, but it never
// runs backwards.
func (e *Executor) Now() time.Time { return e.clock.now() }
