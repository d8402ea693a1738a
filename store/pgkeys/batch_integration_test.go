//go:build integration

package pgkeys_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
)

// orderAll orders an item for each key, in one transaction.
func (s *shop) orderAll(ctx context.Context, ids ...string) ([]int, error) {
	requests := make([]any, len(ids))
	for i, id := range ids {
		requests[i] = "for " + id
	}
	return s.orders.DoAll(ctx, ids, requests, func(ctx context.Context, tx pgx.Tx, fresh []int) error {
		for _, i := range fresh {
			if _, err := tx.Exec(ctx, "INSERT INTO orders (item) VALUES ($1)", ids[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// count is how many orders there are.
func (s *shop) count(t testing.TB) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A batch runs what nothing is known of, once, and leaves the rest alone.
func TestABatchRunsWhatIsNew(t *testing.T) {
	s := openShop(t)
	fresh, err := s.orderAll(t.Context(), "c", "a", "b", "a")
	slices.Sort(fresh)
	if err != nil || !slices.Equal(fresh, []int{0, 1, 2}) {
		t.Fatalf("fresh are %v, %v", fresh, err)
	}
	if fresh, err = s.orderAll(t.Context(), "a", "d", "b"); err != nil || !slices.Equal(fresh, []int{1}) {
		t.Errorf("then fresh are %v, %v", fresh, err)
	}
	if fresh, err = s.orderAll(t.Context(), "a", "b"); err != nil || len(fresh) != 0 {
		t.Errorf("of what is known fresh are %v, %v", fresh, err)
	}
	if _, err := s.orderAll(t.Context()); err != nil {
		t.Error(err)
	}
	if got := s.count(t); got != 4 {
		t.Errorf("there are %d orders", got)
	}
	never := func(context.Context, pgx.Tx, *once.Attempt) (int64, error) { t.Error("it runs again"); return 0, nil }
	if _, err := s.orders.Do(t.Context(), "a", "for a", never); !errors.Is(err, once.ErrNotKept) {
		t.Errorf("a key that is marked is %v", err)
	}
	if _, err := s.orders.Do(t.Context(), "a", "for b", never); !errors.Is(err, once.ErrMismatch) {
		t.Errorf("another request under it is %v", err)
	}
}

// A batch that fails leaves nothing, and all of it can be run.
func TestABatchThatFailsLeavesNothing(t *testing.T) {
	s := openShop(t)
	broken := errors.New("no")
	ctx, cancel := context.WithCancel(t.Context())
	for _, fails := range []func(pgx.Tx) error{
		func(pgx.Tx) error { return broken },
		func(tx pgx.Tx) error { return tx.Commit(t.Context()) },
		func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), "SELECT 1/0"); return err },
		func(pgx.Tx) error { cancel(); return nil },
	} {
		if _, err := s.orders.DoAll(ctx, []string{"a", "b"}, []any{"for a", "for b"}, func(ctx context.Context, tx pgx.Tx, _ []int) error {
			if _, err := tx.Exec(ctx, "INSERT INTO orders (item) VALUES ('x')"); err != nil {
				return err
			}
			return fails(tx)
		}); err == nil {
			t.Error("it does not fail")
		}
	}
	if fresh, err := s.orderAll(t.Context(), "a", "b"); err != nil || len(fresh) != 2 || s.count(t) != 2 {
		t.Errorf("fresh are %v, %v; there are %d orders", fresh, err, s.count(t))
	}
}

// Batches that overlap, in all orders, and single operations run each key once, and nobody
// waits around a circle.
func TestBatchesThatOverlap(t *testing.T) {
	s := openShop(t)
	const keys = 40
	var working sync.WaitGroup
	for n := range 8 {
		working.Go(func() {
			ids := make([]string, keys)
			for i := range ids {
				ids[i] = fmt.Sprintf("k-%d", (i*[]int{1, 3, 7, 9, 11, 13, 17, 19}[n]+n)%keys)
			}
			if _, err := s.orderAll(t.Context(), ids...); err != nil {
				t.Error(err)
			}
			for _, id := range ids {
				_, err := s.orders.Do(t.Context(), id, "for "+id, func(context.Context, pgx.Tx, *once.Attempt) (int64, error) { return 0, errors.New("it runs again") })
				if !errors.Is(err, once.ErrNotKept) {
					t.Errorf("%s is %v", id, err)
				}
			}
		})
	}
	working.Wait()
	if got := s.count(t); got != keys {
		t.Errorf("of %d keys there are %d orders", keys, got)
	}
}

func TestWhatIsNoBatch(t *testing.T) {
	s := openShop(t)
	for _, ids := range [][]string{make([]string, pgkeys.MaxBatch+1), {""}, {"zwölf"}} {
		if _, err := s.orderAll(t.Context(), ids...); err == nil {
			t.Errorf("%d keys are taken", len(ids))
		}
	}
}
