package contract

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
)

// Broker is a sink, and the real broker on its other side. Its functions fail the test
// themselves.
type Broker struct {
	Sink outbox.Sink

	// Kept returns all messages that the broker keeps, in its order.
	Kept func() []Kept

	// Stop takes the broker away, Start brings it back with what it had kept, and Wipe
	// with nothing. It is at the same address.
	Stop, Start, Wipe func()

	// Deduplicates says that the broker keeps a message with an id that it has once.
	Deduplicates bool
}

// Kept is a message as consumers get it.
type Kept struct {
	ID      string
	Payload []byte
}

// TestBroker holds a sink to what outbox.Sink promises, against a broker that is really
// there: open returns one that is new and empty.
func TestBroker(t *testing.T, open func(testing.TB) Broker) {
	for _, p := range []struct {
		name string
		keep func(*avenue)
	}{
		{"what is acknowledged is kept, byte for byte", keptAsSent},
		{"every type of event can be published", keepsEveryType},
		{"messages arrive in the order in which they were published", keptInOrder},
		{"a message that is published again is kept once, or has the same id", keptOnce},
		{"while the broker is away publishing fails, and soon", failsWhileAway},
		{"when the broker is back publishing works, and what was kept is there", worksWhenBack},
		{"when the broker has lost everything publishing works", worksWhenWiped},
		{"a relay misses nothing while the broker comes and goes", relayMissesNothing},
	} {
		t.Run(p.name, func(t *testing.T) { p.keep(&avenue{t, open(t)}) })
	}
}

// avenue is a test and its broker.
type avenue struct {
	*testing.T
	Broker
}

// message is an event and its envelope.
func message(n int) outbox.Message {
	e := outbox.Event{
		ID: fmt.Sprintf("evt_%05d", n), Tenant: tenant, Type: "transfer.posted", Subject: fmt.Sprint("tr_", n), At: opening,
		Data: fmt.Appendf(nil, `{"n":%d,"text":"ü\u0000"}`, n),
	}
	return outbox.Message{Placed: outbox.Placed{Event: e}, Envelope: outbox.AppendEnvelope(nil, outbox.DefaultSource, e)}
}

const answerTime = 40 * time.Second // in which every publish is answered, however it ends

// publish publishes messages together, and returns what became of them.
func (s *avenue) publish(messages ...outbox.Message) []error {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
	defer cancel()
	answers, errs := make([]chan error, len(messages)), make([]error, len(messages))
	for i, m := range messages {
		answers[i] = make(chan error, 2)
		s.Sink.Publish(ctx, m, func(err error) { answers[i] <- err })
	}
	for i, a := range answers {
		select {
		case errs[i] = <-a:
		case <-time.After(answerTime):
			s.Fatalf("message %d was not answered", i)
		}
	}
	return errs
}

// must publishes messages until the broker has taken each.
func (s *avenue) must(messages ...outbox.Message) {
	s.Helper()
	for _, m := range messages {
		s.until("the broker takes "+m.ID, func() bool { return s.publish(m)[0] == nil })
	}
}

func (s *avenue) until(what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("it does not come about that %s", what)
		}
	}
}

func (s *avenue) ids() (ids []string) {
	for _, k := range s.Kept() {
		ids = append(ids, k.ID)
	}
	return ids
}

func keptAsSent(s *avenue) {
	m := message(1)
	s.must(m)
	if kept := s.Kept(); len(kept) != 1 || kept[0].ID != m.ID || !bytes.Equal(kept[0].Payload, m.Envelope) {
		s.Errorf("kept is %+v", kept)
	}
}

func keepsEveryType(s *avenue) {
	for i, typ := range outbox.Types() {
		m := message(i)
		m.Type = typ.Name
		s.must(m)
	}
	if got, want := len(s.Kept()), len(outbox.Types()); got != want {
		s.Errorf("%d are kept, of %d", got, want)
	}
}

func keptInOrder(s *avenue) {
	s.must(message(0))
	var all []outbox.Message
	want := []string{message(0).ID}
	for i := 1; i <= 500; i++ {
		all = append(all, message(i))
		want = append(want, message(i).ID)
	}
	for i, err := range s.publish(all...) {
		if err != nil {
			s.Fatalf("message %d: %v", i, err)
		}
	}
	if got := s.ids(); !slices.Equal(got, want) {
		s.Errorf("kept is %v", got)
	}
}

func keptOnce(s *avenue) {
	s.must(message(1), message(2), message(1))
	got := s.ids()
	if s.Deduplicates && !slices.Equal(got, []string{message(1).ID, message(2).ID}) {
		s.Errorf("kept is %v", got)
	}
	if !s.Deduplicates && (len(got) != 3 || got[0] != got[2]) {
		s.Errorf("kept is %v", got)
	}
}

func failsWhileAway(s *avenue) {
	s.must(message(1))
	s.Stop()
	for i, err := range s.publish(message(2), message(3)) {
		if err == nil {
			s.Errorf("message %d is acknowledged by nobody", i)
		}
	}
}

func worksWhenBack(s *avenue) {
	s.must(message(1))
	s.Stop()
	s.publish(message(2))
	s.Start()
	s.must(message(2), message(3))
	if got := unique(s.ids()); !slices.Equal(got, []string{message(1).ID, message(2).ID, message(3).ID}) {
		s.Errorf("kept is %v", got)
	}
}

func worksWhenWiped(s *avenue) {
	s.must(message(1))
	s.Wipe()
	s.must(message(2))
	if got := s.ids(); !slices.Equal(got, []string{message(2).ID}) {
		s.Errorf("kept is %v", got)
	}
}

func unique(ids []string) (all []string) {
	seen := map[string]bool{}
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
	}
	return all
}

// relayMissesNothing relays events of a store while the broker comes and goes: all of
// them are kept in the end, those of a subject in their order but for repeats.
func relayMissesNothing(s *avenue) {
	const events, subjects = 3000, 100
	m := engine.NewMemory()
	r := outbox.New(outbox.Config{
		Name: "broker", Store: m, Sink: s.Sink, Log: slog.New(slog.DiscardHandler),
		Limits: outbox.Limits{MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, AckTimeout: 2 * time.Second},
	})
	ctx, stop := context.WithCancel(s.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	defer wg.Wait()
	defer stop()
	for n := 0; n < events; n += 10 {
		var some []outbox.Event
		for i := range 10 {
			e := message(n + i).Event
			e.Subject = fmt.Sprint("tr_", (n+i)%subjects)
			some = append(some, e)
		}
		if err := m.Commit(ctx, &engine.Changes{At: opening, Ledger: &ledger.Changes{Events: some}}); err != nil {
			s.Fatal(err)
		}
		switch n {
		case 1000, 2000:
			s.Stop()
		case 1500, 2500:
			s.Start()
		}
		time.Sleep(time.Millisecond) // the broker goes while something is on its way
	}
	s.until("the cursor is at the end", func() bool {
		all, err := m.Sinks(ctx)
		return err == nil && len(all) == 1 && all[0].Lag == 0
	})
	s.until("all events are kept", func() bool { return len(unique(s.ids())) == events })
	last := map[int]int{}
	for _, id := range unique(s.ids()) {
		var n int
		if _, err := fmt.Sscanf(id, "evt_%d", &n); err != nil {
			s.Fatal(err)
		}
		if before, ok := last[n%subjects]; ok && n < before {
			s.Errorf("%d comes after %d of its subject", n, before)
		}
		last[n%subjects] = n
	}
}
