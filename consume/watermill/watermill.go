// Package watermill has a consume.Consumer handle the messages of a Watermill router, whichever broker
// that takes them from.
//
//	handle, err := watermill.Handler(consumer, watermill.Config{Horizon: 7 * 24 * time.Hour})
//	router.AddConsumerHandler("points", "payment.succeeded", subscriber, handle)
//
// # What is promised
//
// A message is acknowledged after its effect is durable, or once it is a dead letter; one that is to
// come again is not, and the subscriber delivers it anew.
//
// # What is not promised
//
// Watermill has no word for "later": a message that failed is held for its pause before it is given
// back, and those that its subscriber delivers in a row wait behind it. Where that must not be, use the
// face of the broker itself. What a subscriber does with a message that is not acknowledged
// is its own: most deliver it again for ever, and consume.Tries ends that.
package watermill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/once"
)

// Config says what messages are like. Horizon is needed.
type Config struct {
	// Horizon is how long after it was published the broker can deliver a message. No
	// subscriber tells.
	Horizon time.Duration

	// IDFrom is the metadata that names a message, the same at every delivery and whoever published it again,
	// such as ce_id.
	//
	// Defaults to the message's UUID: which is that of the message only if its publisher makes
	// it of what the message tells, and gives a repeat the same.
	IDFrom string

	// MaxPause is how long a message that failed is held at most. Those behind it wait.
	//
	// Defaults to 5 seconds.
	MaxPause time.Duration
}

// What Handler refuses.
var (
	// ErrNoHorizon means that nothing says how long messages can come again.
	ErrNoHorizon = errors.New("watermill: say in Horizon how old a message can be that is delivered")

	// ErrNoGrave means that the consumer has no place for dead letters, and Watermill has none:
	// they would come for ever, or be lost.
	ErrNoGrave = errors.New("watermill: there is no place for dead letters; give the consumer a Dead")
)

// Handler is what a router calls for each message. It fails with an ErrNoHorizon, an ErrNoGrave, or a
// once.ErrWindowTooShort where the effects are forgotten before the messages are.
func Handler(c *consume.Consumer, cfg Config) (message.NoPublishHandlerFunc, error) {
	switch {
	case cfg.Horizon <= 0:
		return nil, ErrNoHorizon
	case !c.Buries():
		return nil, ErrNoGrave
	}
	if err := c.Outlives(once.Window{RetryHorizon: cfg.Horizon}); err != nil {
		return nil, err
	}
	cfg.MaxPause = cmp.Or(cfg.MaxPause, 5*time.Second)
	return func(m *message.Message) error {
		o := c.Handle(context.WithoutCancel(m.Context()), read(m, cfg.IDFrom)) // the effect outlives who delivered
		if o.Action != consume.Retry {
			return nil
		}
		hold(m.Context(), min(o.After, cfg.MaxPause))
		return fmt.Errorf("watermill: message %s comes again: %w", m.UUID, o.Err)
	}, nil
}

func read(m *message.Message, idFrom string) consume.Message {
	out := consume.Message{ID: m.UUID, Body: m.Payload, Topic: message.SubscribeTopicFromCtx(m.Context())}
	if idFrom != "" {
		out.ID = m.Metadata.Get(idFrom)
	}
	return out
}

// hold waits, unless the subscriber is closed meanwhile.
func hold(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
