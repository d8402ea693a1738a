package once_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/once"
)

var secret = []byte("0123456789abcdef")

func TestAnEngineIsNotMadeFromHalfAnAnswer(t *testing.T) {
	other := struct{ once.Store }{once.NewMemory()}
	good := once.Config{Scope: once.SingleTenant, Secret: secret}
	for name, row := range map[string]struct {
		store once.Store
		cfg   once.Config
		says  string
	}{
		"no scope":                            {once.NewMemory(), once.Config{Secret: secret}, "Scope"},
		"no secret where others share":        {other, once.Config{Scope: once.SingleTenant}, "Secret"},
		"a secret that can be guessed":        {other, with(good, func(c *once.Config) { c.Secret = secret[:15] }), "Secret"},
		"a window shorter than its retries":   {other, with(good, func(c *once.Config) { c.Window = time.Hour }), "window"},
		"tombstones shorter than the window":  {other, with(good, func(c *once.Config) { c.Tombstones = time.Hour }), "Tombstones"},
		"a lease that cannot be renewed":      {other, with(good, func(c *once.Config) { c.Lease = time.Millisecond }), "Lease"},
		"a secret to encrypt with, of a word": {other, with(good, func(c *once.Config) { c.Encrypt = []once.Secret{{"a", []byte("word")}} }), "32"},
		"two secrets of one name":             {other, with(good, func(c *once.Config) { c.Encrypt = []once.Secret{{"a", key32}, {"a", key32}} }), "two secrets"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := once.New(row.store, row.cfg); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want it to speak of %s", err, row.says)
			}
		})
	}
	if _, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant}); err != nil {
		t.Errorf("the shortest way: %v", err)
	}
}

var key32 = []byte("0123456789abcdef0123456789abcdef")

func with(c once.Config, change func(*once.Config)) once.Config {
	change(&c)
	return c
}

// node is one process of several that share a store.
type node struct {
	*till
	mu   sync.Mutex
	told []string
}

// events are what the node's engine told of so far.
func (n *node) events() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.told)
}

func newNode(t testing.TB, store once.Store, p once.Policy, change ...func(*once.Config)) *node {
	t.Helper()
	n := &node{till: &till{}}
	cfg := once.Config{Scope: once.SingleTenant, Secret: secret, Wait: time.Hour}
	cfg.Observe = func(_ context.Context, e once.Event) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.told = append(n.told, e.Happening.String())
	}
	for _, c := range change {
		c(&cfg)
	}
	eng, err := once.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Operation = once.Operation[receipt]{Engine: eng, Name: "charge", Vanished: p}
	return n
}

// vanish begins the operation and is never heard of again, as a process that was
// killed is: its claim stays, and nobody renews it.
func vanish(t testing.TB, store once.Store, id string) {
	t.Helper()
	dead := &deadly{Store: store}
	n := newNode(t, dead, once.Park, func(c *once.Config) { c.Finish = time.Millisecond })
	if _, err := n.Do(t.Context(), id, 1, func(context.Context, *once.Attempt) (receipt, error) {
		dead.dead.Store(true)
		return receipt{"ch_of_the_dead", 1}, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// deadly is a store that cannot be reached any more once its node is dead.
type deadly struct {
	once.Store
	dead atomic.Bool
}

var errDead = errors.New("the node is dead")

func (d *deadly) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	if d.dead.Load() {
		return once.Seen{}, errDead
	}
	return d.Store.Swap(ctx, next)
}

// An execution whose owner vanished is what its policy says, and nothing else.
func TestAVanishedExecution(t *testing.T) {
	for _, row := range []struct {
		sentence string
		policy   once.Policy
		found    once.Found
		want     string // result, or error
		runs     int64
		state    once.State
	}{
		{"is parked, where nothing else is said", once.Park, 0, once.ErrParked.Error(), 0, once.Unknown},
		{"runs again, where that is declared safe", once.Rerun, 0, "ch_1", 1, once.Done},
		{"goes on, where it has recovery points", once.Resume, 0, "ch_1", 1, once.Done},
		{"is what the probe finds", once.Probe, once.Happened, "ch_probed", 0, once.Done},
		{"runs, where the probe finds that it has not", once.Probe, once.NotThere, "ch_1", 1, once.Done},
		{"stays unknown, where the probe does not know", once.Probe, once.NotKnown, once.ErrParked.Error(), 0, once.Unknown},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := once.NewMemory()
				vanish(t, store, "order-42")
				n := newNode(t, store, row.policy)
				n.Probe = func(_ context.Context, a *once.Attempt) (receipt, once.Found, error) {
					if !a.Recovers || a.Token() != 2 {
						t.Errorf("the probe is attempt %d", a.Token())
					}
					return receipt{"ch_probed", 1}, row.found, nil
				}
				began := time.Now()
				r, err := n.charge(t.Context(), "order-42", 1)
				got := r.Charge
				if err != nil {
					got = err.Error()
				}
				if !strings.HasSuffix(got, row.want) || n.runs.Load() != row.runs {
					t.Errorf("it came to %s and ran %d times, want %s and %d", got, n.runs.Load(), row.want, row.runs)
				}
				if took := time.Since(began); took < 30*time.Second || took > 31*time.Second {
					t.Errorf("it was taken over after %v, want just after its lease", took)
				}
				if rec, err := n.Engine.Find(t.Context(), once.Key{Tenant: "default", ID: "order-42"}); err != nil || rec.State != row.state {
					t.Errorf("the key is %s %v, want %s", rec.State, err, row.state)
				}
				time.Sleep(2 * time.Hour) // what is tried on in the background gives up
			})
		})
	}
}

