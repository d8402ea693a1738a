//go:build integration

package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/store/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// quiet is the log of stores on a server that syncs nothing, and is warned of.
var quiet = slog.New(slog.DiscardHandler)

// place is a store that knows where it is, so that it can be opened again.
type place struct {
	*postgres.Store
	url string
}

func openAt(t testing.TB, url string) place {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return place{s, url}
}

// schemas are as good as databases, and made faster.
type schemas struct {
	database string
	number   atomic.Int64
}

// apart are schemas in a database of the test's.
func apart(t testing.TB) *schemas { return &schemas{database: pgtest.Database(t)} }

// url is that of a schema that is new and empty.
func (s *schemas) url(t testing.TB) string {
	t.Helper()
	name := fmt.Sprint("store", s.number.Add(1))
	run(t, s.database, "CREATE SCHEMA "+name)
	return s.database + "&search_path=" + name
}

// migrated is the URL of a new, empty store.
func (s *schemas) migrated(t testing.TB) string {
	t.Helper()
	url := s.url(t)
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return url
}

// run runs statements.
func run(t testing.TB, url, sql string) {
	t.Helper()
	c, err := pgx.Connect(context.Background(), url)
	if err == nil {
		_, err = c.Exec(context.Background(), sql)
		c.Close(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func fixture(t testing.TB) contract.Fixture {
	places := apart(t)
	return contract.Fixture{
		Name: "postgres",
		Open: func(t testing.TB) contract.Store { return openAt(t, places.migrated(t)) },
		Reopen: func(t testing.TB, s contract.Store) contract.Store {
			if err := s.(place).Close(); err != nil {
				t.Fatal(err)
			}
			return openAt(t, s.(place).url)
		},
		Snapshot: func(t testing.TB, s contract.Store) audit.Source {
			r, err := s.(place).Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			return r
		},
	}
}

func TestContract(t *testing.T) { contract.TestEngineStore(t, fixture(t)) }
func TestShared(t *testing.T) {
	places := apart(t)
	contract.TestSharedStore(t, func(t testing.TB, processes int) (stores []engine.Store) {
		url := places.migrated(t)
		for range processes {
			stores = append(stores, openAt(t, url))
		}
		return stores
	})
}

func TestOutbox(t *testing.T)   { contract.TestOutbox(t, fixture(t)) }
func TestDelivery(t *testing.T) { contract.TestDelivery(t, fixture(t)) }
func TestSharedOutbox(t *testing.T) {
	places := apart(t)
	contract.TestSharedOutbox(t, func(t testing.TB, processes int) (stores []contract.SharedOutbox) {
		url := places.migrated(t)
		for range processes {
			stores = append(stores, openAt(t, url))
		}
		return stores
	})
}

func TestHistories(t *testing.T) { contract.TestHistories(t, contract.Memory(), fixture(t)) }

// query reads a number.
func query(t testing.TB, url, sql string) (n int64) {
	t.Helper()
	c, err := pgx.Connect(context.Background(), url)
	if err == nil {
		err = c.QueryRow(context.Background(), sql).Scan(&n)
		c.Close(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustClose(t testing.TB, s place) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func migrateAt(t testing.TB, url string) string {
	t.Helper()
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return url
}
