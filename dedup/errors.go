package dedup

import (
	"errors"
	"fmt"
	"syscall"
)

// What [Open] fails with, beside [ErrDamaged].
var (
	// ErrOwned means that another process, or another Index of this one, owns the
	// directory.
	ErrOwned = errors.New("dedup: the index is owned by another process")

	// ErrNewer means that a later version of this package wrote the index.
	ErrNewer = errors.New("dedup: the index is of a later version")
)

// What an index fails with.
var (
	// ErrFull means that there is no room on the disk: nothing of the question was
	// recorded. Asked again it may be answered, once there is.
	ErrFull = errors.New("dedup: the disk is full")

	// ErrDamaged means that a file is not what was written. Questions whose answer does
	// not stand in the damaged part are answered on.
	ErrDamaged = errors.New("dedup: the index is damaged")

	// ErrBroken means that it cannot be known what is on disk, after a failed sync for
	// one. The index does nothing any more; opened again it finds out.
	ErrBroken = errors.New("dedup: the index has stopped")

	// ErrClosed means that the index was closed.
	ErrClosed = errors.New("dedup: the index is closed")

	// ErrBadID means that an id is empty or longer than [MaxID].
	ErrBadID = fmt.Errorf("dedup: an id has 1 to %d bytes", MaxID)

	// ErrTooMany means that a question has more than [MaxBatch] ids.
	ErrTooMany = fmt.Errorf("dedup: more than %d ids in one question", MaxBatch)
)

// noRoom says whether a write found no room: a quota that is used up is as good as a
// full disk.
func noRoom(err error) bool {
	return (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.As(err, new(unsynced))
}

// unsynced is what a sync failed with. Whatever it was, it is not for lack of room: what
// is on disk is not known.
type unsynced struct{ cause error }

func (e unsynced) Error() string { return e.cause.Error() }
func (e unsynced) Unwrap() error { return e.cause }

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
