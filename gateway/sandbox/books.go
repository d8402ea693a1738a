package sandbox

import (
	"context"
	"database/sql"
	_ "embed" // the schema
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"modernc.org/sqlite" // also the driver that is opened by name
	lib "modernc.org/sqlite/lib"
)

// Why books cannot be opened.
var (
	ErrForeign = errors.New("sandbox: the file is not the books of a sandbox")
	ErrOwned   = errors.New("sandbox: the books are open in another process")
	ErrNewer   = errors.New("sandbox: the books were made by a newer version")
)

//go:embed schema.sql
var schema string

// applicationID marks the file: "sand" in ASCII. schemaVersion is counted up
// when the schema changes.
const (
	applicationID = 0x73616e64
	schemaVersion = 1
)

// maxReaders read at once: the courier, the judges.
const maxReaders = 4

// books is the file that survives: one connection writes it, some read it.
type books struct {
	lock   *os.File
	write  *sql.DB
	read   *sql.DB
	writer *writer
}

func openBooks(path string) (_ *books, err error) {
	if path == "" {
		return nil, errors.New("sandbox: there is no path for the books")
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("sandbox: open the books: %w", err)
	}
	b := &books{}
	if b.lock, err = own(path); err != nil {
		return nil, err
	}
	if err := b.open(path); err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: open %s: %w", path, err), b.release())
	}
	return b, nil
}

// own takes the lock beside the file, which ends with the process, and makes
// the directory for it.
func own(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sandbox: open the books: %w", err)
	}
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sandbox: lock the books: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrOwned, path), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("sandbox: lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// open opens the connections. What the file is is found out before any setting
// is made: settings change a file.
func (b *books) open(path string) error {
	fresh, err := makeFile(path)
	if err != nil {
		return err
	}
	if b.read, err = sql.Open("sqlite", dsn(path, "ro", "query_only(1)")); err != nil {
		return err
	}
	if !fresh {
		if fresh, err = isEmpty(b.read); err != nil {
			return err
		}
	}
	b.read.SetMaxOpenConns(maxReaders)
	if b.write, err = sql.Open("sqlite", dsn(path, "rw", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-16384)")); err != nil {
		return err
	}
	b.write.SetMaxOpenConns(1)
	if fresh {
		if err := create(b.write); err != nil {
			return err
		}
	}
	b.writer, err = newWriter(b.write)
	return err
}

// dsn names the file so that no character of its path means something else.
func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

// makeFile makes an empty file if there is none, for this user only, and says
// whether it did.
func makeFile(path string) (made bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return false, err
	}
	d, err := os.Open(filepath.Dir(path)) // the name is durable when its directory is
	if err != nil {
		return false, err
	}
	return true, errors.Join(d.Sync(), d.Close())
}

// isEmpty reports whether a file that was there holds nothing yet. It fails if
// what it holds is something else than books.
func isEmpty(db *sql.DB) (bool, error) {
	var tables, app, version int64
	for query, to := range map[string]*int64{
		"SELECT count(*) FROM sqlite_schema": &tables, "PRAGMA application_id": &app, "PRAGMA user_version": &version,
	} {
		if err := db.QueryRow(query).Scan(to); err != nil {
			return false, foreign(err)
		}
	}
	switch {
	case tables == 0 && app == 0 && version == 0:
		return true, nil
	case app != applicationID:
		return false, ErrForeign
	case version > schemaVersion:
		return false, fmt.Errorf("%w: they have version %d, this program knows up to %d", ErrNewer, version, schemaVersion)
	}
	return false, nil
}

// foreign adds an ErrForeign to what SQLite says of a file that is not its own.
func foreign(err error) error {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) && e.Code() == lib.SQLITE_NOTADB {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return err
}

// create makes the tables, all or none of them.
func create(db *sql.DB) error {
	script := fmt.Sprintf("BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d;\n%s COMMIT;",
		applicationID, schemaVersion, strings.TrimSpace(schema))
	_, err := db.ExecContext(context.Background(), script)
	return err
}

func (b *books) close() error {
	return errors.Join(b.writer.close(), b.release())
}

// release closes whatever is open, the lock last.
func (b *books) release() error {
	var errs []error
	for _, db := range []*sql.DB{b.read, b.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, b.lock.Close())...)
}
