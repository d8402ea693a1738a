package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

// holdSync has the next sync wait until release is closed. reached is closed when it
// has come.
func (d *disk) holdSync() (reached, release chan struct{}) {
	reached, release = make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.fail(func(op errorfs.Op) error {
		if syncs(op) {
			once.Do(func() {
				close(reached)
				<-release
			})
		}
		return nil
	})
	return reached, release
}

// What is shown is durable: while a write is synced its key shows nothing, neither to
// who reads nor to who loses, and other keys are not held up.
func TestWhatIsShownIsDurable(t *testing.T) {
	d := newDisk()
	s := mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
	other := claimed("other", aTime())
	put(t, s, other)
	reached, release := d.holdSync()
	r := claimed("k", aTime())
	won := make(chan error)
	go func() { won <- swapErr(s, r) }()
	<-reached
	want(t, s, other)
	rival := r
	rival.Owner = "a rival"
	for what, ask := range map[string]func(context.Context) (once.Seen, error){
		"a read":         func(ctx context.Context) (once.Seen, error) { return s.Load(ctx, r.Key) },
		"a rival":        func(ctx context.Context) (once.Seen, error) { return s.Swap(ctx, rival) },
		"who comes next": func(ctx context.Context) (once.Seen, error) { return s.Swap(ctx, done(t, r)) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // long enough to be shown something
		if seen, err := ask(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s is shown %+v, %v", what, seen, err)
		}
		cancel()
	}
	if list, _, err := s.Unfinished(t.Context(), "", 10); err != nil || len(list) != 1 {
		t.Errorf("listed: %+v, %v", list, err)
	}
	close(release)
	if err := <-won; err != nil {
		t.Fatal(err)
	}
	if seen, err := s.Swap(t.Context(), rival); err != nil || seen.Won || !equal(seen.Record, r) {
		t.Errorf("the rival is shown %+v, %v", seen, err)
	}
	want(t, s, r)
	if list, _, err := s.Unfinished(t.Context(), "", 10); err != nil || len(list) != 2 {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A time that is told is durable, too: until it is, the time stands still.
func TestTheTimeThatIsToldIsDurable(t *testing.T) {
	d := newDisk()
	s := mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
	known := pebble.Advance(s, time.Hour)
	reached, release := d.holdSync()
	go s.Load(t.Context(), once.Key{ID: "k"}) // the time has to be written
	<-reached
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if seen, err := s.Load(ctx, once.Key{ID: "another"}); err != nil || !seen.At.Equal(known) {
		t.Errorf("it is %v, %v, want %v", seen.At, err, known)
	}
	close(release)
	if seen, err := s.Load(t.Context(), once.Key{ID: "another"}); err != nil || !seen.At.After(known) {
		t.Errorf("then it is %v, %v, want it to be after %v", seen.At, err, known)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Who writes while a sync is on its way shares the next one.
func TestASyncIsShared(t *testing.T) {
	d := newDisk()
	s := mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
	const callers = 64
	var made atomic.Int64
	reached, release := make(chan struct{}), make(chan struct{})
	d.fail(func(op errorfs.Op) error {
		if syncs(op) && made.Add(1) == 1 {
			close(reached)
			<-release
		}
		return nil
	})
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			if i > 0 {
				<-reached
			}
			if err := swapErr(s, claimed(fmt.Sprint("k", i), aTime())); err != nil {
				t.Error(err)
			}
		})
	}
	<-reached
	for pebble.Queued(s) < callers-1 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	if n := made.Load(); n != 2 {
		t.Errorf("%d writes took %d syncs, want 2", callers, n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
