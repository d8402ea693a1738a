package engine_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

// A machine whose clock was set forward releases no hold and forgets no key: the
// time has not come. When both clocks agree again it goes on.
func TestAClockThatWasSetEndsNoHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBank(t)
		e := engine.New(m, engine.Config{})
		began, set := time.Now(), time.Duration(0)
		var mu sync.Mutex
		uptime := func() time.Duration { // how it looks when the wall clock is set forward by as much
			mu.Lock()
			defer mu.Unlock()
			return time.Since(began) - set
		}
		var log strings.Builder
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			e.Keep(ctx, m, engine.UpkeepConfig{Uptime: uptime, Log: slog.New(slog.NewTextHandler(&log, nil))})
		})
		hold := transfer(t, m, e.Do(t.Context(), holdFor("k1", 30*time.Second)))

		synctest.Wait() // Keep has seen both clocks agree
		mu.Lock()
		set = time.Hour
		mu.Unlock()
		time.Sleep(time.Minute)
		if got, _ := m.Transfer(t.Context(), hold.Ref); got.Status != ledger.Pending {
			t.Errorf("the hold is %s while the clock is not to be trusted", got.Status)
		}
		mu.Lock()
		set = 0
		mu.Unlock()
		time.Sleep(2 * time.Second)
		if got, _ := m.Transfer(t.Context(), hold.Ref); got.Status != ledger.Expired {
			t.Errorf("the hold is %s when the clock is right again", got.Status)
		}
		stop()
		wg.Wait()
		if n := strings.Count(log.String(), "the clock was set"); n != 1 {
			t.Errorf("told %d times, want once:\n%s", n, &log)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A store whose last commit is ahead of the machine's clock says so.
func TestAStoreThatIsAheadSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBank(t)
		e := engine.New(m, engine.Config{Since: time.Now().Add(24 * time.Hour)})
		var log strings.Builder
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { e.Keep(ctx, m, engine.UpkeepConfig{Log: slog.New(slog.NewTextHandler(&log, nil))}) })
		synctest.Wait()
		stop()
		wg.Wait()
		if !strings.Contains(log.String(), "ahead of this machine's") {
			t.Errorf("nothing was said:\n%s", &log)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// sweeps remembers what a store was told to forget.
type sweeps struct {
	*engine.Memory
	mu     sync.Mutex
	forget []time.Time
}

func (s *sweeps) Sweep(ctx context.Context, now, forget time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget = append(s.forget, forget)
	return false, nil
}

// A machine that starts with its clock years ahead forgets no key: what is
// dropped goes by the store's last commit and the time since the start.
func TestAWrongClockAtTheStartForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lastCommit := time.Now().Add(-2 * 365 * 24 * time.Hour)
		m := &sweeps{Memory: newBank(t)}
		e := engine.New(m, engine.Config{Since: lastCommit})
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { e.Keep(ctx, m, engine.UpkeepConfig{Tombstones: tombstones}) })
		time.Sleep(5 * time.Minute)
		stop()
		wg.Wait()
		if len(m.forget) == 0 {
			t.Fatal("it was never swept")
		}
		if latest := m.forget[len(m.forget)-1]; latest.After(lastCommit.Add(5*time.Minute - tombstones)) {
			t.Errorf("keys are forgotten that were made before %v; the last commit was at %v", latest, lastCommit)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Whoever decides by how long ago something was asks whether that can be told:
// not while the clock is set, in either direction, and not while the store's
// is ahead of it.
func TestAClockThatIsSetIsLostUntilItIsRight(t *testing.T) {
	for name, row := range map[string]struct {
		since, set time.Duration // the store's last commit, from now; by how much the clock is set
		lost       bool
	}{
		"a clock that nobody sets":                    {0, 0, false},
		"one that is set within the skew":             {0, 4 * time.Minute, false},
		"one that is set forward":                     {0, 6 * time.Minute, true},
		"one that is set back":                        {0, -6 * time.Minute, true},
		"a store that is ahead by less than the skew": {4 * time.Minute, 0, false},
		"a store that is ahead of it":                 {6 * time.Minute, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newBank(t)
				e := engine.New(m, engine.Config{Since: time.Now().Add(row.since)})
				if e.ClockLost() {
					t.Error("it is lost before anybody watches it")
				}
				began, set := time.Now(), atomic.Int64{}
				uptime := func() time.Duration { return time.Since(began) - time.Duration(set.Load()) }
				ctx, stop := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				wg.Go(func() {
					e.Keep(ctx, m, engine.UpkeepConfig{Uptime: uptime, Log: slog.New(slog.DiscardHandler)})
				})
				synctest.Wait()
				set.Store(int64(row.set))
				if e.ClockLost() != row.lost {
					t.Errorf("lost is %v, want %v", e.ClockLost(), row.lost)
				}
				set.Store(0)
				time.Sleep(2 * 6 * time.Minute)
				if e.ClockLost() {
					t.Error("it is lost when it is right again")
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
