//go:build integration

package stdkeys_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys/stdkeys"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// openDB opens a database with some connections: the server has 300.
func openDB(t testing.TB, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(10)
	db.SetMaxIdleConns(10)
	t.Cleanup(func() { db.Close() })
	return db
}

func openKeys(t testing.TB, db *sql.DB, cfg stdkeys.Config) *stdkeys.Keys {
	t.Helper()
	keys, err := stdkeys.New(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // at every start
		if err := keys.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// TestContract holds the store to its promises at the most isolation that a database may
// have set, under names of the caller's. What the statements do at the least, pgkeys tests.
func TestContract(t *testing.T) {
	db := openDB(t, pgtest.Database(t)+"&default_transaction_isolation=serializable")
	var stores atomic.Int64
	contract.TestStore(t, func(t testing.TB) once.Store {
		return openKeys(t, db, stdkeys.Config{Schema: "shop", Prefix: fmt.Sprintf("idempotency_%d_", stores.Add(1))})
	})
}

// shop sells: an order is a row, and its number is the result.
type shop struct {
	db     *sql.DB
	keys   *stdkeys.Keys
	orders stdkeys.Operation[int64]

	mu   sync.Mutex
	told []once.Happening
}

func newShop(t testing.TB, url string, cfg stdkeys.Config) *shop {
	t.Helper()
	s := &shop{db: openDB(t, url)}
	s.keys = openKeys(t, s.db, cfg)
	s.exec(t, "CREATE TABLE IF NOT EXISTS orders (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL)")
	eng, err := once.New(s.keys, once.Config{
		Scope: tenantOf, Secret: secret,
		Observe: func(_ context.Context, e once.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = append(s.told, e.Happening)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.orders = stdkeys.Operation[int64]{Keys: s.keys, Operation: once.Operation[int64]{Engine: eng, Name: "order"}}
	return s
}

// openShop is a shop in a database of its own.
func openShop(t testing.TB) *shop { return newShop(t, pgtest.Database(t), stdkeys.Config{}) }

var secret = []byte("0123456789abcdef")

type tenant struct{}

// tenantOf is the tenant that a context was given to.
func tenantOf(ctx context.Context) (string, error) {
	name, _ := ctx.Value(tenant{}).(string)
	return name, nil
}

func (s *shop) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := s.db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// count is what a query for a number comes to.
func (s *shop) count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := s.db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// buy orders an item, and then comes to what it is told.
func (s *shop) buy(ctx context.Context, key, item string, then error) (int64, error) {
	return s.orders.Do(ctx, key, item, func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
		n, err := order(ctx, tx, item)
		return n, errors.Join(err, then)
	})
}

func order(ctx context.Context, tx *sql.Tx, item string) (n int64, err error) {
	err = tx.QueryRowContext(ctx, "INSERT INTO orders (item) VALUES ($1) RETURNING number", item).Scan(&n)
	return n, err
}

// sold counts the orders of an item.
func (s *shop) sold(t testing.TB, item string) int {
	t.Helper()
	return s.count(t, "SELECT count(*) FROM orders WHERE item = $1", item)
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

// waiting says how many sessions of the database wait for another's transaction.
func (s *shop) waiting(t testing.TB) int {
	t.Helper()
	return s.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
}

// events are what was told since it was last asked.
func (s *shop) events() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := fmt.Sprint(s.told)
	s.told = nil
	return told
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
