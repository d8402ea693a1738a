package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// shared is a store that several processes share, as one behind a network is: it
// locks the rows that a commit writes. Here all commits write one account, so it has
// one lock.
type shared struct {
	*engine.Memory
	rows chan struct{} // full while somebody holds them
}

// replica is one process's line to it.
type replica struct {
	*shared
	deaf  bool // it does not know Need.Hold
	holds bool
	pace  time.Duration // how long its answers take, on top of a commit's own time
}

const commitTime = 3 * time.Millisecond

func newShared(t *testing.T) *shared {
	return &shared{Memory: newBank(t), rows: make(chan struct{}, 1)}
}

func (r *replica) Load(ctx context.Context, n engine.Need) (engine.Rows, error) {
	time.Sleep(time.Millisecond + r.pace)
	if n.Hold && !r.deaf && !r.holds {
		r.rows <- struct{}{}
		r.holds = true
	}
	return r.Memory.Load(ctx, n)
}

func (r *replica) Commit(ctx context.Context, c *engine.Changes) error {
	if !r.holds {
		r.rows <- struct{}{}
	}
	time.Sleep(commitTime)
	err := r.Memory.Commit(ctx, c)
	r.holds = false
	<-r.rows
	time.Sleep(r.pace)
	return err
}

// replicas are executors on one store.
func replicas(t *testing.T, stores ...engine.Store) (all []*engine.Executor) {
	for i, store := range stores {
		all = append(all, engine.New(store, engine.Config{Shared: true, Since: day, Seed: [32]byte{byte(i)}, MaxBatch: 16}))
	}
	return all
}

