package dedup

import (
	"math/rand/v2"
	"testing"
)

// hashesInOrder are n random hashes, sorted.
func hashesInOrder(n int, seed uint64) []hash {
	r := rand.New(rand.NewPCG(seed, 0))
	records := make([]record, n)
	for i := range records {
		records[i].hash = hash{r.Uint64(), r.Uint64()}
	}
	var order order
	hashes := make([]hash, 0, n)
	for _, r := range order.sort(records, 1) {
		hashes = append(hashes, r.hash)
	}
	return hashes
}

func filterOf(hashes []hash) filter {
	b := newFilterBuilder(len(hashes))
	for _, h := range hashes {
		b.add(h)
	}
	f, _ := b.build()
	return f
}

// A filter knows where each hash is, also in blocks that are crowded, and takes few others
// for one of them.
func TestFilter(t *testing.T) {
	for _, n := range []int{0, 1, 2, 63, 64, 65, 1000, 500_000} {
		hashes := hashesInOrder(n, uint64(n))
		f := filterOf(hashes)
		var found [atATime]ranks
		for begin := 0; begin < n; begin += atATime {
			part := hashes[begin:min(begin+atATime, n)]
			f.find(part, &found)
			for i := range part {
				if rank := uint32(begin + i); rank < found[i].from || rank >= found[i].to {
					t.Fatalf("of %d hashes, number %d is said to be at %v", n, rank, found[i])
				}
			}
		}
		const strangers = 500_000
		mistaken := 0
		for range strangers / atATime {
			others := make([]hash, atATime)
			for i := range others {
				others[i] = hash{rand.Uint64(), rand.Uint64()}
			}
			f.find(others, &found)
			for _, r := range found {
				if r.to > uint32(n) {
					t.Fatalf("of %d hashes, one is said to be at %v", n, r)
				}
				if r.from != r.to {
					mistaken++
				}
			}
		}
		if mistaken > strangers/2500 { // 0.0004; it should be 0.00024
			t.Errorf("of %d strangers, %d are taken for one of %d", strangers, mistaken, n)
		}
	}
}

func TestCrowdedBlocks(t *testing.T) {
	var hashes []hash
	r := rand.New(rand.NewPCG(1, 1))
	for i := range uint64(100) { // all of them in one bucket
		hashes = append(hashes, hash{i << 20, r.Uint64()})
	}
	f := filterOf(hashes)
	var found [atATime]ranks
	for i, h := range hashes {
		f.find([]hash{h}, &found)
		if rank := uint32(i); rank < found[0].from || rank >= found[0].to {
			t.Errorf("number %d is said to be at %v", i, found[0])
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	f := filterOf(hashesInOrder(1<<22, 0))
	strangers := make([]hash, 1<<20)
	for i := range strangers {
		strangers[i] = hash{rand.Uint64(), rand.Uint64()}
	}
	var found [atATime]ranks
	began := cpuTime()
	n := 0
	for b.Loop() {
		at := n % len(strangers)
		f.find(strangers[at:at+atATime], &found)
		n += atATime
	}
	b.ReportMetric(float64(cpuTime()-began)/float64(n), "cpu-ns/id")
}
