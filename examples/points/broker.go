package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/consume/natsjs"
)

// take takes events from the broker that the URL names.
func take(ctx context.Context, broker string, c *consume.Consumer) error {
	at, err := url.Parse(broker)
	if err != nil {
		return err
	}
	switch at.Scheme {
	case "nats":
		return takeNATS(ctx, broker, c)
	}
	return fmt.Errorf("%s is no broker that is known here", broker)
}

// ackWait is how long a message may be unheard of before it is delivered again: longer
// than its effect takes.
const ackWait = 2 * time.Second

func takeNATS(ctx context.Context, broker string, c *consume.Consumer) error {
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
