package nats_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/oncepay/oncepay/broker/nats"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/store/sqlite"
)

// backlog is how many events are relayed in one round. Each subject has three in a row, as
// a payment has.
const backlog = 30_000

// payload is about what a payment is.
var payload = []byte(fmt.Sprintf(`{"id":"pay_01k8zq000000000000000000","status":"succeeded","text":"%0500d"}`, 0))

func events(from, n int) (all []outbox.Event) {
	for i := from; i < from+n; i++ {
		all = append(all, outbox.Event{
			ID: fmt.Sprintf("evt_%026d", i), Tenant: "acme", Type: "payment.succeeded", Subject: fmt.Sprintf("pay_%026d", i/3), At: time.Now(), Data: payload,
		})
	}
	return all
}

func openStore(b *testing.B) *sqlite.Store {
	b.Helper()
	s, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "once.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func commit(b *testing.B, s *sqlite.Store, all []outbox.Event) {
	b.Helper()
	for some := range slices.Chunk(all, 500) {
		if err := s.Commit(b.Context(), &engine.Changes{At: time.Now(), Ledger: &ledger.Changes{Events: some}}); err != nil {
			b.Fatal(err)
		}
	}
}

// startServer starts a server that syncs each message, or as it does by default.
func startServer(b *testing.B, syncs bool) string {
	b.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: b.TempDir(), SyncAlways: syncs, NoSigs: true, NoLog: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		b.Fatal("the server does not start")
	}
	b.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s.ClientURL()
}

// BenchmarkRelay compares the relay with a bare publisher, which has the same messages in
// memory, made already, and publishes them asynchronously to the same server with as many in
// flight. They take turns, each with a new stream.
func BenchmarkRelay(b *testing.B) {
	for name, syncs := range map[string]bool{"synced": true, "unsynced": false} {
		b.Run(name, func(b *testing.B) {
			url, store := startServer(b, syncs), openStore(b)
			all := events(0, backlog)
			commit(b, store, all)
			var raw, relayed time.Duration
			round := 0
			for b.Loop() {
				raw += publishBare(b, url, fmt.Sprint("RAW", round), all)
				relayed += relay(b, url, fmt.Sprint("RELAY", round), store)
				round++
			}
			n := float64(backlog * round)
			b.ReportMetric(n/raw.Seconds(), "raw-events/s")
			b.ReportMetric(n/relayed.Seconds(), "relay-events/s")
			b.ReportMetric(raw.Seconds()/relayed.Seconds(), "of-raw")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func publishBare(b *testing.B, url, stream string, all []outbox.Event) time.Duration {
	b.Helper()
	c, err := client.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c, jetstream.WithPublishAsyncMaxPending(4096))
	if err == nil {
		_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{stream + ".>"}, Duplicates: 10 * time.Minute})
	}
	if err != nil {
		b.Fatal(err)
	}
	var messages []*client.Msg
	for _, e := range all {
		messages = append(messages, &client.Msg{
			Subject: stream + "." + e.Type, Data: outbox.AppendEnvelope(nil, outbox.DefaultSource, e),
			Header: client.Header{"Nats-Msg-Id": {e.ID}, "Nats-Expected-Stream": {stream}, "Content-Type": {outbox.ContentType}},
		})
	}
	began := time.Now()
	for _, m := range messages {
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	took := time.Since(began)
	if err := js.DeleteStream(b.Context(), stream); err != nil {
		b.Fatal(err)
	}
	return took
}

// relay relays the whole backlog under a name that is new.
func relay(b *testing.B, url, stream string, s *sqlite.Store) time.Duration {
	b.Helper()
	sink, err := nats.Connect(nats.Config{URL: url, Stream: stream, Prefix: stream, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	r := outbox.New(outbox.Config{Name: stream, Store: s, Sink: sink, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	began := time.Now()
	wg.Go(func() { r.Run(ctx) })
	for r.Stats().Acknowledged < backlog {
		time.Sleep(100 * time.Microsecond)
	}
	took := time.Since(began)
	stop()
	wg.Wait()
	c, err := client.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err == nil {
		err = js.DeleteStream(b.Context(), stream)
	}
	if err != nil {
		b.Fatal(err)
	}
	return took
}

// BenchmarkDelivery measures the time from when a commit has returned to when a consumer has its
// event, at 500 events a second in commits of one.
func BenchmarkDelivery(b *testing.B) {
	url, store := startServer(b, true), openStore(b)
	c, err := client.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	came := make(chan time.Time, 1<<16)
	if _, err := c.Subscribe("oncepay.events.>", func(*client.Msg) { came <- time.Now() }); err != nil {
		b.Fatal(err)
	}
	sink, err := nats.Connect(nats.Config{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	r := outbox.New(outbox.Config{Name: "nats", Store: store, Sink: sink, Poll: time.Second, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		pace := time.After(2 * time.Millisecond)
		commit(b, store, events(3*n, 1))
		committed := time.Now()
		r.Wake()
		took = append(took, max(0, (<-came).Sub(committed)))
		<-pace
	}
	stop()
	wg.Wait()
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}
