package bench

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFixedRateDoesNotWaitForASlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPace(Config{Rate: 100, Duration: time.Second}, 7, start)
		for i := range uint64(100) {
			n, due, ok := p.take(t.Context())
			if want := start.Add(time.Duration(i) * 10 * time.Millisecond); !ok || n != 7+i || !due.Equal(want) {
				t.Fatalf("request %d is due %v, %v; want 7+%d due %v", n, due.Sub(start), ok, i, want.Sub(start))
			}
			if i == 10 {
				time.Sleep(300 * time.Millisecond) // one answer takes long: 30 are due at once afterwards
			}
			if late := time.Since(due); i == 11 && late != 290*time.Millisecond {
				t.Fatalf("the request after the slow one is %v late, want 290ms", late)
			}
		}
		if _, _, ok := p.take(t.Context()); ok || time.Since(start) > time.Second {
			t.Errorf("a request after the end, at %v", time.Since(start))
		}
	})
}

func TestRequestsThatNobodyCouldSendAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(Config{Rate: 100, Duration: time.Second}, 0, time.Now())
		var sent atomic.Uint64
		for n, ok := uint64(0), true; ok; _, _, ok = p.take(t.Context()) {
			_ = n
			time.Sleep(100 * time.Millisecond) // ten times too slow
			sent.Add(1)
		}
		if got := p.missed(10); got != 90 {
			t.Errorf("missed %d, want 90", got)
		}
	})
}

func TestAClosedLoopEnds(t *testing.T) {
	for name, row := range map[string]struct {
		cfg  Config
		want int
	}{
		"after so many requests": {Config{Requests: 5, Duration: time.Hour}, 5},
		"when the time is over":  {Config{Requests: 50, Duration: time.Second}, 10},
		"by time alone":          {Config{Duration: 2 * time.Second}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPace(row.cfg, 0, time.Now())
				got := 0
				for _, _, ok := p.take(t.Context()); ok; _, _, ok = p.take(t.Context()) {
					got++
					time.Sleep(100 * time.Millisecond)
				}
				if got != row.want || p.missed(uint64(got)) != 0 {
					t.Errorf("%d requests and %d missed, want %d and none", got, p.missed(uint64(got)), row.want)
				}
			})
		})
	}
}

func TestWhoWaitsToSendIsFreedByTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := newPace(Config{Rate: 0.01, Duration: time.Hour}, 0, time.Now())
		p.take(ctx)
		before := time.Now()
		if _, _, ok := p.take(ctx); ok || time.Since(before) != time.Second {
			t.Errorf("take returned %v after %v, want false after a second", ok, time.Since(before))
		}
	})
}

func TestProgressIsALineEveryFiveSecondsOrOneThatIsRewritten(t *testing.T) {
	for name, row := range map[string]struct {
		live bool
		want string
	}{
		"a file gets lines":           {false, "   5 s         4 requests/s  p99 7.00 ms  1 errors\n  10 s         0 requests/s  p99 0.00 ms  1 errors\n"},
		"a terminal has it rewritten": {true, "\r\x1b[K   1 s        20 requests/s  p99 7.00 ms  1 errors\r\x1b[K   2 s         0 requests/s  p99 0.00 ms  1 errors"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				p := newProgress(&out)
				if row.live {
					p.live, p.every = true, time.Second
				}
				tally := newTally()
				for range 19 {
					tally.observe(fresh, 0, 7*time.Millisecond, 1, 201, nil)
				}
				tally.observe(fresh, 0, time.Millisecond, 0, 0, errNotSent)
				stop := p.watch(tally)
				time.Sleep(2*p.every + p.every/2)
				stop()
				if got := out.String(); !strings.HasPrefix(got, row.want) || strings.Count(got, "requests/s") != 2 {
					t.Errorf("progress is %q, want %q", got, row.want)
				}
			})
		})
	}
}
