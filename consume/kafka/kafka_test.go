package kafka_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	_ "modernc.org/sqlite"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/consume/kafka"
	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlkeys"
)

const partitions = 3

// street is a topic of a cluster inside the test.
type street struct {
	*kfake.Cluster
	client *kgo.Client
	lost   atomic.Bool // commits are

	mu     sync.Mutex
	runs   []context.CancelFunc
	groups map[string]int // those that run, and by how many
}

func open(t testing.TB) *street {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := &street{Cluster: c, groups: map[string]int{}}
	if s.client, err = kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	c.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return nil, errors.New("lost"), s.lost.Load()
	})
	return s
}

func (s *street) Publish(t testing.TB, id, body string) {
	t.Helper()
	r := &kgo.Record{Topic: "events", Key: []byte(id), Value: []byte(body), Headers: []kgo.RecordHeader{{Key: kafka.HeaderID, Value: []byte(id)}}}
	if err := s.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func (s *street) Run(ctx context.Context, c *consume.Consumer) error {
	s.lost.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.runs = append(s.runs, cancel)
	s.groups[c.Name()]++
	s.mu.Unlock()
	defer s.leave(c.Name())
	r, err := kafka.New(ctx, c, kafka.Config{Group: c.Name(), Topics: []string{"events"}}, kgo.SeedBrokers(s.ListenAddrs()...))
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

func (s *street) leave(group string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[group]--; s.groups[group] == 0 {
		delete(s.groups, group)
	}
}

// Drop loses what is committed until somebody runs again.
func (s *street) Drop() {
	s.lost.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cancel := range s.runs {
		cancel()
	}
	s.runs = nil
}

// Left counts for the group, of those that run, that has committed least.
func (s *street) Left(t testing.TB) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := sum(s.ends())
	if len(s.groups) == 0 {
		return int(ends)
	}
	for group := range s.groups {
		left = max(left, int(ends-s.committed(t, group)))
	}
	return left
}

func sum(of []int64) (n int64) {
	for _, v := range of {
		n += v
	}
	return n
}

func (s *street) ends() []int64 {
	ends := make([]int64, partitions)
	for p := range ends {
		info := s.PartitionInfo("events", int32(p))
		ends[p] = info.HighWatermark
	}
	return ends
}

func (s *street) committed(t testing.TB, group string) (n int64) {
	ask, of, topic := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewOffsetFetchRequestGroup(), kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic = "events"
	for p := range int32(partitions) {
		topic.Partitions = append(topic.Partitions, p)
	}
	of.Group, of.Topics = group, append(of.Topics, topic)
	ask.Groups = append(ask.Groups, of)
	answer, err := ask.RequestWith(context.WithoutCancel(t.Context()), s.client)
	if err != nil || len(answer.Groups) != 1 {
		t.Errorf("where is group %s: %v", group, err)
		return 0
	}
	for _, topic := range answer.Groups[0].Topics {
		for _, p := range topic.Partitions {
			n += max(p.Offset, 0)
		}
	}
	return n
}

func TestConsumer(t *testing.T) {
	contract.TestConsumer(t, func(t testing.TB) contract.Street { return open(t) })
}

// ledger is a table of effects in SQLite, with the places of its partitions.
func ledger(t *testing.T, window time.Duration) (*sql.DB, *kafka.Offsets, *sqlkeys.Operation[struct{}]) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "points.db")+"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys := sqlkeys.New(db)
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE points (message TEXT NOT NULL, part INTEGER NOT NULL, place INTEGER NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	offsets, err := kafka.NewOffsets(t.Context(), db, '?')
	if err != nil {
		t.Fatal(err)
	}
	eng, err := once.New(keys, once.Config{Scope: once.SingleTenant, Secret: []byte("the same for all of this store"), Window: window})
	if err != nil {
		t.Fatal(err)
	}
	return db, offsets, &sqlkeys.Operation[struct{}]{Keys: keys, Operation: once.Operation[struct{}]{Engine: eng, Name: "points"}}
}

func bury(context.Context, consume.Message, error) error { return nil }

