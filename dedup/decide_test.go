package dedup

import (
	"math/rand/v2"
	"testing"
)

func TestLive(t *testing.T) {
	for _, c := range []struct {
		first, now int64
		live       bool
	}{{100, 100, true}, {100, 180, true}, {100, 181, false}, {100, 99, true}, {never + 1, 0, false}} {
		if got := testWindow.live(c.first, c.now); got != c.live {
			t.Errorf("seen at %d, at %d: live %t", c.first, c.now, got)
		}
	}
}

func TestTier(t *testing.T) {
	for ids, want := range map[int]int{0: 0, 1: 0, 64: 0, 65: 1, 256: 1, 257: 2, 1024: 2, 1025: 3} {
		if got := tier(ids, 64); got != want {
			t.Errorf("%d ids are of tier %d, want %d", ids, got, want)
		}
	}
}

// However ids come, there are few segments to ask, each id is merged few times, and no
// segment is of two slots.
func TestPlan(t *testing.T) {
	const table = 64
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		perSlot := 1 + r.IntN(1000)
		var spans []span
		sealed, merged := 0, 0
		for gen := range uint32(8 * perSlot) {
			slot := int64(gen) / int64(perSlot)
			ids := table
			if r.IntN(10) == 0 {
				ids = 1 + r.IntN(table)
			}
			spans = append(spans, span{from: gen + 1, to: gen + 1, slot: slot, ids: ids})
			sealed += ids
			for {
				from, to := plan(spans, table, slot)
				if from == to {
					break
				}
				all := spans[from]
				for _, s := range spans[from+1 : to] {
					if s.slot != all.slot || s.from != all.to+1 {
						t.Fatalf("seed %d: %+v and %+v are merged", seed, all, s)
					}
					all.to, all.ids = s.to, all.ids+s.ids
				}
				merged += all.ids
				spans = append(append(append([]span{}, spans[:from]...), all), spans[to:]...)
			}
			if len(spans) > 7+5*fan {
				t.Fatalf("seed %d: %d segments after %d generations of %d a slot", seed, len(spans), gen, perSlot)
			}
		}
		if merged > 6*sealed {
			t.Errorf("seed %d: each id is merged %.1f times", seed, float64(merged)/float64(sealed))
		}
	}
}

// What one segment cannot take is not merged.
func TestPlanHasALimit(t *testing.T) {
	huge := span{from: 1, to: 1, ids: maxSegment/2 + 1}
	other := huge
	other.from, other.to = 2, 2
	if from, to := plan([]span{huge, other}, 64, 5); from != to {
		t.Errorf("%d to %d are merged", from, to)
	}
}

// Hashes that differ in no bit that tables and filters keep are told apart all the same,
// by what is on disk.
func TestEqualBits(t *testing.T) {
	hashes := []hash{{1 << 60, 5}, {1 << 60, 5 | 1<<40}, {1<<60 + 1, 5}}
	for _, sealed := range []bool{false, true} {
		w := newWorld(t)
		w.askForHash(t, hashes[0], false)
		if sealed {
			w.clock.ms.Add(10)
			w.mustAsk(Durable, "another slot")
			w.settle()
			if w.index.Stats().Segments != 1 {
				t.Fatal("nothing was sealed")
			}
		}
		for _, h := range hashes[1:] {
			w.askForHash(t, h, false)
		}
		for _, h := range hashes {
			w.askForHash(t, h, true)
		}
		w.close()
	}
}

func (w *world) askForHash(t *testing.T, h hash, duplicate bool) {
	t.Helper()
	q := &question{hashes: []hash{h}, first: []int64{0}, duplicate: []bool{false}}
	if err := w.index.look(q); err != nil {
		t.Fatal(err)
	}
	if next := w.index.decide(q, Durable); !next.done || q.duplicate[0] != duplicate {
		t.Fatalf("%x: duplicate %t, %+v", h, q.duplicate[0], next)
	}
	if q.group != nil {
		<-q.group.done
	}
}

// What is taken back from a table leaves what was there before.
func TestUndo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	table := newTable(300)
	before := make([]hash, 150)
	for i := range before {
		before[i] = hash{r.Uint64(), r.Uint64()}
		table.add(before[i], uint32(i))
	}
	slots := append([]uint64{}, table.slots...)
	after := make([]hash, 150)
	for i := range after {
		after[i] = hash{r.Uint64(), r.Uint64()}
		table.add(after[i], uint32(150+i))
	}
	for i := len(after) - 1; i >= 0; i-- {
		table.undo(after[i], uint32(150+i))
	}
	for i, s := range table.slots {
		if s != slots[i] {
			t.Fatalf("slot %d is %x, and was %x", i, s, slots[i])
		}
	}
	if table.ids != len(before) {
		t.Errorf("%d ids", table.ids)
	}
}
