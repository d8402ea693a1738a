package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/store/sqlite"
)

func reader(t *testing.T, path string) *sqlite.Reader {
	t.Helper()
	r, err := sqlite.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestReaderBesideTheOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	tl.run(t, 300)
	r := reader(t, path)
	tl.run(t, 300)
	report := auditOf(t, r)
	if want := (audit.Rows{Accounts: 1000, Entries: 600, Transfers: 300, Keys: 1300, Events: 1300}); report.Rows != want {
		t.Errorf("it read %+v, want what was there when it was opened: %+v", report.Rows, want)
	}
	if again := auditOf(t, r); again.Rows != report.Rows {
		t.Errorf("read again, it is another moment: %+v", again.Rows)
	}
	rows, err := r.Rows(t.Context())
	if err != nil || rows < 4400 || rows > 4600 {
		t.Errorf("there are 4,500 rows, it says about %d, %v", rows, err)
	}
}

func TestReaderOfAClosedStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	tl.run(t, 300)
	mustClose(t, s)
	before := read(t, path)
	if report := auditOf(t, reader(t, path)); report.Rows.Transfers != 300 {
		t.Errorf("it read %+v", report.Rows)
	}
	if string(read(t, path)) != string(before) {
		t.Error("reading changed the file")
	}
}

// A process that was killed leaves what it committed last in the log.
func TestReaderOfAStoreWhoseOwnerWasKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	tl := newTeller(open(t, path))
	tl.openAccounts(t, 1000)
	tl.run(t, 300)
	left := filepath.Join(t.TempDir(), "once.db")
	write(t, left, read(t, path))
	write(t, left+"-wal", read(t, path+"-wal"))
	if report := auditOf(t, reader(t, left)); report.Rows.Transfers != 300 {
		t.Errorf("it read %+v", report.Rows)
	}
	if report := checkAudit(t, open(t, left)); report.Rows.Transfers != 300 {
		t.Errorf("the next owner has %+v", report.Rows)
	}
}

func TestReaderMakesNoStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	if _, err := sqlite.OpenReader(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store that is not there: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

// An owner that comes while a reader reads is not in its way.
func TestOwnerComesWhileAReaderReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	mustClose(t, s)
	r := reader(t, path)
	tl = newTeller(open(t, path))
	tl.run(t, 300)
	if report := auditOf(t, r); report.Rows.Transfers != 0 || report.Rows.Accounts != 1000 {
		t.Errorf("it read %+v", report.Rows)
	}
}
