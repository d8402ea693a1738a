package dedup

import (
	"flag"
	"math/rand/v2"
	"testing"
)

// seeds is how many histories the tests of crashes take; make dedup-long takes more.
var seeds = flag.Uint64("seeds", 1, "histories to crash at every operation")

// work asks a few dozen questions while time goes by, until the disk ends.
func (w *world) work(r *rand.Rand, questions int) {
	for range questions {
		if w.ask(Ack(r.IntN(2)), randomIDs(r, 1+r.IntN(60))...) != nil {
			return
		}
		w.clock.ms.Add(int64(r.IntN(4)))
	}
}

// ops is how many operations work takes, about: the goroutines share them otherwise in
// each run.
func ops(t *testing.T, seed uint64) int {
	w := newWorld(t)
	w.work(rand.New(rand.NewPCG(seed, 0)), 60)
	w.close()
	return w.disk.ops
}

// A machine that loses power at any operation of the disk has afterwards what was
// acknowledged, and nothing that was not asked for.
func TestPowerCutAtEveryOperation(t *testing.T) {
	atEveryOperation(t, func(m *memory, r *rand.Rand) *memory { return m.cutPower(r) })
}

// A process that is killed at any operation leaves everything that was written, perhaps
// in part.
func TestKillAtEveryOperation(t *testing.T) {
	atEveryOperation(t, func(m *memory, _ *rand.Rand) *memory { return m.kill() })
}

func atEveryOperation(t *testing.T, after func(*memory, *rand.Rand) *memory) {
	for seed := range *seeds {
		for n := range ops(t, seed) {
			w := newWorld(t)
			r := rand.New(rand.NewPCG(seed, 0))
			w.disk.mu.Lock()
			w.disk.endAt(n + w.disk.ops)
			w.disk.mu.Unlock()
			w.work(r, 60)
			w.crash(after(w.disk, rand.New(rand.NewPCG(seed, uint64(n)))))
			w.askAll()
			w.work(r, 10)
			w.askAll()
			w.close()
			if t.Failed() {
				t.Fatalf("seed %d, operation %d", seed, n)
			}
		}
	}
}

// Recovery can be interrupted at any of its own operations, any number of times.
func TestPowerCutsInRecovery(t *testing.T) {
	for seed := range 10 * *seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		w.work(r, 60)
		for n := 0; ; n++ {
			next := w.disk.cutPower(r)
			w.index.Close()
			next.endAt(n)
			w.disk = next
			if x, err := open(next, small(&w.clock)); err == nil {
				next.mu.Lock()
				next.fault = nil
				next.mu.Unlock()
				w.index = x
				break
			}
		}
		w.crash(w.disk.cutPower(r))
		w.askAll()
		w.close()
	}
}

// What a process finds in the log of one that was killed may not be on disk. Who is told
// of it is told the truth, also if the power fails next.
func TestFoundIsDurable(t *testing.T) {
	told := 0
	for n := range ops(t, 0) {
		w := newWorld(t)
		r := rand.New(rand.NewPCG(0, 0))
		w.disk.mu.Lock()
		w.disk.endAt(n + w.disk.ops)
		w.disk.mu.Unlock()
		w.work(r, 60)
		w.crash(w.disk.kill())
		for id := range w.model.maybe {
			w.mustAsk(Durable, id)
			if told++; w.model.sure[id] != w.clock.ms.Load() {
				break // it was a duplicate, for which nothing is written
			}
		}
		w.crash(w.disk.cutPower(r))
		w.askAll()
		w.close()
	}
	if told == 0 {
		t.Error("nothing was found")
	}
}
