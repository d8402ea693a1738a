package once_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/once"
)

// An attempt that works for longer than its lease keeps its key.
func TestALongOperationKeepsItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		slow, other := newNode(t, store, once.Rerun), newNode(t, store, once.Rerun)
		done := make(chan receipt)
		go func() {
			r, err := slow.Do(t.Context(), "order-42", 1, func(ctx context.Context, _ *once.Attempt) (receipt, error) {
				time.Sleep(10 * time.Minute)
				return receipt{"ch_slow", 1}, ctx.Err()
			})
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		time.Sleep(time.Second)
		r, err := other.charge(t.Context(), "order-42", 1)
		if err != nil || r.Charge != "ch_slow" || other.runs.Load() != 0 {
			t.Errorf("another node got %+v %v", r, err)
		}
		<-done
	})
}

// A node that was paused for longer than its lease is too late, whatever it wants to
// write: the key is that of whoever took it over, and so is the answer.
func TestALateOwnerIsFenced(t *testing.T) {
	for _, row := range []struct {
		ends string
		err  error // of fn
	}{
		{"with a result", nil},
		{"saying that nothing happened", once.NothingHappened(errors.New("no"))},
		{"not knowing", errors.New("timeout")},
	} {
		t.Run(row.ends, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := once.NewMemory()
				paused := &deadly{Store: store}
				late, other := newNode(t, paused, once.Rerun), newNode(t, store, once.Rerun)
				_, err := late.Do(t.Context(), "order-42", 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
					paused.dead.Store(true)
					<-ctx.Done() // it is told
					if cause := context.Cause(ctx); !errors.Is(cause, once.ErrLeaseLost) {
						t.Errorf("it is told %v", cause)
					}
					if _, err := other.charge(t.Context(), "order-42", 1); err != nil {
						t.Error(err)
					}
					paused.dead.Store(false)
					return receipt{"ch_late", 1}, row.err
				})
				if row.err == nil && err != nil || row.err != nil && !errors.Is(err, once.ErrFenced) {
					t.Errorf("the late one is told %v", err)
				}
				r, err := late.charge(t.Context(), "order-42", 1)
				if err != nil || r.Charge != "ch_1" || late.runs.Load() != 0 {
					t.Errorf("a repeat gets %+v %v", r, err)
				}
				if !strings.Contains(fmt.Sprint(late.events()), "fenced") {
					t.Errorf("it told of %v", late.events())
				}
			})
		})
	}
}

// Nobody took the key over while its owner was late: what it knows is true.
func TestALateOwnerMayStillFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		paused := &deadly{Store: store}
		late, other := newNode(t, paused, once.Park), newNode(t, store, once.Park)
		r, err := late.Do(t.Context(), "order-42", 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
			paused.dead.Store(true)
			<-ctx.Done()
			if _, err := other.charge(t.Context(), "order-42", 1); !errors.Is(err, once.ErrParked) { // which writes to the record
				t.Errorf("meanwhile others are told %v", err)
			}
			paused.dead.Store(false)
			return receipt{"ch_late", 1}, nil
		})
		if err != nil || r.Charge != "ch_late" {
			t.Errorf("it got %+v %v", r, err)
		}
		if r, err = other.charge(t.Context(), "order-42", 1); err != nil || r.Charge != "ch_late" {
			t.Errorf("then others get %+v %v", r, err)
		}
	})
}

// The store cannot be reached before the claim: nothing runs, and the key is not
// stuck when it is back, though the claim was written and its answer lost.
func TestAStoreThatIsAwayBeforeTheClaim(t *testing.T) {
	for name, written := range map[string]bool{"and the claim is not written": false, "and the claim is written": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &lossy{Store: once.NewMemory(), write: written}
				n := newNode(t, store, once.Park)
				store.lose.Store(1)
				if _, err := n.charge(t.Context(), "order-42", 1); !errors.Is(err, once.ErrUnavailable) || n.runs.Load() != 0 {
					t.Fatalf("it is told %v, and ran %d times", err, n.runs.Load())
				}
				synctest.Wait()
				if r, err := n.charge(t.Context(), "order-42", 1); err != nil || r.Charge != "ch_1" {
					t.Errorf("then it gets %+v %v", r, err)
				}
			})
		})
	}
}

// lossy is a store whose answers get lost, with what was to be written or without.
type lossy struct {
	once.Store
	write bool
	lose  atomic.Int64 // so many of the next writes
}

var errLost = errors.New("the answer was lost")

func (l *lossy) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	if l.lose.Add(-1) < 0 {
		return l.Store.Swap(ctx, next)
	}
	if l.write {
		l.Store.Swap(ctx, next)
	}
	return once.Seen{}, errLost
}