// What a function returns says what is kept.
func TestWhatAFunctionComesTo(t *testing.T) {
	refusal, broken := &once.Refusal{Code: "card_declined", Message: "No."}, errors.New("connection reset")
	for _, row := range []struct {
		sentence string
		err      error
		again    error // what a repeat is told, if it does not run
		runs     int64 // altogether, after a repeat
	}{
		{"a refusal is kept", refusal, refusal, 1},
		{"a refusal inside another error is kept", fmt.Errorf("charge: %w", refusal), refusal, 1},
		{"what certainly did nothing runs again", once.NothingHappened(broken), nil, 2},
		{"any other error is not known", broken, once.ErrParked, 1},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			n := newNode(t, once.NewMemory(), once.Park)
			run := func() error {
				_, err := n.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) {
					if n.runs.Add(1) > 1 {
						return receipt{}, nil
					}
					return receipt{}, row.err
				})
				return err
			}
			if err := run(); err == nil || !errors.Is(row.err, err) && !errors.Is(err, broken) && !errors.As(err, new(*once.Refusal)) {
				t.Errorf("it fails with %v", err)
			}
			err := run()
			if kept := (*once.Refusal)(nil); errors.As(row.again, &kept) {
				if got := (*once.Refusal)(nil); !errors.As(err, &got) || *got != *kept {
					t.Errorf("a repeat is told %v, want %v", err, row.again)
				}
			} else if !errors.Is(err, row.again) {
				t.Errorf("a repeat is told %v, want %v", err, row.again)
			}
			if n.runs.Load() != row.runs {
				t.Errorf("it ran %d times, want %d", n.runs.Load(), row.runs)
			}
		})
	}
}

// An attempt that has done nothing frees its key, but not for what others did under it, or
// what it has done before.
func TestNothingIsSaidOfOneAttempt(t *testing.T) {
	for _, row := range []struct {
		sentence string
		policy   once.Policy
		before   bool // an attempt vanished before
		steps    bool // it has reached a recovery point
		state    once.State
	}{
		{"the first has done nothing", once.Park, false, false, once.Released},
		{"it had done something", once.Park, false, true, once.Unknown},
		{"it runs again what vanished", once.Rerun, true, false, once.Unknown},
		{"it goes on at where another one vanished", once.Resume, true, false, once.Unknown},
		{"the one before has certainly done nothing either", once.Probe, true, false, once.Released},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := once.NewMemory()
				n := newNode(t, store, row.policy)
				if row.before {
					vanish(t, store, "order-42")
				}
				n.Probe = func(context.Context, *once.Attempt) (receipt, once.Found, error) {
					return receipt{}, once.NotThere, nil
				}
				nothing := errors.New("out of stock")
				_, err := n.Do(t.Context(), "order-42", 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
					if row.steps {
						if _, err := once.Step(ctx, a, "reserve", func(context.Context) (int, error) { return 7, nil }); err != nil {
							t.Error(err)
						}
					}
					return receipt{}, once.NothingHappened(nothing)
				})
				if !errors.Is(err, nothing) {
					t.Errorf("it came to %v", err)
				}
				kept, err := n.Engine.Find(t.Context(), once.Key{Tenant: "default", ID: "order-42"})
				if err != nil || kept.State != row.state || row.steps != (len(kept.Progress) > 0) {
					t.Errorf("the key is %s with %q %v, want %s", kept.State, kept.Progress, err, row.state)
				}
				time.Sleep(2 * time.Hour) // what is tried on in the background gives up
			})
		})
	}
}

func TestAPanicLeavesTheOutcomeUnknown(t *testing.T) {
	n := newNode(t, once.NewMemory(), once.Park)
	func() {
		defer func() {
			if recover() != "oops" {
				t.Error("the panic did not go on")
			}
		}()
		n.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) { panic("oops") })
	}()
	if _, err := n.charge(t.Context(), "order-42", 1); !errors.Is(err, once.ErrParked) {
		t.Errorf("a repeat is told %v", err)
	}
}

