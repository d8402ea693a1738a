// Package kafka carries events to Kafka.
//
//	sink, err := kafka.Connect(kafka.Config{Brokers: []string{"127.0.0.1:9092"}})
//	relay := outbox.New(outbox.Config{Name: "kafka", Store: store, Sink: sink})
//
// # What is promised
//
// An event is a record whose value is the CloudEvents envelope (structured mode) and whose
// key is TENANT/SUBJECT, so that the events of a subject are in one partition, in the order
// of their commits; its headers ce_id and ce_type are the event's id and type. An event counts as
// taken when all replicas that are in sync have it. The topic is made if it is not there, also
// after the cluster has lost it; one that would drop events because newer ones have
// their key (compaction) is refused.
//
// The producer is idempotent: what it sends again by itself, after a connection broke, say, is kept
// once, and nothing overtakes it. An event that is given up, after 8 seconds, is
// unknown, and the caller told so; so are those of its partition that stood behind it.
//
// # What is not promised
//
// What the caller publishes again after that may be kept twice, under one id, and a late copy may come
// behind newer events: Kafka leaves out no repeats by id. Durability is the cluster's: its
// servers acknowledge before they sync, so that it is replicas (with min.insync.replicas of 2 or more)
// that outlive a power cut. It was tested on kfake, which speaks Kafka's protocol, and on no real broker.
package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oncepay/oncepay/outbox"
)

// Config says where the cluster is. Brokers is needed; the rest works as it is.
type Config struct {
	// Brokers are some of the cluster's servers, HOST:PORT each: they name the others.
	Brokers []string

	// TLS is how connections are made that are encrypted.
	//
	// Defaults to none: they are not.
	TLS *tls.Config

	// Login is as whom to come.
	//
	// Defaults to nobody.
	Login Login

	// Topic is where events go.
	//
	// Defaults to oncepay.events.
	Topic string

	// Partitions is how many partitions a topic has that is made here. To add some later
	// moves subjects to others, and their order is lost there.
	//
	// Defaults to 12.
	Partitions int

	// Replicas is how many servers keep each event of a topic that is made here. With 3 or more an
	// event counts as taken when two have it (min.insync.replicas), and not before.
	//
	// Defaults to the cluster's default.replication.factor.
	Replicas int

	// MaxAge is how long a topic that is made here keeps events.
	//
	// Defaults to 7 days: a consumer that was away for longer asks for a replay.
	MaxAge time.Duration

	// Timeout is when an event is given up that was not acknowledged.
	//
	// Defaults to 8 seconds: a partition that moves to another server has taken less, and the relay, which
	// waits for 10, does not send again what is still in line here.
	Timeout time.Duration

	// Log is told what an operator should know.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Topic = cmp.Or(c.Topic, "oncepay.events")
	c.Partitions = cmp.Or(c.Partitions, 12)
	c.MaxAge = cmp.Or(c.MaxAge, 7*24*time.Hour)
	c.Timeout = cmp.Or(c.Timeout, 8*time.Second)
	c.Log = cmp.Or(c.Log, slog.Default())
	return c
}

const (
	// buffered bounds the events that are not acknowledged, and bufferedBytes their size. They
	// are far above what a relay has in flight, so that publishing never waits for them.
	buffered      = 1 << 16
	bufferedBytes = 64 << 20

	// askTimeout is how long the topic is looked for: a relay publishes nothing meanwhile.
	askTimeout = 2 * time.Second

	// freshTopics is how soon the client asks again where the topic is.
	freshTopics = 250 * time.Millisecond
)

// Sink is an [outbox.Sink]. Make one with [Connect].
type Sink struct {
	cfg    Config
	client *kgo.Client

	ready atomic.Bool // the topic is there, as far as is known
	stale atomic.Bool // it was made anew: what the client knows is of the one that is gone
}

// Connect makes a sink. It does not wait for the cluster: until that is there, publishing
// fails. It fails if the configuration is wrong.
func Connect(cfg Config) (*Sink, error) {
	s := &Sink{cfg: cfg.withDefaults()}
	opts := []kgo.Opt{
		kgo.ClientID("oncepay"), kgo.SeedBrokers(cfg.Brokers...),
		kgo.RequiredAcks(kgo.AllISRAcks()),                                                 // which an idempotent producer, the client's default, needs anyway
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),                               // the hash of Kafka's own clients
		kgo.RecordDeliveryTimeout(s.cfg.Timeout), kgo.AllowIdempotentProduceCancellation(), // or it would wait for an answer for ever
		kgo.MetadataMinAge(freshTopics), kgo.UnknownTopicRetries(1),
		kgo.MaxBufferedRecords(buffered), kgo.MaxBufferedBytes(bufferedBytes),
		kgo.ProducerLinger(0), // the relay has let events come together
	}
	if cfg.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(cfg.TLS))
	}
	mechanism, err := cfg.Login.mechanism()
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	if err == nil {
		s.client, err = kgo.NewClient(opts...)
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: connect: %w", err)
	}
	return s, nil
}

// Headers of records, by the CloudEvents binding for Kafka.
const (
	HeaderContentType = "content-type"
	HeaderID          = "ce_id"
	HeaderType        = "ce_type"
)

// Publish is [outbox.Sink]'s.
func (s *Sink) Publish(ctx context.Context, m outbox.Message, done func(error)) {
	if err := s.prepare(ctx); err != nil {
		done(err)
		return
	}
	r := &kgo.Record{ // its time is now, and not the event's: a replay of old ones would be too old to be kept, and to be sent
		Topic: s.cfg.Topic, Key: Key(m.Event), Value: m.Envelope,
		Headers: []kgo.RecordHeader{
			{Key: HeaderContentType, Value: []byte(outbox.ContentType + "; charset=UTF-8")},
			{Key: HeaderID, Value: []byte(m.ID)}, {Key: HeaderType, Value: []byte(m.Type)},
		},
	}
	s.client.TryProduce(context.WithoutCancel(ctx), r, func(_ *kgo.Record, err error) { // ctx is of this call: the record outlives it
		if err != nil {
			s.stale.CompareAndSwap(false, isGone(err))
			s.ready.Store(false) // whatever it was, the topic is looked at before the next try
		}
		done(err)
	})
}

// isGone says whether the topic is not there, or not the same any more.
func isGone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}

// Key is the key of an event's record: what has an order has one key.
func Key(e outbox.Event) []byte { return []byte(e.Tenant + "/" + e.Subject) }

// prepare sees to it that there is a topic.
func (s *Sink) prepare(ctx context.Context) error {
	if s.ready.Load() {
		return nil
	}
	if s.stale.CompareAndSwap(true, false) {
		s.client.PurgeTopicsFromClient(s.cfg.Topic)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := s.makeTopic(ctx); err != nil {
		return fmt.Errorf("kafka: topic %s: %w", s.cfg.Topic, err)
	}
	s.ready.Store(true)
	return nil
}

// Close ends the connections. What was not answered is answered: nobody knows.
func (s *Sink) Close() { s.client.Close() }

// ErrCompacted means that the topic keeps only the newest event of each subject.
var ErrCompacted = errors.New("its cleanup.policy compacts it, which drops events that consumers may not have seen: make it delete")
