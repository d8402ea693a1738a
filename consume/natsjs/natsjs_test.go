package natsjs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/consume/natsjs"
	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/once"
)

// street is a stream of a server inside the test.
type street struct {
	url     string
	publish jetstream.JetStream

	mu    sync.Mutex
	conns []*nats.Conn
}

// The window in which the broker deduplicates by itself is passed by every repetition
// in the suite.
const brokerWindow = 100 * time.Millisecond

func open(t testing.TB) *street {
	t.Helper()
	s, err := server.NewServer(&server.Options{Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not come up")
	}
	own := &street{url: s.ClientURL()}
	own.publish = connect(t, own.url)
	if _, err := own.publish.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "EVENTS", Subjects: []string{"events.>"}, MaxAge: 24 * time.Hour, Duplicates: brokerWindow,
	}); err != nil {
		t.Fatal(err)
	}
	own.durable(t, "points", func(*jetstream.ConsumerConfig) {})
	return own
}

func connect(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func (s *street) durable(t testing.TB, name string, set func(*jetstream.ConsumerConfig)) {
	t.Helper()
	cfg := jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Second}
	set(&cfg)
	if _, err := s.publish.CreateConsumer(t.Context(), "EVENTS", cfg); err != nil {
		t.Fatal(err)
	}
}

// Publish passes the broker's own window: what it takes for a duplicate is published again.
func (s *street) Publish(t testing.TB, id, body string) {
	t.Helper()
	for {
		ack, err := s.publish.Publish(t.Context(), "events.test", []byte(body), jetstream.WithMsgID(id))
		if err != nil {
			t.Fatal(err)
		}
		if !ack.Duplicate {
			return
		}
		time.Sleep(brokerWindow / 4)
	}
}

func (s *street) Run(ctx context.Context, c *consume.Consumer) error {
	nc, err := nats.Connect(s.url, nats.NoReconnect())
	if err != nil {
		return err
	}
	defer nc.Close()
	s.mu.Lock()
	s.conns = append(s.conns, nc)
	s.mu.Unlock()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	r, err := natsjs.New(ctx, js, c, natsjs.Config{Stream: "EVENTS", Durable: "points"})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

func (s *street) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, nc := range s.conns {
		nc.Close()
	}
	s.conns = nil
}

func (s *street) Left(t testing.TB) int {
	c, err := s.publish.Consumer(context.WithoutCancel(t.Context()), "EVENTS", "points")
	if err != nil {
		t.Error(err)
		return 0
	}
	info := c.CachedInfo()
	return int(info.NumPending) + info.NumAckPending
}

func TestConsumer(t *testing.T) {
	contract.TestConsumer(t, func(t testing.TB) contract.Street { return open(t) })
}

func consumer(t testing.TB, dead func(context.Context, consume.Message, error) error) *consume.Consumer {
	t.Helper()
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant, Window: 48 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	op := &once.Operation[struct{}]{Engine: eng, Name: "points"}
	c, err := consume.New(consume.Config{Name: "points", Dead: dead}, consume.Keyed(op, func(context.Context, consume.Message, *once.Attempt) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What would lose a message, or an effect's memory, is refused before anything is taken.
func TestWhatLosesIsRefused(t *testing.T) {
	s := open(t)
	bury := func(context.Context, consume.Message, error) error { return nil }
	s.durable(t, "implicit", func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckNonePolicy; c.AckWait = 0 })
	s.durable(t, "dropping", func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 })
	if _, err := s.publish.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVER", Subjects: []string{"ever"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.publish.CreateConsumer(t.Context(), "EVER", jetstream.ConsumerConfig{Durable: "points", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		cfg  natsjs.Config
		dead func(context.Context, consume.Message, error) error
		want error
	}{
		{"acknowledged by being sent", natsjs.Config{Stream: "EVENTS", Durable: "implicit"}, bury, natsjs.ErrUnsafe},
		{"dropped by the broker before it is a dead letter", natsjs.Config{Stream: "EVENTS", Durable: "dropping"}, bury, natsjs.ErrUnsafe},
		{"nowhere for dead letters", natsjs.Config{Stream: "EVENTS", Durable: "points"}, nil, natsjs.ErrUnsafe},
		{"kept for ever", natsjs.Config{Stream: "EVER", Durable: "points"}, bury, natsjs.ErrNoHorizon},
		{"kept for longer than it is remembered", natsjs.Config{Stream: "EVENTS", Durable: "points", Horizon: 45 * time.Hour}, bury, once.ErrWindowTooShort},
		{"well", natsjs.Config{Stream: "EVER", Durable: "points", Horizon: time.Hour}, bury, nil},
	} {
		if _, err := natsjs.New(t.Context(), s.publish, consumer(t, row.dead), row.cfg); !errors.Is(err, row.want) {
			t.Errorf("%s: it is %v, want %v", row.name, err, row.want)
		}
	}
}

// A dead letter has the message, and says why.
func TestDeadTo(t *testing.T) {
	s := open(t)
	stream, err := s.publish.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"dead.>"}})
	if err != nil {
		t.Fatal(err)
	}
	bury := natsjs.DeadTo(s.publish, "dead.points")
	if err := bury(t.Context(), consume.Message{ID: "m-1", Topic: "events.test", Body: []byte("x")}, errors.New("no\r\npoints")); err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(t.Context(), "dead.points")
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Data) != "x" || m.Header.Get(natsjs.HeaderReason) != "no points" || m.Header.Get(natsjs.HeaderTopic) != "events.test" || m.Header.Get(natsjs.HeaderID) != "m-1" {
		t.Errorf("the dead letter is %+v", m)
	}
	if err := natsjs.DeadTo(s.publish, "nowhere")(t.Context(), consume.Message{ID: "m-1"}, errors.New("x")); err == nil {
		t.Error("a dead letter that no stream has is taken")
	}
}
