package once_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/once"
)

// receipt is what the operation of these tests comes to.
type receipt struct {
	Charge string
	Amount int64
}

// till is an operation that counts how often it ran.
type till struct {
	once.Operation[receipt]
	runs atomic.Int64
}

func newTill(t testing.TB, store once.Store, vanished once.Policy) *till {
	t.Helper()
	eng, err := once.New(store, once.Config{Scope: once.SingleTenant, Secret: []byte("0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	return &till{Operation: once.Operation[receipt]{Engine: eng, Name: "charge", Vanished: vanished}}
}

func (x *till) charge(ctx context.Context, id string, amount int64) (receipt, error) {
	return x.Do(ctx, id, amount, func(context.Context, *once.Attempt) (receipt, error) {
		return receipt{fmt.Sprint("ch_", x.runs.Add(1)), amount}, nil
	})
}

func TestARepeatGetsTheFirstResult(t *testing.T) {
	x := newTill(t, once.NewMemory(), once.Park)
	for range 3 {
		if r, err := x.charge(t.Context(), "order-42", 100); err != nil || r != (receipt{"ch_1", 100}) {
			t.Fatalf("got %+v %v", r, err)
		}
	}
	if _, err := x.charge(t.Context(), "order-42", 999); !errors.Is(err, once.ErrMismatch) {
		t.Errorf("another request is told %v", err)
	}
	if n := x.runs.Load(); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

// Ten thousand callers with one key are one execution, and one store is asked once
// for all of them.
func TestManyCallersOfOneKeyRunItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: once.NewMemory()}
		x := newTill(t, store, once.Park)
		var wg sync.WaitGroup
		for range 10_000 {
			wg.Go(func() {
				r, err := x.Do(t.Context(), "order-42", 1, func(context.Context, *once.Attempt) (receipt, error) {
					time.Sleep(time.Second)
					return receipt{fmt.Sprint("ch_", x.runs.Add(1)), 1}, nil
				})
				if err != nil || r.Charge != "ch_1" {
					t.Errorf("got %+v %v", r, err)
				}
			})
		}
		wg.Wait()
		if got := store.calls.Load(); got != 2 {
			t.Errorf("the store was asked %d times, want a claim and a completion", got)
		}
	})
}

// counting counts what a store is asked.
type counting struct {
	once.Store
	calls atomic.Int64
}

func (c *counting) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	c.calls.Add(1)
	return c.Store.Swap(ctx, next)
}

func (c *counting) Load(ctx context.Context, k once.Key) (once.Seen, error) {
	c.calls.Add(1)
	return c.Store.Load(ctx, k)
}

// An operation that is to be asked about, and has nobody to ask, is parked.
func TestWithoutAProbeItIsParked(t *testing.T) {
	n := newNode(t, once.NewMemory(), once.Probe)
	fails := func(context.Context, *once.Attempt) (receipt, error) { return receipt{}, errDead }
	if _, err := n.Do(t.Context(), "k", 1, fails); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if _, err := n.charge(t.Context(), "k", 1); !errors.Is(err, once.ErrParked) || n.runs.Load() != 0 {
		t.Errorf("it fails with %v, after %d runs", err, n.runs.Load())
	}
}
