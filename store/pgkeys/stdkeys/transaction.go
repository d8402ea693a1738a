package stdkeys

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/internal/pgrows"
	"github.com/oncepay/oncepay/once"
)

// transaction is a view of the keys in a transaction: a once.Store. One that commits is
// over with the answer; another is a part of the caller's, behind a savepoint.
type transaction struct {
	keys    *Keys
	caller  context.Context // nothing is committed after it has ended
	commits bool

	tx        *sql.Tx
	cancel    context.CancelFunc // of one that commits: gives up what takes no context
	version   int64              // of the record as it is in the transaction
	claimed   int64              // what that was when the function began
	working   bool               // the function has begun
	completed bool               // the answer is written, and is committed by one that commits
	lost      bool               // the connection is, and with it whatever was asked last
	busy      bool               // somebody else held the key for too long
}

// begin begins a transaction that commits. It does not end with the caller's context, as
// those of database/sql do: a COMMIT that was sent would be given up with that, and a
// connection with every ROLLBACK.
func (t *transaction) begin(options *sql.TxOptions) (err error) {
	var ctx context.Context
	ctx, t.cancel = context.WithCancel(context.WithoutCancel(t.caller))
	stop := context.AfterFunc(t.caller, t.cancel)
	t.tx, err = t.keys.db.BeginTx(ctx, options)
	if !stop() {
		return t.caller.Err()
	}
	t.note(ctx, err)
	return err
}

// Swap is once.Store's. A claim is followed by a savepoint, the answer by COMMIT. An
// attempt that ends in any other way is undone with the transaction: its end need not be
// written.
func (t *transaction) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	switch {
	case next.State == once.Done:
		return t.complete(ctx, next)
	case next.State != once.Claimed:
		return once.Seen{Record: next, Won: true, At: time.Now()}, nil
	case t.working:
		return t.write(ctx, next)
	}
	return t.claim(ctx, next)
}

// claim may have to wait for another transaction. One that joins waits as the caller's
// does.
func (t *transaction) claim(ctx context.Context, next once.Record) (once.Seen, error) {
	if t.commits {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.keys.wait)
		defer cancel()
	}
	seen, err := t.write(ctx, next)
	if err == nil && seen.Won {
		err = t.exec(ctx, "SAVEPOINT once_work")
	}
	return seen, err
}

func (t *transaction) write(ctx context.Context, next once.Record) (once.Seen, error) {
	q, err := t.keys.tables.Write(next)
	if err != nil {
		return once.Seen{}, err
	}
	seen, err := t.ask(ctx, q)
	if err != nil {
		return once.Seen{}, err
	}
	if seen.Won {
		t.version = next.Version
	}
	return t.keys.tables.Show(ctx, asking(t.tx), next, seen)
}

// complete writes the answer over what the transaction holds, and commits. A transaction
// that has failed comes to no COMMIT: the answer fails in it.
func (t *transaction) complete(ctx context.Context, next once.Record) (once.Seen, error) {
	if err := t.caller.Err(); err != nil {
		return once.Seen{}, err
	}
	q, err := t.keys.tables.Complete(next, t.version)
	if err != nil {
		return once.Seen{}, err
	}
	seen, err := t.ask(ctx, q)
	if err == nil {
		err = t.commit(ctx)
	}
	t.completed = err == nil
	return once.Seen{Record: next, Won: err == nil, At: seen.At}, err
}

// commit is given up when ctx ends, which outlives the caller's.
func (t *transaction) commit(ctx context.Context) error {
	if !t.commits {
		return t.exec(ctx, "RELEASE SAVEPOINT once_part")
	}
	if err := t.caller.Err(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, t.cancel)()
	err := t.tx.Commit()
	t.note(ctx, err)
	return err
}

// Load is once.Store's.
func (t *transaction) Load(ctx context.Context, key once.Key) (once.Seen, error) {
	return t.keys.tables.Read(ctx, asking(t.tx), key)
}

func (t *transaction) ask(ctx context.Context, q pgrows.Query) (pgrows.Seen, error) {
	seen, err := pgrows.Scan(t.tx.QueryRowContext(ctx, q.SQL, q.Args...))
	t.note(ctx, err)
	if t.working && errors.Is(err, sql.ErrTxDone) {
		err = ErrEnded
	}
	return seen, err
}

func (t *transaction) exec(ctx context.Context, statement string) error {
	_, err := t.tx.ExecContext(ctx, statement)
	t.note(ctx, err)
	return err
}

// queryCanceled is the SQLSTATE of what was given up: some drivers ask the server to when
// a context ends, others leave it with their connection.
const queryCanceled = "57014"

// note notes what an error means for the transaction.
func (t *transaction) note(ctx context.Context, err error) {
	state := sqlState(err)
	gaveUp := err != nil && (state == "" || state == queryCanceled) && ctx.Err() != nil
	t.busy = state == pgrows.LockNotAvailable || gaveUp && !t.working && t.caller.Err() == nil
	t.lost = err != nil && state == "" && !t.busy && !errors.Is(err, sql.ErrTxDone)
}

// again says whether the operation is to be tried again: everything was undone because of
// others, or it is not known whether it was, which the next claim finds out.
func (t *transaction) again(err error) bool {
	return err != nil && !t.completed && t.caller.Err() == nil && (t.lost || pgrows.Undone(sqlState(err)))
}

// explained is an error of the engine's as it is told to the caller.
func (t *transaction) explained(err error) error {
	if err != nil && t.busy {
		return fmt.Errorf("%w (%v)", pgrows.Busy(), err)
	}
	return err
}

// undo takes back what the function has written, its recovery points with it.
func (t *transaction) undo(ctx context.Context) error {
	_, err := t.tx.ExecContext(context.WithoutCancel(ctx), "ROLLBACK TO SAVEPOINT once_work")
	t.version = t.claimed
	return err
}

// rollbackTime is how long the end of a transaction that comes to nothing may take: its
// connection is given up after that, and the server finds out by itself.
const rollbackTime = 5 * time.Second

// end undoes what is not committed, also when the function panics.
func (t *transaction) end() {
	defer t.cancel()
	if t.tx == nil {
		return
	}
	defer time.AfterFunc(rollbackTime, t.cancel).Stop()
	t.tx.Rollback() // if it fails, the connection is closed
}

// leave undoes a part of the caller's transaction that is not finished, also when the
// function panics.
func (t *transaction) leave() {
	if t.completed {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.caller), rollbackTime)
	defer cancel()
	if _, err := t.tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT once_part"); err == nil {
		t.tx.ExecContext(ctx, "RELEASE SAVEPOINT once_part") // the caller's next statement tells of what is wrong
	}
}
