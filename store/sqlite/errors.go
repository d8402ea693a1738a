package sqlite

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/oncepay/oncepay/engine"
	lib "modernc.org/sqlite/lib"
)

// ErrDiskFull is an [engine.ErrNotCommitted]: there is no room for what was to
// be written. Reads go on; writes do when there is room again.
var ErrDiskFull = fmt.Errorf("%w: the disk is full", engine.ErrNotCommitted)

// commitError is an error that came while a transaction was ended: as far as it
// tells, what was written may be in the log.
type commitError struct{ err error }

func (e *commitError) Error() string { return e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

// stuckError is a transaction that failed with err and could not be ended.
type stuckError struct{ err, rollback error }

func (e *stuckError) Error() string {
	return fmt.Sprintf("%v; it could not be rolled back: %v", e.err, e.rollback)
}

// brokenError says why a store does nothing any more.
type brokenError struct{ err error }

func (e *brokenError) Error() string {
	if e.err == ErrClosed {
		return e.err.Error()
	}
	return "sqlite: the store has stopped, since it cannot be known what is on disk: " + e.err.Error()
}

func (e *brokenError) Unwrap() error { return e.err }

// one makes a conflict of a change that did not meet the one row it was for.
func one(changed int, err error) error {
	if err == nil && changed != 1 {
		return engine.ErrConflict
	}
	return err
}

// judge says what became of a transaction that ended with err. s.mu is held.
func (s *Store) judge(err error) error {
	var e *libError
	if !errors.As(err, &e) {
		return fmt.Errorf("%w: %w", engine.ErrNotCommitted, err)
	}
	var ending *commitError
	switch {
	case e.primary() == lib.SQLITE_CONSTRAINT:
		return conflict(e)
	case e.full(): // a write failed, so the last page of the commit is not in the log
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case e.code == lib.SQLITE_IOERR_SHMSIZE && e.noRoom():
		return s.undoOnDisk(ErrDiskFull, err)
	case e.primary() == lib.SQLITE_IOERR: // what is in the log the disk will not say
		return s.fail(err)
	case errors.As(err, &ending):
		return s.undoOnDisk(engine.ErrNotCommitted, err)
	}
	return fmt.Errorf("%w: %w", engine.ErrNotCommitted, err)
}

// undoOnDisk sees to it that a transaction whose end failed with err is never
// made, and returns an error that is a certain one.
//
// SQLite has a commit written and synced before it adds it to the index of the
// log, which may fail: on a full disk the index cannot grow. Then the commit is
// undone in this process only, and whoever reads the log next finds it. The next
// transaction is written over it, and whatever of the first is left behind that
// does not follow from it any more. So if there is a next one, the first is not.
func (s *Store) undoOnDisk(is, err error) error {
	if failed := s.w.transaction((*writer).putUndone); failed != nil {
		return s.fail(fmt.Errorf("%w; it could not be undone: %v", err, failed))
	}
	return fmt.Errorf("%w: %w", is, err)
}

// full says whether a write found no room. A quota that is used up is as good as
// a full disk, and only the library takes it for something else.
func (e *libError) full() bool {
	return e.primary() == lib.SQLITE_FULL || e.code == lib.SQLITE_IOERR_WRITE && e.noRoom()
}

func (e *libError) noRoom() bool {
	return e.errno == int(syscall.ENOSPC) || e.errno == int(syscall.EDQUOT)
}

// conflict tells a row that is there already from one that is not well formed.
func conflict(e *libError) error {
	switch e.code {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return engine.ErrConflict
	}
	return fmt.Errorf("%w: %w", engine.ErrNotCommitted, e)
}

// fail stops the store for good. s.mu is held.
func (s *Store) fail(err error) error {
	b := &brokenError{err}
	s.broken.Store(b)
	s.cfg.Fatal(b)
	return b
}