// A caller that goes away changes nothing: what it began is written down.
func TestTheEndOutlivesItsCaller(t *testing.T) {
	n := newNode(t, strict{once.NewMemory()}, once.Park)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := n.Do(ctx, "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) {
		cancel()
		return receipt{"ch_1", 1}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if r, err := n.charge(t.Context(), "order-42", 1); err != nil || r.Charge != "ch_1" || n.runs.Load() != 0 {
		t.Errorf("a repeat gets %+v %v", r, err)
	}
}

// Who waits for a key that is at work gives up when it wants to, or must.
func TestWhoWaitsGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		here, there := newNode(t, store, once.Park), newNode(t, store, once.Park, func(c *once.Config) { c.Wait = 10 * time.Second })
		release := make(chan struct{})
		go here.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) {
			<-release
			return receipt{"ch_1", 1}, nil
		})
		synctest.Wait()
		began := time.Now()
		_, err := there.charge(t.Context(), "order-42", 1)
		again := (*once.BusyError)(nil)
		if !errors.As(err, &again) || !errors.Is(err, once.ErrBusy) || again.RetryAfter <= 0 || time.Since(began) != 10*time.Second {
			t.Errorf("after %v it is told %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, n := range []*node{here, there} {
			if _, err := n.charge(ctx, "order-42", 1); !errors.Is(err, once.ErrBusy) {
				t.Errorf("whose context ends is told %v", err)
			}
		}
		close(release)
	})
}

func TestTenantsNeverMeet(t *testing.T) {
	type tenant struct{}
	n := newNode(t, once.NewMemory(), once.Park, func(c *once.Config) {
		c.Scope = func(ctx context.Context) (string, error) {
			name, ok := ctx.Value(tenant{}).(string)
			if !ok {
				return "", errors.New("nobody is signed in")
			}
			return name, nil
		}
	})
	for i, name := range []string{"acme", "other"} {
		r, err := n.charge(context.WithValue(t.Context(), tenant{}, name), "order-42", int64(i))
		if err != nil || r.Charge != fmt.Sprint("ch_", i+1) {
			t.Errorf("%s got %+v %v", name, r, err)
		}
	}
	if _, err := n.charge(t.Context(), "order-42", 1); !errors.Is(err, once.ErrScope) {
		t.Errorf("nobody is told %v", err)
	}
}

// What is done is refused once its window is over, and forgotten long after.
func TestTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		n, visitor := newNode(t, store, once.Park), newNode(t, store, once.Park)
		if _, err := n.charge(t.Context(), "order-42", 1); err != nil {
			t.Fatal(err)
		}
		const day = 24 * time.Hour
		for _, at := range []struct {
			after time.Duration
			want  error
			runs  int64
		}{{day - time.Second, nil, 1}, {day, once.ErrExpired, 1}, {399 * day, once.ErrExpired, 1}, {401 * day, nil, 2}} {
			time.Sleep(time.Until(t0.Add(at.after)))
			for i := range 3 { // what is over is dropped by those who come
				visitor.charge(t.Context(), fmt.Sprint("order of ", at.after, i)[9:], 1)
			}
			if _, err := n.charge(t.Context(), "order-42", 1); !errors.Is(err, at.want) || n.runs.Load() != at.runs {
				t.Errorf("after %v: %v, and it ran %d times", at.after, err, n.runs.Load())
			}
		}
	})
}

var t0 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when time begins in a bubble

// A key that says itself that it is too old is refused though nothing is known of it.
func TestAKeyThatIsTooOldIsRefused(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		n := newNode(t, once.NewMemory(), once.Park, func(c *once.Config) { c.HashKeys = hashed })
		if _, err := n.charge(t.Context(), "016f5e66-e800-7abc-8abc-0123456789ab", 1); !errors.Is(err, once.ErrExpired) || n.runs.Load() != 0 {
			t.Errorf("hashed %v: it is told %v", hashed, err)
		}
	}
}

// An answer that took long is kept for a whole window from when it is there.
func TestALateAnswerIsKeptForAWholeWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, once.NewMemory(), once.Park)
		n.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) {
			time.Sleep(23 * time.Hour)
			return receipt{"ch_slow", 1}, nil
		})
		time.Sleep(24*time.Hour - time.Second)
		if r, err := n.charge(t.Context(), "order-42", 1); err != nil || r.Charge != "ch_slow" {
			t.Errorf("it is answered %+v %v", r, err)
		}
	})
}

// More waiters than there may be are told at once to come again.
func TestWaitersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, once.NewMemory(), once.Park, func(c *once.Config) { c.MaxWaiters = 2 })
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			n.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) { <-release; return receipt{}, nil })
		})
		synctest.Wait()
		for range 2 {
			wg.Go(func() {
				if _, err := n.charge(t.Context(), "order-42", 1); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		if _, err := n.charge(t.Context(), "order-42", 1); !errors.Is(err, once.ErrBusy) || time.Since(began) != 0 {
			t.Errorf("after %v one more is told %v", time.Since(began), err)
		}
		close(release)
		wg.Wait()
	})
}

// What is unfinished is never forgotten, however long ago it was.
func TestWhatIsUnfinishedIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		vanish(t, store, "order-42")
		n := newNode(t, store, once.Park)
		for day := range 3 {
			time.Sleep(401 * 24 * time.Hour)
			for i := range 5 { // what is over is dropped by those who come
				n.charge(t.Context(), fmt.Sprint("another ", day, i)[8:], 1)
			}
		}
		n.runs.Store(0)
		if _, err := n.charge(t.Context(), "order-42", 1); !errors.Is(err, once.ErrParked) || n.runs.Load() != 0 {
			t.Errorf("it is told %v", err)
		}
	})
}
