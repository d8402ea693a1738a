package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/consume/kafka"
	"github.com/oncepay/oncepay/consume/natsjs"
)

// take takes events from the broker that the URL names.
func (l *ledger) take(ctx context.Context, broker string) error {
	at, err := url.Parse(broker)
	if err != nil {
		return err
	}
	switch at.Scheme {
	case "nats":
		return l.takeNATS(ctx, broker)
	case "kafka":
		return l.takeKafka(ctx, at.Host)
	}
	return fmt.Errorf("%s is no broker that is known here", broker)
}

// ackWait is how long a message may be unheard of before it is delivered again: longer
// than its effect takes.
const ackWait = 2 * time.Second

func (l *ledger) takeNATS(ctx context.Context, broker string) error {
	c, err := l.consumer(consume.In(&l.add, points))
	if err != nil {
		return err
	}
	nc, err := nats.Connect(broker, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if _, err := js.CreateOrUpdateConsumer(ctx, "EVENTS", jetstream.ConsumerConfig{
		Durable: "points", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, FilterSubject: "events.>",
	}); err != nil {
		return err
	}
	r, err := natsjs.New(ctx, js, c, natsjs.Config{Stream: "EVENTS", Durable: "points"})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// takeKafka stores the place of each partition in the transaction of the effect. Without a
// RebalanceTimeout of its own a group waits a minute for members that were killed.
func (l *ledger) takeKafka(ctx context.Context, host string) error {
	offsets, err := kafka.NewOffsets(ctx, l.db, '?')
	if err != nil {
		return err
	}
	c, err := l.consumer(kafka.In(&l.add, "points", offsets.Save, points))
	if err != nil {
		return err
	}
	r, err := kafka.New(ctx, c, kafka.Config{Group: "points", Topics: []string{"events"}, Load: offsets.Load},
		kgo.SeedBrokers(host), kgo.SessionTimeout(ackWait), kgo.RebalanceTimeout(ackWait), kgo.HeartbeatInterval(ackWait/4))
	if err != nil {
		return err
	}
	return r.Run(ctx)
}
