package pebble_test

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	lib "github.com/cockroachdb/pebble/v2"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

// body is an answer of the usual size, a little of which is as random as in others.
func body(r once.Record) []byte {
	return fmt.Appendf(nil, `{"id":"pay_%x","status":"succeeded","amount":1299,"currency":"EUR","created_at":"2026-11-21T04:12:00.000000Z"}`, r.Fingerprint.Sum[:16])
}

// claimed is a claim as an engine makes it, and done what it is completed to.
func claimed(id string, now time.Time) once.Record {
	r := once.Decide(once.Record{}, once.Request{Key: once.Key{Tenant: "acme", ID: id}, Operation: "POST /v1/payments"}, now,
		once.Rules{Window: 24 * time.Hour, Lease: 30 * time.Second, Tombstones: 400 * 24 * time.Hour}).Record
	r.Fingerprint = once.Fingerprint{Scheme: once.SchemeV1, Sum: sha256.Sum256([]byte(id))}
	r.Owner, r.Version = "5QJ3K2V7XBWN6T4DMPZC8RHYGA.1x", 1
	return r
}

func done(tb testing.TB, r once.Record) once.Record {
	next, err := r.Complete(r.Attempt, fmt.Sprintf("pay_%x", r.Fingerprint.Sum[:16]), once.Answer{
		Status: 201, Header: []once.Field{{Name: "Content-Type", Value: "application/json"}}, Body: body(r),
	})
	if err != nil {
		tb.Fatal(err)
	}
	next.Version++
	return next
}

// pair claims a key and completes it.
func pair(tb testing.TB, s *pebble.Store, id string) {
	c := claimed(id, time.Now())
	for _, next := range [...]once.Record{c, done(tb, c)} {
		if seen, err := s.Swap(context.Background(), next); err != nil || !seen.Won {
			tb.Fatalf("%s: %+v, %v", id, seen, err)
		}
	}
}

// together runs do from as many goroutines, for each number up to n once.
func together(goroutines, n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				do(int(i))
			}
		})
	}
	wg.Wait()
}

