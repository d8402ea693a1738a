package pebble

import (
	"errors"
	"fmt"
)

// What Open fails with, beside [ErrDamaged] and [ErrDiskFull].
var (
	// ErrOwned means that another process, or another Store of this one, owns the
	// directory.
	ErrOwned = errors.New("pebble: the store is owned by another process")

	// ErrNewer means that a later version of this package wrote the store.
	ErrNewer = errors.New("pebble: the store is of a later version")

	// ErrForeign means that there is something else in the directory.
	ErrForeign = errors.New("pebble: the directory is no store of keys")
)

// What a store fails with.
var (
	// ErrDiskFull means that there is no room. Reads go on, and writes do when there is
	// room again. Of a Swap that was on its way it is not known whether it will be
	// written then; one that comes later is not.
	ErrDiskFull = errors.New("pebble: the disk is full")

	// ErrOverloaded means that too much waits to be written. What fails with it
	// certainly is not.
	ErrOverloaded = errors.New("pebble: too many writes wait")

	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("pebble: the store is closed")
)

// brokenError says why a store does nothing any more.
type brokenError struct{ err error }

func (e *brokenError) Error() string {
	return "pebble: the store has stopped, since it cannot be known what is on disk: " + e.err.Error()
}

func (e *brokenError) Unwrap() error { return e.err }

// panicked is an error of what Pebble panicked with, which is how it says that it
// cannot go on.
func panicked(p any) error {
	if err, is := p.(error); is {
		return fmt.Errorf("pebble panicked: %w", err)
	}
	return fmt.Errorf("pebble panicked: %v", p)
}
