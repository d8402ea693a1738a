//go:build integration

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	natsserver "github.com/oncepay/oncepay/broker/nats/embedded"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/store/postgres"
	"github.com/oncepay/oncepay/store/sqlite"
)

const relayKills = 6

// A server that is killed while it relays skips no event, whatever step it was at: an event
// not published, published and not acknowledged, acknowledged with the cursor not written,
// or with the cursor written. Each cycle ends the real program under load; where it
// was is read from what it left: the events, the cursor, and what the broker keeps. The
// broker forgets ids at once here, so that what is published again is seen: it has
// the id and the bytes of the first.
func TestAKilledServerSkipsNoEvent(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	luck := rand.New(rand.NewPCG(seed, 0))
	b := startBroker(t)
	w := newCrashWorld(t, mustSelf(t))
	w.args = b.args()
	var unsent, unwritten, written int
	for cycle := range relayKills {
		before := w.look(t, b)
		s := w.start(t)
		d := time.Duration(20+luck.IntN(200)) * time.Millisecond
		if cycle%3 == 2 {
			d += 1200 * time.Millisecond // the cursor is written about once a second
		}
		w.load(t, s, seed+uint64(cycle), d)
		if err := s.cmd.Wait(); err == nil {
			t.Fatal("the server ended well before it was killed")
		}
		after := w.look(t, b)
		if after.unsent > 0 {
			unsent++
		}
		if after.unwritten > 0 {
			unwritten++
		}
		if after.cursor > before.cursor {
			written++
		}
	}
	s := w.start(t)
	v := w.view(t)
	b.until(t, "everything is acknowledged", func() bool { return lag(t, v) == 0 })
	repeats := b.compare(t, v)
	s.stop(t)
	t.Logf("%d kills: %d left events that were not published, %d such as were published with the cursor not written, in %d the cursor was written; %d repeats",
		relayKills, unsent, unwritten, written, repeats)
	if unsent == 0 || unwritten == 0 || written == 0 || repeats == 0 {
		t.Error("no kill hit one of the steps: the test does not test what it is for")
	}
}

// left is where a server was that was killed.
type left struct {
	unsent, unwritten int
	cursor            outbox.Position
}

