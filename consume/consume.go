// Package consume makes the effect of a message happen once for each consumer and message
// id, on brokers that deliver at least once.
//
//	points := pgkeys.Operation[struct{}]{Keys: keys, Operation: once.Operation[struct{}]{Engine: eng, Name: "points"}}
//	c, err := consume.New(consume.Config{Name: "points", Dead: bury}, consume.In(&points, addPoints))
//	outcome := c.Handle(ctx, consume.Message{ID: id, Body: body}) // then tell the broker
//
// There are few types. A [Message] is one delivery. An [Effect] is what it is to come to,
// run once: [In] makes one that is a single commit with its mark, [Keyed] one whose effect
// is elsewhere. A [Consumer] runs it and says what the broker is to be told, which is an
// [Outcome], decided by one pure function ([Tries.Decide]). The packages below are faces for
// brokers; [Consumer.Handle] is the plain function for the rest.
//
// # What is promised
//
// With [In], claim, effect and mark are one commit: whatever crashes, and however often the
// broker delivers, effects per consumer and message id are exactly one, as long as the
// message is delivered until it is acknowledged. Nothing is acknowledged, and nothing marked
// for others to see, before that commit. With [Keyed], the order is claim, effect, mark, and an
// effect whose mark was lost is left to the operation's once.Policy: never run again blindly.
// A message that fails again and again goes to the dead letter, and holds up nobody.
// A message is remembered for longer than its broker can deliver it again: a consumer whose
// window is shorter is not made.
//
// # What is not promised
//
// The broker's own deduplication is not relied on. A message without an id cannot be
// told from another, and is a dead letter. Order: what is tried again later is overtaken by what is
// behind it. What a function does outside of its transaction is not undone with it. The dead
// letter is at least once, like every delivery.
package consume

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/oncepay/oncepay/once"
)

// Message is one delivery of a message.
type Message struct {
	// ID is what its sender named it by, the same at every delivery and whatever the
	// broker: never a sequence number of the broker's.
	//
	// Defaults to the id of the CloudEvents envelope that Body is.
	ID string

	Topic      string // where it came from: a subject, a queue, a topic
	Body       []byte
	Deliveries int // how often it was delivered, with this time; 0: the broker does not say

	// At is where it is in a log that keeps its place; nil elsewhere.
	At *Place
}

// Place is a place in a log, such as a partition of a topic.
type Place struct {
	Partition int32
	Offset    int64
}

// Config says what a consumer is. Name is needed.
type Config struct {
	// Name is who consumes: two consumers of one store each have their own effect of
	// a message. Visible ASCII without a slash, at most 64 characters.
	Name string

	// Tries say how often a message is tried, and when again.
	Tries Tries

	// Dead is given what is not tried any more, and why. It has returned before the
	// broker is told. It may be given the same message again. If it fails, the message
	// comes again.
	//
	// Defaults to none: the broker is told that the message is dead, where it has a
	// place for such.
	Dead func(context.Context, Message, error) error

	// Same is what of a message must be the same when it comes again. Another message
	// under the same id is a dead letter.
	//
	// Defaults to its body.
	Same func(Message) []byte

	// Observe is told what every delivery came to, by the goroutine that handled it:
	// it must not wait.
	Observe func(context.Context, Message, Outcome)
}

// maxName leaves most of a key to the message's id.
const maxName = 64

func (c Config) withDefaults() Config {
	c.Tries = c.Tries.withDefaults()
	if c.Same == nil {
		c.Same = func(m Message) []byte { return m.Body }
	}
	if c.Observe == nil {
		c.Observe = func(context.Context, Message, Outcome) {}
	}
	return c
}

func (c *Config) check() error {
	if err := once.CheckID(c.Name); err != nil {
		return fmt.Errorf("consume: Name: %w", err)
	}
	if len(c.Name) > maxName || strings.Contains(c.Name, "/") {
		return fmt.Errorf("consume: Name %q is longer than %d, or has a slash", c.Name, maxName)
	}
	return c.Tries.check()
}

// Consumer handles messages. [New] makes one; it is safe for concurrent use.
type Consumer struct {
	cfg      Config
	effect   Effect
	failures failures
}

// New makes a consumer.
func New(cfg Config, effect Effect) (*Consumer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if effect.run == nil {
		return nil, errors.New("consume: an Effect is made by In or Keyed")
	}
	return &Consumer{cfg: cfg, effect: effect}, nil
}

