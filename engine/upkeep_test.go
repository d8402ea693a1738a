package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// tombstones is short of the 400 days of a service: fake time is fast, but Keep
// looks every second.
const tombstones = 3 * 24 * time.Hour

// kept runs a test in fake time, with an executor on a bank that is kept.
func kept(t *testing.T, store engine.Upkeep, m *engine.Memory, test func(t *testing.T, e *engine.Executor, log *strings.Builder)) {
	synctest.Test(t, func(t *testing.T) {
		e := engine.New(m, engine.Config{Render: render})
		var log strings.Builder
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			e.Keep(ctx, store, engine.UpkeepConfig{Tombstones: tombstones, Log: slog.New(slog.NewTextHandler(&log, nil))})
		})
		test(t, e, &log)
		stop()
		wg.Wait()
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func holdFor(key string, d time.Duration) *engine.Job {
	j := transferOne(key, 1)
	j.Command = ledger.CreateTransfer{
		Tenant: "acme", From: "a", To: "b", Amount: 1, Currency: "EUR", Pending: true, ExpiresAt: time.Now().Add(d),
	}
	return j
}

func transfer(t *testing.T, m *engine.Memory, o engine.Outcome) *ledger.Transfer {
	t.Helper()
	tr, err := m.Transfer(context.Background(), ledger.Ref{Tenant: "acme", ID: string(o.Answer.Body)})
	if err != nil || tr == nil {
		t.Fatalf("transfer %s: %v", o.Answer.Body, err)
	}
	return tr
}

func TestAHoldEndsByItself(t *testing.T) {
	m := newBank(t)
	kept(t, m, m, func(t *testing.T, e *engine.Executor, _ *strings.Builder) {
		hour := e.Do(context.Background(), holdFor("hour", time.Hour))
		week := e.Do(context.Background(), holdFor("week", 7*24*time.Hour))
		time.Sleep(time.Hour - 10*time.Millisecond)
		if got := transfer(t, m, hour).Status; got != ledger.Pending {
			t.Errorf("just before its end it is %v", got)
		}
		time.Sleep(1100 * time.Millisecond) // "about a second late"
		if got := transfer(t, m, hour).Status; got != ledger.Expired {
			t.Errorf("a second after its end it is %v", got)
		}
		if got := transfer(t, m, week).Status; got != ledger.Pending {
			t.Errorf("the longer one is %v", got)
		}
		if a, _ := m.Account(context.Background(), ledger.Ref{Tenant: "acme", ID: "a"}); a.Balance.Outgoing != 1 {
			t.Errorf("a stands at %+v", a.Balance)
		}
	})
}

// More holds end in one moment than are expired at once; they do not wait for
// the next second for that.
func TestManyHoldsEndTogether(t *testing.T) {
	m := newBank(t)
	kept(t, m, m, func(t *testing.T, e *engine.Executor, _ *strings.Builder) {
		var jobs []*engine.Job
		for i := range 1000 {
			jobs = append(jobs, holdFor(fmt.Sprint(i), time.Minute))
		}
		e.DoAll(context.Background(), jobs)
		time.Sleep(time.Minute + 1100*time.Millisecond)
		if a, _ := m.Account(context.Background(), ledger.Ref{Tenant: "acme", ID: "a"}); a.Balance.Outgoing != 0 {
			t.Errorf("a second after their end %d are held", a.Balance.Outgoing)
		}
	})
}

func TestReplaysAreCounted(t *testing.T) {
	m := newBank(t)
	kept(t, m, m, func(t *testing.T, e *engine.Executor, _ *strings.Builder) {
		for range 4 {
			e.Do(context.Background(), transferOne("k", 1))
		}
		e.Do(context.Background(), transferOne("k", 2)) // a mismatch is no replay
		time.Sleep(1100 * time.Millisecond)
		e.Do(context.Background(), transferOne("k", 1))
		time.Sleep(1100 * time.Millisecond)
		if got := known(t, m, "k").Replays; got != 4 {
			t.Errorf("counted %d replays, want 4", got)
		}
	})
}

// slowly is a command that has no final answer the first times that it is decided.
type slowly struct{ times *int }

func (slowly) Needs(*pay.Book) {}

func (c slowly) Decide(*pay.Book, ledger.Moment) (pay.Result, error) {
	*c.times--
	return pay.Result{Verb: pay.ToCheck, Payment: &pay.Payment{Ref: pay.Ref{Tenant: "acme", ID: "pay_1"}}, Interim: *c.times >= 0}, nil
}

// Whatever is answered as a replay is counted as one: also the repeat that brings
// the final answer itself, and the one that waited for it. The first request is
// none, however often it had to look.
func TestReplaysOfWhatWasAtWorkAreCounted(t *testing.T) {
	m := newBank(t)
	kept(t, m, m, func(t *testing.T, e *engine.Executor, _ *strings.Builder) {
		times := 2
		ask := func() *engine.Job {
			return &engine.Job{Tenant: "acme", Request: once.Request{Key: once.Key{Tenant: "acme", ID: "k"}}, Payment: slowly{&times}}
		}
		first, waits, brings := ask(), ask(), ask()
		replays := 0
		for _, j := range []*engine.Job{first, waits, brings, waits, first} {
			if e.Do(context.Background(), j).Replayed {
				replays++
			}
		}
		time.Sleep(1100 * time.Millisecond)
		if got := known(t, m, "k").Replays; got != 2 || replays != 2 {
			t.Errorf("counted %d replays of %d, want 2", got, replays)
		}
	})
}

func TestReplaysOfTheLastSecondAreCountedAtTheEnd(t *testing.T) {
	m := newBank(t)
	kept(t, m, m, func(t *testing.T, e *engine.Executor, _ *strings.Builder) {
		e.Do(context.Background(), transferOne("k", 1))
		e.Do(context.Background(), transferOne("k", 1))
	})
	if got := known(t, m, "k").Replays; got != 1 {
		t.Errorf("counted %d replays, want 1", got)
	}
}

// ending is a store that the process is told to end at, whatever is asked of it; like any other, it
// does nothing for whoever does not want it any more.
type ending struct {
	*engine.Memory
	stop func()
}

func (s *ending) CountReplays(ctx context.Context, counts map[once.Key]int64) error {
	s.stop()
	return cmp.Or(ctx.Err(), s.Memory.CountReplays(ctx, counts))
}

func (s *ending) DueHolds(ctx context.Context, now time.Time, limit int) ([]ledger.Ref, error) {
	return nil, ctx.Err()
}

func (s *ending) Sweep(ctx context.Context, _, _ time.Time) (bool, error) { return false, ctx.Err() }

// What is being counted when the process is told to end is counted, and what is not done then is no
// failure.
func TestUpkeepEndsInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBank(t)
		e := engine.New(m, engine.Config{Render: render})
		var log strings.Builder
		ctx, stop := context.WithCancel(context.Background())
		for range 3 {
			e.Do(context.Background(), transferOne("k", 1))
		}
		e.Keep(ctx, &ending{m, stop}, engine.UpkeepConfig{Tombstones: tombstones, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if got := known(t, m, "k").Replays; got != 2 {
			t.Errorf("2 replays are counted as %d", got)
		}
		if log.Len() != 0 {
			t.Errorf("it says\n%s", &log)
		}
	})
}

