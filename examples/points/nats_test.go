package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsBroker is a server inside the test.
type natsBroker struct {
	at string
	js jetstream.JetStream
}

// brokerWindow is in which the broker deduplicates by itself: every event that is published
// again is so after it.
const brokerWindow = 100 * time.Millisecond

func startNATS(t *testing.T) *natsBroker {
	s, err := server.NewServer(&server.Options{Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not come up")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "EVENTS", Subjects: []string{"events.>"}, MaxAge: 30 * 24 * time.Hour, Duplicates: brokerWindow,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "points", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, FilterSubject: "events.>",
	}); err != nil {
		t.Fatal(err)
	}
	return &natsBroker{s.ClientURL(), js}
}

func (b *natsBroker) url() string { return b.at }

func (b *natsBroker) publish(t *testing.T, id, body string) {
	for {
		ack, err := b.js.Publish(t.Context(), "events.payment", []byte(body), jetstream.WithMsgID(id))
		if err != nil {
			t.Error(err)
			return
		}
		if !ack.Duplicate {
			return
		}
		time.Sleep(brokerWindow / 4)
	}
}

func (b *natsBroker) left(t *testing.T) int {
	c, err := b.js.Consumer(t.Context(), "EVENTS", "points")
	if err != nil {
		t.Fatal(err)
	}
	info := c.CachedInfo()
	return int(info.NumPending) + info.NumAckPending
}

func TestNATS(t *testing.T) {
	t.Run("killed between steps", func(t *testing.T) { crashBetweenSteps(t, startNATS(t)) })
	t.Run("killed at random", func(t *testing.T) { killedAtRandom(t, startNATS(t)) })
}
