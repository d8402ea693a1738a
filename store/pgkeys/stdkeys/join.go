package stdkeys

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oncepay/oncepay/internal/pgrows"
	"github.com/oncepay/oncepay/once"
)

// Operation is a once.Operation whose function writes to the same database: its key,
// its rows and its answer are one commit. Nothing of it may change once it is used.
type Operation[T any] struct {
	Keys *Keys
	once.Operation[T]

	// Tx is how Do begins its transactions.
	//
	// Defaults to the database's own, which is READ COMMITTED if nobody has set it
	// otherwise.
	Tx sql.TxOptions
}

// ErrEnded means that an operation's function has ended its transaction, which ends with
// the answer. What it has committed stays, and its key is left to its policy.
var ErrEnded = errors.New("stdkeys: the function has ended its operation's transaction")

// Do runs fn once for the key with this id, in a transaction, and returns its result,
// as often as it is called with this request. Duplicates wait for the one that runs, for
// up to Config.Wait, and are then given what it has committed.
//
// If fn fails, nothing of it stays, and neither does the key: a retry runs. Only a
// *once.Refusal is kept, without what fn has written. Where the database undid everything
// because of others (a serialization failure, a deadlock), and where the answer to COMMIT
// was lost and it was not made after all, it is tried again from the start, fn included:
// what fn does must be done through tx, or carry a key that it derives. If ctx ends before
// COMMIT is sent, nothing stays; after that it is waited for all the same, for up to
// once.Config.Finish. The transaction does not end with ctx by itself: fn passes it on
// (ExecContext, QueryContext). fn must not end the transaction.
//
// Do fails like once.Operation.Do. An ErrBusy means that the key was held by somebody else
// for all that time. After an ErrUnavailable it may not be known what happened: the same
// may be asked again, and finds it.
func (o *Operation[T]) Do(ctx context.Context, id string, request any, fn func(context.Context, *sql.Tx, *once.Attempt) (T, error)) (result T, err error) {
	tenant, err := o.Engine.Tenant(ctx)
	if err != nil {
		return result, err
	}
	done, err := o.Keys.turns.Take(ctx, once.Key{Tenant: tenant, ID: id}, o.Keys.wait)
	if err != nil {
		return result, fmt.Errorf("%s %q: %w", o.Name, id, err)
	}
	defer done()
	for try := range pgrows.Tries {
		t := &transaction{keys: o.Keys, caller: ctx, commits: true}
		if result, err = o.do(ctx, t, id, request, fn); !t.again(err) {
			break
		}
		pgrows.Pause(ctx, try)
	}
	return result, err
}

func (o *Operation[T]) do(ctx context.Context, t *transaction, id string, request any, fn func(context.Context, *sql.Tx, *once.Attempt) (T, error)) (result T, err error) {
	defer t.end()
	if err := t.begin(&o.Tx); err != nil {
		return result, fmt.Errorf("%w: begin: %w", once.ErrUnavailable, err)
	}
	inner := o.Operation
	inner.Engine = o.Engine.Within(t)
	result, err = inner.Do(ctx, id, request, work(t, fn))
	if t.completed || !t.working {
		inner.Engine.Tell(ctx)
	}
	return result, t.explained(err)
}

// Join is Do within a transaction that the caller has begun, and commits: what it returns
// is true once that is done. If it fails, nothing of it stays in tx, which can be gone on
// with unless the error is the database's; a *once.Refusal is kept, and is committed like
// a result. Config.Observe is told nothing. Where the key is held by another transaction
// it waits as long as ctx and lock_timeout let it.
func (o *Operation[T]) Join(ctx context.Context, tx *sql.Tx, id string, request any, fn func(context.Context, *sql.Tx, *once.Attempt) (T, error)) (result T, err error) {
	t := &transaction{keys: o.Keys, caller: ctx, tx: tx}
	if err := t.exec(ctx, "SAVEPOINT once_part"); err != nil {
		return result, fmt.Errorf("%w: begin: %w", once.ErrUnavailable, err)
	}
	defer t.leave()
	inner := o.Operation
	inner.Engine = o.Engine.Within(t)
	result, err = inner.Do(ctx, id, request, work(t, fn))
	return result, t.explained(err)
}

// work is fn as the engine runs it. A refusal is kept without what was written before it.
func work[T any](t *transaction, fn func(context.Context, *sql.Tx, *once.Attempt) (T, error)) func(context.Context, *once.Attempt) (T, error) {
	return func(ctx context.Context, a *once.Attempt) (T, error) {
		t.working, t.claimed = true, t.version
		result, err := fn(ctx, t.tx, a)
		if errors.As(err, new(*once.Refusal)) {
			if e := t.undo(ctx); e != nil {
				err = fmt.Errorf("stdkeys: undo the operation: %w (it failed with %w)", e, plain{err})
			}
		}
		return result, err
	}
}

// plain is an error that is none of the engine's any more: what could not be undone
// cannot be kept as a refusal.
type plain struct{ err error }

func (p plain) Error() string { return p.err.Error() }
