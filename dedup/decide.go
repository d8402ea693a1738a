package dedup

import (
	"math"
	"math/bits"
)

// Everything that is decided by the time is decided here, in milliseconds since 1970.

// window is how long ids are remembered.
type window int64

// live says whether an id that was first seen then is a duplicate now. Both times are
// rounded down, so it is one for the whole window, and up to two milliseconds more.
func (w window) live(first, now int64) bool { return now-first <= int64(w) }

// slots a window has. What is of one slot is dropped at once, at most a slot late.
const slots = 8

// slot is a part of time whose segments may be merged.
func (w window) slot(at int64) int64 { return at / max(1, int64(w)/slots) }

// span is what a segment has: the generations from and to, both of them too.
type span struct {
	from, to uint32
	slot     int64
	ids      int
	last     int64 // time of the last id
}

// valid says whether these are generations: the first one is 1, and there is one after the
// last.
func (s span) valid() bool { return 0 < s.from && s.from <= s.to && s.to < math.MaxUint32 }

// fan is how many segments of a size are merged. To ask one more costs an id about as much
// as to be merged once more: with three to five, the sum of both is least.
const fan = 4

// tier is how often as many ids as those of a table have been merged.
func tier(ids, table int) int {
	tables := uint(ids+table-1) / uint(table)
	return (bits.Len(max(tables, 1)-1) + 1) / 2
}

// plan says which neighbours to merge next: spans from and before to, or none. The spans
// are in the order of time. Those of a slot before the present one, where nothing is added
// any more, become one, so that there are few for the rest of the window; of the others,
// as many as the fan of a tier become one of the next.
func plan(spans []span, table int, present int64) (from, to int) {
	for from = 0; from < len(spans); from = to {
		to = from + neighbours(spans[from:], func(s span) bool { return s.slot == spans[from].slot })
		if n := fitting(spans[from:min(to, from+maxMerge)]); n > 1 && spans[from].slot < present {
			return from, from + n
		}
		for end := to; end-from >= fan; end-- {
			equal := spans[end-fan : end]
			even := neighbours(equal, func(s span) bool { return tier(s.ids, table) == tier(equal[0].ids, table) })
			if even == fan && fitting(equal) == fan {
				return end - fan, end
			}
		}
	}
	return 0, 0
}

// maxMerge bounds the files that are read at once.
const maxMerge = 32

// neighbours is how many of the first spans are of a kind.
func neighbours(spans []span, kind func(span) bool) (n int) {
	for n < len(spans) && kind(spans[n]) {
		n++
	}
	return n
}

// fitting is how many of the first spans one segment can take.
func fitting(spans []span) int {
	ids := 0
	return neighbours(spans, func(s span) bool { ids += s.ids; return ids <= maxSegment })
}

// expired is how many of the first spans no question can be answered from any more.
func expired(spans []span, w window, now int64) int {
	return neighbours(spans, func(s span) bool { return !w.live(s.last, now) })
}
