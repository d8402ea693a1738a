// Package kafka has a consume.Consumer take its messages from Kafka.
//
//	r, err := kafka.New(ctx, consumer, kafka.Config{Group: "points", Topics: []string{"events"}, Load: offsets.Load}, kgo.SeedBrokers(…))
//	err = r.Run(ctx)
//
// # What is promised
//
// The messages of a partition are handled in their order, each until it is done or a dead letter.
// With [Offsets], and an effect made by [In], the place of a partition is stored in the transaction of
// the effect: whoever takes the partition over goes on exactly behind the last effect, whatever
// became of Kafka's own offsets. Besides, messages are told by their ids, so that one that
// was produced twice has its effect once, and neither has one that a member of the group which
// was declared dead is still at.
//
// # What is not promised
//
// A message that fails holds up its partition, and no other one, for as long as Config.Tries of its consumer
// says; a store that is away holds up all of them. It was tested on kfake, which speaks Kafka's protocol,
// and on no real broker.
package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/once"
)

// Config says what is consumed. Group and Topics are needed.
type Config struct {
	Group  string
	Topics []string

	// Load says where a partition is by what the effects' database knows: see
	// [Offsets.Load].
	//
	// Defaults to Kafka's own offsets: what was done since they were committed comes again, and is known by its id.
	Load func(ctx context.Context, group, topic string, partition int32) (next int64, known bool, err error)

	// Horizon is how old a message may be that is delivered.
	//
	// Defaults to the longest retention.ms of the topics; it is needed where that is unlimited.
	Horizon time.Duration
}

// What New refuses.
var (
	ErrNoHorizon = errors.New("kafka: a topic keeps messages for ever: say in Horizon how old one can be that is delivered")
	ErrUnsafe    = errors.New("kafka: the consumer would lose messages: Kafka has no place for dead letters; give it a Dead")
)

// Reader takes messages. Make one with [New], and Run it once.
type Reader struct {
	cfg      Config
	client   *kgo.Client
	consumer *consume.Consumer

	mu      sync.Mutex
	workers map[partition]*worker
	ahead   map[string]map[int32]kgo.EpochOffset // where the database was further than Kafka
}

type partition struct {
	topic string
	part  int32
}

// New makes a reader; opts say how the cluster is reached. It fails with an ErrUnsafe, an
// ErrNoHorizon, or a once.ErrWindowTooShort where effects are forgotten before the messages are.
func New(ctx context.Context, c *consume.Consumer, cfg Config, opts ...kgo.Opt) (*Reader, error) {
	if !c.Buries() {
		return nil, ErrUnsafe
	}
	r := &Reader{cfg: cfg, consumer: c, workers: map[partition]*worker{}}
	client, err := kgo.NewClient(append(opts,
		kgo.ConsumerGroup(cfg.Group), kgo.ConsumeTopics(cfg.Topics...), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // a new group misses nothing
		kgo.AdjustFetchOffsetsFn(r.adjust),
		kgo.OnPartitionsRevoked(r.stop), kgo.OnPartitionsLost(r.stop),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	r.client = client
	horizon := cfg.Horizon
	if horizon == 0 {
		horizon, err = retention(ctx, client, cfg.Topics)
	}
	if err == nil {
		err = c.Outlives(once.Window{RetryHorizon: horizon})
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	return r, nil
}

// retention is how long the topics keep messages, the one that keeps them longest.
func retention(ctx context.Context, client *kgo.Client, topics []string) (longest time.Duration, err error) {
	ask := kmsg.NewPtrDescribeConfigsRequest()
	for _, topic := range topics {
		of := kmsg.NewDescribeConfigsRequestResource()
		of.ResourceType, of.ResourceName, of.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{"retention.ms"}
		ask.Resources = append(ask.Resources, of)
	}
	answer, err := ask.RequestWith(ctx, client)
	if err != nil {
		return 0, fmt.Errorf("kafka: ask how long messages are kept: %w", err)
	}
	for _, topic := range answer.Resources {
		kept := int64(-1) // not said
		for _, set := range topic.Configs {
			if set.Name == "retention.ms" && set.Value != nil {
				kept, err = strconv.ParseInt(*set.Value, 10, 64)
			}
		}
		if err != nil || kept < 0 {
			return 0, fmt.Errorf("%w (%s)", ErrNoHorizon, topic.ResourceName)
		}
		longest = max(longest, time.Duration(kept)*time.Millisecond)
	}
	return cmp.Or(longest, time.Millisecond), nil
}

// adjust has partitions go on where the database of the effects says, unless Kafka is further.
func (r *Reader) adjust(ctx context.Context, from map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if r.cfg.Load == nil {
		return from, nil
	}
	ahead := map[string]map[int32]kgo.EpochOffset{}
	for topic, partitions := range from {
		ahead[topic] = map[int32]kgo.EpochOffset{}
		for part, at := range partitions {
			next, known, err := r.cfg.Load(ctx, r.cfg.Group, topic, part)
			if err != nil {
				return nil, fmt.Errorf("kafka: where is partition %d of %s: %w", part, topic, err)
			}
			if known && next > at.EpochOffset().Offset {
				partitions[part] = kgo.NewOffset().At(next).WithEpoch(-1)
				ahead[topic][part] = kgo.EpochOffset{Epoch: -1, Offset: next}
			}
		}
	}
	r.mu.Lock()
	r.ahead = ahead
	r.mu.Unlock()
	return from, nil
}

// tell has Kafka know what the database knows already, or the lag would be seen until the
// next message. Nothing depends on it. It is done where messages are handed out, so that it
// is never behind what was done of them.
func (r *Reader) tell(ctx context.Context) {
	r.mu.Lock()
	ahead := r.ahead
	r.ahead = nil
	for p := range r.workers {
		delete(ahead[p.topic], p.part) // it tells of itself
	}
	r.mu.Unlock()
	if len(ahead) > 0 {
		r.client.CommitOffsetsSync(ctx, ahead, nil)
	}
}

// Run takes messages until ctx ends, which is no error, or the client is told that it
// cannot go on. What is at work then is finished, or comes again.
func (r *Reader) Run(ctx context.Context) error {
	defer r.client.CloseAllowingRebalance()
	defer r.stopAll()
	for {
		fetches := r.poll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		r.tell(ctx)
		for _, failed := range fetches.Errors() {
			if errors.Is(failed.Err, context.DeadlineExceeded) || errors.As(failed.Err, new(*kgo.ErrGroupSession)) {
				continue // idle; or the client joins the group again by itself
			}
			return fmt.Errorf("kafka: partition %d of %s: %w", failed.Partition, failed.Topic, failed.Err)
		}
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if len(f.Records) > 0 {
				r.hand(ctx, partition{f.Topic, f.Partition}, f.Records)
			}
		})
	}
}

// idle is after how long without messages Kafka is told at the latest.
const idle = time.Second

func (r *Reader) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	return r.client.PollFetches(ctx)
}

