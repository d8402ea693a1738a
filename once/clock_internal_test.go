package once

import (
	"testing"
	"testing/synctest"
	"time"
)

// The engine's time stays with the store's for as long as it runs, whose machine ever
// is faster: else it would take the leases of others for over.
func TestTheClockFollowsTheStores(t *testing.T) {
	for name, rate := range map[string]float64{"that runs slower": 0.9995, "that runs faster": 1.0005, "that runs alike": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c clock
				began := time.Now()
				store := func() time.Time {
					return began.Add(time.Hour).Add(time.Duration(rate * float64(time.Since(began))))
				}
				last := c.now()
				for range 10_000 {
					time.Sleep(time.Minute)
					c.saw(store())
					now := c.now()
					if now.Before(last) {
						t.Fatalf("it is %v after %v", now, last)
					}
					last = now
				}
				if off := c.now().Sub(store()); off.Abs() > 100*time.Millisecond {
					t.Errorf("after a week it is off by %v", off)
				}
			})
		})
	}
}

// An answer that was long on its way sets nothing back.
func TestALateAnswerSetsNoClockBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.saw(time.Now())
		time.Sleep(10 * time.Second)
		c.saw(time.Now().Add(-9 * time.Second))
		if off := time.Since(c.now()); off > 20*time.Millisecond {
			t.Errorf("it is off by %v", off)
		}
	})
}
