package once

import (
	"context"
	"errors"
	"time"
)

// Store keeps one Record for each Key. Its methods are safe for concurrent use,
// also by many processes; contract.TestStore holds every implementation to this.
//
// A store decides nothing: it compares versions. So all of them agree on what a
// key means, and the two methods are a round trip each.
type Store interface {
	// Swap writes next if the record under its key is at next.Version-1, where an
	// absent one is at 0, and shows what is under the key then: next if it won, and
	// what it has lost to otherwise. To lose is no error. After an error it is not
	// known whether next was written.
	Swap(ctx context.Context, next Record) (Seen, error)

	// Load shows what is under a key: the zero Record, but for its Key, if nothing
	// is. It shows what was written last: never an older record.
	Load(ctx context.Context, key Key) (Seen, error)
}

// Seen is what a store shows.
type Seen struct {
	Record Record    // the caller may keep it, and changes nothing that it shares
	Won    bool      // of a Swap: it was written
	At     time.Time // the store's time: what leases and windows are measured by
}

// Lister is a Store that can be looked through by those who operate it.
type Lister interface {
	// Unfinished returns up to limit records, those that are Unknown and those that
	// are Claimed, of every tenant, in an order of the store's own, and where to go
	// on: "" at the end. It may return fewer than there are, and go on. What changes
	// meanwhile may be missed or shown. If after is no such place it may fail with an
	// ErrCursor.
	Unfinished(ctx context.Context, after string, limit int) (found []Record, next string, err error)
}

// Sweeper is a Store that does not forget by itself.
type Sweeper interface {
	// Sweep drops answers whose window was over at now, and keys that may be
	// forgotten then. It does a bounded piece of work, and says whether there is more.
	// Nothing that is unfinished is dropped.
	Sweep(ctx context.Context, now time.Time) (more bool, err error)
}

// ErrCursor means that a list does not go on there: that is no place which the store, as
// it is now, has named.
var ErrCursor = errors.New("once: no list goes on there")

// ErrTooLarge means that a store cannot keep a record as large as that. It
// certainly did not.
var ErrTooLarge = errors.New("once: the record is larger than the store keeps")
