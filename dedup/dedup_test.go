package dedup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func ExampleIndex() {
	dir, done := exampleDir()
	defer done()
	index, err := Open(dir, Config{Window: 24 * time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer index.Close()
	answers, err := index.Seen(context.Background(), Durable, [][]byte{[]byte("pay-1"), []byte("pay-2"), []byte("pay-1")}, nil)
	for _, a := range answers {
		fmt.Println(a.Duplicate, err)
	}
	// Output:
	// false <nil>
	// false <nil>
	// true <nil>
}

// Ids that differ in any way are different, whatever they look like.
func TestIDs(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for n := 1; n <= MaxID; n++ {
		ids = append(ids, strings.Repeat("a", n), strings.Repeat("a", n-1)+"b", strings.Repeat("\x00", n))
	}
	for range 2 {
		for begin := 0; begin < len(ids); begin += 60 {
			w.mustAsk(Durable, ids[begin:min(begin+60, len(ids))]...)
		}
	}
	for _, bad := range []string{"", strings.Repeat("a", MaxID+1)} {
		if err := w.ask(Durable, "unseen", bad); !errors.Is(err, ErrBadID) {
			t.Errorf("an id of %d bytes: %v", len(bad), err)
		}
	}
	if err := w.ask(Durable, make([]string, MaxBatch+1)...); !errors.Is(err, ErrTooMany) {
		t.Errorf("a question of too many: %v", err)
	}
	w.mustAsk(Durable, "unseen") // for the first time
	w.mustAsk(Durable)
	w.close()
}

// An id is a duplicate for the whole window, and first again after it.
func TestWindow(t *testing.T) {
	for _, c := range []struct {
		later     int64
		duplicate bool
	}{{0, true}, {79, true}, {80, true}, {81, false}, {82, false}, {500, false}, {-30, true}} {
		for _, sealed := range []bool{false, true} {
			w := newWorld(t)
			w.mustAsk(Durable, "a")
			if sealed {
				w.clock.ms.Add(11)
				w.mustAsk(Durable, "b")
				w.settle()
				w.clock.ms.Add(-11)
			}
			before := w.clock.ms.Load()
			w.clock.ms.Add(c.later)
			answers, err := w.index.Seen(context.Background(), Durable, bytesOf([]string{"a"}), nil)
			if err != nil || answers[0].Duplicate != c.duplicate || c.duplicate && answers[0].At.UnixMilli() != before {
				t.Errorf("after %d ms, sealed %t: %+v, %v", c.later, sealed, answers, err)
			}
			w.close()
		}
	}
}

// A clock that goes back stands still, also over a restart: what was first seen at ten is
// not first again when the clock says nine and then half past.
func TestClockGoesBack(t *testing.T) {
	w := newWorld(t)
	w.mustAsk(Durable, "a")
	w.clock.ms.Add(-1000)
	for _, id := range []string{"b", "c", "d"} {
		answers, err := w.index.Seen(context.Background(), Durable, bytesOf([]string{id}), nil)
		if err != nil || answers[0].Duplicate || answers[0].At.UnixMilli() != 1_000_000 {
			t.Errorf("%+v, %v", answers, err)
		}
		w.close()
		w.open()
	}
	w.close()
}

// Many windows go by. What has expired is dropped, so what is on disk stays within
// bounds.
func TestDays(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 1))
	const perWindow = 5 * int(testWindow) * 20
	next, most := 0, Stats{}
	for range 4 * perWindow / 20 {
		if r.IntN(5) == 0 {
			w.clock.ms.Add(1)
		}
		var ids []string
		for range 20 {
			n := next
			if next++; r.IntN(4) == 0 {
				n = r.IntN(next) // of some time ago, up to all days
			}
			ids = append(ids, fmt.Sprint(n))
		}
		w.mustAsk(Durable, ids...)
		s := w.index.Stats()
		most.Segments, most.Sealed = max(most.Segments, s.Segments), max(most.Sealed, s.Sealed)
	}
	t.Logf("%d ids in %.1f windows, at most %d segments with %d ids", next,
		float64(w.clock.ms.Load()-1_000_000)/float64(testWindow), most.Segments, most.Sealed)
	if most.Sealed > 2*perWindow {
		t.Errorf("%d ids were on disk, of which a window has %d", most.Sealed, perWindow)
	}
	w.close()
}

// Of all who ask for an id, one is told that it is first, whatever is sealed and merged
// meanwhile. All others are told the same time.
func TestOneIsFirst(t *testing.T) {
	var clock fakeClock
	config := small(&clock)
	config.Window = time.Hour
	x, err := open(newMemory(), config)
	if err != nil {
		t.Fatal(err)
	}
	const ids, askers = 3000, 8
	var mu sync.Mutex
	firsts, times := map[string]int{}, map[string]map[int64]bool{}
	var wg sync.WaitGroup
	for asker := range askers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(asker), 0))
			order := r.Perm(ids)
			for begin := 0; begin < ids; begin += 20 {
				clock.ms.Add(1)
				var some []string
				for _, n := range order[begin : begin+20] {
					some = append(some, fmt.Sprint(n))
				}
				answers, err := x.Seen(context.Background(), Ack(r.IntN(2)), bytesOf(some), nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, a := range answers {
					if !a.Duplicate {
						firsts[some[i]]++
					}
					if times[some[i]] == nil {
						times[some[i]] = map[int64]bool{}
					}
					times[some[i]][a.At.UnixMilli()] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for n := range ids {
		id := fmt.Sprint(n)
		if firsts[id] != 1 || len(times[id]) != 1 {
			t.Fatalf("%s was first %d times, at %v", id, firsts[id], times[id])
		}
	}
	if s := x.Stats(); s.Segments == 0 || s.Damage != nil {
		t.Errorf("nothing was sealed: %+v", s)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

// Who does not want to wait any longer does not have to.
func TestAbandoned(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.index.Seen(ctx, Durable, bytesOf([]string{"a"}), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.mustAsk(Durable, "a") // it had not been asked for
	w.close()
	if _, err := w.index.Seen(context.Background(), Durable, bytesOf([]string{"a"}), nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := w.index.Close(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
