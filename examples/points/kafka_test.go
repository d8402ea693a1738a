package main

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaBroker is kfake, which speaks Kafka's protocol, inside the test.
type kafkaBroker struct {
	*kfake.Cluster
	client *kgo.Client
}

const partitions = 2

func startKafka(t *testing.T) *kafkaBroker {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "events"), kfake.GroupMinSessionTimeout(ackWait))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &kafkaBroker{c, client}
}

func (b *kafkaBroker) url() string { return "kafka://" + b.ListenAddrs()[0] }

// publish produces without a header: the id is that of the envelope.
func (b *kafkaBroker) publish(t *testing.T, id, body string) {
	if err := b.client.ProduceSync(t.Context(), &kgo.Record{Topic: "events", Key: []byte(id), Value: []byte(body)}).FirstErr(); err != nil {
		t.Error(err)
	}
}

func (b *kafkaBroker) left(t *testing.T) (left int) {
	ask, of, topic := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewOffsetFetchRequestGroup(), kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic, of.Group = "events", "points"
	for p := range int32(partitions) {
		left += int(b.PartitionInfo("events", p).HighWatermark)
		topic.Partitions = append(topic.Partitions, p)
	}
	of.Topics, ask.Groups = append(of.Topics, topic), append(ask.Groups, of)
	answer, err := ask.RequestWith(t.Context(), b.client)
	if err != nil || len(answer.Groups) != 1 {
		t.Fatalf("where is the group: %v", err)
	}
	for _, topic := range answer.Groups[0].Topics {
		for _, p := range topic.Partitions {
			left -= int(max(p.Offset, 0))
		}
	}
	return left
}

func TestKafka(t *testing.T) {
	t.Run("killed between steps", func(t *testing.T) { crashBetweenSteps(t, startKafka(t)) })
	t.Run("killed at random", func(t *testing.T) { killedAtRandom(t, startKafka(t)) })
}
