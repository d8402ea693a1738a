package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slow is a store that takes its time, and counts how often it was asked.
type slow struct {
	*engine.Memory
	load, commit   time.Duration
	loads, commits atomic.Int64
}

func (s *slow) Load(ctx context.Context, n engine.Need) (engine.Rows, error) {
	s.loads.Add(1)
	time.Sleep(s.load)
	return s.Memory.Load(ctx, n)
}

func (s *slow) Commit(ctx context.Context, c *engine.Changes) error {
	s.commits.Add(1)
	time.Sleep(s.commit)
	return s.Memory.Commit(ctx, c)
}

// inBubble runs a test in fake time, with an executor on a bank whose commits
// take a second.
func inBubble(t *testing.T, cfg engine.Config, test func(t *testing.T, e *engine.Executor, store *slow)) {
	synctest.Test(t, func(t *testing.T) {
		store := &slow{Memory: newBank(t), load: time.Millisecond, commit: time.Second}
		e := engine.New(store, cfg)
		test(t, e, store)
		if err := e.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func balance(t *testing.T, m *engine.Memory, name string) int64 {
	t.Helper()
	a, err := m.Account(context.Background(), ledger.Ref{Tenant: "acme", ID: name})
	if err != nil || a == nil {
		t.Fatalf("account %s: %v, %v", name, a, err)
	}
	return a.Balance.Posted
}

func wantDone(t *testing.T, o engine.Outcome) {
	t.Helper()
	if o.Err != nil || o.Answer.Status != 201 {
		t.Fatalf("got %d %s (%v), want 201", o.Answer.Status, o.Answer.Body, o.Err)
	}
}

func TestACallerThatGoesAwayChangesNothing(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		impatient, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if o := e.Do(impatient, transferOne("k", 5)); !errors.Is(o.Err, engine.ErrInProgress) || o.ExpiresAt.IsZero() {
			t.Fatalf("who did not wait was told %+v", o)
		}
		if took := time.Since(began); took > 150*time.Millisecond {
			t.Errorf("it took %v to go", took)
		}
		o := e.Do(context.Background(), transferOne("k", 5))
		wantDone(t, o)
		if !o.Replayed || balance(t, store.Memory, "b") != 5 {
			t.Errorf("replayed: %v, and b has %d", o.Replayed, balance(t, store.Memory, "b"))
		}
	})
}

func TestACallerThatIsGoneBeforeItCameChangesNothing(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		e.Do(gone, transferOne("k", 5))
		wantDone(t, e.Do(context.Background(), transferOne("k", 5)))
		if got := balance(t, store.Memory, "b"); got != 5 {
			t.Errorf("b has %d, want 5", got)
		}
	})
}

func TestADuplicateThatGivesUpLeavesTheOthersWaiting(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		var wg sync.WaitGroup
		var took [3]time.Duration
		outcomes := make([]engine.Outcome, 3)
		for i, patience := range []time.Duration{time.Minute, 300 * time.Millisecond, time.Minute} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				began := time.Now()
				outcomes[i] = e.Do(ctx, transferOne("k", 5))
				took[i] = time.Since(began)
			})
			synctest.Wait()
		}
		wg.Wait()
		if took[1] != 300*time.Millisecond {
			t.Errorf("it gave up after %v, want at once", took[1])
		}
		wantDone(t, outcomes[0])
		wantDone(t, outcomes[2])
		if !errors.Is(outcomes[1].Err, engine.ErrInProgress) || outcomes[0].Replayed || !outcomes[2].Replayed {
			t.Errorf("got %+v", outcomes)
		}
	})
}

// Of a thousand requests with one key, one is executed, and all have its answer
// when it is durable.
func TestAThousandDuplicatesAreOneExecution(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		began := time.Now()
		var wg sync.WaitGroup
		outcomes := make([]engine.Outcome, 1000)
		for i := range outcomes {
			wg.Go(func() { outcomes[i] = e.Do(context.Background(), transferOne("k", 5)) })
		}
		wg.Wait()
		first := 0
		for _, o := range outcomes {
			wantDone(t, o)
			if string(o.Answer.Body) != string(outcomes[0].Answer.Body) {
				t.Fatalf("two answers: %s and %s", o.Answer.Body, outcomes[0].Answer.Body)
			}
			if !o.Replayed {
				first++
			}
		}
		if took := time.Since(began); first != 1 || took > 1100*time.Millisecond {
			t.Errorf("%d were first, and it took %v", first, took)
		}
		if n := store.commits.Load(); n != 1 || balance(t, store.Memory, "b") != 5 {
			t.Errorf("%d commits, and b has %d", n, balance(t, store.Memory, "b"))
		}
		if got := e.Stats(); got.Executed != 1 || got.Replayed != 999 || got.Batches != 1 || got.CommitTime != time.Second {
			t.Errorf("counted %+v", got)
		}
	})
}