// The places of partitions are one commit with the effects: a group whose own offsets are
// lost goes on behind the last effect, at each time that it is cut off, and members of it who come and go
// neither lose nor repeat.
func TestPlacesAreCommittedWithEffects(t *testing.T) {
	s := open(t)
	db, offsets, op := ledger(t, 30*24*time.Hour)
	var delivered atomic.Int64
	effect := kafka.In(op, "points", offsets.Save, func(ctx context.Context, tx *sql.Tx, m consume.Message) error {
		delivered.Add(1)
		_, err := tx.ExecContext(ctx, "INSERT INTO points VALUES (?, ?, ?)", m.ID, m.At.Partition, m.At.Offset)
		return err
	})
	c, err := consume.New(consume.Config{Name: "points", Dead: bury}, effect)
	if err != nil {
		t.Fatal(err)
	}
	const messages = 60
	for i := range messages {
		s.Publish(t, fmt.Sprintf("m-%d", i), "x")
	}
	cfg := kafka.Config{Group: "points", Topics: []string{"events"}, Load: offsets.Load}
	done := func() (n int) {
		if err := db.QueryRow("SELECT count(*) FROM points").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for done() < messages {
		s.lost.Store(true) // Kafka's own offsets are never kept
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		before := done()
		go func() {
			for ctx.Err() == nil && done() < min(before+20, messages) {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		r, err := kafka.New(ctx, c, cfg, kgo.SeedBrokers(s.ListenAddrs()...))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var apart, behind int
	if err := db.QueryRow(`SELECT (SELECT count(DISTINCT message) FROM points), (SELECT count(*) FROM consume_offsets o
		WHERE next <> (SELECT max(place) + 1 FROM points WHERE part = o.part))`).Scan(&apart, &behind); err != nil {
		t.Fatal(err)
	}
	if done() != messages || apart != messages || behind != 0 || delivered.Load() != messages {
		t.Errorf("%d effects of %d messages, of %d that were delivered to the function; %d places are not behind the last effect",
			done(), apart, delivered.Load(), behind)
	}
}

// A place is never moved back.
func TestPlacesOnlyGrow(t *testing.T) {
	db, offsets, _ := ledger(t, 0)
	for _, next := range []int64{5, 9, 7} {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(offsets.Save(t.Context(), tx, "points", "events", 1, next), tx.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	if next, known, err := offsets.Load(t.Context(), "points", "events", 1); next != 9 || !known || err != nil {
		t.Errorf("it is at %d, %v, %v", next, known, err)
	}
	if _, known, err := offsets.Load(t.Context(), "mail", "events", 1); known || err != nil {
		t.Errorf("of another group it is known: %v, %v", known, err)
	}
}

// What is kept for longer than it is remembered is refused, and so is what is kept for ever
// where nobody says how old a message can be, and a consumer with nowhere for dead letters.
func TestWhatLosesIsRefused(t *testing.T) {
	s := open(t)
	client := s.client
	for topic, kept := range map[string]string{"week": "604800000", "ever": "-1"} {
		ask := kmsg.NewPtrCreateTopicsRequest()
		of := kmsg.NewCreateTopicsRequestTopic()
		of.Topic, of.NumPartitions, of.ReplicationFactor = topic, 1, 1
		set := kmsg.NewCreateTopicsRequestTopicConfig()
		set.Name, set.Value = "retention.ms", &kept
		of.Configs = append(of.Configs, set)
		ask.Topics = append(ask.Topics, of)
		if answer, err := ask.RequestWith(t.Context(), client); err != nil || answer.Topics[0].ErrorCode != 0 {
			t.Fatal(err, answer)
		}
	}
	for _, row := range []struct {
		topics  []string
		window  time.Duration
		horizon time.Duration
		dead    func(context.Context, consume.Message, error) error
		want    error
	}{
		{[]string{"week"}, 8 * 24 * time.Hour, 0, bury, nil},
		{[]string{"week"}, 7 * 24 * time.Hour, 0, bury, once.ErrWindowTooShort},
		{[]string{"week", "ever"}, 8 * 24 * time.Hour, 0, bury, kafka.ErrNoHorizon},
		{[]string{"week", "ever"}, 8 * 24 * time.Hour, time.Hour, bury, nil},
		{[]string{"week"}, 8 * 24 * time.Hour, 0, nil, kafka.ErrUnsafe},
	} {
		_, _, op := ledger(t, row.window)
		c, err := consume.New(consume.Config{Name: "points", Dead: row.dead}, consume.In(op, func(context.Context, *sql.Tx, consume.Message) error { return nil }))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r, err := kafka.New(ctx, c, kafka.Config{Group: "points", Topics: row.topics, Horizon: row.horizon}, kgo.SeedBrokers(s.ListenAddrs()...))
		if !errors.Is(err, row.want) {
			t.Errorf("%v, window %v: it is %v, want %v", row.topics, row.window, err, row.want)
		}
		cancel()
		if err == nil {
			r.Run(ctx) // closes it
		}
	}
}
