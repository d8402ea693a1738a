package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
)

// broken is a store that does what its script says, and then what it should.
type broken struct {
	*engine.Memory
	mu      sync.Mutex
	loads   []error                    // what the next loads fail with; nil: they do not
	commits []func(write func()) error // what the next commits do
}

func (b *broken) Load(ctx context.Context, n engine.Need) (engine.Rows, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.loads) > 0 {
		err := b.loads[0]
		b.loads = b.loads[1:]
		if err != nil {
			return engine.Rows{}, err
		}
	}
	return b.Memory.Load(ctx, n)
}

func (b *broken) Commit(ctx context.Context, c *engine.Changes) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.commits) > 0 {
		commit := b.commits[0]
		b.commits = b.commits[1:]
		return commit(func() { b.Memory.Commit(ctx, c) })
	}
	return b.Memory.Commit(ctx, c)
}

var errLost = errors.New("connection lost")

func lostBefore(func()) error      { return errLost }
func lostAfter(write func()) error { write(); return errLost }
func full(func()) error            { return fmt.Errorf("disk full: %w", engine.ErrNotCommitted) }
func raced(func()) error           { return engine.ErrConflict }
func onBroken(t *testing.T, b *broken, test func(e *engine.Executor)) {
	synctest.Test(t, func(t *testing.T) {
		b.Memory = newBank(t)
		e := engine.New(b, engine.Config{})
		test(e)
		if err := e.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func TestWhatBecomesOfARequestWhoseStoreFails(t *testing.T) {
	for _, row := range []struct {
		sentence string
		store    *broken
		err      error // nil: it is done
	}{
		{"a load that fails", &broken{loads: []error{errLost}}, engine.ErrUnavailable},
		{"a full disk", &broken{commits: []func(func()) error{full}}, engine.ErrUnavailable},
		{"a lost race", &broken{commits: []func(func()) error{raced}}, nil},
		{"two lost races", &broken{commits: []func(func()) error{raced, raced}}, nil},
		{"three lost races", &broken{commits: []func(func()) error{raced, raced, raced}}, engine.ErrUnavailable},
		{"a connection lost before the commit", &broken{commits: []func(func()) error{lostBefore}}, nil},
		{"a connection lost after the commit", &broken{commits: []func(func()) error{lostAfter}}, nil},
		{"a connection lost three times", &broken{commits: []func(func()) error{lostBefore, lostBefore, lostBefore}}, engine.ErrUnavailable},
		{"a connection lost, and a store that does not say for a while", &broken{
			commits: []func(func()) error{lostAfter}, loads: []error{nil, errLost, errLost, errLost},
		}, nil},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			onBroken(t, row.store, func(e *engine.Executor) {
				o := e.Do(context.Background(), transferOne("k", 5))
				if !errors.Is(o.Err, row.err) || (o.Err == nil) != (row.err == nil) {
					t.Errorf("told %+v, want %v", o, row.err)
				}
				var want int64
				if row.err == nil {
					want = 5
				}
				if got := balance(t, row.store.Memory, "b"); got != want {
					t.Errorf("b has %d, want %d", got, want)
				}
				wantDone(t, e.Do(context.Background(), transferOne("k", 5))) // whatever it was, it is over
				if got := balance(t, row.store.Memory, "b"); got != 5 {
					t.Errorf("b has %d in the end, want 5", got)
				}
			})
		})
	}
}

// A store that fails is not asked in a tight loop.
func TestAFailingStoreIsLeftAlone(t *testing.T) {
	store := &broken{commits: []func(func()) error{lostAfter}, loads: make([]error, 1)}
	for range 50 {
		store.loads = append(store.loads, errLost)
	}
	onBroken(t, store, func(e *engine.Executor) {
		began := time.Now()
		wantDone(t, e.Do(context.Background(), transferOne("k", 5)))
		if took := time.Since(began); took < time.Second {
			t.Errorf("it was asked 50 times in %v", took)
		}
	})
}

var seed = flag.Uint64("seed", 0, "the seed of TestManyClientsOnAStoreThatFails; 0: some of its own")

// Clients that retry until they hear, on a store that loses calls before and
// after they were made: each key has one answer and one effect.
func TestManyClientsOnAStoreThatFails(t *testing.T) {
	seeds := []uint64{1, 2, 3, rand.Uint64()}
	if *seed != 0 {
		seeds = []uint64{*seed}
	}
	for _, s := range seeds {
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) { chaos(t, s) })
	}
}

const chaosKeys, chaosClients = 40, 16

func chaos(t *testing.T, seed uint64) {
	store := &unlucky{Memory: newBank(t), luck: rand.New(rand.NewPCG(seed, 0))}
	e := engine.New(store, engine.Config{MaxBatch: 8})
	var wg sync.WaitGroup
	answers := make([][chaosKeys]string, chaosClients)
	for c := range chaosClients {
		luck := rand.New(rand.NewPCG(seed, uint64(c)+1))
		wg.Go(func() {
			for _, k := range luck.Perm(chaosKeys) {
				answers[c][k] = untilDone(t, e, fmt.Sprint(k), luck)
			}
		})
	}
	wg.Wait()
	if err := e.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for c := range answers {
		if answers[c] != answers[0] {
			t.Fatalf("two clients heard different answers (replay with -seed=%d):\n%v\n%v", seed, answers[0], answers[c])
		}
	}
	if got := balance(t, store.Memory, "b"); got != chaosKeys {
		t.Fatalf("b has %d, want %d (replay with -seed=%d)", got, chaosKeys, seed)
	}
}

// untilDone retries until it hears.
func untilDone(t *testing.T, e *engine.Executor, key string, luck *rand.Rand) string {
	for {
		patience := time.Duration(luck.IntN(2000)) * time.Microsecond
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		o := e.Do(ctx, transferOne(key, 1))
		cancel()
		switch {
		case o.Err == nil:
			return string(o.Answer.Body)
		case errors.Is(o.Err, engine.ErrInProgress), errors.Is(o.Err, engine.ErrUnavailable):
		default:
			t.Errorf("key %s: %v", key, o.Err)
			return ""
		}
	}
}

// unlucky loses some calls before they are made, and some answers after.
type unlucky struct {
	*engine.Memory
	mu   sync.Mutex
	luck *rand.Rand
}

func (u *unlucky) chance(n int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.luck.IntN(n) == 0
}

func (u *unlucky) Load(ctx context.Context, n engine.Need) (engine.Rows, error) {
	if u.chance(10) {
		return engine.Rows{}, errLost
	}
	return u.Memory.Load(ctx, n)
}

func (u *unlucky) Commit(ctx context.Context, c *engine.Changes) error {
	switch {
	case u.chance(8):
		return errLost
	case u.chance(8):
		return engine.ErrConflict
	case u.chance(16):
		return fmt.Errorf("disk full: %w", engine.ErrNotCommitted)
	}
	if err := u.Memory.Commit(ctx, c); err != nil {
		return err
	}
	if u.chance(8) {
		return errLost
	}
	return nil
}
