package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
)

// broker is a sink that does as it is told, and remembers what came.
type broker struct {
	mu    sync.Mutex
	got   []outbox.Message
	does  func(n int, done func(error)) // the n-th, from 0; nil takes everything
	tries int
}

var errBroker = errors.New("the broker is away")

func (b *broker) Publish(_ context.Context, m outbox.Message, done func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.tries
	b.tries++
	took := func(err error) { // later only by who does not hold the lock
		if err == nil {
			b.got = append(b.got, m)
		}
		done(err)
	}
	if b.does == nil {
		took(nil)
		return
	}
	b.does(n, took)
}

func (b *broker) count() (tries, came int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tries, len(b.got)
}

func (b *broker) ids() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.got {
		ids = append(ids, m.ID)
	}
	return ids
}

// write commits events.
func write(t *testing.T, m *engine.Memory, from, to int) {
	t.Helper()
	var events []outbox.Event
	for i := from; i < to; i++ {
		events = append(events, outbox.Event{
			ID: fmt.Sprint("evt_", i), Tenant: "t", Type: "account.updated", Subject: fmt.Sprint("a", i%7), At: time.Now(), Data: []byte("{}"),
		})
	}
	if err := m.Commit(t.Context(), &engine.Changes{At: time.Now(), Ledger: &ledger.Changes{Events: events}}); err != nil {
		t.Fatal(err)
	}
}

// relaying runs a relay until it is stopped.
func relaying(t *testing.T, s outbox.Store, b *broker, change ...func(*outbox.Config)) (_ *outbox.Relay, stop func()) {
	cfg := outbox.Config{Name: "b", Store: s, Sink: b, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	r := outbox.New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	return r, func() { cancel(); wg.Wait() }
}

func wantIDs(t *testing.T, b *broker, n int) {
	t.Helper()
	ids, seen := b.ids(), map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(seen) != n {
		t.Fatalf("%d of %d events came", len(seen), n)
	}
}

func positionOf(t *testing.T, m *engine.Memory) outbox.Position {
	t.Helper()
	all, err := m.Sinks(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("sinks %+v, %v", all, err)
	}
	return all[0].Position
}

// Events come soon, each once, and the cursor follows; the next process goes on there.
func TestARelayGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, b := engine.NewMemory(), &broker{}
		write(t, m, 0, 1000)
		r, stop := relaying(t, m, b)
		time.Sleep(100 * time.Millisecond)
		wantIDs(t, b, 1000)
		write(t, m, 1000, 1010)
		time.Sleep(26 * time.Millisecond) // it polls
		wantIDs(t, b, 1010)
		write(t, m, 1010, 1020)
		r.Wake()
		time.Sleep(6 * time.Millisecond)
		wantIDs(t, b, 1020)
		time.Sleep(2 * time.Second)
		if at := positionOf(t, m); at != 1020 {
			t.Errorf("the cursor is at %d", at)
		}
		write(t, m, 1020, 1030)
		time.Sleep(26 * time.Millisecond)
		stop()
		if at := positionOf(t, m); at != 1030 {
			t.Errorf("when it has stopped the cursor is at %d", at)
		}
		write(t, m, 1030, 1040)
		_, stop = relaying(t, m, b)
		time.Sleep(time.Second)
		stop()
		wantIDs(t, b, 1040)
		if _, came := b.count(); came != 1040 {
			t.Errorf("%d messages came", came)
		}
	})
}

// Who dies soon after it has started has got on, too: the cursor is written early at first.
func TestTheCursorIsWrittenEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, b := engine.NewMemory(), &broker{}
		write(t, m, 0, 1000)
		_, stop := relaying(t, m, b)
		defer stop()
		time.Sleep(200 * time.Millisecond)
		if at := positionOf(t, m); at == 0 {
			t.Error("the cursor is where it was")
		}
	})
}

// While a broker is away nothing is lost and little is tried; what it has not
// acknowledged comes again.
func TestABrokerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, b := engine.NewMemory(), &broker{}
		away := true
		b.does = func(n int, done func(error)) {
			if away {
				done(errBroker)
				return
			}
			done(nil)
		}
		write(t, m, 0, 10_000)
		r, stop := relaying(t, m, b)
		defer stop()
		time.Sleep(time.Hour)
		if tries, _ := b.count(); tries > 8192+250 {
			t.Errorf("%d tries in an hour", tries)
		}
		if s := r.Stats(); s.InFlight > 1 || !s.Holding {
			t.Errorf("it is %+v", s)
		}
		b.mu.Lock()
		away = false
		b.mu.Unlock()
		time.Sleep(20 * time.Second)
		wantIDs(t, b, 10_000)
	})
}