func closeAll(t *testing.T, all []*engine.Executor) {
	t.Helper()
	for _, e := range all {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// wantInOrder holds that a store is in order: among others that entries of an
// account follow each other by number and by time.
func wantInOrder(t *testing.T, m *engine.Memory) {
	t.Helper()
	report, err := audit.Run(t.Context(), m.Snapshot(), audit.Config{})
	if err != nil {
		t.Error(err)
	}
	for _, f := range report.Findings {
		if f.Kind != audit.Event && f.Kind != audit.Key { // the bank's accounts were opened by nobody
			t.Errorf("the audit found %+v", f)
		}
	}
}

// Three processes move money on one account, each as fast as it can, and every
// request is sent to all of them at once. Each has one effect and one answer, nobody
// is turned away, and the farthest process is not starved.
func TestProcessesShareAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests, clients = 60, 4
		s := newShared(t)
		all := replicas(t, &replica{shared: s}, &replica{shared: s}, &replica{shared: s, pace: 2 * time.Millisecond})
		defer closeAll(t, all)
		var wg sync.WaitGroup
		var mu sync.Mutex
		answers := map[string]string{}
		for at, e := range all {
			for c := range clients {
				wg.Go(func() {
					for i := range requests {
						key := fmt.Sprintf("%d-%d-%d", c, i, at*(i%2)) // every other request is sent to all
						o := e.Do(t.Context(), transferOne(key, 1))
						if o.Err != nil || o.Answer.Status != 201 {
							t.Errorf("process %d, request %s: %+v", at, key, o)
							return
						}
						mu.Lock()
						if seen := answers[key]; seen != "" && seen != string(o.Answer.Body) {
							t.Errorf("%s is answered with %s and with %s", key, seen, o.Answer.Body)
						}
						answers[key] = string(o.Answer.Body)
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		if got := balance(t, s.Memory, "b"); got != int64(len(answers)) {
			t.Errorf("%d requests moved %d", len(answers), got)
		}
		wantInOrder(t, s.Memory)
	})
}

// Who loses every race in spite of all that is told so, in a bounded time; nothing
// of it has begun, and the same key may be sent again.
func TestWhoLosesEveryRaceIsToldThatNothingBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lossy{Memory: newBank(t), races: 10}
		e := replicas(t, store)[0]
		defer closeAll(t, []*engine.Executor{e})
		began := time.Now()
		if o := e.Do(t.Context(), transferOne("k", 1)); !errors.Is(o.Err, engine.ErrUnavailable) {
			t.Errorf("it is told %+v", o)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it was told after %v", took)
		}
		if o := e.Do(t.Context(), transferOne("k", 1)); o.Err != nil || o.Replayed {
			t.Errorf("the same key is told %+v", o)
		}
		if got := balance(t, store.Memory, "b"); got != 1 {
			t.Errorf("%d were moved", got)
		}
	})
}

// lossy loses so many races.
type lossy struct {
	*engine.Memory
	races int
}

func (l *lossy) Commit(ctx context.Context, c *engine.Changes) error {
	if l.races--; l.races >= 0 {
		return engine.ErrConflict
	}
	return l.Memory.Commit(ctx, c)
}

// What another process does between the two loads of a batch makes rows that do not belong
// together. That is a race like any other, not a defect: all who void a hold under one key get
// one answer.
func TestTheTwoLoadsOfABatchAreOfTwoMoments(t *testing.T) {
	store := newBank(t)
	torn := &interrupted{Memory: store}
	all := replicas(t, store, torn)
	defer closeAll(t, all)
	hold := transferOne("hold", 1)
	hold.Command = ledger.CreateTransfer{Tenant: "acme", From: "a", To: "b", Amount: 1, Currency: "EUR", Pending: true}
	made := all[0].Do(t.Context(), hold)
	void := func() *engine.Job {
		j := transferOne("void", 1)
		j.Command = ledger.VoidTransfer{Ref: ledger.Ref{Tenant: "acme", ID: string(made.Answer.Body)}}
		return j
	}
	var first engine.Outcome
	torn.after = func() { first = all[0].Do(context.Background(), void()) }
	again := all[1].Do(t.Context(), void())
	if first.Err != nil || again.Err != nil || !again.Replayed || string(again.Answer.Body) != string(first.Answer.Body) {
		t.Errorf("one is told %+v, the other %+v", first, again)
	}
	wantInOrder(t, store)
}

// interrupted is a store at which something happens after the next load.
type interrupted struct {
	*engine.Memory
	after func()
}

func (i *interrupted) Load(ctx context.Context, n engine.Need) (engine.Rows, error) {
	rows, err := i.Memory.Load(ctx, n)
	if i.after != nil {
		i.after()
		i.after = nil
	}
	return rows, err
}

// A process whose clock is behind writes nothing that is older than what it changes.
func TestProcessesAgreeOnWhatCameFirst(t *testing.T) {
	store := newBank(t)
	for n, at := range []time.Time{day.Add(time.Hour), day.Add(time.Minute), day.Add(2 * time.Hour)} {
		s := engine.NewStep(engine.Config{Shared: true, Since: day, Seed: [32]byte{byte(n)}})
		j := transferOne(fmt.Sprint(n), 1)
		s.Submit(j, at)
		if o := drive(t, s, store)[j]; o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	wantInOrder(t, store)
}

// A process that was woken late has numbers from long ago, and uses none of them.
func TestNumbersOfEntriesGrowWithTheAccount(t *testing.T) {
	store := newBank(t)
	steps := make([]*engine.Step, 2)
	for i := range steps {
		steps[i] = engine.NewStep(engine.Config{Shared: true, Since: day, Seed: [32]byte{byte(i)}})
	}
	for n := range 6 {
		s, j := steps[n%2], transferOne(fmt.Sprint(n), 1)
		s.Submit(j, day)
		if o := drive(t, s, store)[j]; o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	wantInOrder(t, store)
}

// A batch that lost to what the store has forgotten since is not held to it.
func TestAStoreThatForgotIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newBank(t)
		forgetful := &restored{Memory: store}
		e := replicas(t, forgetful)[0]
		defer closeAll(t, []*engine.Executor{e})
		if o := e.Do(t.Context(), transferOne("k1", 1)); o.Err != nil {
			t.Fatal(o.Err)
		}
		forgetful.Memory = newBank(t) // as it was before
		if o := e.Do(t.Context(), transferOne("k2", 1)); o.Err != nil {
			t.Errorf("after the store forgot a commit: %v", o.Err)
		}
	})
}

// restored is a store that may become another.
type restored struct{ *engine.Memory }

// counted is a store that counts the loads of payments alone.
type counted struct {
	*engine.Memory
	mu    sync.Mutex
	looks int
}

func (c *counted) Load(ctx context.Context, n engine.Need) (engine.Rows, error) {
	if len(n.Keys) == 0 && len(n.Payments.Payments) > 0 {
		c.mu.Lock()
		c.looks++
		c.mu.Unlock()
	}
	return c.Memory.Load(ctx, n)
}

func (c *counted) looked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.looks
}