func known(t *testing.T, m *engine.Memory, key string) once.Record {
	t.Helper()
	r, err := m.Key(context.Background(), once.Key{Tenant: "acme", ID: key})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The life of a key after its answer: replayed within the window, refused while
// its tombstone lives, then forgotten.
func TestTheLifeOfAKey(t *testing.T) {
	m := newBank(t)
	kept(t, m, m, func(t *testing.T, e *engine.Executor, _ *strings.Builder) {
		e.Do(context.Background(), transferOne("k", 1))
		time.Sleep(24*time.Hour - time.Second)
		if o := e.Do(context.Background(), transferOne("k", 1)); !o.Replayed {
			t.Errorf("within the window: %+v", o)
		}
		time.Sleep(2 * time.Minute)
		if got := known(t, m, "k").State; got != once.Tombstone {
			t.Errorf("after the window its record is %v", got)
		}
		if o := e.Do(context.Background(), transferOne("k", 1)); !errors.Is(o.Err, once.ErrExpired) {
			t.Errorf("after the window: %+v", o)
		}
		time.Sleep(tombstones - 24*time.Hour - 5*time.Minute)
		if got := known(t, m, "k").State; got != once.Tombstone {
			t.Errorf("just before it is forgotten its record is %v", got)
		}
		time.Sleep(10 * time.Minute)
		if got := known(t, m, "k").State; got != once.Absent {
			t.Errorf("in the end its record is %v", got)
		}
	})
}

// failing is an upkeep where nothing works.
type failing struct{}

func (failing) DueHolds(context.Context, time.Time, int) ([]ledger.Ref, error) { return nil, errLost }
func (failing) CountReplays(context.Context, map[once.Key]int64) error         { return errLost }
func (failing) Sweep(context.Context, time.Time, time.Time) (bool, error)      { return true, errLost }

// What fails is logged and tried again; nobody who asks for something notices.
func TestUpkeepThatFailsIsLogged(t *testing.T) {
	m := newBank(t)
	kept(t, failing{}, m, func(t *testing.T, e *engine.Executor, log *strings.Builder) {
		e.Do(context.Background(), transferOne("k", 1))
		wantDone(t, e.Do(context.Background(), transferOne("k", 1)))
		time.Sleep(61 * time.Second)
		synctest.Wait()
		for _, want := range []string{"holds that are due", "replays of a second", "keys that are over"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("nobody said %q:\n%s", want, log)
			}
		}
	})
}

// repeating says for ever that a hold is due which is not there.
type repeating struct{ *engine.Memory }

func (repeating) DueHolds(_ context.Context, _ time.Time, limit int) ([]ledger.Ref, error) {
	return make([]ledger.Ref, limit), nil
}

func TestAStoreThatRepeatsItselfIsNoEndlessLoop(t *testing.T) {
	m := newBank(t)
	kept(t, repeating{m}, m, func(t *testing.T, e *engine.Executor, _ *strings.Builder) {
		time.Sleep(10 * time.Second)
		wantDone(t, e.Do(context.Background(), transferOne("k", 1)))
	})
}

// A sweep is asked on while there is more.
type piecemeal struct {
	*engine.Memory
	pieces int
}

func (p *piecemeal) Sweep(context.Context, time.Time, time.Time) (bool, error) {
	p.pieces++
	return p.pieces%5 != 0, nil
}

func TestASweepGoesOnWhileThereIsMore(t *testing.T) {
	m := newBank(t)
	p := &piecemeal{Memory: m}
	kept(t, p, m, func(t *testing.T, _ *engine.Executor, _ *strings.Builder) {
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if p.pieces != 5 {
			t.Errorf("it was asked for %d pieces, want 5", p.pieces)
		}
	})
}
