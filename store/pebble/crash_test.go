package pebble_test

import (
	"context"
	"flag"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oncepay/oncepay/store/pebble"
)

var lives = flag.Int("lives", 200, "how many lives of a store a test makes, of which a good part ends with a power cut")

// A power cut keeps what was synced, and of the rest what it likes: every block for
// itself. It may come before any change of the disk, also while the store is opened,
// and while it is closed.
func TestPowerCuts(t *testing.T) {
	var cuts atomic.Int64
	var wg sync.WaitGroup
	for lane := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(lane), 1))
			disk, m := vfs.NewCrashableMem(), newModel()
			for life := range *lives / 4 {
				l := &lifetime{disk: disk, model: m, rnd: rand.New(rand.NewPCG(uint64(lane), uint64(life)))}
				l.left.Store(1 + rnd.Int64N(300))
				if err := l.live(); err != nil {
					t.Errorf("lane %d, life %d: %v", lane, life, err)
					return
				}
				if l.cut.Load() {
					cuts.Add(1)
				}
				disk, m = l.after, l.known
			}
		})
	}
	wg.Wait()
	if t.Logf("%d of %d lives were cut off", cuts.Load(), *lives); cuts.Load() < int64(*lives)/8 {
		t.Error("too few lives were cut off: this proves little")
	}
}

// lifetime is one life of a store.
type lifetime struct {
	disk  *vfs.MemFS
	model *model
	rnd   *rand.Rand
	left  atomic.Int64 // changes of the disk until it is cut off
	cut   atomic.Bool

	mu    sync.Mutex
	after *vfs.MemFS // the disk after the cut
	known *model     // what was known before it
}

// live opens a store, holds it to what is known, works with it, and closes it. The
// power is cut on the way, or at the end: what happens after that is lost.
func (l *lifetime) live() error {
	fs := errorfs.Wrap(l.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && l.left.Add(-1) == 0 {
			l.cutOff()
			l.cut.Store(true)
		}
		return nil
	}))
	s, err := pebble.OpenOn(context.Background(), fs, pebble.Config{Path: "keys", CacheBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if err := l.model.checkAll(s); err != nil {
		return err
	}
	if l.model.at.IsZero() { // otherwise the machine's clock would go on by itself
		pebble.Advance(s, 24*time.Hour)
	}
	if err := l.work(s); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	l.cutOff()
	return nil
}

// cutOff cuts the power, unless that was done.
func (l *lifetime) cutOff() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.after == nil {
		l.known = l.model.snapshot() // what is acknowledged during the cut may be lost
		rnd := rand.New(rand.NewPCG(uint64(l.known.n), 2))
		l.after = l.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rnd.IntN(101), RNG: rnd})
		l.known.tried(l.model.snapshot()) // and what is tried during it may be there
	}
}

func (l *lifetime) work(s *pebble.Store) error {
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		rnd := rand.New(rand.NewPCG(l.rnd.Uint64(), uint64(i)))
		wg.Go(func() {
			for range 12 {
				if errs[i] = l.model.step(s, rnd); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