// A thousand duplicates of a request whose payment is at work at another process wait
// there like those that came to the right one, and get its answer. However many they
// are, the store is asked now and then.
func TestADuplicateWaitsForAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counted{Memory: engine.NewMemory()}
		orders := make(chan *pay.Order, 1)
		open := func(n byte) *engine.Executor {
			return engine.New(store, engine.Config{Shared: true, Seed: [32]byte{n}, Render: render, Act: func(o *pay.Order) { orders <- o }})
		}
		here, there := open(1), open(2)
		defer closeAll(t, []*engine.Executor{here, there})
		first := here.Do(t.Context(), chargeOne("k", "same"))
		o := <-orders
		const took = 20 * time.Second
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				again := chargeOne("k", "same")
				told := there.Do(t.Context(), again)
				if !told.Interim || told.Began || told.Resource != first.Resource {
					t.Errorf("a duplicate is told %+v", told)
					return
				}
				<-told.Changed
				if told = there.Do(t.Context(), again); told.Interim || !told.Replayed || string(told.Answer.Body) != "succeeded" {
					t.Errorf("when it was over a duplicate is told %+v", told)
				}
			})
		}
		synctest.Wait()
		before := store.looked()
		time.Sleep(took)
		looks := store.looked() - before
		done := time.Now()
		here.Do(t.Context(), &engine.Job{Tenant: "acme", Payment: pay.Record{
			Ref: o.Payment.Ref, Operation: o.Operation, House: house, Attempt: o.Attempt,
			Finding: &pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_1"},
		}})
		wg.Wait()
		if late := time.Since(done); late > 2*time.Second+100*time.Millisecond {
			t.Errorf("they learned of it %v later", late)
		}
		if looks < 10 || looks > 60 { // by both of them
			t.Errorf("in %v the store was asked %d times", took, looks)
		}
		if len(orders) > 0 {
			t.Error("it was sent twice")
		}
	})
}

// A payment that nobody waits for any more is not looked at for ever.
func TestWhoLeftIsNotLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counted{Memory: engine.NewMemory()}
		e := engine.New(store, engine.Config{Shared: true, Render: render})
		defer closeAll(t, []*engine.Executor{e})
		o := e.Do(t.Context(), chargeOne("k", "same"))
		<-o.Changed // nothing has changed: whoever still waits is to look again
		time.Sleep(time.Second)
		looks := store.looked()
		time.Sleep(time.Hour)
		if more := store.looked() - looks; looks < 50 || more > 0 {
			t.Errorf("it was looked at %d times while somebody waited, and %d times after", looks, more)
		}
	})
}

// Two processes are sent one request at the same time, and neither knows of the
// other's. One commits it; the other loses the race, and finds the answer.
func TestADuplicateElsewhereLosesTheRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newBank(t)
		late := &meeting{Memory: store, loaded: make(chan struct{}), done: make(chan struct{})}
		all := replicas(t, store, late)
		defer closeAll(t, all)
		second := make(chan engine.Outcome, 1)
		go func() { second <- all[1].Do(context.Background(), transferOne("k", 1)) }()
		<-late.loaded // it has found no such key
		first := all[0].Do(t.Context(), transferOne("k", 1))
		close(late.done)
		got := <-second
		if first.Err != nil || got.Err != nil || !got.Replayed || string(got.Answer.Body) != string(first.Answer.Body) {
			t.Errorf("one is told %+v, the other %+v", first, got)
		}
		if late.lost != 1 {
			t.Errorf("%d races were lost", late.lost)
		}
		if b := balance(t, store, "b"); b != 1 {
			t.Errorf("%d were moved", b)
		}
	})
}

// meeting is a store whose first load is followed by something.
type meeting struct {
	*engine.Memory
	once         sync.Once
	loaded, done chan struct{}
	lost         int
}

func (m *meeting) Load(ctx context.Context, n engine.Need) (engine.Rows, error) {
	rows, err := m.Memory.Load(ctx, n)
	m.once.Do(func() {
		close(m.loaded)
		<-m.done
	})
	return rows, err
}

func (m *meeting) Commit(ctx context.Context, c *engine.Changes) error {
	err := m.Memory.Commit(ctx, c)
	if errors.Is(err, engine.ErrConflict) {
		m.lost++
	}
	return err
}

// Every process expires what is due, and the same at the same time: each hold is
// released once.
func TestEveryProcessKeepsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(day))
		s := newShared(t)
		all := replicas(t, &replica{shared: s}, &replica{shared: s}, &replica{shared: s})
		var holds []*ledger.Transfer
		for i := range 40 {
			holds = append(holds, transfer(t, s.Memory, all[0].Do(t.Context(), holdFor(fmt.Sprint(i), 30*time.Second))))
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, e := range all {
			wg.Go(func() { e.Keep(ctx, s, engine.UpkeepConfig{Log: slog.New(slog.DiscardHandler)}) })
		}
		time.Sleep(40 * time.Second)
		for _, h := range holds {
			if got, _ := s.Transfer(t.Context(), h.Ref); got.Status != ledger.Expired {
				t.Errorf("%s is %s", h.ID, got.Status)
			}
		}
		if a, _ := s.Account(t.Context(), ledger.Ref{Tenant: "acme", ID: "a"}); a.Balance.Outgoing != 0 || a.Entries != 80 {
			t.Errorf("the account is %+v", a)
		}
		wantInOrder(t, s.Memory)
		stop()
		wg.Wait()
		closeAll(t, all)
	})
}
