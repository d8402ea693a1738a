package engine_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
)

// By a clock that was set it cannot be told how long ago something was: whoever
// has to know asks since when it runs evenly.
func TestAClockIsSteadySinceItWasSetLast(t *testing.T) {
	for name, row := range map[string]struct {
		set   time.Duration // by how much, after a minute
		after time.Duration // how often it is looked at until then
		want  time.Duration // since when it is steady, from the start
	}{
		"a clock that nobody sets":                     {0, time.Minute, 0},
		"one that is set forward by less than is lost": {time.Second, time.Minute, time.Minute},
		"one that is set back":                         {-time.Hour, time.Minute, time.Minute},
		"one that is slewed to follow another":         {25 * time.Millisecond, time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newBank(t)
				e := engine.New(m, engine.Config{})
				began, set := e.Now(), atomic.Int64{}
				if !e.ClockSteady().Equal(began) {
					t.Errorf("before it is watched it is steady since %v", e.ClockSteady().Sub(began))
				}
				start := time.Now()
				ctx, stop := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				wg.Go(func() {
					uptime := func() time.Duration { return time.Since(start) - time.Duration(set.Load()) }
					e.Keep(ctx, m, engine.UpkeepConfig{Uptime: uptime, Log: slog.New(slog.DiscardHandler)})
				})
				synctest.Wait()
				e.ClockSteady()
				time.Sleep(row.after)
				set.Store(int64(row.set))
				for range 3 {
					if got := e.ClockSteady().Sub(began); got != row.want {
						t.Errorf("it is steady since %v, want %v", got, row.want)
					}
					time.Sleep(time.Minute)
				}
				stop()
				wg.Wait()
				if err := e.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
