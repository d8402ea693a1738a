package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/oncepay/oncepay/ledger"
)

// The views show times as the API does, to the microsecond: rounded, the last
// moment of a month would be a booking of the next.
func TestViewsDoNotRoundTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oncepay.db")
	s := open(t, path)
	b := newTeller(s)
	b.now = time.Date(2026, 11, 30, 23, 59, 59, 999_700_000, time.UTC).Add(-2 * time.Millisecond) // decide moves it on
	if err := s.Commit(t.Context(), b.decide(t, ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: "a"}, Currency: "EUR"})); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var got string
	if err := db.QueryRow("SELECT created_at FROM account_list").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := "2026-11-30T23:59:59.999700Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
