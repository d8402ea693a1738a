package dedup

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
func ask(tb testing.TB, x *Index, l load, counter *atomic.Uint64, n int, ack Ack) time.Duration {
	return askSince(tb, x, l, counter, n, ack, counter.Load())
}

// askSince is ask with duplicates of what was counted before since.
func askSince(tb testing.TB, x *Index, l load, counter *atomic.Uint64, n int, ack Ack, since uint64) time.Duration {
	var left atomic.Int64
	left.Store(int64(n))
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

// laterClock is a clock for benchmarks: that of the machine, and as much later as is wanted.
type laterClock struct{ later atomic.Int64 }

func (c *laterClock) now() time.Time { return time.Now().Add(time.Duration(c.later.Load())) }

var (
	live      = flag.Int("live", 1_000_000, "ids that there are before anything is measured")
	tableSize = flag.Int("table", 1<<22, "Config.Table")
)

// bench is an index with ids in it.
type bench struct {
	*Index
	dir     string
	clock   laterClock
	counter atomic.Uint64
}

func newBench(b *testing.B) *bench {
	dir, err := os.MkdirTemp("", "dedup-bench-")
	if err != nil {
		b.Fatal(err)
	}
	i := &bench{dir: dir}
	if i.Index, err = Open(dir, Config{Now: i.clock.now, Table: *tableSize}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := i.Close(); err != nil {
			b.Error(err)
		}
		os.RemoveAll(dir)
	})
	const steps = 10
	for range steps {
		began := cpuTime()
		took := ask(b, i.Index, load{}, &i.counter, *live/steps/batchSize, Durable)
		b.Logf("%d ids, %d segments: %.0f a second, %v of processors for each", i.counter.Load(), i.Stats().Segments,
			float64(*live/steps)/took.Seconds(), (cpuTime()-began)/time.Duration(*live/steps))
	}
	return i
}

// Durable decisions in batches of 1,000, from 32 askers, with -live ids in the index; what
// it takes of memory and disk, of a read, and of opening after a crash.
func BenchmarkSeen(b *testing.B) {
	i := newBench(b)
	i.logSize(b)
	mixes := []struct {
		name  string
		load  load
		later time.Duration
	}{
		{"fresh", load{}, 0},
		{"recent-1%", load{0.01, 100_000}, 0},
		{"recent-50%", load{0.5, 100_000}, 0},
		{"old-1%", load{0.01, 1 << 62}, 23 * time.Hour},
		{"old-50%", load{0.5, 1 << 62}, 23 * time.Hour},
	}
	loaded := i.counter.Load()
	for _, mix := range mixes {
		b.Run(mix.name, func(b *testing.B) {
			i.clock.later.Store(int64(mix.later))
			since := i.counter.Load()
			if mix.later > 0 {
				since = loaded
			}
			began := cpuTime()
			took := askSince(b, i.Index, mix.load, &i.counter, b.N, Durable, since)
			b.ReportMetric(float64(b.N)*batchSize/took.Seconds(), "ids/s")
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N)/batchSize, "cpu-ns/id")
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Run("read", func(b *testing.B) { i.read(b, loaded) })
	b.Run("open", i.open)
	i.logSize(b)
}

// logSize says what an id takes.
func (i *bench) logSize(b *testing.B) {
	s := i.Stats()
	b.Logf("%d ids in memory, %d in %d segments", s.InMemory, s.Sealed, s.Segments)
	b.Logf("memory: %.1f bytes for each id that fits the tables, %.2f for each in segments; disk: %.1f",
		8*float64(tableSlots(*tableSize))/float64(*tableSize),
		float64(s.Filters)/float64(max(1, s.Sealed)), float64(s.Disk)/float64(s.InMemory+s.Sealed))
	b.Logf("resident: %s", resident())
}

func resident() string {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") {
			return strings.TrimSpace(line)
		}
	}
	return "unknown"
}

// read asks for single ids of long ago, whose pages are not in the system's memory.
func (i *bench) read(b *testing.B, loaded uint64) {
	i.forget(b)
	r := rand.New(rand.NewPCG(1, 1))
	took := make([]time.Duration, 0, b.N)
	var id [16]byte
	var answers []Answer
	for range b.N {
		binary.LittleEndian.PutUint64(id[:], r.Uint64N(loaded))
		began := time.Now()
		var err error
		if answers, err = i.Seen(context.Background(), Durable, [][]byte{id[:]}, answers[:0]); err != nil || !answers[0].Duplicate {
			b.Fatal(answers, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op")
}

// forget has the system's memory lose all files.
func (i *bench) forget(b *testing.B) {
	names, err := directory{i.dir}.list()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range names {
		f, err := os.Open(filepath.Join(i.dir, name))
		if err != nil {
			continue // merged meanwhile
		}
		dropCache(f)
		f.Close()
	}
}

// open opens the index as a crash has left it.
func (i *bench) open(b *testing.B) {
	for range b.N {
		i.fail(errors.New("it crashed"))
		if err := i.Close(); err != nil {
			b.Fatal(err)
		}
		i.forget(b)
		began := time.Now()
		next, err := Open(i.dir, Config{Now: i.clock.now, Table: *tableSize})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-to-open")
		i.Index = next
		if b.N > 10 {
			break // one will do
		}
	}
}

// BenchmarkDisk is the yardstick: as many bytes as a log gets for 32 batches, appended and
// synced.
func BenchmarkDisk(b *testing.B) {
	f, err := os.CreateTemp("", "dedup-disk-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	group := make([]byte, askers*batchSize/perPage*pageSize)
	for b.Loop() {
		if _, err := f.Write(group); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*askers*batchSize/b.Elapsed().Seconds(), "ids/s")
}

// cpuTime is what the process has taken of processors, which tells more than the time
// where they are shared.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