// Outlives says whether a message is remembered for longer than it can come again: w is
// what the broker can do. Faces for brokers fill it from their configuration, and refuse
// what it refuses, with a once.ErrWindowTooShort.
func (c *Consumer) Outlives(w once.Window) error {
	if err := w.WithDefaults().Check(c.effect.window); err != nil {
		return fmt.Errorf("consume: %s forgets messages that can still come again: %w", c.cfg.Name, err)
	}
	return nil
}

// Name is Config.Name.
func (c *Consumer) Name() string { return c.cfg.Name }

// Deliveries is how often a message may be delivered: see [Tries].
func (c *Consumer) Deliveries() int { return c.cfg.Tries.Deliveries }

// Buries says whether the consumer has a dead letter of its own. The broker needs one otherwise.
func (c *Consumer) Buries() bool { return c.cfg.Dead != nil }

// Handle has the effect of a message happen, unless it has, and says what the broker is
// to be told. What is durable by then is as the Outcome says.
func (c *Consumer) Handle(ctx context.Context, m Message) Outcome {
	err := m.identify()
	if err == nil && m.Deliveries > c.cfg.Tries.Deliveries {
		err = Poison(fmt.Errorf("consume: it was delivered %d times, and was never finished", m.Deliveries))
	}
	if err == nil {
		err = c.run(ctx, m)
	}
	return c.conclude(ctx, m, err)
}

// conclude is what an error means, done.
func (c *Consumer) conclude(ctx context.Context, m Message, err error) Outcome {
	o := c.cfg.Tries.Decide(err, c.failures.of(m.ID)+1)
	if o.Action == Dead && c.cfg.Dead != nil {
		if e := c.bury(ctx, m, err); e != nil {
			o = Outcome{Action: Retry, After: c.cfg.Tries.Most, Err: errors.Join(err, e)}
		}
	}
	c.failures.note(m.ID, o)
	c.cfg.Observe(ctx, m, o)
	return o
}

func (c *Consumer) bury(ctx context.Context, m Message, why error) (err error) {
	defer recovered(&err)
	if err := c.cfg.Dead(ctx, m, why); err != nil {
		return fmt.Errorf("consume: the dead letter was not taken: %w", err)
	}
	return nil
}

// run runs the effect. A panic is a failure: it must not take the messages of others with it.
func (c *Consumer) run(ctx context.Context, m Message) (err error) {
	defer recovered(&err)
	return c.effect.run(ctx, c.key(m), c.cfg.Same(m), m)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("consume: it panicked: %v\n%s", p, debug.Stack())
	}
}

// key is what a message is remembered under.
func (c *Consumer) key(m Message) string {
	return c.cfg.Name + "/" + name(m.ID, once.MaxKeyLen-maxName-1)
}

// Effect is what a message is to come to, run once for a key. [In], [InBatches] and [Keyed]
// make one.
type Effect struct {
	run    func(ctx context.Context, key string, same []byte, m Message) error
	all    func(ctx context.Context, keys []string, same []any, ms []Message) (done []int, err error) // nil: one after another
	window time.Duration
}

// Transactional is an operation whose function works in a transaction Tx that its mark is part
// of: pgkeys.Operation (pgx.Tx), stdkeys.Operation and sqlkeys.Operation (*sql.Tx).
type Transactional[Tx any] interface {
	Do(ctx context.Context, id string, request any, fn func(context.Context, Tx, *once.Attempt) (struct{}, error)) (struct{}, error)
	Window() time.Duration
}

// In is an effect that is one commit with its mark: what fn does through tx. It may be run
// again if nothing of it has stayed.
func In[Tx any](op Transactional[Tx], fn func(ctx context.Context, tx Tx, m Message) error) Effect {
	return Effect{window: op.Window(), run: func(ctx context.Context, key string, same []byte, m Message) error {
		_, err := op.Do(ctx, key, same, func(ctx context.Context, tx Tx, _ *once.Attempt) (struct{}, error) {
			return struct{}{}, fn(ctx, tx, m)
		})
		return err
	}}
}

// Keyed is an effect that is elsewhere: claimed, done, then marked. What becomes of one
// whose mark was lost, or that failed with an error other than once.NothingHappened, is the operation's
// Vanished: parked, unless it says otherwise. What fn asks of others should carry a key of
// a's, or its token.
func Keyed(op *once.Operation[struct{}], fn func(ctx context.Context, m Message, a *once.Attempt) error) Effect {
	return Effect{window: op.Window(), run: func(ctx context.Context, key string, same []byte, m Message) error {
		_, err := op.Do(ctx, key, same, func(ctx context.Context, a *once.Attempt) (struct{}, error) {
			return struct{}{}, fn(ctx, m, a)
		})
		return err
	}}
}
