package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// threadTime is the processor time of this thread: it says what a commit costs
// also where others are busy on the machine.
func threadTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(1, &u); err != nil { // RUSAGE_THREAD
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{48, 256} {
		for _, w := range []struct {
			name string
			from func(i int) int
			keys string
		}{
			{"spread", func(i int) int { return i * 7919 % 1000 }, "ordered"},
			{"spread", func(i int) int { return i * 7919 % 1000 }, "random"},
			{"hot", func(int) int { return 0 }, "ordered"},
		} {
			b.Run(fmt.Sprintf("batch=%d/accounts=%s/keys=%s", size, w.name, w.keys), func(b *testing.B) {
				t := newTeller(open(b, filepath.Join(b.TempDir(), "bench.db")))
				if w.keys == "random" {
					t.keyed = randomKey
				}
				t.openAccounts(b, 1000)
				b.ReportAllocs()
				n, spent := 0, time.Duration(0)
				runtime.LockOSThread() // so that the thread's time is that of the commits
				defer runtime.UnlockOSThread()
				for b.Loop() {
					b.StopTimer()
					var cs []ledger.Command
					for range size {
						n++
						from := w.from(n)
						cs = append(cs, transfer(from, (from+1+n%998)%1000, 5))
					}
					c := t.decide(b, cs...)
					b.StartTimer()
					before := threadTime(b)
					if err := t.s.Commit(context.Background(), c); err != nil {
						b.Fatal(err)
					}
					spent += threadTime(b) - before
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tr/s")
				b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "cpu-ns/tr")
			})
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, keys := range []string{"ordered", "random"} {
		b.Run("batch=48/keys="+keys, func(b *testing.B) {
			t := newTeller(open(b, filepath.Join(b.TempDir(), "bench.db")))
			if keys == "random" {
				t.keyed = randomKey
			}
			t.openAccounts(b, 1000)
			t.run(b, 100_000)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				t.run(b, 48) // every load sees a commit that the one before did not
				need := t.need(48)
				n += 48
				b.StartTimer()
				if _, err := t.s.Load(context.Background(), need); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tr/s")
		})
	}
}

// run commits n transfers in batches.
func (t *teller) run(tb testing.TB, n int) {
	tb.Helper()
	for n > 0 {
		var cs []ledger.Command
		for range min(n, 256) {
			cs = append(cs, transfer(t.n%1000, (t.n+1+t.n/1000%998)%1000, 5))
			t.n++
			n--
		}
		if err := t.s.Commit(context.Background(), t.decide(tb, cs...)); err != nil {
			tb.Fatal(err)
		}
	}
}

// need is what n transfers with new keys have to know.
func (t *teller) need(n int) (need engine.Need) {
	book := ledger.NewBook()
	for range n {
		t.n++
		transfer(t.n*7919%1000, t.n*31%1000, 5).Needs(book)
		need.Keys = append(need.Keys, once.Key{Tenant: "acme", ID: t.keyed(t.n)})
	}
	need.Rows = book.Wanted()
	return need
}

// BenchmarkSteady commits batch after batch for as long as it is let:
// -benchtime=20834x is a million transfers.
func BenchmarkSteady(b *testing.B) {
	for _, keys := range []string{"ordered", "random"} {
		b.Run("batch=48/keys="+keys, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "bench.db")
			t := newTeller(open(b, path))
			if keys == "random" {
				t.keyed = randomKey
			}
			t.openAccounts(b, 1000)
			var took []time.Duration
			for b.Loop() {
				var cs []ledger.Command
				for range 48 {
					cs = append(cs, transfer(t.n*7919%1000, (t.n*7919+1+t.n%998)%1000, 5))
					t.n++
				}
				c := t.decide(b, cs...)
				began := time.Now()
				if err := t.s.Commit(context.Background(), c); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			b.ReportMetric(float64(48*len(took))/b.Elapsed().Seconds(), "tr/s")
			slices.Sort(took)
			for name, i := range map[string]int{"p50-ms": len(took) / 2, "p99-ms": len(took) * 99 / 100, "p999-ms": len(took) * 999 / 1000, "max-ms": len(took) - 1} {
				b.ReportMetric(float64(took[i].Microseconds())/1000, name)
			}
			b.ReportMetric(residentMiB(b), "rss-MiB")
			b.ReportMetric(sizeMiB(b, path+"-wal"), "log-MiB")
			b.ReportMetric(sizeMiB(b, path), "file-MiB")
		})
	}
}

func residentMiB(tb testing.TB) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib float64
	fmt.Sscan(rest, &kib)
	return kib / 1024
}

func sizeMiB(tb testing.TB, path string) float64 {
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return float64(info.Size()) / (1 << 20)
}
