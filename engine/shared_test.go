package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
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
