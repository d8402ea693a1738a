package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/store/sqlite"
)

func TestOpenMakesFilesForThisUserOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "deep")
	path := filepath.Join(dir, "once.db")
	newTeller(open(t, path)).openAccounts(t, 1)
	for name, want := range map[string]os.FileMode{dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, want)
		}
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.openAccounts(t, 3)
	last := tl.decide(t, transfer(0, 1, 5), transfer(1, 2, 3))
	mustCommit(t, s, last)
	secret := s.Secret()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, path)
	if !bytes.Equal(s.Secret(), secret) || len(secret) != 32 {
		t.Errorf("the secret was %x and is %x", secret, s.Secret())
	}
	if !s.Since().Equal(last.At) {
		t.Errorf("the last commit was at %s, Since says %s", last.At, s.Since())
	}
	if a := account(t, s, 1); a.Balance.Posted != 2 || a.Entries != 2 {
		t.Errorf("account: %+v", a)
	}
	rec, err := s.Key(t.Context(), last.Keys[0].Key)
	if err != nil || rec.Resource != last.Keys[0].Resource {
		t.Errorf("key: %+v, %v", rec, err)
	}
	again := newTeller(s)
	again.now = last.At
	mustCommit(t, s, again.decide(t, transfer(2, 0, 1))) // numbers go on
	checkAudit(t, s)
}

func TestStoresHaveSecretsOfTheirOwn(t *testing.T) {
	a, b := open(t, filepath.Join(t.TempDir(), "a.db")), open(t, filepath.Join(t.TempDir(), "b.db"))
	if bytes.Equal(a.Secret(), b.Secret()) {
		t.Error("two stores have one secret")
	}
}

func TestOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if !errors.Is(err, sqlite.ErrOwned) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("a second owner: %v", err)
	}
	newTeller(s).openAccounts(t, 1) // the first is none the worse
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// latest is the schema version of this program.
const latest = 5

func TestNewerStoreIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	mustClose(t, open(t, path))
	script(t, path, "UPDATE meta SET value = 7 WHERE name = 'schema_version'")
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if !errors.Is(err, sqlite.ErrNewer) || !strings.Contains(err.Error(), "version 7") || !strings.Contains(err.Error(), fmt.Sprint("up to ", latest)) {
		t.Errorf("open: %v", err)
	}
	if _, err = sqlite.OpenReader(t.Context(), path); !errors.Is(err, sqlite.ErrNewer) {
		t.Errorf("open to read: %v", err)
	}
	script(t, path, fmt.Sprintf("UPDATE meta SET value = %d WHERE name = 'schema_version'", latest))
	open(t, path) // nothing was done to it
}

func TestOlderStoreIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	mustClose(t, open(t, path))
	script(t, path, "UPDATE meta SET value = 0 WHERE name = 'schema_version'")
	if r, err := sqlite.OpenReader(t.Context(), path); err == nil {
		r.Close()
		t.Error("a reader read a store that is to be migrated")
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	other, text := filepath.Join(dir, "other.db"), filepath.Join(dir, "notes.txt")
	script(t, other, "CREATE TABLE meta (name, value)")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database at all\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{other, text} {
		before, _ := os.ReadFile(path)
		if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path}); !errors.Is(err, sqlite.ErrForeign) {
			t.Errorf("open %s: %v", filepath.Base(path), err)
		}
		if _, err := sqlite.OpenReader(t.Context(), path); !errors.Is(err, sqlite.ErrForeign) {
			t.Errorf("open %s to read: %v", filepath.Base(path), err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", filepath.Base(path))
		}
	}
}

func TestOpenFailsWhereNothingCanBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(file, "once.db")}); err == nil {
		t.Error("a store was made below a file")
	}
}

func TestClosedStoreDoesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 2)
	c := tl.decide(t, transfer(0, 1, 1))
	mustClose(t, s)
	if err := s.Commit(t.Context(), c); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("commit: %v", err)
	}
	if _, err := tl.try(transfer(0, 1, 1)); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("load: %v", err)
	}
	if _, err := s.Account(t.Context(), ledger.Ref{}); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("ping: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

// The helpers of all tests.

// script runs SQL on a file that nobody owns, through another driver.
func script(t *testing.T, path, sql string) {
	t.Helper()
	db := raw(t, path)
	defer db.Close()
	if _, err := db.Exec(sql); err != nil {
		t.Fatal(err)
	}
}

func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func mustClose(t *testing.T, s *sqlite.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func account(t *testing.T, s *sqlite.Store, i int) *ledger.Account {
	t.Helper()
	a, err := s.Account(t.Context(), ledger.Ref{Tenant: "acme", ID: accountName(i)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// checkAudit audits all of a store.
func checkAudit(t *testing.T, s *sqlite.Store) audit.Report {
	t.Helper()
	r, err := s.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return auditOf(t, r)
}

func auditOf(t *testing.T, src audit.Source) audit.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	report, err := audit.Run(ctx, src, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() {
		t.Errorf("the audit found %v", report.Findings)
	}
	return report
}
