package nats_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/oncepay/oncepay/broker/nats"
	"github.com/oncepay/oncepay/broker/nats/embedded"
	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/outbox"
)

// house is a server that comes and goes, at one address.
type house struct {
	testing.TB
	dir, addr string
	server    *embedded.Server
}

func newHouse(t testing.TB) *house {
	h := &house{TB: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	h.start()
	h.addr = h.server.Addr().String()
	t.Cleanup(h.stop)
	return h
}

func (h *house) url() string { return "nats://" + h.addr }

func (h *house) start() {
	h.Helper()
	var err error
	if h.server, err = embedded.Start(embedded.Config{Dir: h.dir, Addr: h.addr}); err != nil {
		h.Fatal(err)
	}
}

func (h *house) stop() {
	if h.server != nil {
		h.server.Close()
		h.server = nil
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

// stream is JetStream as somebody else sees it.
func (h *house) stream() jetstream.JetStream {
	h.Helper()
	c, err := client.Connect(h.url())
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(c.Close)
	js, err := jetstream.New(c)
	if err != nil {
		h.Fatal(err)
	}
	return js
}

// messages are all that the stream keeps.
func (h *house) messages() (all []*jetstream.RawStreamMsg) {
	h.Helper()
	s, err := h.stream().Stream(context.Background(), "ONCEPAY")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		h.Fatal(err)
	}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := s.GetMsg(context.Background(), seq)
		if err != nil {
			h.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func (h *house) kept() (all []contract.Kept) {
	for _, m := range h.messages() {
		all = append(all, contract.Kept{ID: m.Header.Get("Nats-Msg-Id"), Payload: m.Data})
	}
	return all
}

func (h *house) sink(change ...func(*nats.Config)) *nats.Sink {
	h.Helper()
	cfg := nats.Config{URL: h.url(), Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	s, err := nats.Connect(cfg)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(s.Close)
	return s
}

func TestContract(t *testing.T) {
	contract.TestBroker(t, func(t testing.TB) contract.Broker {
		h := newHouse(t)
		return contract.Broker{Sink: h.sink(), Kept: h.kept, Stop: h.stop, Start: h.start, Wipe: h.wipe, Deduplicates: true}
	})
}

// The stream is made as it is configured.
func TestTheStreamIsMade(t *testing.T) {
	h := newHouse(t)
	s := h.sink(func(c *nats.Config) { c.Stream, c.Prefix, c.DedupWindow, c.MaxAge = "S", "a.b", time.Minute, time.Hour })
	publish(t, s, nil)
	found, err := h.stream().Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	c := found.CachedInfo().Config
	if len(c.Subjects) != 1 || c.Subjects[0] != "a.b.>" || c.Duplicates != time.Minute || c.MaxAge != time.Hour || c.Storage != jetstream.FileStorage {
		t.Errorf("it is %+v", c)
	}
}

// A stream that is there is used as it is; one that catches the subjects under another
// name acknowledges nothing for ours.
func TestAStreamThatIsThere(t *testing.T) {
	h := newHouse(t)
	other := jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"oncepay.>"}, Duplicates: 2 * time.Second}
	if _, err := h.stream().CreateStream(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	publish(t, h.sink(), errAny)
	publish(t, h.sink(func(c *nats.Config) { c.Stream = "OTHER" }), nil)
	found, err := h.stream().Stream(t.Context(), "OTHER")
	if err != nil || found.CachedInfo().Config.Duplicates != 2*time.Second || found.CachedInfo().State.Msgs != 1 {
		t.Errorf("it is %+v, %v", found.CachedInfo(), err)
	}
}

// A message has the subject of its type, and says what it is.
func TestTheFormOfAMessage(t *testing.T) {
	h := newHouse(t)
	publish(t, h.sink(), nil)
	m := h.messages()[0]
	if m.Subject != "oncepay.events.t.transfer.posted" || m.Header.Get("Content-Type") != "application/cloudevents+json" || m.Header.Get("Nats-Msg-Id") != "evt_1" {
		t.Errorf("it is %s %v", m.Subject, m.Header)
	}
}

// A tenant's name is one token of the subject, whatever it has in it.
func TestATenantIsOneToken(t *testing.T) {
	for tenant, want := range map[string]string{
		"acme": "p.acme.transfer.posted", "a.b": "p.a%2Eb.transfer.posted", "a%2Eb": "p.a%252Eb.transfer.posted",
		"> *": "p.%3E%20%2A.transfer.posted", "ä_-": "p.%C3%A4_-.transfer.posted",
	} {
		if got := nats.Subject("p", outbox.Event{Tenant: tenant, Type: "transfer.posted"}); got != want {
			t.Errorf("of %q it is %s, want %s", tenant, got, want)
		}
	}
}

// A sink that is closed answers what it was not told of.
func TestCloseAnswersWhatIsLeft(t *testing.T) {
	h := newHouse(t)
	s := h.sink()
	publish(t, s, nil)
	s.Close()
	publish(t, s, errAny)
}
