package pebble

import (
	"sync"
	"time"
)

// clock is the store's time: that of the machine, in microseconds, but never before a
// time that was told already, also before a crash. So it tells no time after the one
// until which it may, and that is on disk before it does.
//
// While the machine's clock is behind it goes on at half the speed until the
// machine's has caught up: leases end, and nothing looks older than it is.
type clock struct {
	mu    sync.Mutex
	told  time.Time // the last time that was the machine's, or where it began
	at    time.Time // when that was, by the machine's clock that nobody sets
	until time.Time // it may tell: that is on disk
}

// ahead is how far the clock may go before it must be written again: a store that is
// only read writes as often as that. After a crash the time is ahead by as much.
const ahead = 5 * time.Second

// start has the clock begin where the store ended.
func (c *clock) start(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.at, c.until = since, time.Now(), since
}

// now is the store's time, and whether it may be told: otherwise it is the last one
// that may.
func (c *clock) now() (now time.Time, may bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now = c.read(); now.After(c.until) {
		return c.until, false
	}
	return now, true
}

// read is the time. The caller holds mu.
func (c *clock) read() time.Time {
	here := time.Now()
	wall := here.UTC().Truncate(time.Microsecond)
	if slowed := c.told.Add(here.Sub(c.at) / 2).Truncate(time.Microsecond); slowed.After(wall) {
		return slowed
	}
	c.told, c.at = wall, here
	return wall
}

// next is until when the time can be told once that is on disk.
func (c *clock) next() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read().Add(ahead)
}

// may has the time be told until then.
func (c *clock) may(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = until
}

// last is the time at which the clock ends, when no more is asked of it.
func (c *clock) last() time.Time {
	now, _ := c.now()
	return now
}