func (w *crashWorld) view(t *testing.T) *sqlite.View {
	t.Helper()
	v, err := sqlite.OpenView(t.Context(), w.path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func (w *crashWorld) look(t *testing.T, b *testBroker) (l left) {
	t.Helper()
	v := w.view(t)
	defer v.Close()
	for _, s := range sinks(t, v) {
		l.cursor = s.Position
	}
	has := map[string]bool{}
	for _, m := range b.kept(t) {
		has[m.Header.Get("Nats-Msg-Id")] = true
	}
	for _, e := range readEvents(t, v) {
		switch {
		case !has[e.ID]:
			l.unsent++
		case e.Position > l.cursor:
			l.unwritten++
		}
	}
	return l
}

// relayed is a store whose events somebody relays.
type relayed interface {
	EventsAfter(ctx context.Context, after outbox.Position, limit int) ([]outbox.Placed, bool, error)
	Sinks(ctx context.Context) ([]outbox.State, error)
}

func sinks(t *testing.T, s relayed) []outbox.State {
	t.Helper()
	all, err := s.Sinks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lag is how far the sink is behind; -1: there is none yet.
func lag(t *testing.T, s relayed) int64 {
	t.Helper()
	all := sinks(t, s)
	if len(all) != 1 {
		return -1
	}
	return all[0].Lag
}

func readEvents(t *testing.T, s relayed) (all []outbox.Placed) {
	t.Helper()
	for after := outbox.Position(0); ; after = all[len(all)-1].Position {
		page, more, err := s.EventsAfter(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); len(page) == 0 && !more || len(all) == 0 {
			return all
		}
	}
}

// testBroker is a NATS server of a test.
type testBroker struct {
	*natsserver.Server
	js   jetstream.JetStream
	seen []*jetstream.RawStreamMsg
}

func startBroker(t *testing.T) *testBroker {
	t.Helper()
	s, err := natsserver.Start(natsserver.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	conn, err := client.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return &testBroker{Server: s, js: js}
}

// args have a server publish to the broker, which forgets ids at once.
func (b *testBroker) args() []string {
	return []string{"--nats-url=" + b.ClientURL(), "--nats-dedup-window=100ms"}
}

// kept is all that the broker keeps, in its order.
func (b *testBroker) kept(t *testing.T) []*jetstream.RawStreamMsg {
	t.Helper()
	s, err := b.js.Stream(t.Context(), "ONCEPAY")
	if err != nil {
		return nil // there is none yet
	}
	for seq := uint64(len(b.seen)) + 1; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		b.seen = append(b.seen, m)
	}
	return b.seen
}

func (b *testBroker) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}

// compare holds that the broker keeps every event, each repeat as the first, and
// those of a subject in their order by their first arrival. It counts repeats.
func (b *testBroker) compare(t *testing.T, s relayed) (repeats int) {
	t.Helper()
	want, got := map[string][]string{}, map[string][]string{}
	envelopes, subjects, first := map[string][]byte{}, map[string]string{}, map[string]bool{}
	for _, e := range readEvents(t, s) {
		envelopes[e.ID] = outbox.AppendEnvelope(nil, outbox.DefaultSource, e.Event)
		subjects[e.ID] = e.Tenant + "/" + e.Subject
		want[subjects[e.ID]] = append(want[subjects[e.ID]], e.ID)
	}
	for _, m := range b.kept(t) {
		id := m.Header.Get("Nats-Msg-Id")
		if !bytes.Equal(m.Data, envelopes[id]) {
			t.Fatalf("%s is %s, want %s", id, m.Data, envelopes[id])
		}
		if first[id] {
			repeats++
			continue
		}
		first[id] = true
		got[subjects[id]] = append(got[subjects[id]], id)
	}
	if len(first) != len(envelopes) {
		t.Errorf("%d events are at the broker, of %d", len(first), len(envelopes))
	}
	for subject, ids := range want {
		if !slices.Equal(got[subject], ids) {
			t.Errorf("of %s there is %v, want %v", subject, got[subject], ids)
		}
	}
	t.Logf("%d events of %d subjects", len(envelopes), len(want))
	return repeats
}

// Of two servers on one database one relays, and when it is killed the other goes on.
func TestServersRelayOneAfterAnother(t *testing.T) {
	const kills = 2
	pg := startDatabase(t)
	url := pg.URL("postgres")
	b := startBroker(t)
	start := func() *crashServer { return launch(t, mustSelf(t), "", append(b.args(), "--store="+url)...) }
	servers := []*crashServer{start(), start()}
	for _, s := range servers {
		s.ready(t)
	}
	for i := range crashAccounts {
		op := &crashOp{key: fmt.Sprint("open-", i), path: "/v1/accounts", body: fmt.Sprintf(`{"id":"a%d","currency":"EUR","min_balance":null}`, i)}
		if servers[i%2].send(op); op.status != http.StatusCreated {
			t.Fatalf("account %d: %d %s", i, op.status, op.answer)
		}
	}
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &crashWorld{}
	holders := map[string]bool{}
	for n := range kills {
		b.until(t, "somebody relays", func() bool {
			all := sinks(t, s)
			return len(all) == 1 && all[0].Holder != "" && !holders[all[0].Holder]
		})
		holders[sinks(t, s)[0].Holder] = true
		// Which of them relays is not told to others, so both are killed in turn.
		w.load(t, servers[n%2], uint64(n), 300*time.Millisecond)
		_ = servers[n%2].cmd.Wait()
		servers[n%2] = start()
		servers[n%2].ready(t)
		w.load(t, servers[1-n%2], uint64(n+kills), 300*time.Millisecond)
		_ = servers[1-n%2].cmd.Wait()
		servers[1-n%2] = start()
		servers[1-n%2].ready(t)
	}
	b.until(t, "everything is acknowledged", func() bool { return lag(t, s) == 0 })
	repeats := b.compare(t, s)
	t.Logf("%d kills, %d holders one after another, %d repeats", 2*kills, len(holders), repeats)
}