// BenchmarkPairs claims keys and completes them, each durably, and does the same with
// Pebble alone: two synced writes of the same sizes.
func BenchmarkPairs(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprintf("goroutines=%d/store", goroutines), func(b *testing.B) {
			s := open(b, b.TempDir())
			measurePairs(b, goroutines, func(i int) { pair(b, s, spread(i)) })
		})
		b.Run(fmt.Sprintf("goroutines=%d/bare", goroutines), func(b *testing.B) {
			db, err := lib.Open(b.TempDir(), &lib.Options{MemTableSize: 8 << 20, MemTableStopWritesThreshold: 3, Logger: silent{}})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			claim, answered := make([]byte, 230), make([]byte, 600) // with the names of their rows
			measurePairs(b, goroutines, func(i int) {
				for _, value := range [...][]byte{claim, answered} {
					if err := db.Set([]byte(spread(i)), value, lib.Sync); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// spread is the name of a key: no two that come after each other are beside each other.
func spread(i int) string { return fmt.Sprintf("%08x-order-%d", uint32(i)*2654435761, i) }

// measurePairs measures both what a pair takes, and what it takes of the processors,
// also where others are busy on the machine.
func measurePairs(b *testing.B, goroutines int, pair func(i int)) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	together(goroutines, b.N, pair)
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/pair")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}

func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var keys = flag.Int("keys", 1_000, "how many keys a benchmark puts on a shelf")

// tombstones are keys that are kept for so long, as many on each of their shelves, as
// they are after all that time.
func tombstones(tb testing.TB, s *pebble.Store, kept time.Duration, shelves int) {
	began := time.Now().UTC().Truncate(time.Microsecond).Add(-kept)
	n := 0
	for shelf := range shelves {
		born := began.Add(kept * time.Duration(shelf) / time.Duration(shelves))
		for left := *keys; left > 0; left -= 1_000 {
			records := make([]once.Record, 0, 1_000)
			for range min(left, 1_000) {
				n++
				r := claimed(spread(n), born)
				r.ForgetAt = born.Add(kept)
				records = append(records, done(tb, r).Bury(r.ExpiresAt))
			}
			if err := pebble.Fill(s, records); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// BenchmarkLookup looks for keys that were never seen, which takes a look on every
// shelf, and for keys whose answer is given again, which are on the last one.
func BenchmarkLookup(b *testing.B) {
	for _, row := range []struct {
		shelves int
		kept    time.Duration
	}{{1, 0}, {9, 400 * day}, {17, (16<<22 - 10) * time.Second}} {
		b.Run(fmt.Sprintf("kept=%dd", row.kept/day), func(b *testing.B) {
			s := open(b, b.TempDir())
			if row.kept > 0 {
				tombstones(b, s, row.kept, row.shelves)
			}
			answer := answers(b, s, *keys)
			if err := pebble.Compact(s); err != nil {
				b.Fatal(err)
			}
			b.Run("absent", func(b *testing.B) { lookUp(b, s, func(i int) string { return spread(-i - 1) }, once.Absent) })
			b.Run("replay", func(b *testing.B) { lookUp(b, s, answer, once.Done) })
		})
	}
}

// answers puts keys with their answers into a store, and returns what they are called.
func answers(tb testing.TB, s *pebble.Store, n int) (name func(i int) string) {
	now := time.Now()
	for from := 0; from < n; from += 1_000 {
		records := make([]once.Record, 0, 1_000)
		for i := from; i < min(n, from+1_000); i++ {
			records = append(records, done(tb, claimed("done-"+spread(i), now)))
		}
		if err := pebble.Fill(s, records); err != nil {
			tb.Fatal(err)
		}
	}
	return func(i int) string { return "done-" + spread(i*7919%n) }
}

func lookUp(b *testing.B, s *pebble.Store, name func(i int) string, state once.State) {
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if r := load(b, s, once.Key{Tenant: "acme", ID: name(n)}); r.State != state {
			b.Fatalf("%s is %s", r.Key.ID, r.State)
		}
	}
	b.ReportMetric(float64(len(pebble.Shelves(s))), "shelves")
}

// BenchmarkForget has -keys keys with their answers expire, and be forgotten, and waits
// until their room is given back.
func BenchmarkForget(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		path := b.TempDir()
		s := open(b, path)
		answers(b, s, *keys)
		if err := pebble.Compact(s); err != nil {
			b.Fatal(err)
		}
		before := used(b, path)
		b.StartTimer()
		began := time.Now()
		sweep(b, s, began.Add(2*day))
		answered := time.Now()
		sweep(b, s, began.Add(500*day))
		swept := time.Now()
		b.StopTimer()
		for used(b, path) > before/8+64<<20 { // logs stay, and tables that have something else, too
			time.Sleep(100 * time.Millisecond)
		}
		b.ReportMetric(float64(answered.Sub(began).Microseconds())/1000, "answers-ms")
		b.ReportMetric(float64(swept.Sub(answered).Microseconds())/1000, "keys-ms")
		b.ReportMetric(time.Since(swept).Seconds(), "s-until-room")
		b.ReportMetric(before/(1<<20), "MiB-before")
		b.ReportMetric(used(b, path)/(1<<20), "MiB-after")
		b.StartTimer()
	}
}

// used is how many bytes a directory takes on disk.
func used(tb testing.TB, path string) (bytes float64) {
	entries, err := os.ReadDir(path)
	if err != nil {
		tb.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil { // it may be gone
			bytes += float64(info.Sys().(*syscall.Stat_t).Blocks * 512)
		}
	}
	return bytes
}

// silent is a logger.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func open(tb testing.TB, path string) *pebble.Store {
	tb.Helper()
	s, err := pebble.Open(context.Background(), pebble.Config{Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
