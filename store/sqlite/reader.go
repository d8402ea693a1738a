package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	lib "modernc.org/sqlite/lib"
)

// Reader reads all of a store from end to end, as of the moment at which it was
// made: an audit.Source. Make one with [OpenReader] or [Store.Snapshot]. It is
// for one goroutine at a time.
//
// Beside a running owner it keeps the log from beginning anew: the log grows
// until the Reader is closed.
type Reader struct {
	c *conn
}

// OpenReader opens the store at path beside its owner, or offline. It takes no
// lock, migrates nothing and changes nothing in the store.
//
// A store whose owner was killed has commits in its log that are not in the
// file yet. They are read: an index of the log is made beside it for that, so
// the directory must be writable then. A store that was closed can be read where
// nothing can be written.
//
// It fails with an [ErrNewer] or an [ErrForeign] as [Open] does, and with an
// [ErrOlder] if the store is to be migrated first.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	r, err := openReader(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s to read: %w", path, err)
	}
	return r, nil
}

// ErrOlder means that an earlier version of the program wrote the store: it is
// migrated when its owner opens it.
var ErrOlder = errors.New("sqlite: the store was written by an older version")

// readerCache is for one pass from end to end, which needs little.
const readerCache = 8 << 20

func openReader(ctx context.Context, path string) (*Reader, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	r, err := readFrom(ctx, path)
	if cannotIndex(err) {
		return readClosed(ctx, path, err)
	}
	return r, err
}

// readFrom opens the file and a transaction that stays as it begins.
func readFrom(ctx context.Context, name string) (*Reader, error) {
	c, err := openBeside(name, readerCache)
	if err != nil {
		return nil, err
	}
	r := &Reader{c}
	if err := r.begin(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return r, nil
}

func (r *Reader) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.c.script("BEGIN"); err != nil {
		return err
	}
	found, err := version(r.c)
	switch known := latest(); {
	case err != nil:
		return err
	case found == 0:
		return fmt.Errorf("%w: it is empty", ErrForeign)
	case found < known:
		return fmt.Errorf("%w: it has schema version %d, this program reads %d; run `oncepay migrate`, or start its server", ErrOlder, found, known)
	default:
		return checkVersion(found, known)
	}
}

// cannotIndex says whether an index of the log was needed and could not be
// made: nothing can be written there.
func cannotIndex(err error) bool {
	var e *libError
	return errors.As(err, &e) && (e.primary() == lib.SQLITE_CANTOPEN || e.primary() == lib.SQLITE_READONLY)
}

// readClosed opens a store where nothing can be written. If its log is empty
// there is no owner, and nothing changes while it is read.
func readClosed(ctx context.Context, path string, cause error) (*Reader, error) {
	log, err := os.Stat(path + "-wal")
	switch {
	case err == nil && log.Size() > 0:
		return nil, fmt.Errorf("its log has to be read first, and its directory is not writable; "+
			"copy it with its -wal file to one that is: %w", cause)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, errors.Join(cause, err)
	}
	name := url.URL{Scheme: "file", Path: path, RawQuery: "immutable=1"}
	return readFrom(ctx, name.String())
}

// Snapshot returns a Reader of all that was committed. Close it soon.
func (s *Store) Snapshot(ctx context.Context) (*Reader, error) {
	return OpenReader(ctx, s.cfg.Path)
}

// Close ends the reading.
func (r *Reader) Close() error { return r.c.close() }
