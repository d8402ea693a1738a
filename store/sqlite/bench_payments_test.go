package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/store/sqlite"
)

// clients has n clients do something, so often in all.
func clients(n, times int, do func()) {
	var left atomic.Int64
	left.Store(int64(times))
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				do()
			}
		})
	}
	wg.Wait()
}

func processTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPayments is the two commits of a payment: its intent, and what came of
// it, with all that a payment takes but HTTP and the gateway.
func BenchmarkPayments(b *testing.B) {
	for _, n := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			s := openShop(b)
			b.ReportAllocs()
			b.ResetTimer()
			before := processTime(b)
			clients(n, b.N, func() {
				if o := s.begin(b); o != nil {
					s.settle(b, o)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
			b.ReportMetric(float64((processTime(b)-before).Microseconds())/float64(b.N), "cpu-us/payment")
		})
	}
}

// BenchmarkRecovery is what comes after a crash: 10,000 payments whose sends were
// never heard of are found, and it is written down what the gateway says of each.
func BenchmarkRecovery(b *testing.B) {
	const doubtful = 10_000
	var found, recorded time.Duration
	for b.Loop() {
		b.StopTimer()
		s := openShop(b)
		clients(256, doubtful, func() { s.begin(b) })
		b.StartTimer()
		began := time.Now()
		due, err := s.s.DueOperations(b.Context(), "sandbox", time.Now().Add(time.Hour), doubtful)
		if err != nil || len(due) != doubtful {
			b.Fatal(len(due), err)
		}
		found += time.Since(began)
		began = time.Now()
		var next atomic.Int64
		clients(256, doubtful, func() {
			d := due[next.Add(1)-1]
			s.record(b, pay.Record{
				Ref: d.Ref, Operation: d.Operation, House: s.house, Gone: true, Began: time.Now(),
				Finding: &pay.Finding{Outcome: pay.Done, Amount: 1250, Currency: "EUR", GatewayID: "ch_" + d.Operation[4:]},
			})
		})
		recorded += time.Since(began)
	}
	b.ReportMetric(float64(found.Milliseconds())/float64(b.N), "ms-to-find")
	b.ReportMetric(float64(recorded.Milliseconds())/float64(b.N), "ms-to-record")
}

// BenchmarkDue is one look for what is due at a gateway that 10,000 operations are
// due at: alone in the store, and while ten times as many have been due for longer
// at a gateway that is no more.
func BenchmarkDue(b *testing.B) {
	const due = 10_000
	for _, others := range []int{0, 10 * due} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "once.db"))
			fallDue(b, s, "gone", noon, others)
			fallDue(b, s, "sandbox", noon.Add(time.Hour), due)
			b.ReportAllocs()
			before := processTime(b)
			for b.Loop() {
				found, err := s.DueOperations(b.Context(), "sandbox", noon.Add(2*time.Hour), due)
				if err != nil || len(found) != due {
					b.Fatal(len(found), err)
				}
			}
			b.ReportMetric(float64((processTime(b)-before).Microseconds())/float64(b.N)/1000, "cpu-ms/look")
		})
	}
}

// fallDue writes payments whose charges are due at a gateway.
func fallDue(tb testing.TB, s *sqlite.Store, gateway string, at time.Time, many int) {
	tb.Helper()
	for first := 0; first < many; first += 1000 {
		c := pay.Changes{}
		for i := first; i < min(first+1000, many); i++ {
			p := charged(fmt.Sprintf("pay_%s_%026d", gateway, i))
			p.Gateway = gateway
			p.Operations[0].DueAt = at.Add(time.Duration(i) * time.Microsecond)
			c.Payments = append(c.Payments, p)
		}
		if err := s.Commit(tb.Context(), written(c)); err != nil {
			tb.Fatal(err)
		}
	}
}
