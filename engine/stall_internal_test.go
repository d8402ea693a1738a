package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

// A goroutine that is preempted between the readings of two clocks sees them come
// apart, though nobody has set one.
func TestAStalledReadingIsNoClockThatWasSet(t *testing.T) {
	for name, row := range map[string]struct {
		after  int           // how many readings go well before that
		stalls int           // how many are held up then
		set    time.Duration // by how much the clock is set
		moved  bool          // whether it is steady only since then
	}{
		"one reading that stalls is taken again":                  {1, 1, 0, false},
		"a look of which every reading stalls tells nothing":      {0, 1000, 0, false},
		"a clock that was set is seen behind a stall":             {1, 1, time.Second, true},
		"a clock that was set is seen when the stalls have ended": {0, 2 * readings, time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, after, stalls, set := time.Now(), 0, 0, time.Duration(0)
				uptime := func() time.Duration {
					if after--; after < 0 && stalls > 0 {
						stalls--
						time.Sleep(100 * time.Millisecond)
					}
					return time.Since(began) - set
				}
				c := watchClock(UpkeepConfig{Skew: time.Minute, Uptime: uptime})
				time.Sleep(time.Minute)
				after, stalls, set = row.after, row.stalls, row.set
				for range 3 {
					c.lastSet(time.Now)
				}
				if moved := !c.lastSet(time.Now).IsZero(); moved != row.moved {
					t.Errorf("it was taken for set: %v, want %v", moved, row.moved)
				}
			})
		})
	}
}
