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
}

// start has the clock begin no earlier than since.
func (c *clock) start(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.at = since.UTC().Truncate(time.Microsecond), time.Now()
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
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
