package sqlite_test

import (
	"compress/gzip"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlite"
)

// schema1 is a store that the last program with schema version 1 wrote: accounts,
// transfers, a hold, a reversal, an API key, and keys that are answered, swept
// and claimed.
func schema1(t *testing.T) (path string) {
	t.Helper()
	file, err := os.Open("testdata/schema1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "once.db")
	write(t, path, b)
	return path
}

func TestAnOlderStoreIsMigrated(t *testing.T) {
	path := schema1(t)
	if _, err := sqlite.OpenReader(t.Context(), path); !errors.Is(err, sqlite.ErrOlder) {
		t.Errorf("a reader of a store that is to be migrated: %v", err)
	}
	s := open(t, path)
	for i, want := range []ledger.Balance{{Posted: -5, Outgoing: 7}, {Posted: 6, Incoming: 7}, {Posted: -1}} {
		if got := account(t, s, i).Balance; got != want {
			t.Errorf("account %d has %+v, want %+v", i, got, want)
		}
	}
	if r := checkAudit(t, s); r.Rows.Keys != 9 || r.Rows.Transfers != 5 {
		t.Errorf("the audit read %+v", r.Rows)
	}
	if keys, err := s.APIKeys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("API keys: %v, %v", keys, err)
	}
	shop := shopOn(t, s) // and it goes on
	shop.settle(t, shop.begin(t))
	checkAudit(t, s)
}

// A key that was claimed before keys had versions is at its first.
func TestAClaimOfAnOlderStoreIsAnswered(t *testing.T) {
	s := open(t, schema1(t))
	key := once.Key{Tenant: "acme", ID: "claimed"}
	rows, err := s.Load(t.Context(), engine.Need{Keys: []once.Key{key}})
	if err != nil || len(rows.Keys) != 1 || rows.Keys[0].Version != 1 {
		t.Fatal(rows.Keys, err)
	}
	done, err := rows.Keys[0].Complete(1, "x", once.Answer{Status: 200, Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	done.Version++
	at := s.Since().Add(time.Second)
	mustCommit(t, s, &engine.Changes{At: at, Keys: []once.Record{done}, Ledger: &ledger.Changes{}})
	rows, err = s.Load(t.Context(), engine.Need{Keys: []once.Key{key}})
	same(t, "the key", rows.Keys, []once.Record{done}, err, nil)
}

// It does not matter when a store was made.
func TestAMigratedStoreIsLikeANewOne(t *testing.T) {
	old, young := schema1(t), filepath.Join(t.TempDir(), "once.db")
	for _, path := range []string{old, young} {
		mustClose(t, open(t, path))
	}
	if diff := cmp.Diff(columnsOf(t, young), columnsOf(t, old)); diff != "" {
		t.Errorf("a new store (-) and a migrated one (+) differ:\n%s", diff)
	}
}

func columnsOf(t *testing.T, path string) []string {
	t.Helper()
	db := raw(t, path)
	defer db.Close()
	return append(strs(t, db, "SELECT name || ' ' || type || ' ' || tbl_name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name"),
		schemaVersion(t, db))
}

func schemaVersion(t *testing.T, db *sql.DB) string {
	t.Helper()
	return strs(t, db, "SELECT value FROM meta WHERE name = 'schema_version'")[0]
}
