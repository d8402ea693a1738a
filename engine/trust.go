package engine

import (
	"log/slog"
	"sync"
	"time"
)

// clockTrust notices that somebody set the machine's clock: it and a clock that
// nobody sets come apart.
type clockTrust struct {
	skew   time.Duration
	uptime func() time.Duration

	wall   time.Time     // when it began to watch, by the clock that is watched
	up     time.Duration // and by the other
	warned bool

	mu     sync.Mutex
	last   time.Duration // how far ahead it was when somebody looked last
	looked time.Duration // and when that was, by the other clock
	steady time.Time     // the store's time when it was set last; zero: never
}

func watchClock(cfg UpkeepConfig) *clockTrust {
	wall, up, _ := readBoth(cfg.Uptime)
	return &clockTrust{skew: cfg.Skew, uptime: cfg.Uptime, wall: wall, up: up}
}

// readBoth reads both clocks at one time, as nearly as can be: sure says that
// hardly any time passed in between. Whoever is preempted between two readings
// would see a clock that was set, so it reads again, but not for ever.
func readBoth(uptime func() time.Duration) (wall time.Time, up time.Duration, sure bool) {
	for range readings {
		before := uptime()
		wall = time.Now().Round(0)
		if up = uptime(); up-before <= apart {
			return wall, up, true
		}
	}
	return wall, up, false
}

// watched is for how long it has watched, by the clock that nobody sets.
func (c *clockTrust) watched() time.Duration { return c.uptime() - c.up }

// ahead is by how much the clock that is watched has run ahead of the other, and
// for how long both were watched. Where it is not sure it is good enough for a
// skew, but not for a leap. It is safe for concurrent use.
func (c *clockTrust) ahead() (ahead, watched time.Duration, sure bool) {
	wall, up, sure := readBoth(c.uptime)
	watched = up - c.up
	return wall.Sub(c.wall) - watched, watched, sure
}

// lost says whether the clock was set by more than the skew that is allowed.
// The first time, it says so to log.
func (c *clockTrust) lost(log *slog.Logger) bool {
	ahead, _, _ := c.ahead()
	lost := ahead.Abs() > c.skew
	if lost && !c.warned {
		log.Error("the clock was set: no hold expires and no key is dropped until it is right again or the server is restarted",
			"by", ahead.String(), "allowed", c.skew.String())
	}
	c.warned = lost
	return lost
}

// ClockLost says whether the store's time proves nothing just now about how long
// ago something was: the machine's clock was set since Keep began, or the store's
// is ahead of it, until it has caught up, or the two are more than MaxApart apart
// where others share the store. Before Keep it is trusted.
func (e *Executor) ClockLost() bool {
	c := e.trust.Load()
	if c == nil || e.clock.isApart() {
		return c != nil
	}
	ahead, _, _ := c.ahead()
	return ahead.Abs() > c.skew || time.Until(e.Now()) > c.skew
}

// ClockSteady says since when, by the store's time, nobody has set the machine's
// clock: what happened earlier is of no known age. It is not before this executor
// was made, since nobody watched the clock before that.
func (e *Executor) ClockSteady() time.Time {
	c := e.trust.Load()
	if c == nil {
		return e.began
	}
	if set := c.lastSet(e.Now); set.After(e.began) {
		return set
	}
	return e.began
}

// lastSet notices that the clock was set since somebody looked last. A clock that
// is slewed, as those are that follow another one, is not set. A look that is not
// sure tells nothing: the next one sees all that happened since the last that was.
func (c *clockTrust) lastSet(store func() time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ahead, watched, sure := c.ahead()
	if !sure {
		return c.steady
	}
	if (ahead - c.last).Abs() > leap+(watched-c.looked)/slew {
		c.steady = store()
	}
	c.last, c.looked = ahead, watched
	return c.steady
}

const (
	leap     = 10 * time.Millisecond // to read two clocks takes some time as well
	apart    = time.Millisecond      // so much at most, where it is to tell of a leap
	readings = 8                     // how often it is tried
	slew     = 1000                  // a clock gains or loses one part in so many: Linux slews by at most one in 2,000
)

// compare tells log if the store's clock, which never runs backwards, is ahead
// of the machine's: then keys and holds seem older than they are.
func (c *clockTrust) compare(store, machine time.Time, log *slog.Logger) {
	if ahead := store.Sub(machine); ahead > c.skew {
		log.Error("the store's clock is ahead of this machine's: it runs at half speed until that has caught up, and keys expire early; "+
			"no payment is sent again for its age meanwhile", "by", ahead.String(), "for", (2 * ahead).String())
	}
}
