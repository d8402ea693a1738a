package engine

import (
	"sync"
	"time"
)

// clock is the store's time: that of the machine, in microseconds, but never
// before a time that it told already, nor before the last commit of whoever had
// the store before. While the machine's is behind that, it goes on at half the speed
// until the machine's has caught up: what is waited for comes in the end, and
// nothing looks older than it is. Its zero value is the machine's; it is safe for
// concurrent use.
type clock struct {
	mu   sync.Mutex
	told time.Time // the last time that was the machine's, or where it began
	at   time.Time // when that was, by the machine's clock that nobody sets

	apart time.Duration // how far the machine's was ahead of the store's own when both were read last
}

// MaxApart is how far a machine's clock may be from that of a store which several
// processes share. One that is farther off is not relied on, see
// [Executor.ClockLost]; so those of two processes that are relied on are at most
// twice that apart. Clocks that follow a time server are within a hundredth of it.
const MaxApart = 2 * time.Second

// hearTime is how long a load may take for the store's clock to be compared with the
// machine's: what was read longer ago tells little of now.
const hearTime = MaxApart / 10

// start has the clock begin no earlier than since.
func (c *clock) start(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.at = since.UTC().Truncate(time.Microsecond), time.Now()
}

// hear learns from rows that took so long to load what the time is where others
// write: never before what they have written.
func (c *clock) hear(rows *Rows, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if told := c.tell(); rows.Seen.After(told) {
		c.told, c.at = rows.Seen.UTC(), time.Now()
	}
	if !rows.Now.IsZero() && took <= hearTime {
		c.apart = time.Now().Round(0).Sub(rows.Now)
	}
}

// isApart says whether the machine's clock was too far from the store's own.
func (c *clock) isApart() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apart.Abs() > MaxApart
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tell()
}

// tell is now. The caller holds mu.
func (c *clock) tell() time.Time {
	here := time.Now()
	wall := here.UTC().Truncate(time.Microsecond)
	if slowed := c.told.Add(here.Sub(c.at) / 2).Truncate(time.Microsecond); slowed.After(wall) {
		return slowed
	}
	c.told, c.at = wall, here
	return wall
}

// Now is the store's time, in microseconds: that of this machine, but it never
// runs backwards.
func (e *Executor) Now() time.Time { return e.clock.now() }
