package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oncepay/oncepay/broker/kafka"
)

// TestEventsToKafka: events are records of the topic that is configured, and a replay puts them
// there again.
func TestEventsToKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	store := "sqlite:" + filepath.Join(t.TempDir(), "once.db")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	_, url := serveInside(t, ctx, io.Discard, "--store="+store, "--kafka-brokers="+cluster.ListenAddrs()[0], "--kafka-topic=money", "--kafka-partitions=3")
	openAccount(t, url, "alice")
	var lines []string
	soon(t, "it was relayed", func() bool {
		lines = strings.Split(oncepay(nil, "events", "sinks", "--store="+store).stdout, "\n")
		return len(lines) > 1 && strings.HasPrefix(lines[1], "kafka") && strings.Fields(lines[1])[2] == "0" && strings.Fields(lines[1])[1] != "0"
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("money"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	read := func() *kgo.Record {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			records := client.PollFetches(ctx).Records()
			if ctx.Err() != nil {
				t.Fatal("nothing came")
			}
			if len(records) > 0 {
				return records[0]
			}
		}
	}
	first := read()
	id := ""
	for _, h := range first.Headers {
		if h.Key == kafka.HeaderID {
			id = string(h.Value)
		}
	}
	if string(first.Key) != "dev/alice" || !strings.HasPrefix(id, "evt_") || !strings.Contains(string(first.Value), `"id":"`+id+`"`) {
		t.Errorf("the record is %s: %s", first.Key, first.Value)
	}
	if o := oncepay(nil, "events", "replay", "--store="+store, "--from", id, "--to", "kafka"); o.status != 0 {
		t.Fatalf("%+v", o)
	}
	if again := read(); string(again.Value) != string(first.Value) {
		t.Errorf("the replay brings %s, and the first was %s", again.Value, first.Value)
	}
}

func TestKafkaIsConfiguredWrongly(t *testing.T) {
	for says, args := range map[string][]string{
		"needs both":           {"--kafka-user=me"},
		"read the password":    {"--kafka-user=me", "--kafka-password-file=x", "--kafka-mechanism=PLAIN"},
		"HOST:PORT":            {"--kafka-brokers=nowhere"},
		"1 to 249":             {"--kafka-topic=.."},
		"PLAIN, SCRAM-SHA-256": {"--kafka-mechanism=GSSAPI"},
		"from 1 to 10000":      {"--kafka-partitions=0"},
	} {
		o := serving(new(config))(nil, append([]string{"serve"}, args...)...)
		if o.status != exitUsage || !strings.Contains(o.stderr, says) {
			t.Errorf("%v: %d %s", args, o.status, o.stderr)
		}
	}
}
