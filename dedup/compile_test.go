package dedup

import (
	"math/rand/v2"
	"testing"
)

// Each part comes in order, and each hash once: as it was seen last.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const parts = 3
	last := map[hash]int64{}
	byPart := make([][]record, parts)
	for n := range 20_000 {
		h := hash{r.Uint64N(5000) << 51, r.Uint64N(2)}
		part, _ := partOf(h, parts)
		byPart[part] = append(byPart[part], record{h, int64(n)})
		last[h] = int64(n)
	}
	var order order
	var before *record
	seen := 0
	for _, part := range byPart {
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		for _, r := range order.sort(part, parts) {
			if before != nil && !before.less(r.hash) {
				t.Fatalf("%v comes after %v", r, *before)
			}
			if r.at != last[r.hash] {
				t.Errorf("%v was seen last at %d", r, last[r.hash])
			}
			before = &r
			seen++
		}
	}
	if seen != len(last) {
		t.Errorf("%d hashes of %d", seen, len(last))
	}
}
