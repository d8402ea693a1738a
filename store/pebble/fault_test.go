package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

// disk is one that fails when it is told to.
type disk struct {
	vfs.FS
	fault atomic.Pointer[func(errorfs.Op) error]
}

func newDisk() *disk {
	d := &disk{}
	d.FS = errorfs.Wrap(vfs.NewCrashableMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if f := d.fault.Load(); f != nil {
			return (*f)(op)
		}
		return nil
	}))
	return d
}

// fail has operations fail with what fault says; nil: none do.
func (d *disk) fail(fault func(errorfs.Op) error) {
	if fault == nil {
		d.fault.Store(nil)
		return
	}
	d.fault.Store(&fault)
}

func (d *disk) open(fatal func(error)) (*pebble.Store, error) {
	return pebble.OpenOn(context.Background(), d, pebble.Config{Path: "keys", CacheBytes: 1 << 20, Fatal: fatal, Log: slog.New(slog.DiscardHandler)})
}

// nth is a fault of the nth operation that is one of those, and of none after it.
func nth(n int64, err error, is func(errorfs.Op) bool) (fault func(errorfs.Op) error, happened *atomic.Bool) {
	happened = &atomic.Bool{}
	return func(op errorfs.Op) error {
		if is(op) && atomic.AddInt64(&n, -1) == 0 {
			happened.Store(true)
			return err
		}
		return nil
	}, happened
}

func syncs(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
}

func writes(op errorfs.Op) bool {
	return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFilePreallocate
}

// When the disk fails, nobody can say what is on it: the store stops, and
// acknowledges nothing after that. What was acknowledged before is there.
func TestADiskThatFails(t *testing.T) {
	for what, is := range map[string]func(errorfs.Op) bool{"sync": syncs, "change": writes} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			stopped := 0
			for n := int64(1); n < 300; n += 1 + n/12 {
				if failsOnce(t, fmt.Sprintf("%s %d", what, n), n, is) {
					stopped++
				}
			}
			if stopped < 10 {
				t.Errorf("only %d stores stopped", stopped)
			}
		})
	}
}

// failsOnce has one operation of a store's life fail, and says whether it had been
// opened before.
func failsOnce(t *testing.T, name string, n int64, is func(errorfs.Op) bool) (opened bool) {
	d, m := newDisk(), newModel()
	fault, happened := nth(n, syscall.EIO, is)
	d.fail(fault)
	var fatal atomic.Int64
	s, err := d.open(func(error) { fatal.Add(1) })
	if err == nil {
		opened = true
		err = work(s, m)
		if ended := s.Close(); happened.Load() && ended == nil {
			t.Errorf("%s: the store was closed as if nothing had happened", name)
		}
	}
	told := fatal.Load()
	switch {
	case !happened.Load():
	case !opened && (!errors.Is(err, syscall.EIO) || told != 0), opened && told != 1: // perhaps all was done when it stopped
		t.Errorf("%s: it ended with %v; Fatal was called %d times", name, err, told)
	}
	d.fail(nil)
	again := mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
	if err := m.checkAll(again); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if err := again.Close(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return opened
}

// work has some steps done beside each other, until one fails: then all must.
func work(s *pebble.Store, m *model) error {
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		rnd := rand.New(rand.NewPCG(uint64(i), 7))
		wg.Go(func() {
			for range 15 {
				if err := m.step(s, rnd); err != nil {
					errs[i] = err
				} else if errs[i] != nil {
					errs[i] = fmt.Errorf("a step went well after one that ended with %w", errs[i])
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fills has everything that needs room fail.
func fills(err error) func(errorfs.Op) error {
	return func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpReuseForWrite, errorfs.OpRename, errorfs.OpMkdirAll:
			return err
		}
		return nil
	}
}

// A full disk refuses writes, and loses none that was acknowledged. Reads go on, and
// so do writes when there is room again.
func TestAFullDisk(t *testing.T) {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		t.Run(full.Error(), func(t *testing.T) {
			t.Parallel()
			d, m := newDisk(), newModel()
			s := mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
			known := claimed("known", time.Now())
			put(t, s, known)
			for round := range 3 {
				if err := work(s, m); err != nil {
					t.Fatal(err)
				}
				d.fail(fills(full))
				first := claimed(fmt.Sprint("first", round), time.Now())
				second := claimed(fmt.Sprint("second", round), time.Now())
				wantErr(t, "a write on its way", swapErr(s, first), pebble.ErrDiskFull)
				wantErr(t, "a later one", swapErr(s, second), pebble.ErrDiskFull)
				wantErr(t, "a read of what is on its way", loadErr(s, first.Key), pebble.ErrDiskFull)
				if got := load(t, s, known.Key); got.Version != known.Version {
					t.Errorf("a read: %+v", got)
				}
				if got := load(t, s, second.Key); got.Version != 0 {
					t.Errorf("what was refused is there: %+v", got)
				}
				d.fail(nil)
				for errors.Is(loadErr(s, first.Key), pebble.ErrDiskFull) { // it is seen within a moment that there is room
				}
				if got := load(t, s, first.Key); got.Version != 1 {
					t.Errorf("what was on its way became %+v", got)
				}
				put(t, s, second)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := m.checkAll(mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })); err != nil {
				t.Error(err)
			}
		})
	}
}

// A store that is closed while the disk is full keeps what was acknowledged.
func TestAFullDiskIsClosed(t *testing.T) {
	d := newDisk()
	s := mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
	known := claimed("known", time.Now())
	put(t, s, known)
	d.fail(fills(syscall.ENOSPC))
	wantErr(t, "close", s.Close(), pebble.ErrDiskFull)
	wantErr(t, "a read", loadErr(s, known.Key), pebble.ErrClosed)
	_, err := d.open(nil)
	wantErr(t, "open", err, pebble.ErrDiskFull)
	d.fail(nil)
	s = mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
	if got := load(t, s, known.Key); got.Version != known.Version {
		t.Errorf("it is %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantErr(tb testing.TB, what string, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}

func put(tb testing.TB, s *pebble.Store, r once.Record) {
	tb.Helper()
	if seen, err := s.Swap(context.Background(), r); err != nil || !seen.Won {
		tb.Fatalf("%+v: %+v %v", r.Key, seen, err)
	}
}

func load(tb testing.TB, s *pebble.Store, k once.Key) once.Record {
	tb.Helper()
	seen, err := s.Load(context.Background(), k)
	if err != nil {
		tb.Fatal(err)
	}
	return seen.Record
}

func swapErr(s *pebble.Store, r once.Record) error {
	_, err := s.Swap(context.Background(), r)
	return err
}

func loadErr(s *pebble.Store, k once.Key) error {
	_, err := s.Load(context.Background(), k)
	return err
}
