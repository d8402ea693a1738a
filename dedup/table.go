package dedup

import "math/bits"

// table finds ids in memory: by 32 bits of a hash, where in the log the rest stands.
// A slot is eight bytes, and three of four are used at most, so an id takes 10.7
// bytes. Two ids with equal bits are two matches; who asks looks into the log.
//
// The zero table has no slots. It may be read by many while nobody changes it.
type table struct {
	slots []uint64 // bits of the hash, then 1 + the position in the log; 0 is empty
	ids   int
}

func newTable(ids int) *table { return &table{slots: huge(make([]uint64, tableSlots(ids)))} }

func tableSlots(ids int) int { return ids/3*4 + 4 }

// home is the slot at which the search for h begins. Slots are in the order of
// hashes, whatever their number.
func (t *table) home(h hash) int {
	slot, _ := bits.Mul64(h.hi, uint64(len(t.slots)))
	return int(slot)
}

const tagMask = 0xffffffff << 32

func tag(h hash) uint64 { return h.lo << 32 }

// next returns the position of the first match of h from a slot on, and the slot after
// it. There always is an empty slot, where the search ends.
func (t *table) next(h hash, slot int) (pos uint32, after int, found bool) {
	for {
		if slot == len(t.slots) {
			slot = 0
		}
		switch s := t.slots[slot]; {
		case s == 0:
			return 0, slot, false
		case (s^tag(h))&tagMask == 0:
			return uint32(s) - 1, slot + 1, true
		}
		slot++
	}
}

// touch loads where the search for hashes begins, so that it is near when it does. Loads
// that nothing depends on are made at the same time; a search alone waits for each.
func (t *table) touch(hashes []hash) (sum uint64) {
	for _, h := range hashes {
		sum += t.slots[t.home(h)]
	}
	return sum
}

// add puts h at the first empty slot.
func (t *table) add(h hash, pos uint32) {
	slot := t.home(h)
	for t.slots[slot] != 0 {
		if slot++; slot == len(t.slots) {
			slot = 0
		}
	}
	t.slots[slot] = tag(h) | uint64(pos+1)
	t.ids++
}

// undo takes back what was added last, of what is still there: whoever came later
// could not be found past an empty slot.
func (t *table) undo(h hash, pos uint32) {
	slot := t.home(h)
	for t.slots[slot] != tag(h)|uint64(pos+1) {
		if slot++; slot == len(t.slots) {
			slot = 0
		}
	}
	t.slots[slot] = 0
	t.ids--
}

// reuse is an empty table for so many ids in the memory of this one, or nil if that has
// another size.
func (t *table) reuse(ids int) *table {
	if len(t.slots) != tableSlots(ids) {
		return nil
	}
	clear(t.slots)
	t.ids = 0
	return t
}
