package sqlite_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
)

var undelivered = flag.Int("undelivered", 20_000, "how many events wait in BenchmarkBacklog")

// deaf is a sink that never answers.
type deaf struct{}

func (deaf) Publish(context.Context, outbox.Message, func(error)) {}

// BenchmarkBacklog measures what events cost that nobody takes, while a relay tries to get
// them out: how long a commit takes with none of them and with all, what more is on the heap,
// and what it costs to look how far the sink is behind. `make backlog` has a million wait.
func BenchmarkBacklog(b *testing.B) {
	const batch, measured = 200, 200
	s := open(b, filepath.Join(b.TempDir(), "backlog.db"))
	n := 0
	commit := func(times int) time.Duration {
		began := threadTime(b)
		for range times {
			var events []outbox.Event
			for range batch {
				n++
				events = append(events, outbox.Event{
					ID: fmt.Sprintf("evt_%026d", n), Tenant: "acme", Type: "payment.succeeded", Subject: fmt.Sprintf("pay_%026d", n/3),
					At: time.Now(), Data: fmt.Appendf(nil, `{"id":"pay_%026d","text":"%0400d"}`, n/3, n),
				})
			}
			if err := s.Commit(b.Context(), &engine.Changes{At: time.Now(), Ledger: &ledger.Changes{Events: events}}); err != nil {
				b.Fatal(err)
			}
		}
		return (threadTime(b) - began) / time.Duration(times)
	}
	runtime.LockOSThread() // so that the thread's time is that of the commits
	defer runtime.UnlockOSThread()
	ctx, stop := context.WithCancel(b.Context())
	var relaying sync.WaitGroup
	relay := outbox.New(outbox.Config{Name: "deaf", Store: s, Sink: deaf{}})
	relaying.Go(func() { relay.Run(ctx) })
	defer relaying.Wait()
	defer stop()

	few, before := commit(measured), heap()
	for n < *undelivered {
		commit(1)
	}
	many, after := commit(measured), heap()
	for b.Loop() {
		if all, err := s.Sinks(b.Context()); err != nil || len(all) != 1 || all[0].Lag != int64(n) {
			b.Fatal(all, err)
		}
	}
	b.ReportMetric(float64(n), "undelivered")
	b.ReportMetric(float64(few.Microseconds()), "first-commits-cpu-µs")
	b.ReportMetric(float64(many.Microseconds()), "last-commits-cpu-µs")
	b.ReportMetric(float64(after-before)/(1<<20), "more-heap-MiB")
}

// heap is what is alive on it.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
