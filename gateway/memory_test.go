//go:build !race

package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/pay"
)

// BenchmarkWaiting measures what calls cost that wait for a gateway which does not
// answer: ten thousand may, in one process.
func BenchmarkWaiting(b *testing.B) {
	for _, n := range []int{1_000, 8_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(float64(waiting(b, n))/float64(n), "bytes/call")
			}
		})
	}
}

// Ten thousand calls that wait are to leave room for all that waits with them in
// 512 MiB.
func TestWaitingCostsLittle(t *testing.T) {
	const calls, most = 1_000, 16 << 10
	if got := waiting(t, calls) / calls; got > most {
		t.Errorf("a call that waits holds %d bytes, more than %d", got, most)
	}
}

func waiting(t testing.TB, n int) uint64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	conns := make([]net.Conn, 0, n)
	arrived := make(chan struct{}, n)
	go func() { // without a goroutine for each: what is measured is our side
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			arrived <- struct{}{}
		}
	}()
	c, err := gateway.New(gateway.Config{Name: "slow", URL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	before := memory()
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			c.Send(ctx, gateway.Request{
				Path: "/v1/operations", Body: []byte(strings.Repeat("x", 500)), Timeout: time.Minute,
				Header: http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {fmt.Sprintf("att_%032d", i)}},
			}, func(gateway.Answer) (pay.Finding, bool) { return pay.Finding{}, false })
		})
	}
	for range n {
		<-arrived
	}
	for c.Stats().Sends < int64(n) {
		time.Sleep(time.Millisecond)
	}
	after := memory()
	cancel()
	calls.Wait()
	l.Close()
	mu.Lock()
	defer mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	c.Close()
	if after < before {
		return 0
	}
	return after - before
}

// memory is what the process has in use.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