func TestDoAllKeepsTheOrder(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, _ *slow) {
		var jobs []*engine.Job
		for i := range 50 { // each can only be paid with what the one before brought
			open := transferOne(fmt.Sprintf("open %d", i), 0)
			open.Command = ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: fmt.Sprint(i)}, Currency: "EUR"}
			on := transferOne(fmt.Sprintf("on %d", i), 0)
			from := fmt.Sprint(i - 1)
			if i == 0 {
				from = "a"
			}
			on.Command = ledger.CreateTransfer{Tenant: "acme", From: from, To: fmt.Sprint(i), Amount: 7, Currency: "EUR"}
			jobs = append(jobs, open, on)
		}
		for i, o := range e.DoAll(context.Background(), jobs) {
			if o.Err != nil || o.Answer.Status != 201 {
				t.Fatalf("job %d: %s (%v)", i, o.Answer.Body, o.Err)
			}
		}
	})
}

func TestDoAllAnswersEachForItself(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, _ *slow) {
		poor := transferOne("too much", 1)
		poor.Command = ledger.CreateTransfer{Tenant: "acme", From: "nobody", To: "b", Amount: 1, Currency: "EUR"}
		got := e.DoAll(context.Background(), []*engine.Job{transferOne("k", 1), poor, transferOne("k", 1), transferOne("k", 2), transferOne("l", 3)})
		wantDone(t, got[0])
		if got[1].Answer.Status != 422 || got[1].Stored {
			t.Errorf("the bad one: %+v", got[1])
		}
		if !got[2].Replayed || !errors.Is(got[3].Err, once.ErrMismatch) {
			t.Errorf("the duplicates: %+v and %+v", got[2], got[3])
		}
		wantDone(t, got[4])
	})
}

// A caller that gives up on a thousand jobs is gone as fast as one that gives
// up on one.
func TestDoAllLeavesAtOnce(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, _ *slow) {
		var jobs []*engine.Job
		for i := range 1000 {
			jobs = append(jobs, transferOne(fmt.Sprint(i), 1))
		}
		impatient, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		for _, o := range e.DoAll(impatient, jobs) {
			if !errors.Is(o.Err, engine.ErrInProgress) {
				t.Fatalf("told %+v", o)
			}
		}
		if took := time.Since(began); took > 150*time.Millisecond {
			t.Errorf("it took %v to go", took)
		}
	})
}

func TestCloseFinishesWhatItHas(t *testing.T) {
	inBubble(t, engine.Config{MaxBatch: 10}, func(t *testing.T, e *engine.Executor, store *slow) {
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { wantDone(t, e.Do(context.Background(), transferOne(fmt.Sprint(i), 1))) })
		}
		synctest.Wait()
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if got := balance(t, store.Memory, "b"); got != 100 {
			t.Errorf("b has %d, want 100", got)
		}
		o := e.Do(context.Background(), transferOne("late", 1))
		if !errors.Is(o.Err, engine.ErrClosed) || o.ExpiresAt.IsZero() {
			t.Errorf("a late one is told %+v", o)
		}
		if got := e.Stats().Failed; got != 1 {
			t.Errorf("counted %d that were refused, want the late one", got)
		}
		if _, err := e.InProgress(context.Background(), once.Key{}); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("a late question is told %v", err)
		}
	})
}

func TestCloseWaitsAsLongAsItMay(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		var wg sync.WaitGroup
		wg.Go(func() { wantDone(t, e.Do(context.Background(), transferOne("k", 1))) })
		synctest.Wait()
		impatient, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := e.Close(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		wg.Wait() // what was begun goes on
		if got := balance(t, store.Memory, "b"); got != 1 {
			t.Errorf("b has %d, want 1", got)
		}
	})
}