// worker handles the messages of a partition.
type worker struct {
	cancel context.CancelFunc
	ended  chan struct{}
	queue  []*kgo.Record
}

// hand gives messages to the worker of their partition, which takes no more until they are done:
// others need not wait for it.
func (r *Reader) hand(ctx context.Context, p partition, records []*kgo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client.PauseFetchPartitions(p.alone())
	if w := r.workers[p]; w != nil {
		w.queue = append(w.queue, records...)
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &worker{cancel: cancel, ended: make(chan struct{}), queue: records}
	r.workers[p] = w
	go r.work(ctx, p, w)
}

func (p partition) alone() map[string][]int32 { return map[string][]int32{p.topic: {p.part}} }

// work handles messages in their order, until there are none or the partition is somebody else's.
func (r *Reader) work(ctx context.Context, p partition, w *worker) {
	defer close(w.ended)
	defer w.cancel()
	for {
		records := r.next(ctx, p, w)
		if records == nil {
			return
		}
		var done *kgo.Record
		for _, record := range records {
			if !r.handle(ctx, record) {
				break
			}
			done = record
		}
		if done != nil {
			r.client.CommitRecords(context.WithoutCancel(ctx), done) // if it fails they come again, and are known
		}
	}
}

// next is what is to be handled next, or nil if the worker ends.
func (r *Reader) next(ctx context.Context, p partition, w *worker) []*kgo.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := w.queue
	w.queue = nil
	if len(records) == 0 || ctx.Err() != nil {
		delete(r.workers, p)
		r.client.ResumeFetchPartitions(p.alone())
		return nil
	}
	return records
}

// handle handles a message until it is done, or the partition is lost.
func (r *Reader) handle(ctx context.Context, record *kgo.Record) (done bool) {
	for ctx.Err() == nil {
		o := r.consumer.Handle(ctx, message(record))
		if o.Action != consume.Retry {
			return true
		}
		select {
		case <-ctx.Done():
		case <-time.After(o.After):
		}
	}
	return false
}

// stop ends the workers of partitions that go to somebody else, and waits for them.
func (r *Reader) stop(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	for topic, partitions := range gone {
		for _, part := range partitions {
			r.end(partition{topic, part})
		}
	}
}

func (r *Reader) stopAll() {
	r.mu.Lock()
	var all []partition
	for p := range r.workers {
		all = append(all, p)
	}
	r.mu.Unlock()
	for _, p := range all {
		r.end(p)
	}
}

func (r *Reader) end(p partition) {
	r.mu.Lock()
	w := r.workers[p]
	r.mu.Unlock()
	if w != nil {
		w.cancel()
		<-w.ended
	}
}

// HeaderID is the header that a message's id is in, by the CloudEvents binding for Kafka.
const HeaderID = "ce_id"

func message(r *kgo.Record) consume.Message {
	m := consume.Message{Topic: r.Topic, Body: r.Value, At: &consume.Place{Partition: r.Partition, Offset: r.Offset}}
	for _, h := range r.Headers {
		if h.Key == HeaderID {
			m.ID = string(h.Value)
		}
	}
	return m
}