// The store cannot be reached after the effect: the caller has its answer, and so
// has everybody once the store is back.
func TestAStoreThatIsAwayAfterTheEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		away := &deadly{Store: store}
		n, other := newNode(t, away, once.Park), newNode(t, store, once.Park)
		r, err := n.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) {
			away.dead.Store(true)
			return receipt{"ch_first", 1}, nil
		})
		if err != nil || r.Charge != "ch_first" {
			t.Fatalf("the caller gets %+v %v", r, err)
		}
		time.Sleep(10 * time.Second)
		away.dead.Store(false)
		for name, n := range map[string]*node{"itself": n, "another node": other} {
			if r, err := n.charge(t.Context(), "order-42", 1); err != nil || r.Charge != "ch_first" || n.runs.Load() != 0 {
				t.Errorf("a repeat at %s gets %+v %v", name, r, err)
			}
		}
	})
}

// A write whose answer was lost is found to have been made.
func TestALostAnswerOfTheStoreIsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lossy{Store: once.NewMemory(), write: true}
		n := newNode(t, store, once.Park)
		r, err := n.Do(t.Context(), "order-42", 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
			store.lose.Store(1) // of a renewal
			time.Sleep(25 * time.Second)
			store.lose.Store(1) // of a recovery point
			if _, err := once.Step(ctx, a, "one", func(context.Context) (int, error) { return 1, nil }); err != nil {
				t.Error(err)
			}
			store.lose.Store(2) // of the end
			return receipt{"ch_1", 1}, nil
		})
		if err != nil || r.Charge != "ch_1" || strings.Contains(fmt.Sprint(n.events()), "fenced") {
			t.Errorf("it gets %+v %v, after %v", r, err, n.events())
		}
	})
}

// A store that sends a write twice by itself loses to itself: that is no rival.
func TestAStoreThatRepeatsItsWritesIsNoRival(t *testing.T) {
	store := &repeating{once.NewMemory()}
	n := newNode(t, store, once.Park)
	for range 2 {
		if r, err := n.charge(t.Context(), "order-42", 1); err != nil || r.Charge != "ch_1" {
			t.Fatalf("got %+v %v", r, err)
		}
	}
}

// repeating sends every write twice, and believes the second answer.
type repeating struct{ once.Store }

func (s *repeating) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	s.Store.Swap(ctx, next)
	return s.Store.Swap(ctx, next)
}

// strict is a store that does nothing for a context that has ended.
type strict struct{ once.Store }

func (s strict) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	if err := ctx.Err(); err != nil {
		return once.Seen{}, err
	}
	return s.Store.Swap(ctx, next)
}

// A renewal that hangs holds nobody back who has finished.
func TestAHangingRenewalHoldsNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hanging{Store: once.NewMemory()}
		n := newNode(t, store, once.Park)
		var ended time.Time
		r, err := n.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) {
			store.hangs.Store(true)
			time.Sleep(11 * time.Second) // the first renewal was 1 s ago
			store.hangs.Store(false)
			ended = time.Now()
			return receipt{"ch_1", 1}, nil
		})
		if took := time.Since(ended); err != nil || r.Charge != "ch_1" || took > time.Second {
			t.Errorf("after %v it gets %+v %v", took, r, err)
		}
	})
}

// hanging is a store whose writes hang for as long as their context lets them.
type hanging struct {
	once.Store
	hangs atomic.Bool
}

func (s *hanging) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	if s.hangs.Load() {
		<-ctx.Done()
		return once.Seen{}, ctx.Err()
	}
	return s.Store.Swap(ctx, next)
}

// forgetful loses the answer of the next write that it makes.
type forgetful struct {
	once.Store
	next atomic.Bool
}

func (f *forgetful) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	seen, err := f.Store.Swap(ctx, next)
	if seen.Won && f.next.CompareAndSwap(true, false) {
		return once.Seen{}, errDead
	}
	return seen, err
}

// A claim whose answer was lost is given back, and the key is what it was before: free, or
// one of which nobody knows what became of an earlier attempt. It does not run again.
func TestALostClaimChangesNothing(t *testing.T) {
	for _, row := range []struct {
		name  string
		begun bool
		want  once.State
	}{{"of a new key", false, once.Released}, {"of one in doubt", true, once.Unknown}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &forgetful{Store: once.NewMemory()}
				n := newNode(t, store, once.Probe)
				asked := 0
				n.Probe = func(context.Context, *once.Attempt) (receipt, once.Found, error) {
					asked++
					return receipt{Charge: "of the first"}, once.Happened, nil
				}
				if row.begun {
					n.Do(t.Context(), "k", 1, func(context.Context, *once.Attempt) (receipt, error) { return receipt{}, errDead })
				}
				store.next.Store(true)
				if _, err := n.charge(t.Context(), "k", 1); !errors.Is(err, once.ErrUnavailable) {
					t.Fatalf("the claim fails with %v", err)
				}
				synctest.Wait() // it is given back in the background
				if r, err := n.Engine.Find(t.Context(), once.Key{Tenant: "default", ID: "k"}); err != nil || r.State != row.want {
					t.Errorf("then the key is %s, %v; want %s", r.State, err, row.want)
				}
				if r, err := n.charge(t.Context(), "k", 1); err != nil || row.begun && (asked != 1 || n.runs.Load() != 0 || r.Charge != "of the first") {
					t.Errorf("a repeat gets %+v %v, asked %d times, after %d runs", r, err, asked, n.runs.Load())
				}
			})
		})
	}
}