func TestCloseMayBeCalledByMany(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, _ *slow) {
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { e.Do(context.Background(), transferOne(fmt.Sprint(i), 1)) })
			wg.Go(func() {
				if err := e.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// A job came, then the executor was closed, and all that while it was busy with
// another: the job is executed.
func TestWhoCameBeforeTheEndIsNotForgotten(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		long := transferOne("long", 0) // refused without being stored: there is no commit to wait for
		reply := long.Reply
		long.Reply = func(r ledger.Result, refusal *ledger.Refusal) once.Answer {
			time.Sleep(time.Second)
			return reply(r, refusal)
		}
		var wg sync.WaitGroup
		wg.Go(func() { e.Do(context.Background(), long) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { wantDone(t, e.Do(context.Background(), transferOne("k", 1))) })
		time.Sleep(100 * time.Millisecond)
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if got := balance(t, store.Memory, "b"); got != 1 {
			t.Errorf("b has %d, want 1", got)
		}
	})
}

// Who finds no place is still told what became of the key, if that is known.
func TestAFullQueueStillReplays(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		wantDone(t, e.Do(context.Background(), transferOne("known", 1)))

		full := engine.New(store, engine.Config{Seed: [32]byte{2}, MaxQueue: 1, MaxTenantQueue: 1, MaxBatch: 1})
		var wg sync.WaitGroup
		for i := range 3 { // one commits, one is loaded, one is queued
			wg.Go(func() { wantDone(t, full.Do(context.Background(), transferOne(fmt.Sprint(i), 1))) })
			time.Sleep(100 * time.Millisecond)
		}
		if o := full.Do(context.Background(), transferOne("new", 1)); !errors.Is(o.Err, engine.ErrOverloaded) {
			t.Errorf("a new one is told %+v", o)
		}
		if o := full.Do(context.Background(), transferOne("known", 1)); o.Err != nil || !o.Replayed {
			t.Errorf("a known one is told %+v", o)
		}
		if o := full.Do(context.Background(), transferOne("known", 2)); !errors.Is(o.Err, once.ErrMismatch) {
			t.Errorf("a known one, reused, is told %+v", o)
		}
		if got := full.Stats(); got.Queued != 1 || got.Overloaded == 0 {
			t.Errorf("counted %+v", got)
		}
		wg.Wait()
		if err := full.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestAnAnswerOfAMomentAgoNeedsNoStore(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		first := e.Do(context.Background(), transferOne("k", 5))
		loads, began := store.loads.Load(), time.Now()
		again := e.Do(context.Background(), transferOne("k", 5))
		if !again.Replayed || string(again.Answer.Body) != string(first.Answer.Body) || !again.ExpiresAt.Equal(first.ExpiresAt) {
			t.Errorf("got %+v, then %+v", first, again)
		}
		if o := e.Do(context.Background(), transferOne("k", 6)); !errors.Is(o.Err, once.ErrMismatch) {
			t.Errorf("another request is told %+v", o)
		}
		if store.loads.Load() != loads || time.Since(began) != 0 {
			t.Errorf("the store was asked %d times, and it took %v", store.loads.Load()-loads, time.Since(began))
		}
		time.Sleep(24 * time.Hour)
		if o := e.Do(context.Background(), transferOne("k", 5)); !errors.Is(o.Err, once.ErrExpired) {
			t.Errorf("a day later it is told %+v", o)
		}
	})
}

func TestInProgress(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, _ *slow) {
		k := once.Key{Tenant: "acme", ID: "k"}
		ask := func(want bool) {
			t.Helper()
			if got, err := e.InProgress(context.Background(), k); got != want || err != nil {
				t.Errorf("in progress: %v (%v), want %v", got, err, want)
			}
		}
		ask(false)
		var wg sync.WaitGroup
		wg.Go(func() { e.Do(context.Background(), transferOne("k", 5)) })
		synctest.Wait()
		ask(true)
		wg.Wait()
		ask(false)
	})
}

func TestPhasesAreToldInOrder(t *testing.T) {
	var phases []engine.Phase // told by the one goroutine that commits
	inBubble(t, engine.Config{OnCommit: func(p engine.Phase) { phases = append(phases, p) }},
		func(t *testing.T, e *engine.Executor, _ *slow) {
			wantDone(t, e.Do(context.Background(), transferOne("k", 5)))
			wantDone(t, e.Do(context.Background(), transferOne("l", 5)))
		})
	if want := []engine.Phase{engine.Committing, engine.Ended, engine.Committing, engine.Ended}; fmt.Sprint(phases) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", phases, want)
	}
}

// The clock starts where the last owner of the store left it, and what is
// decided is never before that.
func TestTheClockStartsAtTheLastCommit(t *testing.T) {
	ahead := time.Date(2099, 1, 2, 3, 4, 5, 678000, time.UTC)
	inBubble(t, engine.Config{Since: ahead}, func(t *testing.T, e *engine.Executor, store *slow) {
		if got := e.Now(); !got.Equal(ahead) {
			t.Errorf("it is %v before anything was asked, want %v", got, ahead)
		}
		o := e.Do(context.Background(), transferOne("k", 5))
		if want := e.Now().Add(24 * time.Hour); o.ExpiresAt.After(want) || o.ExpiresAt.Before(ahead.Add(24*time.Hour)) {
			t.Errorf("the window ends at %v, want %v", o.ExpiresAt, want)
		}
	})
}

func TestTheClockTellsMicroseconds(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, _ *slow) {
		time.Sleep(1234567 * time.Nanosecond)
		if now := e.Now(); now.Nanosecond()%1000 != 0 || now.Location() != time.UTC || time.Since(now) > time.Microsecond {
			t.Errorf("it is %v", now)
		}
	})
}

// A hold of the largest amount, a reply of the largest size: nothing here is
// special about size.
func TestTheLargestAmount(t *testing.T) {
	inBubble(t, engine.Config{}, func(t *testing.T, e *engine.Executor, store *slow) {
		wantDone(t, e.Do(context.Background(), transferOne("k", math.MaxInt64)))
		if got := balance(t, store.Memory, "b"); got != math.MaxInt64 {
			t.Errorf("b has %d", got)
		}
		if o := e.Do(context.Background(), transferOne("l", 1)); string(o.Answer.Body) != string(ledger.BalanceOverflow) || !o.Stored {
			t.Errorf("one more: %+v", o)
		}
	})
}
