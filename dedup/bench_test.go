package dedup

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// askers ask at the same time: enough of them that a sync is shared by many.
const askers = 32

// batchSize is how many ids they ask for at a time.
const batchSize = 1000

// load is what is asked of an index.
type load struct {
	duplicates float64 // share of the ids that were seen before
	back       uint64  // how many ids ago, at most
}

// feed makes the ids of one asker: 16 bytes, new ones from a counter that all share, others
// from what that counted before.
type feed struct {
	load
	counter *atomic.Uint64
	rand    *rand.Rand
	bytes   [batchSize][16]byte
	ids     [][]byte
}

func newFeed(l load, counter *atomic.Uint64, seed uint64) *feed {
	f := &feed{load: l, counter: counter, rand: rand.New(rand.NewPCG(seed, 0))}
	for i := range f.bytes {
		f.ids = append(f.ids, f.bytes[i][:])
	}
	return f
}

// next makes a batch. Duplicates are of before since, so that they are known as such.
func (f *feed) next(since uint64) [][]byte {
	next := f.counter.Add(batchSize) - batchSize
	for i := range f.bytes {
		n := next + uint64(i)
		if f.duplicates > 0 && f.rand.Float64() < f.duplicates {
			n = since - 1 - f.rand.Uint64N(min(f.back, since))
		}
		binary.LittleEndian.PutUint64(f.bytes[i][:], n)
	}
	return f.ids
}

// ask has the askers ask for n batches, and returns how long they took.
func ask(tb testing.TB, x *Index, l load, counter *atomic.Uint64, n int, ack Ack) (took time.Duration) {
	var left atomic.Int64
	left.Store(int64(n))
	since := counter.Load()
	began := time.Now()
	var wg sync.WaitGroup
	for asker := range askers {
		wg.Go(func() {
			f := newFeed(l, counter, uint64(asker))
			var answers []Answer
			for left.Add(-1) >= 0 {
				var err error
				if answers, err = x.Seen(context.Background(), ack, f.next(since), answers[:0]); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// clock is a clock for benchmarks: that of the machine, and as much later as is wanted.
type laterClock struct{ later atomic.Int64 }

func (c *laterClock) now() time.Time { return time.Now().Add(time.Duration(c.later.Load())) }

func benchIndex(b *testing.B, live int) (*Index, *atomic.Uint64, *laterClock) {
	dir, err := os.MkdirTemp("", "dedup-bench-")
	if err != nil {
		b.Fatal(err)
	}
	var clock laterClock
	x, err := Open(dir, Config{Now: clock.now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := x.Close(); err != nil {
			b.Error(err)
		}
		os.RemoveAll(dir)
	})
	var counter atomic.Uint64
	took := ask(b, x, load{}, &counter, live/batchSize, Durable)
	b.Logf("%d ids loaded in %v", live, took)
	return x, &counter, &clock
}

func BenchmarkSeen(b *testing.B) {
	for _, c := range []struct {
		name  string
		load  load
		later time.Duration
	}{
		{"fresh", load{}, 0},
		{"1%recent", load{0.01, 100_000}, 0},
		{"50%recent", load{0.5, 100_000}, 0},
		{"1%old", load{0.01, 1 << 62}, 23 * time.Hour},
		{"50%old", load{0.5, 1 << 62}, 23 * time.Hour},
	} {
		b.Run(c.name, func(b *testing.B) {
			x, counter, clock := benchIndex(b, 1_000_000)
			clock.later.Store(int64(c.later))
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			began := cpuTime()
			took := ask(b, x, c.load, counter, b.N, Durable)
			b.ReportMetric(float64(b.N)*batchSize/took.Seconds(), "ids/s")
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N)/batchSize, "cpu-ns/id")
			b.ReportMetric(0, "ns/op")
			b.Logf("%+v", x.Stats())
		})
	}
}

// cpuTime is what the process has taken of processors, which tells more than the time
// where they are shared.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
