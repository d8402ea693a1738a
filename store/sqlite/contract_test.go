package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/store/sqlite"
)

// file is a store that knows where it is, so that it can be opened again.
type file struct {
	*sqlite.Store
	path string
}

func openFile(t testing.TB, path string) contract.Store {
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil { // it may be closed already, to be reopened
			t.Error(err)
		}
	})
	return file{s, path}
}

func fixture() contract.Fixture {
	return contract.Fixture{
		Name: "sqlite",
		Open: func(t testing.TB) contract.Store { return openFile(t, filepath.Join(t.TempDir(), "once.db")) },
		Reopen: func(t testing.TB, s contract.Store) contract.Store {
			if err := s.(file).Close(); err != nil {
				t.Fatal(err)
			}
			return openFile(t, s.(file).path)
		},
		Snapshot: func(t testing.TB, s contract.Store) audit.Source {
			r, err := s.(file).Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			return r
		},
	}
}

func TestContract(t *testing.T)  { contract.TestEngineStore(t, fixture()) }
func TestHistories(t *testing.T) { contract.TestHistories(t, contract.Memory(), fixture()) }
func TestOutbox(t *testing.T)    { contract.TestOutbox(t, fixture()) }
func TestDelivery(t *testing.T)  { contract.TestDelivery(t, fixture()) }
