package once_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/once"
)

// An operation that vanished between two recovery points goes on at the last one:
// what it had finished is not done again. Where it runs again, it is.
func TestAnOperationGoesOnAtItsLastRecoveryPoint(t *testing.T) {
	for _, row := range []struct {
		policy once.Policy
		want   string
	}{{once.Resume, "reserve by 1, ship by 2"}, {once.Rerun, "reserve by 2, ship by 2"}} {
		t.Run(row.policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := once.NewMemory()
				dies := &deadly{Store: store}
				first, second := newNode(t, dies, row.policy), newNode(t, store, row.policy)
				var keys []string
				order := func(n *node, dead bool) (receipt, error) {
					return n.Do(t.Context(), "order-42", 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
						keys = append(keys, a.Derive("reserve"))
						reserved, err := once.Step(ctx, a, "reserve", func(context.Context) (string, error) {
							return fmt.Sprint("reserve by ", a.Token()), nil
						})
						if dead && err == nil {
							dies.dead.Store(true)
							return receipt{}, errDead
						}
						shipped, err := once.Step(ctx, a, "ship", func(context.Context) (string, error) {
							return fmt.Sprint("ship by ", a.Token()), nil
						})
						return receipt{Charge: reserved + ", " + shipped}, err
					})
				}
				if _, err := order(first, true); !errors.Is(err, errDead) {
					t.Fatal(err)
				}
				r, err := order(second, false)
				if err != nil || r.Charge != row.want {
					t.Errorf("got %s %v, want %s", r.Charge, err, row.want)
				}
				if len(keys) != 2 || keys[0] != keys[1] || keys[0] == "" {
					t.Errorf("the keys of its attempts are %v", keys)
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

// A step of an attempt that lost its key is not kept, and the operation learns it.
func TestAStepOfALateOwnerIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := once.NewMemory()
		paused := &deadly{Store: store}
		late, other := newNode(t, paused, once.Resume), newNode(t, store, once.Resume)
		_, err := late.Do(t.Context(), "order-42", 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
			paused.dead.Store(true)
			<-ctx.Done()
			other.charge(t.Context(), "order-42", 1)
			paused.dead.Store(false)
			_, err := once.Step(ctx, a, "late", func(context.Context) (int, error) { return 1, nil })
			if !errors.Is(err, once.ErrFenced) {
				t.Errorf("the step is told %v", err)
			}
			return receipt{}, err
		})
		if !errors.Is(err, once.ErrFenced) {
			t.Errorf("the operation is told %v", err)
		}
	})
}

func TestRecoveryPointsAreBounded(t *testing.T) {
	n := newNode(t, once.NewMemory(), once.Resume)
	n.Do(t.Context(), "order-42", 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
		step := func(name, result string) error {
			_, err := once.Step(ctx, a, name, func(context.Context) (string, error) { return result, nil })
			return err
		}
		if err := step("large", strings.Repeat("x", once.MaxProgress)); err == nil {
			t.Error("one that is too large is kept")
		}
		for i := range once.MaxSteps {
			if err := step(fmt.Sprint(i), "x"); err != nil {
				t.Fatal(err)
			}
		}
		if err := step("one more", "x"); err == nil {
			t.Error("one more than there may be is kept")
		}
		if err := step("7", "another"); err != nil {
			t.Errorf("one that was reached: %v", err)
		}
		return receipt{}, nil
	})
}

// A result that is too large, or that cannot be encoded, is given once; repeats are
// told that it was done, and it never runs again.
func TestAResultThatIsNotKept(t *testing.T) {
	n := newNode(t, once.NewMemory(), once.Rerun, func(c *once.Config) { c.MaxAnswer = 100 })
	large := strings.Repeat("x", 100)
	for i := range 2 {
		r, err := n.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) {
			n.runs.Add(1)
			return receipt{Charge: large}, nil
		})
		if first := i == 0; first && (err != nil || r.Charge != large) || !first && !errors.Is(err, once.ErrNotKept) {
			t.Errorf("call %d gets %+v %v", i, r, err)
		}
	}
	bad := once.Operation[chan int]{Engine: n.Engine, Name: "bad", Vanished: once.Rerun}
	for i := range 2 {
		_, err := bad.Do(t.Context(), "order-43", 1, func(context.Context, *once.Attempt) (chan int, error) {
			n.runs.Add(1)
			return make(chan int), nil
		})
		if first := i == 0; first && err != nil || !first && !errors.Is(err, once.ErrNotKept) {
			t.Errorf("call %d of what cannot be encoded gets %v", i, err)
		}
	}
	if n.runs.Load() != 2 {
		t.Errorf("they ran %d times", n.runs.Load())
	}
}
