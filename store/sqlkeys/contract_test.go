package sqlkeys_test

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlkeys"
)

// openDB opens a database as the package's doc wants it.
func openDB(t testing.TB, path string) *sql.DB {
	t.Helper()
	q := url.Values{"_pragma": {"busy_timeout(20000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	db, err := sql.Open("sqlite", "file:"+path+"?"+q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openKeys(t testing.TB, path string) (*sqlkeys.Keys, *sql.DB) {
	t.Helper()
	db := openDB(t, path)
	keys := sqlkeys.New(db)
	for range 2 { // at every start
		if err := keys.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return keys, db
}

func TestContract(t *testing.T) {
	contract.TestStore(t, func(t testing.TB) once.Store {
		keys, _ := openKeys(t, filepath.Join(t.TempDir(), "shop.db"))
		return keys
	})
}
