package kafka_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/oncepay/oncepay/broker/kafka"
	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/outbox"
)

// house is a cluster that comes and goes, at one address.
type house struct {
	testing.TB
	dir     string
	port    int
	with    []kfake.Opt
	brokers int // 1 unless it says otherwise
	cluster *kfake.Cluster
}

func newHouse(t testing.TB, with ...kfake.Opt) *house {
	h := &house{TB: t, dir: t.TempDir(), with: with}
	h.start()
	_, port, err := net.SplitHostPort(h.cluster.ListenAddrs()[0])
	if err == nil {
		h.port, err = strconv.Atoi(port)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.stop)
	return h
}

func (h *house) addr() string { return fmt.Sprintf("127.0.0.1:%d", h.port) }

func (h *house) start() {
	h.Helper()
	var err error
	if h.cluster, err = kfake.NewCluster(append(h.with, kfake.NumBrokers(max(1, h.brokers)), kfake.Ports(append([]int{h.port}, make([]int, max(0, h.brokers-1))...)...), kfake.DataDir(h.dir), kfake.SyncWrites())...); err != nil {
		h.Fatal(err)
	}
}

func (h *house) stop() {
	if h.cluster != nil {
		h.cluster.Close()
		h.cluster = nil
	}
}

func (h *house) wipe() {
	h.Helper()
	h.stop()
	if err := os.RemoveAll(h.dir); err != nil {
		h.Fatal(err)
	}
	h.start()
}

func (h *house) client(opts ...kgo.Opt) *kgo.Client {
	h.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(h.addr()))...)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(c.Close)
	return c
}

