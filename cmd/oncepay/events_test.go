package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// freeAddress is one that nobody listens on just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// openAccount opens one at a server of development: that is an event.
func openAccount(t *testing.T, url, name string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/accounts", strings.NewReader(fmt.Sprintf(`{"id":%q,"currency":"EUR"}`, name)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+devKey)
	req.Header.Set("Idempotency-Key", "open-"+name)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("account %s: %d", name, resp.StatusCode)
	}
}

// streamed are the messages of the stream at a NATS server, the oldest first.
func streamed(t *testing.T, url string) (all []*jetstream.RawStreamMsg) {
	t.Helper()
	c, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "ONCEPAY")
	if err != nil {
		return nil // it is made with the first event
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// soon waits for something that a server does by itself.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

// pipeText is what a command prints while it runs.
type pipeText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *pipeText) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *pipeText) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// Events go from a commit to the broker and to who follows them; a replay publishes them
// again, under the ids that they have; and what a sink has not got is shown.
func TestEventsFromEndToEnd(t *testing.T) {
	store, broker := "sqlite:"+filepath.Join(t.TempDir(), "once.db"), freeAddress(t)
	ctx, stop := context.WithCancel(context.Background())
	var stderr pipeText
	status, url := serveInside(t, ctx, &stderr, "--store="+store, "--nats-embedded="+broker)
	openAccount(t, url, "before")

	var followed pipeText
	following, stopFollowing := context.WithCancel(t.Context())
	var tail sync.WaitGroup
	tail.Go(func() {
		run(following, []string{"events", "tail", "--at", url, "--dev", "--type", "account.opened"}, nil, strings.NewReader(""), &followed, io.Discard)
	})
	soon(t, "the second account is followed", func() bool {
		openAccount(t, url, "second") // a repeat, until it is
		openAccount(t, url, fmt.Sprint("a", time.Now().UnixNano()))
		return strings.Contains(followed.String(), `"subject":"a`)
	})
	stopFollowing()
	tail.Wait()
	for line := range strings.Lines(followed.String()) {
		var e struct{ ID, Type, Subject string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Type != "account.opened" || e.Subject == "before" {
			t.Errorf("it printed %s%v", line, err)
		}
	}

	soon(t, "the broker has the events", func() bool { return len(streamed(t, "nats://"+broker)) >= 3 })
	first := streamed(t, "nats://"+broker)[0]
	var envelope struct{ ID, Subject, Source, SpecVersion string }
	if err := json.Unmarshal(first.Data, &envelope); err != nil || envelope.ID != first.Header.Get("Nats-Msg-Id") || envelope.Subject != "before" ||
		envelope.SpecVersion != "1.0" || envelope.Source != "/oncepay/tenants/dev" {
		t.Errorf("the first event is %s, %v", first.Data, err)
	}
	caughtUp := func() bool {
		return strings.Contains(oncepay(nil, "events", "sinks", "--json", "--store="+store).stdout, `"lag": 0`)
	}
	soon(t, "the sink has all", caughtUp)

	if o := oncepay(nil, "events", "replay", "--store="+store, "--from="+envelope.ID, "--to=nats", "--json"); o.status != exitGood || !strings.Contains(o.stdout, `"position": 0`) {
		t.Errorf("replay: %+v", o)
	}
	soon(t, "they are published again", caughtUp)
	ids := map[string]bool{}
	for _, m := range streamed(t, "nats://"+broker) {
		if id := m.Header.Get("Nats-Msg-Id"); ids[id] {
			t.Errorf("%s is kept twice", id)
		} else {
			ids[id] = true
		}
	}
	for _, args := range [][]string{
		{"--from=" + envelope.ID, "--to=kafka"}, {"--from=evt_00000000000000000000000000", "--to=nats"}, {"--from=yesterday", "--to=nats"},
		{"--to=nats"}, {"--from=" + envelope.ID},
	} {
		if o := oncepay(nil, append([]string{"events", "replay", "--store=" + store}, args...)...); o.status == exitGood {
			t.Errorf("replay %v: %+v", args, o)
		}
	}
	if text := metricsText(t, url); !strings.Contains(text, `oncepay_sink_lag{sink="nats"} 0`) || !strings.Contains(text, `oncepay_sink_relaying{sink="nats"} 1`) {
		t.Error("the metrics do not show the sink")
	}
	stop()
	if got := <-status; got != exitGood {
		t.Errorf("exit %d\n%s", got, &stderr)
	}
}

func metricsText(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Who may not read is told so, and the command ends.
func TestATailThatIsRefused(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	_, url := serveInside(t, ctx, io.Discard)
	var stderr bytes.Buffer
	status := run(t.Context(), []string{"events", "tail", "--at", url, "--token-file", "-"}, nil, strings.NewReader("sk_nobody"), io.Discard, &stderr)
	if status != exitBad || !strings.Contains(stderr.String(), "API key") {
		t.Errorf("exit %d, %s", status, &stderr)
	}
}
