package dedup

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// everyBit is which bits are flipped: one of so many.
var everyBit = flag.Int("every-bit", 1, "flip one of so many bits")

// damagedWorld has a key, a segment, and a log of several groups.
func smallWorld(t *testing.T) (*world, []string) {
	w := newWorld(t)
	ids := strings.Fields("a b c d e f g h i j k l m n o p q r s t u")
	w.mustAsk(Durable, ids[:8]...)
	w.clock.ms.Add(10)
	for part := range slices.Chunk(ids[8:], 5) {
		w.mustAsk(Durable, part...)
		w.clock.ms.Add(1)
	}
	w.settle()
	if s := w.index.Stats(); s.Segments != 1 || s.Sealed != 8 || s.InMemory != len(ids)-8 {
		t.Fatalf("the world is another one: %+v", s)
	}
	w.close()
	return w, ids
}

// checkDamaged opens an index on a disk, and asks it for each id. It must tell the truth
// or that it is damaged.
func (w *world) checkDamaged(t *testing.T, disk *memory, ids []string) (noticed bool) {
	t.Helper()
	x, err := open(disk, small(&w.clock))
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Error(err)
		}
		return true
	}
	defer x.Close()
	for _, id := range ids {
		answers, err := x.Seen(context.Background(), Durable, [][]byte{[]byte(id)}, nil)
		switch {
		case errors.Is(err, ErrDamaged):
			noticed = true
		case err != nil:
			t.Error(err)
		case !answers[0].Duplicate || answers[0].At.UnixMilli() != w.model.sure[id]:
			t.Errorf("%q: %+v, and it was seen at %d", id, answers[0], w.model.sure[id])
		}
	}
	return noticed
}

// Every bit of every file is flipped once. It is noticed, or means nothing.
func TestEveryBitFlip(t *testing.T) {
	w, ids := smallWorld(t)
	for name, node := range w.disk.names {
		harmless := 0
		for bit := 0; bit < 8*len(node.data) && !t.Failed(); bit += *everyBit {
			disk := w.disk.kill()
			disk.names[name].data[bit/8] ^= 1 << (bit % 8)
			if !w.checkDamaged(t, disk, ids) {
				harmless++
			}
			if t.Failed() {
				t.Logf("bit %d of %s", bit, name)
			}
		}
		t.Logf("%s: %d bits, %d harmless", name, 8*len(node.data), harmless)
	}
}

// Pages that are lost, or stand in another's place, are noticed; so are files.
func TestLostAndMisplaced(t *testing.T) {
	w, ids := smallWorld(t)
	for name, node := range w.disk.names {
		if len(node.data) == 0 {
			continue // a spare log
		}
		whole := bytes.Clone(node.data)
		for n := 0; n+pageSize <= len(whole); n += pageSize {
			last := n+pageSize == len(whole)
			for _, content := range [][]byte{make([]byte, pageSize), whole[:pageSize], whole[len(whole)-pageSize:]} {
				if bytes.Equal(content, whole[n:n+pageSize]) || last && content[pageSize-1] == 0 {
					continue // nobody can tell the last page of a log from one that was never written
				}
				disk := w.disk.kill()
				copy(disk.names[name].data[n:], content)
				if !w.checkDamaged(t, disk, ids) {
					t.Errorf("nobody noticed what became of byte %d of %s", n, name)
				}
			}
		}
		if strings.HasPrefix(name, "log") {
			continue // the newest file is not missed
		}
		disk := w.disk.kill()
		delete(disk.names, name)
		if strings.HasPrefix(name, "seg") {
			continue // the oldest one may have been dropped
		}
		if !w.checkDamaged(t, disk, ids) {
			t.Errorf("nobody missed %s", name)
		}
	}
}

// A file in the middle is missed.
func TestGap(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(0, 0))
	for len(w.segments()) < 3 {
		w.mustAsk(Durable, randomIDs(r, 40)...)
		w.clock.ms.Add(1)
		w.settle()
	}
	w.close()
	disk := w.disk.kill()
	delete(disk.names, w.segments()[1])
	if _, err := open(disk, small(&w.clock)); !errors.Is(err, ErrDamaged) {
		t.Errorf("opened with %v", err)
	}
}

func (w *world) segments() (names []string) {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	for _, name := range slicesSorted(w.disk.names) {
		if strings.HasPrefix(name, "seg") && !strings.HasSuffix(name, unfinished) {
			names = append(names, name)
		}
	}
	return names
}

// A segment that cannot be merged stays as it is, and the index says so.
func TestDamageInTheBackground(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(0, 0))
	for len(w.segments()) < 2 {
		w.mustAsk(Durable, randomIDs(r, 40)...)
		w.settle()
	}
	w.disk.set(func() {
		for _, name := range slicesSorted(w.disk.names) {
			if strings.HasPrefix(name, "seg") {
				w.disk.names[name].data[0] ^= 1
			}
		}
	})
	w.clock.ms.Add(10)
	for n := 0; w.index.Stats().Damage == nil; n++ {
		if _, err := w.index.Seen(context.Background(), Durable, [][]byte{{byte(n), byte(n >> 8), 3}}, nil); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	}
	if err := w.index.Stats().Damage; !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	w.close()
}
