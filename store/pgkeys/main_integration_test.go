//go:build integration

package pgkeys_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// openPool opens a pool on a database.
func openPool(t testing.TB, url string, set ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range set {
		set(cfg)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func openKeys(t testing.TB, pool *pgxpool.Pool, cfg pgkeys.Config) *pgkeys.Keys {
	t.Helper()
	keys, err := pgkeys.New(pool, cfg)
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

// TestContract holds the store to its promises at the least and the most isolation
// that a database may have set, under names of the caller's.
func TestContract(t *testing.T) {
	for _, level := range []string{"read committed", "serializable"} {
		t.Run(level, func(t *testing.T) {
			contract.TestStore(t, func(t testing.TB) once.Store {
				pool := openPool(t, pgtest.Database(t), func(c *pgxpool.Config) {
					c.ConnConfig.RuntimeParams["default_transaction_isolation"] = level
				})
				return openKeys(t, pool, pgkeys.Config{Schema: "shop", Prefix: "idempotency_"})
			})
		})
	}
}