// records are all that the topic keeps, those of a partition in its order.
func (h *house) records() (all []*kgo.Record) {
	h.Helper()
	left := map[int32]int64{}
	for p := int32(0); h.cluster.PartitionInfo("oncepay.events", p) != nil; p++ {
		if end := h.cluster.PartitionInfo("oncepay.events", p).HighWatermark; end > 0 {
			left[p] = end
		}
	}
	c := h.client(kgo.ConsumeTopics("oncepay.events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for len(left) > 0 {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			h.Fatalf("what is kept cannot be read: %v", fetches.Errors())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			all = append(all, r)
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return all
}

func (h *house) kept() (all []contract.Kept) {
	for _, r := range h.records() {
		all = append(all, contract.Kept{ID: header(r, "ce_id"), Payload: r.Value})
	}
	return all
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func (h *house) sink(change ...func(*kafka.Config)) *kafka.Sink {
	h.Helper()
	cfg := kafka.Config{Brokers: []string{h.addr()}, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	s, err := kafka.Connect(cfg)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(s.Close)
	return s
}

// The order of all messages is that of a partition: there is one.
func TestContract(t *testing.T) {
	contract.TestBroker(t, func(t testing.TB) contract.Broker {
		h := newHouse(t)
		sink := h.sink(func(c *kafka.Config) { c.Partitions, c.Timeout = 1, 2*time.Second })
		return contract.Broker{Sink: sink, Kept: h.kept, Stop: h.stop, Start: h.start, Wipe: h.wipe}
	})
}

func message(n int, subject string) outbox.Message {
	e := outbox.Event{
		ID: fmt.Sprintf("evt_%d", n), Tenant: "acme", Type: "transfer.posted", Subject: subject, At: time.Unix(1, 0), Data: []byte("{}"),
	}
	return outbox.Message{Placed: outbox.Placed{Event: e}, Envelope: outbox.AppendEnvelope(nil, outbox.DefaultSource, e)}
}

// publish publishes messages together and returns the first error.
func publish(t *testing.T, s *kafka.Sink, all ...outbox.Message) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	answers := make(chan error, len(all))
	for _, m := range all {
		s.Publish(ctx, m, func(err error) { answers <- err })
	}
	var first error
	for range all {
		select {
		case err := <-answers:
			first = cmp.Or(first, err)
		case <-time.After(30 * time.Second):
			t.Fatal("a message was not answered")
		}
	}
	return first
}

// A subject is in one partition, in its order; subjects are in several. Two tenants'
// subjects of one name are two.
func TestASubjectIsInOnePartition(t *testing.T) {
	h := newHouse(t)
	var all []outbox.Message
	for n := range 300 {
		all = append(all, message(n, fmt.Sprint("tr_", n%30)))
	}
	if err := publish(t, h.sink(), all...); err != nil {
		t.Fatal(err)
	}
	partition, last, used := map[string]int32{}, map[string]int{}, map[int32]bool{}
	for _, r := range h.records() {
		var n int
		if _, err := fmt.Sscanf(header(r, "ce_id"), "evt_%d", &n); err != nil {
			t.Fatal(err)
		}
		key := string(r.Key)
		if before, known := partition[key]; known && (before != r.Partition || n < last[key]) {
			t.Errorf("%d of %s is in partition %d behind %d, which is in %d", n, key, r.Partition, last[key], before)
		}
		partition[key], last[key], used[r.Partition] = r.Partition, n, true
	}
	if len(partition) != 30 || len(used) < 2 || partition["acme/tr_1"] != partition[string(kafka.Key(all[1].Event))] {
		t.Errorf("%d subjects are in %d partitions", len(partition), len(used))
	}
}

// A record says what it is, and its time is that of the publishing.
func TestTheFormOfARecord(t *testing.T) {
	h := newHouse(t)
	if err := publish(t, h.sink(), message(1, "tr_1")); err != nil {
		t.Fatal(err)
	}
	r := h.records()[0]
	if string(r.Key) != "acme/tr_1" || header(r, "ce_id") != "evt_1" || header(r, "ce_type") != "transfer.posted" ||
		header(r, "content-type") != "application/cloudevents+json; charset=UTF-8" || time.Since(r.Timestamp) > time.Hour {
		t.Errorf("it is %s %v of %v", r.Key, r.Headers, r.Timestamp)
	}
}

// settings are those of the topic.
func (h *house) settings() map[string]string {
	h.Helper()
	ask, of := kmsg.NewPtrDescribeConfigsRequest(), kmsg.NewDescribeConfigsRequestResource()
	of.ResourceType, of.ResourceName = kmsg.ConfigResourceTypeTopic, "oncepay.events"
	ask.Resources = append(ask.Resources, of)
	answer, err := ask.RequestWith(context.Background(), h.client())
	if err != nil {
		h.Fatal(err)
	}
	all := map[string]string{}
	for _, c := range answer.Resources[0].Configs {
		if c.Value != nil {
			all[c.Name] = *c.Value
		}
	}
	return all
}

// The topic is made as it is configured.
func TestTheTopicIsMade(t *testing.T) {
	h := newHouse(t)
	h.brokers = 3
	h.wipe()
	s := h.sink(func(c *kafka.Config) { c.Partitions, c.Replicas, c.MaxAge = 5, 3, time.Hour })
	if err := publish(t, s, message(1, "tr_1")); err != nil {
		t.Fatal(err)
	}
	set := h.settings()
	if h.cluster.PartitionInfo("oncepay.events", 4) == nil || h.cluster.PartitionInfo("oncepay.events", 5) != nil ||
		set["retention.ms"] != "3600000" || set["min.insync.replicas"] != "2" || set["cleanup.policy"] != "delete" {
		t.Errorf("it is %v", set)
	}
}

// A topic that cannot be made, one that drops events, and a password that is wrong are each said so.
func TestWhatCannotBeIsSaid(t *testing.T) {
	h := newHouse(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "oncepay", "secret"), kfake.Superuser("SCRAM-SHA-256", "oncepay", "secret"),
		kfake.Superuser("SCRAM-SHA-512", "oncepay", "secret"))
	file := filepath.Join(t.TempDir(), "password")
	login := func(mechanism, password string) func(*kafka.Config) {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return func(c *kafka.Config) {
			c.Timeout, c.Login = time.Second, kafka.Login{Mechanism: mechanism, User: "oncepay", PasswordFile: file}
		}
	}
	for _, mechanism := range kafka.Mechanisms {
		if err := publish(t, h.sink(login(mechanism, "guessed")), message(1, "tr_1")); err == nil {
			t.Errorf("%s: a wrong password is taken", mechanism)
		}
		if err := publish(t, h.sink(login(mechanism, "secret")), message(1, "tr_1")); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
	many := h.sink(login("PLAIN", "secret"), func(c *kafka.Config) { c.Topic, c.Replicas = "many", 3 })
	if err := publish(t, many, message(1, "tr_1")); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("three replicas on one server: %v", err)
	}
	h.set("compact")
	if err := publish(t, h.sink(login("PLAIN", "secret")), message(1, "tr_1")); !errors.Is(err, kafka.ErrCompacted) {
		t.Errorf("a topic that is compacted: %v", err)
	}
}

// set sets the topic's cleanup.policy.
func (h *house) set(policy string) {
	h.Helper()
	ask, of, c := kmsg.NewPtrIncrementalAlterConfigsRequest(), kmsg.NewIncrementalAlterConfigsRequestResource(), kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "cleanup.policy", &policy
	of.ResourceType, of.ResourceName, of.Configs = kmsg.ConfigResourceTypeTopic, "oncepay.events", append(of.Configs, c)
	ask.Resources = append(ask.Resources, of)
	answer, err := ask.RequestWith(context.Background(), h.client(kgo.SASL(plain.Auth{User: "oncepay", Pass: "secret"}.AsMechanism())))
	if err == nil {
		err = kerr.ErrorForCode(answer.Resources[0].ErrorCode)
	}
	if err != nil {
		h.Fatal(err)
	}
}

// What is configured and cannot work is refused at once.
func TestConnectRefuses(t *testing.T) {
	for name, cfg := range map[string]kafka.Config{
		"no server":         {},
		"no such mechanism": {Brokers: []string{"127.0.0.1:1"}, Login: kafka.Login{Mechanism: "MD5", User: "u", PasswordFile: "f"}},
		"no user":           {Brokers: []string{"127.0.0.1:1"}, Login: kafka.Login{Mechanism: "PLAIN", PasswordFile: "f"}},
		"no address":        {Brokers: []string{"127.0.0.1:many"}},
	} {
		if s, err := kafka.Connect(cfg); err == nil {
			s.Close()
			t.Errorf("%s: it is taken", name)
		}
	}
}

// A sink that is closed answers what it was not told of, and takes nothing more.
func TestCloseAnswersWhatIsLeft(t *testing.T) {
	h := newHouse(t)
	s := h.sink()
	if err := publish(t, s, message(1, "tr_1")); err != nil {
		t.Fatal(err)
	}
	h.stop()
	answer := make(chan error, 1)
	s.Publish(t.Context(), message(2, "tr_1"), func(err error) { answer <- err })
	s.Close()
	if err := <-answer; err == nil {
		t.Error("it is acknowledged by nobody")
	}
	if err := publish(t, s, message(3, "tr_1")); err == nil {
		t.Error("a sink that is closed takes a message")
	}
}
