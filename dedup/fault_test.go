package dedup

import (
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// Without room questions are refused, what was told stays true, and what was refused is
// not there: while there is no room, when there is some again, and after a power cut.
func TestDiskFull(t *testing.T) {
	refused := 0
	for seed := range 5 * *seeds {
		r := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(t)
		for range 6 {
			w.disk.set(func() { w.disk.room = r.Int64N(20_000) })
			refused += w.askWithoutRoom(t, r)
			if r.IntN(2) == 0 {
				w.crash(w.disk.cutPower(r))
			}
			w.disk.set(func() { w.disk.room = -1 })
			w.retryUntilRoom(t)
			w.settle()
			w.askAll()
		}
		w.close()
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func (w *world) askWithoutRoom(t *testing.T, r *rand.Rand) (refused int) {
	t.Helper()
	for range 40 {
		err := w.ask(Ack(r.IntN(2)), randomIDs(r, 1+r.IntN(30))...)
		switch {
		case errors.Is(err, ErrFull):
			if refused++; refused > 3 {
				return refused
			}
		case err != nil:
			t.Fatal(err)
		}
		w.clock.ms.Add(int64(r.IntN(2)))
	}
	return refused
}

// retryUntilRoom asks for something until it is answered.
func (w *world) retryUntilRoom(t *testing.T) {
	t.Helper()
	for begun := time.Now(); ; {
		err := w.ask(Durable, "is there room")
		if err == nil {
			return
		}
		if !errors.Is(err, ErrFull) || time.Since(begun) > time.Minute {
			t.Fatal(err)
		}
	}
}

// What was told at once before the disk was full is remembered, and written when there
// is room.
func TestToldAtOnceOutlivesAFullDisk(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.disk.set(func() { w.disk.room = 0 })
	w.mustAsk(AtOnce, "a", "b")
	if err := w.ask(Durable, "c"); !errors.Is(err, ErrFull) {
		t.Fatalf("a durable question on a full disk: %v", err)
	}
	if err := w.ask(AtOnce, "d", "a"); !errors.Is(err, ErrFull) {
		t.Fatalf("a duplicate that is not on disk was told, or failed with %v", err)
	}
	w.disk.set(func() { w.disk.room = -1 })
	w.retryUntilRoom(t)
	w.crash(w.disk.cutPower(rand.New(rand.NewPCG(0, 0))))
	for _, id := range []string{"a", "b"} {
		delete(w.model.maybe, id)
		w.model.sure[id] = w.clock.ms.Load()
	}
	w.mustAsk(Durable, "a", "b", "c", "d")
	w.close()
}

// A question that ends while the disk is full leaves its tables as if it had never
// been asked, also beside others.
func TestCloseOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.disk.set(func() { w.disk.room = 0 })
	w.mustAsk(AtOnce, "a")
	if err := w.index.Close(); !errors.Is(err, ErrFull) {
		t.Errorf("closed with %v, and an id that was told at once is lost", err)
	}
}

// A sync that fails ends the index, whatever it failed with. It is not tried again,
// nothing is told after it, and what was told before it is there.
func TestFailedSync(t *testing.T) {
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC} {
		for nth := range 40 {
			w := newWorld(t)
			r := rand.New(rand.NewPCG(uint64(nth), 3))
			var failed op
			again := 0
			w.disk.set(func() {
				syncs := 0
				w.disk.fault = func(op op) error {
					if !strings.HasSuffix(op.kind, "sync") {
						return nil
					}
					if syncs++; syncs == nth+1 {
						failed = op
						return failure
					}
					if syncs > nth && op.kind == failed.kind && op.name == failed.name {
						again++
					}
					return nil
				}
			})
			w.work(r, 100)
			if err := w.ask(Durable, "and now"); !errors.Is(err, ErrBroken) || !errors.Is(err, failure) {
				t.Fatalf("after %v failed: %v", failed, err)
			}
			w.index.Close()
			if again > 0 {
				t.Fatalf("%v was tried again", failed)
			}
			w.crash(w.disk.cutPower(r))
			w.askAll()
			w.close()
		}
	}
}

// Whatever fails once, nothing that was told is forgotten, and nothing is told that is
// not so.
func TestFailureAtEveryOperation(t *testing.T) {
	for n := range ops(t, 0) {
		w := newWorld(t)
		r := rand.New(rand.NewPCG(0, 0))
		w.disk.set(func() {
			at := n + w.disk.ops
			w.disk.fault = func(op op) error {
				if op.n == at && op.kind != "read" {
					return syscall.EIO
				}
				return nil
			}
		})
		w.work(r, 60)
		w.crash(w.disk.cutPower(r))
		w.askAll()
		w.close()
	}
}
