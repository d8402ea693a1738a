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
// tells, what was written may be there.
type commitError struct{ err error }

func (e *commitError) Error() string { return e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

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
	switch e.primary() {
	case lib.SQLITE_CONSTRAINT:
		return conflict(e)
	case lib.SQLITE_FULL: // a write failed, so the last page of the commit is not in the log
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case lib.SQLITE_IOERR:
		return s.ioError(e, err)
	}
	var ending *commitError
	if errors.As(err, &ending) && e.primary() != lib.SQLITE_BUSY {
		return fmt.Errorf("sqlite: the outcome of a commit is unknown: %w", err)
	}
	return fmt.Errorf("%w: %w", engine.ErrNotCommitted, err)
}

// conflict tells a row that is there already from one that is not well formed.
func conflict(e *libError) error {
	switch e.code {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return engine.ErrConflict
	}
	return fmt.Errorf("%w: %w", engine.ErrNotCommitted, e)
}

// ioError stops the store: the log may have what was written, or a part of it,
// and the disk will not say. One case is known: the index of the log could not
// grow on a full disk. Then the commit may be in the log; whoever asks finds
// out by reading.
func (s *Store) ioError(e *libError, err error) error {
	if e.code == lib.SQLITE_IOERR_SHMSIZE && e.errno == int(syscall.ENOSPC) {
		return fmt.Errorf("sqlite: the disk is full, and the outcome of a commit is unknown: %w", err)
	}
	return s.fail(err)
}

// fail stops the store for good. s.mu is held.
func (s *Store) fail(err error) error {
	b := &brokenError{err}
	s.broken.Store(b)
	s.cfg.Fatal(b)
	return b
}