// A broker that never answers holds up itself, and not another sink.
func TestASlowSinkHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, slow, quick := engine.NewMemory(), &broker{does: func(int, func(error)) {}}, &broker{}
		write(t, m, 0, 10_000)
		_, stop := relaying(t, m, slow, func(c *outbox.Config) { c.Name = "slow" })
		defer stop()
		_, stopQuick := relaying(t, m, quick)
		defer stopQuick()
		time.Sleep(time.Second)
		wantIDs(t, quick, 10_000)
		wantIDs(t, slow, 0)
	})
}

// Of two relays one works. When it is gone without a word, the other takes over after
// its lease, where the cursor was.
func TestAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, one, two := engine.NewMemory(), &broker{}, &broker{}
		if _, err := m.TakeSink(t.Context(), "b", "gone", 10*time.Second); err != nil {
			t.Fatal(err)
		}
		write(t, m, 0, 100)
		_, stopOne := relaying(t, m, one)
		_, stopTwo := relaying(t, m, two)
		defer stopTwo()
		time.Sleep(9 * time.Second)
		wantIDs(t, one, 0)
		wantIDs(t, two, 0)
		time.Sleep(5 * time.Second)
		if len(one.ids())+len(two.ids()) != 100 {
			t.Errorf("%d and %d came", len(one.ids()), len(two.ids()))
		}
		stopOne()
		write(t, m, 100, 200)
		time.Sleep(3 * time.Second)
		if n := len(one.ids()) + len(two.ids()); n != 200 {
			t.Errorf("%d came", n)
		}
	})
}

// A cursor that an operator moves has the relay go on from there.
func TestAReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, b := engine.NewMemory(), &broker{}
		write(t, m, 0, 100)
		_, stop := relaying(t, m, b)
		defer stop()
		time.Sleep(5 * time.Second)
		if err := m.MoveSink(t.Context(), "b", 40); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := len(b.ids()); n != 160 {
			t.Errorf("%d messages came", n)
		}
		if at := positionOf(t, m); at != 100 {
			t.Errorf("the cursor is at %d", at)
		}
	})
}

// lostStore is a store that is away for a time.
type lostStore struct {
	*engine.Memory
	mu   sync.Mutex
	away bool
}

func (s *lostStore) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errors.New("the store is away")
	}
	return nil
}

func (s *lostStore) KeepSink(ctx context.Context, c outbox.Cursor, lease time.Duration) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Memory.KeepSink(ctx, c, lease)
}

func (s *lostStore) TakeSink(ctx context.Context, sink, holder string, lease time.Duration) (outbox.Cursor, error) {
	if err := s.err(); err != nil {
		return outbox.Cursor{}, err
	}
	return s.Memory.TakeSink(ctx, sink, holder, lease)
}

// Who cannot reach the store for as long as its lease stops publishing: another one may
// have begun. When the store is back it goes on, and misses nothing.
func TestARelayWithoutItsStoreStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := &lostStore{Memory: engine.NewMemory()}, &broker{}
		r, stop := relaying(t, s, b)
		defer stop()
		time.Sleep(time.Second)
		s.mu.Lock()
		s.away = true
		s.mu.Unlock()
		time.Sleep(12 * time.Second)
		write(t, s.Memory, 0, 10)
		time.Sleep(time.Minute)
		if wantIDs(t, b, 0); r.Stats().Holding {
			t.Error("it holds on to the cursor")
		}
		s.mu.Lock()
		s.away = false
		s.mu.Unlock()
		time.Sleep(5 * time.Second)
		wantIDs(t, b, 10)
	})
}

// What a sink says of tries that another tenure made is nobody's.
func TestAnswersToAnEarlierTenure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, b := engine.NewMemory(), &broker{}
		var late []func(error)
		b.does = func(n int, done func(error)) {
			if n < 10 {
				late = append(late, done)
				return
			}
			done(nil)
		}
		write(t, m, 0, 10) // of 7 subjects, so 7 are sent
		r, stop := relaying(t, m, b)
		defer stop()
		time.Sleep(time.Second)
		if err := m.MoveSink(t.Context(), "b", 5); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		b.mu.Lock()
		answers := late
		b.mu.Unlock()
		for _, done := range answers {
			done(nil)
		}
		time.Sleep(30 * time.Second)
		if at, s := positionOf(t, m), r.Stats(); at != 10 || s.InFlight != 0 {
			t.Errorf("the cursor is at %d, and it is %+v", at, s)
		}
	})
}
