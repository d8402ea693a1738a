// Package natsjs has a consume.Consumer take its messages from NATS JetStream.
//
//	r, err := natsjs.New(ctx, js, consumer, natsjs.Config{Stream: "EVENTS", Durable: "points"})
//	err = r.Run(ctx)
//
// # What is promised
//
// A message is acknowledged after its effect is durable, and delivered again if it is not.
// A message that fails is asked for again after its pause (a NAK with a delay), while
// others go on. The broker's deduplication (Nats-Msg-Id) is used for the id that it carries, and not
// relied on: its window may pass. What the stream or its consumer could do that loses or
// repeats an effect is refused by [New].
//
// # What is not promised
//
// A stream loses what it acknowledged in a power cut unless its server syncs always. The
// order of a subject is kept only while nothing is tried again and Concurrency is 1.
package natsjs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/once"
)

// Config says what is consumed. Stream and Durable are needed.
type Config struct {
	Stream string

	// Durable is a pull consumer of the stream, which exists: how its messages are chosen,
	// and its AckWait, are for whoever makes it. AckWait is longer than a message takes.
	Durable string

	// Concurrency is how many batches are handled at once.
	//
	// Defaults to 16.
	Concurrency int

	// Batch is how many messages are handled together at most, where as many are there:
	// nobody waits for a batch to fill. It is worth it with consume.InBatches.
	//
	// Defaults to 1; at most 1,000.
	Batch int

	// Horizon is how long after it was published a message can be delivered.
	//
	// Defaults to the stream's MaxAge; it is needed where that is unlimited.
	Horizon time.Duration
}

// Reader takes messages. Make one with [New].
type Reader struct {
	source             jetstream.Consumer
	consumer           *consume.Consumer
	concurrency, batch int
}

// maxBatch is how many messages one transaction holds at most.
const maxBatch = 1000

// What New refuses.
var (
	// ErrUnsafe means that a stream or its consumer is set up so that effects would be
	// lost: the error says by what.
	ErrUnsafe = errors.New("natsjs: the consumer would lose messages")

	// ErrNoHorizon means that nothing says how long messages can come again.
	ErrNoHorizon = errors.New("natsjs: the stream keeps messages for ever: say in Horizon how old one can be that is delivered")
)

// New makes a reader. It fails with an ErrUnsafe, an ErrNoHorizon, or a
// once.ErrWindowTooShort where the effects are forgotten before the messages are.
func New(ctx context.Context, js jetstream.JetStream, c *consume.Consumer, cfg Config) (*Reader, error) {
	stream, err := js.Stream(ctx, cfg.Stream)
	if err != nil {
		return nil, fmt.Errorf("natsjs: stream %s: %w", cfg.Stream, err)
	}
	source, err := stream.Consumer(ctx, cfg.Durable)
	if err != nil {
		return nil, fmt.Errorf("natsjs: consumer %s of %s: %w", cfg.Durable, cfg.Stream, err)
	}
	if err := check(c, source.CachedInfo().Config); err != nil {
		return nil, err
	}
	horizon := cmp.Or(cfg.Horizon, stream.CachedInfo().Config.MaxAge)
	if horizon <= 0 {
		return nil, ErrNoHorizon
	}
	if err := c.Outlives(once.Window{RetryHorizon: horizon}); err != nil {
		return nil, err
	}
	return &Reader{source: source, consumer: c, concurrency: cmp.Or(cfg.Concurrency, 16), batch: min(cmp.Or(cfg.Batch, 1), maxBatch)}, nil
}

// check says what would lose messages.
func check(c *consume.Consumer, cfg jetstream.ConsumerConfig) error {
	switch {
	case cfg.AckPolicy != jetstream.AckExplicitPolicy:
		return fmt.Errorf("%w: its AckPolicy is %v, which acknowledges what is not done; make it explicit", ErrUnsafe, cfg.AckPolicy)
	case cfg.MaxDeliver > 0 && cfg.MaxDeliver <= c.Deliveries():
		return fmt.Errorf("%w: JetStream drops a message after MaxDeliver %d, and only after %d deliveries would it be a dead letter",
			ErrUnsafe, cfg.MaxDeliver, c.Deliveries())
	case !c.Buries():
		return fmt.Errorf("%w: JetStream has no place for dead letters; give the consumer a Dead, such as DeadTo", ErrUnsafe)
	}
	return nil
}

// Run takes messages until ctx ends, which is no error, or the connection is closed. What
// is at work then is finished first.
func (r *Reader) Run(ctx context.Context) error {
	messages, err := r.source.Messages(jetstream.PullMaxMessages(r.concurrency * r.batch))
	if err != nil {
		return fmt.Errorf("natsjs: %w", err)
	}
	defer messages.Stop()
	arrived := make(chan jetstream.Msg, r.batch)
	var working sync.WaitGroup
	for range r.concurrency {
		working.Go(func() { r.work(context.WithoutCancel(ctx), arrived) })
	}
	defer working.Wait()
	defer close(arrived)
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrNoHeartbeat): // the server is away; the client asks again
			continue
		case err != nil:
			return fmt.Errorf("natsjs: %w", err)
		}
		arrived <- m
	}
}

// work handles what arrives, with what else is there by then.
func (r *Reader) work(ctx context.Context, arrived <-chan jetstream.Msg) {
	for m := range arrived {
		batch := []jetstream.Msg{m}
		for more := true; more && len(batch) < r.batch; {
			select {
			case m, more = <-arrived:
				if more {
					batch = append(batch, m)
				}
			default:
				more = false
			}
		}
		r.take(ctx, batch)
	}
}

// take handles deliveries. An answer that does not arrive is a delivery more.
func (r *Reader) take(ctx context.Context, batch []jetstream.Msg) {
	ms := make([]consume.Message, len(batch))
	for i, m := range batch {
		ms[i] = message(m)
	}
	for i, o := range r.consumer.HandleAll(ctx, ms) {
		if o.Action == consume.Retry {
			batch[i].NakWithDelay(max(o.After, time.Millisecond)) // zero is none, which would be at once
		} else {
			batch[i].Ack() // Dead: it is buried by now
		}
	}
}

func message(m jetstream.Msg) consume.Message {
	out := consume.Message{ID: m.Headers().Get(jetstream.MsgIDHeader), Topic: m.Subject(), Body: m.Data()}
	if meta, err := m.Metadata(); err == nil {
		out.Deliveries = int(meta.NumDelivered)
	}
	return out
}

// Headers of dead letters.
const (
	HeaderReason = "Dead-Reason"
	HeaderTopic  = "Dead-Topic"
	HeaderID     = "Dead-Message-Id"
)

// maxReason is how much of an error is sent along: headers are for people to look at.
const maxReason = 500

// DeadTo is a consume.Config.Dead that publishes to a subject, which must be one of a
// stream's: it waits until that has it.
func DeadTo(js jetstream.JetStream, subject string) func(context.Context, consume.Message, error) error {
	return func(ctx context.Context, m consume.Message, why error) error {
		letter := nats.NewMsg(subject)
		letter.Data = m.Body
		letter.Header.Set(HeaderReason, consume.Brief(why, maxReason))
		letter.Header.Set(HeaderTopic, m.Topic)
		letter.Header.Set(HeaderID, m.ID)
		_, err := js.PublishMsg(ctx, letter)
		return err
	}
}
