package pebble_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

const day = 24 * time.Hour

func sweep(tb testing.TB, s *pebble.Store, now time.Time) {
	tb.Helper()
	if more, err := s.Sweep(context.Background(), now); err != nil || more {
		tb.Fatal(more, err)
	}
}

// An answer is over to the microsecond, and a key when its shelf is: both before and
// after the store is opened again.
func TestWhatIsOverIsDropped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := open(t, path)
	claim := claimed("k", aTime())
	answered := done(t, claim)
	other := claimed("another", aTime().Add(time.Hour))
	stays := done(t, other)
	for _, r := range []once.Record{claim, answered, other, stays} {
		put(t, s, r)
	}
	for _, step := range []struct {
		after time.Duration
		is    once.Record
	}{
		{0, answered}, {day - time.Microsecond, answered}, {day, answered.Bury(answered.ExpiresAt)}, {400*day - time.Microsecond, answered.Bury(answered.ExpiresAt)},
	} {
		sweep(t, s, claim.CreatedAt.Add(step.after))
		want(t, s, step.is)
		if step.after <= day {
			want(t, s, stays)
		}
		s = reopen(t, s, path)
		want(t, s, step.is)
	}
	sweep(t, s, claim.ForgetAt.Add(400*day/8))
	want(t, s, once.Record{Key: claim.Key})
	s = reopen(t, s, path)
	want(t, s, once.Record{Key: claim.Key})
	put(t, s, claimed("k", aTime())) // it is as if it had never been
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// What is unfinished survives every sweep; when it is finished it is kept for its
// window, however late that is.
func TestWhatIsUnfinishedIsNeverDropped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := open(t, path)
	born := aTime().Add(-500 * day) // all of its times are over
	claim, unknown := claimed("claimed", born), claimed("unknown", born)
	put(t, s, claim)
	put(t, s, unknown)
	unknown, _ = unknown.Doubt(unknown.Attempt, "nobody knows")
	unknown.Version++
	put(t, s, unknown)
	sweep(t, s, aTime())
	s = reopen(t, s, path)
	want(t, s, claim)
	want(t, s, unknown)

	late, forgotten := done(t, claim), done(t, unknown)
	late.ExpiresAt = aTime().Add(day) // as an engine has it
	put(t, s, late)
	put(t, s, forgotten) // as nobody should
	sweep(t, s, late.ExpiresAt.Add(-time.Microsecond))
	want(t, s, late)
	want(t, s, once.Record{Key: unknown.Key})
	sweep(t, s, late.ExpiresAt)
	want(t, s, late.Bury(late.ExpiresAt))
	sweep(t, s, late.ExpiresAt.Add(day/8))
	want(t, s, once.Record{Key: claim.Key})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A key that is claimed anew is in one place, whatever shelf it was on.
func TestAKeyIsInOnePlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := open(t, path)
	r := claimed("k", aTime())
	for _, tombstones := range []time.Duration{time.Hour, 400 * day, day, 0, 30 * day} {
		if r.ForgetAt = aTime().Add(tombstones); tombstones == 0 {
			r.ForgetAt = time.Time{}
		}
		put(t, s, r)
		r, _ = r.Release(r.Attempt)
		r.Version++
		put(t, s, r)
		s = reopen(t, s, path)
		want(t, s, r)
		if shelves := pebble.Shelves(s); len(shelves) != 1 {
			t.Errorf("released with %v it is on the shelves %v", tombstones, shelves)
		}
		r.State, r.Version, r.Attempt = once.Claimed, r.Version+1, r.Attempt+1
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Where nothing is over nothing is written, nor where all is read.
func TestSweepsOfNothingAndReadsAreFree(t *testing.T) {
	d := newDisk()
	s := mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
	claim := claimed("k", aTime())
	put(t, s, claim)
	put(t, s, done(t, claim))
	sweep(t, s, claim.ExpiresAt)
	sweep(t, s, claim.ForgetAt.Add(400*day/8))
	var changes atomic.Int64
	d.fail(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			changes.Add(1)
		}
		return nil
	})
	for range 10 {
		sweep(t, s, claim.ForgetAt.Add(400*day/8))
		want(t, s, once.Record{Key: claim.Key})
	}
	if n := changes.Load(); n > 1 { // of the time, if this takes long
		t.Errorf("ten sweeps of nothing and ten reads have written %d times", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever is written while somebody sweeps: what is shown is what is there when the
// store is opened again. A record on a shelf that nobody looks on would come back.
func TestASweepAmongWrites(t *testing.T) {
	disk := vfs.NewMem()
	for round := range 100 {
		s := mustOpen(t, func() (*pebble.Store, error) { return openMem(disk) })
		var keys []once.Key
		var wg sync.WaitGroup
		for i := range 8 {
			r := claimed(fmt.Sprint(round, "-", i), aTime())
			r.ForgetAt = aTime().Add(-time.Duration(rand.IntN(100_000)) * time.Minute) // hardly any two are on one shelf
			r.ExpiresAt = r.ForgetAt.Add(-time.Minute)
			keys = append(keys, r.Key)
			wg.Go(func() {
				put(t, s, r)
				put(t, s, done(t, r))
			})
		}
		wg.Go(func() { sweep(t, s, aTime()) })
		wg.Wait()
		var shown []once.Record
		for _, k := range keys {
			shown = append(shown, load(t, s, k))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, func() (*pebble.Store, error) { return openMem(disk) })
		for _, r := range shown {
			want(t, s, r)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// One page after the other, whatever is held and however small it is.
func TestAListGoesOn(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 7 {
		put(t, s, claimed(fmt.Sprint("k", i), aTime()))
	}
	seen := map[string]bool{}
	for after, more := "", true; more; more = after != "" {
		list, next, err := s.Unfinished(t.Context(), after, 3)
		if err != nil || len(list) > 3 {
			t.Fatal(list, err)
		}
		for _, r := range list {
			seen[r.Key.ID] = true
		}
		after = next
	}
	if len(seen) != 7 {
		t.Errorf("%v were listed, want 7", seen)
	}
	if _, _, err := s.Unfinished(t.Context(), "elsewhere", 3); err == nil {
		t.Error("a list that goes on nowhere")
	}
}
