package sqlkeys

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oncepay/oncepay/once"
)

// Operation is a once.Operation whose function writes to the same database: its key,
// its rows and its answer are one commit. Nothing of it may change once it is used.
type Operation[T any] struct {
	Keys *Keys
	once.Operation[T]
}

// Do runs fn once for the key with this id, in a transaction, and returns its result,
// as often as it is called with this request. Duplicates wait for the database to let
// them write, and are then given what the first one has committed.
//
// If fn fails, nothing of it stays, and neither does the key: a retry runs. Only a
// *once.Refusal is kept, without what fn has written. A commit that fails is tried
// again from the start, fn included, if it was not made after all: what fn does must
// be done through tx, or carry a key that it derives. Do fails like
// once.Operation.Do; an ErrBusy means that an attempt outside of a transaction holds the
// key.
func (o *Operation[T]) Do(ctx context.Context, id string, request any, fn func(context.Context, *sql.Tx, *once.Attempt) (T, error)) (result T, err error) {
	for range commitTries {
		var committed bool
		if result, committed, err = o.try(ctx, id, request, fn); committed || !errors.Is(err, errCommit) {
			return result, err
		}
	}
	return result, fmt.Errorf("%w: %w", once.ErrUnavailable, err)
}

// commitTries is how often a commit may fail. What came of one that failed is found
// out by the next: its claim finds what that has left.
const commitTries = 3

var errCommit = errors.New("sqlkeys: the commit failed")

// try is Do, once.
func (o *Operation[T]) try(ctx context.Context, id string, request any, fn func(context.Context, *sql.Tx, *once.Attempt) (T, error)) (result T, committed bool, err error) {
	tx, err := o.Keys.db.BeginTx(ctx, nil)
	if err != nil {
		return result, false, fmt.Errorf("%w: begin: %w", once.ErrUnavailable, err)
	}
	defer tx.Rollback() // of what is committed it is none
	inner := o.Operation
	inner.Engine = o.Engine.Within(joined{o.Keys, tx})
	ran := false
	result, err = inner.Do(ctx, id, request, func(ctx context.Context, a *once.Attempt) (T, error) {
		ran = true
		return inPart(ctx, tx, func() (T, error) { return fn(ctx, tx, a) })
	})
	if !ran || err != nil && !errors.As(err, new(*once.Refusal)) {
		return result, false, err
	}
	if e := tx.Commit(); e != nil {
		return result, false, fmt.Errorf("%w: %w", errCommit, e)
	}
	inner.Engine.Tell(ctx)
	return result, true, err
}

// inPart runs fn in a part of the transaction, which is undone if it fails: a refusal
// is kept without what was written before it.
func inPart[T any](ctx context.Context, tx *sql.Tx, fn func() (T, error)) (result T, err error) {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT once_work"); err != nil {
		return result, fmt.Errorf("sqlkeys: %w", err)
	}
	if result, err = fn(); err == nil {
		_, err = tx.ExecContext(ctx, "RELEASE once_work")
		return result, err
	}
	if _, e := tx.ExecContext(context.WithoutCancel(ctx), "ROLLBACK TO once_work"); e != nil {
		return result, fmt.Errorf("sqlkeys: undo the operation: %w (it failed with %w)", e, plain{err})
	}
	return result, err
}

// plain is an error that is none of the engine's any more: what could not be undone
// cannot be kept as a refusal.
type plain struct{ err error }

func (p plain) Error() string { return p.err.Error() }

// joined is a view of the keys in a transaction: a once.Store.
type joined struct {
	keys *Keys
	tx   *sql.Tx
}

func (j joined) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	return j.keys.swap(ctx, j.tx, next)
}

func (j joined) Load(ctx context.Context, key once.Key) (once.Seen, error) {
	return j.keys.load(ctx, j.tx, key)
}
