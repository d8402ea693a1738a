//go:build integration

package pgkeys_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
)

// shop sells: an order is a row, and its number is the result.
type shop struct {
	pool   *pgxpool.Pool
	keys   *pgkeys.Keys
	orders pgkeys.Operation[int64]

	mu   sync.Mutex
	told []once.Happening
}

func newShop(t testing.TB, pool *pgxpool.Pool, cfg pgkeys.Config) *shop {
	t.Helper()
	s := &shop{pool: pool, keys: openKeys(t, pool, cfg)}
	s.exec(t, "CREATE TABLE IF NOT EXISTS orders (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL)")
	eng, err := once.New(s.keys, once.Config{
		Scope: tenantOf, Secret: []byte("0123456789abcdef"),
		Observe: func(_ context.Context, e once.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = append(s.told, e.Happening)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.orders = pgkeys.Operation[int64]{Keys: s.keys, Operation: once.Operation[int64]{Engine: eng, Name: "order"}}
	return s
}

// openShop is a shop in a database of its own.
func openShop(t testing.TB) *shop {
	return newShop(t, openPool(t, pgtest.Database(t)), pgkeys.Config{})
}

type tenant struct{}

// tenantOf is the tenant that a context was given to.
func tenantOf(ctx context.Context) (string, error) {
	name, _ := ctx.Value(tenant{}).(string)
	return name, nil
}

func (s *shop) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// buy orders an item, and then comes to what it is told.
func (s *shop) buy(ctx context.Context, key, item string, then error) (int64, error) {
	return s.orders.Do(ctx, key, item, func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		n, err := order(ctx, tx, item)
		return n, errors.Join(err, then)
	})
}

func order(ctx context.Context, tx pgx.Tx, item string) (n int64, err error) {
	err = tx.QueryRow(ctx, "INSERT INTO orders (item) VALUES ($1) RETURNING number", item).Scan(&n)
	return n, err
}

// sold counts the orders of an item.
func (s *shop) sold(t testing.TB, item string) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE item = $1", item).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// wantSold holds that a retry of an order succeeds, and that there is one of it.
func (s *shop) wantSold(t testing.TB, key, item string) int64 {
	t.Helper()
	n, err := s.buy(t.Context(), key, item, nil)
	if sold := s.sold(t, item); err != nil || sold != 1 {
		t.Fatalf("a retry gets %d %v, and %d were sold", n, err, sold)
	}
	return n
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to it that %s", what)
		}
	}
}

// waiting says how many sessions of the database wait for another's transaction.
func (s *shop) waiting(t testing.TB) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// events are what was told since it was last asked.
func (s *shop) events() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := fmt.Sprint(s.told)
	s.told = nil
	return told
}
