package processor_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// A payment that is answered at once: two commits, on a store in memory.
func BenchmarkPayment(b *testing.B) {
	for _, clients := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			h := open(b, newBooks(), newSide(hostile))
			defer h.shut()
			var next atomic.Int64
			var all sync.WaitGroup
			before := cpu(b)
			b.ReportAllocs()
			b.ResetTimer()
			for range clients {
				all.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if h.create("t", fmt.Sprintf("order-%d", i)) == "" {
							b.Error("a payment was refused")
						}
					}
				})
			}
			all.Wait()
			for h.Stats().Gateways["g"].Settled < int64(b.N) {
				runtime.Gosched()
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What ten thousand payments hold in memory while they wait for a slow gateway,
// the connector's part aside.
func BenchmarkWaiting(b *testing.B) {
	const many = 10_000
	for b.Loop() {
		q := &quiet{arrived: make(chan struct{}, many), answer: make(chan struct{})}
		h := openWith(b, newBooks(), q)
		var before, during runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range many {
			h.Act(&pay.Order{
				Payment: &pay.Payment{
					Ref: pay.Ref{Tenant: "t", ID: fmt.Sprintf("pay_%026d", i)}, Amount: 100, Currency: "EUR", Gateway: "g", Method: "pm_ok",
					Reference: fmt.Sprintf("order-%d", i), Operations: []*pay.Operation{{ID: fmt.Sprintf("att_%026d", i), LeaseUntil: time.Now().Add(time.Hour)}},
				},
				Operation: fmt.Sprintf("att_%026d", i), Attempt: 1,
			})
		}
		for range many {
			<-q.arrived
		}
		runtime.GC()
		runtime.ReadMemStats(&during)
		held := during.HeapAlloc + during.StackInuse - before.HeapAlloc - before.StackInuse
		b.ReportMetric(float64(held)/many, "B/waiting")
		close(q.answer)
		h.shut()
	}
}

// quiet is a gateway that answers when it is told to.
type quiet struct{ arrived, answer chan struct{} }

func (q *quiet) Terms() pay.Terms { return pay.Terms{Contract: hostile} }

func (q *quiet) Send(ctx context.Context, _ pay.Call) pay.Finding {
	q.arrived <- struct{}{}
	select {
	case <-q.answer:
	case <-ctx.Done():
	}
	return pay.Finding{}
}

func (q *quiet) Check(context.Context, pay.Call) pay.Finding { return pay.Finding{} }

func (q *quiet) Notice(string, http.Header, []byte, time.Time) (pay.Notice, pay.Finding, error) {
	return pay.Notice{}, pay.Finding{}, nil
}

// Ten thousand operations in doubt, at a gateway that answers at once: what it
// costs us to settle each.
func BenchmarkTakeOver(b *testing.B) {
	const many = 10_000
	for b.Loop() {
		b.StopTimer()
		books, s := newBooks(), newSide(hostile)
		s.contract.LookupLag = time.Nanosecond
		leave(b, books, s, many, oneTenant)
		before := cpu(b)
		b.StartTimer()
		h := open(b, books, s)
		for h.Stats().Gateways["g"].Settled < many {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		b.ReportMetric(float64((cpu(b)-before).Microseconds())/many, "cpu-µs/operation")
		h.shut()
		b.StartTimer()
	}
}
