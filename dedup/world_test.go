package dedup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// fakeClock is a clock that is set.
type fakeClock struct{ ms atomic.Int64 }

func (c *fakeClock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

// small is a configuration under which everything happens soon: a table of 64 ids, a
// window of 80 milliseconds of 10 to a slot.
func small(c *fakeClock) Config {
	return Config{Window: 80 * time.Millisecond, Table: 64, Now: c.now}
}

// reporter is what a test and one of rapid have in common.
type reporter interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// world is an index, and what is known about its ids.
type world struct {
	tb    reporter
	disk  *memory
	clock fakeClock
	index *Index
	model model

	strangers int // ids that nobody had asked for when they were asked for
}

// model is what answers must be. Of some ids it is known when they were seen last; of
// others, whose question failed, they may have been.
type model struct {
	sure    map[string]int64
	maybe   map[string][]int64
	unsaved map[string]bool // of the sure ones, those that a crash may forget
}

const testWindow = window(80)

func newWorld(tb reporter) *world {
	w := &world{tb: tb, disk: newMemory(), model: model{map[string]int64{}, map[string][]int64{}, map[string]bool{}}}
	w.clock.ms.Store(1_000_000)
	w.open()
	return w
}

func (w *world) open() {
	w.tb.Helper()
	x, err := open(w.disk, small(&w.clock))
	if err != nil {
		w.tb.Fatal(err)
	}
	w.index = x
}

func (w *world) close() {
	w.tb.Helper()
	if err := w.index.Close(); err != nil {
		w.tb.Fatal(err)
	}
	clear(w.model.unsaved)
}

// crash has the machine go on with another disk.
func (w *world) crash(disk *memory) {
	w.tb.Helper()
	w.disk.mu.Lock()
	w.disk.fault = func(op) error { return errEnded }
	w.disk.mu.Unlock()
	w.index.Close()
	w.model.crashed()
	w.disk = disk
	w.open()
}

func (m model) crashed() {
	for id, unsaved := range m.unsaved {
		if unsaved {
			m.maybe[id] = append(m.maybe[id], m.sure[id])
			delete(m.sure, id)
		}
	}
	clear(m.unsaved)
}

// ask asks, and holds the answers to the model.
func (w *world) ask(ack Ack, ids ...string) error {
	w.tb.Helper()
	answers, err := w.index.Seen(context.Background(), ack, bytesOf(ids), nil)
	now := w.clock.ms.Load()
	if err != nil {
		w.model.failed(ids, now, err)
		return err
	}
	if len(answers) != len(ids) {
		w.tb.Fatalf("%d answers to %d ids", len(answers), len(ids))
	}
	for i, id := range ids {
		if err := w.model.answered(id, now, answers[i]); err != nil {
			w.tb.Fatal(err)
		}
		w.model.unsaved[id] = ack == AtOnce && !answers[i].Duplicate
	}
	return nil
}

// failed takes down that nobody knows what became of a question, unless it was
// refused.
func (m model) failed(ids []string, now int64, err error) {
	if errors.Is(err, ErrFull) || errors.Is(err, ErrClosed) || errors.Is(err, ErrBadID) {
		return
	}
	for _, id := range ids {
		m.maybe[id] = append(m.maybe[id], now)
	}
}

func (m model) answered(id string, now int64, a Answer) error {
	at, is := m.sure[id]
	sure := is && testWindow.live(at, now)
	got := a.At.UnixMilli()
	switch {
	case a.Duplicate && sure && got == at:
	case a.Duplicate && !sure && slices.Contains(m.maybe[id], got) && testWindow.live(got, now):
	case !a.Duplicate && !sure && got == now:
	default:
		return fmt.Errorf("at %d the answer for %q is %v at %d; it was seen at %d (%t), or at one of %v",
			now, id, a.Duplicate, got, at, is, m.maybe[id])
	}
	m.sure[id] = got
	delete(m.maybe, id)
	return nil
}

// askAll asks for everything that is known, and something that is not.
func (w *world) askAll() {
	w.tb.Helper()
	w.strangers++
	ids := []string{fmt.Sprint("stranger-", w.strangers)}
	for id := range w.model.sure {
		ids = append(ids, id)
	}
	for id := range w.model.maybe {
		if _, is := w.model.sure[id]; !is {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, 40) {
		if err := w.ask(Durable, part...); err != nil {
			w.tb.Fatal(err)
		}
	}
}

// settle waits until there is nothing left to seal.
func (w *world) settle() {
	w.tb.Helper()
	x := w.index
	for {
		x.mu.RLock()
		changed, settled, err := x.changed, x.frozen == nil && x.spare != nil && len(x.queue) == 0, x.err
		x.mu.RUnlock()
		if settled || err != nil {
			return
		}
		<-changed
	}
}

func bytesOf(ids []string) (all [][]byte) {
	for _, id := range ids {
		all = append(all, []byte(id))
	}
	return all
}

// randomIDs are of a small world, so that many of them meet again.
func randomIDs(r *rand.Rand, n int) (ids []string) {
	for range n {
		ids = append(ids, fmt.Sprint("id-", r.IntN(400)))
	}
	return ids
}
