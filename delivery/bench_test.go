package delivery_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/outbound"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/store/sqlite"
)

// BenchmarkWebhooks delivers events to endpoints that answer at once, beside a bare client that posts and
// signs the same with as many connections, and writes nothing down.
func BenchmarkWebhooks(b *testing.B) {
	const endpoints, events = 8, 250
	var taken atomic.Int64
	var hooks []string
	for range endpoints {
		hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			taken.Add(1)
			w.WriteHeader(http.StatusNoContent)
		}))
		defer hook.Close()
		hooks = append(hooks, hook.URL)
	}
	client := outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	defer client.Close()
	await := func(n int64) {
		for taken.Load() < n {
			time.Sleep(100 * time.Microsecond)
		}
	}
	var spent [2]time.Duration
	for b.Loop() {
		store, placed := filled(b, events)
		taken.Store(0)
		began := time.Now()
		var posting sync.WaitGroup
		left := make(chan outbox.Placed, endpoints*events)
		for range endpoints {
			for _, p := range placed {
				left <- p
			}
		}
		close(left)
		for i := range 8 * endpoints {
			posting.Go(func() {
				for p := range left {
					client.Post(b.Context(), hooks[i%endpoints], http.Header{}, outbox.AppendEnvelope(nil, outbox.DefaultSource, p.Event))
				}
			})
		}
		posting.Wait()
		spent[0] += time.Since(began)

		taken.Store(0)
		courier := delivery.New(delivery.Config{Store: store, Client: client, Secrets: delivery.NewSecrets(store.Secret())})
		fan := delivery.NewFanOut(store, courier.Wake)
		for i := range endpoints {
			e := delivery.Endpoint{ID: fmt.Sprint("we_", i), Tenant: "acme", URL: hooks[i], Generation: 1}
			if _, err := store.AddEndpoint(b.Context(), e, [32]byte{byte(i)}, endpoints); err != nil {
				b.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(b.Context())
		var running sync.WaitGroup
		running.Go(func() { courier.Run(ctx) })
		began = time.Now()
		for _, p := range placed {
			fan.Publish(ctx, outbox.Message{Placed: p}, func(err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		await(endpoints * events)
		spent[1] += time.Since(began)
		fan.Close()
		stop()
		running.Wait()
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(b.N * endpoints * events)
	b.ReportMetric(n/spent[0].Seconds(), "bare/s")
	b.ReportMetric(n/spent[1].Seconds(), "webhooks/s")
	b.ReportMetric(spent[0].Seconds()/spent[1].Seconds(), "of-bare")
}

// filled is a store with events.
func filled(b *testing.B, n int) (*sqlite.Store, []outbox.Placed) {
	b.Helper()
	store, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "once.db")})
	if err != nil {
		b.Fatal(err)
	}
	executor := engine.New(store, engine.Config{})
	defer executor.Close(context.Background())
	var jobs []*engine.Job
	for i := range n {
		jobs = append(jobs, &engine.Job{
			Tenant: "acme", Command: ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: fmt.Sprint("a", i)}, Currency: "EUR"},
			Reply: func(ledger.Result, *ledger.Refusal) once.Answer { return once.Answer{Status: 201} },
		})
	}
	executor.DoAll(b.Context(), jobs)
	placed, _, err := store.EventsAfter(b.Context(), 0, n)
	if err != nil || len(placed) != n {
		b.Fatalf("%d events, %v", len(placed), err)
	}
	return store, placed
}
