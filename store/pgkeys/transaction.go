package pgkeys

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgrows"
	"github.com/oncepay/oncepay/once"
)

// transaction is a view of the keys in a transaction: a once.Store. One that commits is
// begun by what is asked first, and is over with the answer.
type transaction struct {
	keys    *Keys
	caller  context.Context // nothing is committed after it has ended
	options pgx.TxOptions
	commits bool

	conn      *pgxpool.Conn // of one that commits
	tx        pgx.Tx        // nil before it is begun
	version   int64         // of the record as it is in the transaction
	claimed   int64         // what that was when the function began
	working   bool          // the function has begun
	completed bool          // the answer is written
	committed bool          // and that is certain
	lost      bool          // the connection is, and with it whatever was asked last
	busy      bool          // somebody else held the key for too long
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
	ctx, cancel := t.patience(ctx)
	defer cancel()
	return t.write(ctx, next, "SAVEPOINT once_work")
}

// patience is a context for a claim, which may have to wait for another transaction.
func (t *transaction) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if !t.commits {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.keys.wait)
}

func (t *transaction) write(ctx context.Context, next once.Record, then ...string) (once.Seen, error) {
	q, err := t.keys.tables.Write(next)
	if err != nil {
		return once.Seen{}, err
	}
	seen, err := t.ask(ctx, q, then...)
	if err != nil {
		return once.Seen{}, err
	}
	if seen.Won {
		t.version = next.Version
	}
	return t.keys.tables.Show(ctx, asking(t.tx), next, seen)
}

// complete writes the answer over what the transaction holds, and commits.
func (t *transaction) complete(ctx context.Context, next once.Record) (once.Seen, error) {
	if err := t.caller.Err(); err != nil {
		return once.Seen{}, err
	}
	q, err := t.keys.tables.Complete(next, t.version)
	if err != nil {
		return once.Seen{}, err
	}
	var then []string
	if t.commits {
		then = append(then, "COMMIT")
	}
	seen, err := t.ask(ctx, q, then...)
	t.completed = err == nil
	t.committed = t.completed && t.commits
	return once.Seen{Record: next, Won: err == nil, At: seen.At}, err
}

// Load is once.Store's.
func (t *transaction) Load(ctx context.Context, key once.Key) (once.Seen, error) {
	if t.tx != nil {
		return t.keys.tables.Read(ctx, asking(t.tx), key)
	}
	seen, err := t.ask(ctx, pgrows.Query{SQL: t.keys.tables.Load, Args: pgrows.ByKey(key)})
	if err != nil {
		return once.Seen{}, err
	}
	return t.keys.tables.Whole(ctx, asking(t.tx), key, seen)
}

// ask sends a query, and what follows it, in one round trip. The first one begins the
// transaction.
func (t *transaction) ask(ctx context.Context, q pgrows.Query, then ...string) (seen pgrows.Seen, err error) {
	b := &pgx.Batch{}
	if t.tx == nil {
		if t.conn, err = t.keys.pool.Acquire(t.caller); err != nil {
			return seen, err
		}
		b.BeginTx(t.options)
	}
	b.Queue(q.SQL, q.Args...).QueryRow(func(row pgx.Row) (err error) {
		seen, err = pgrows.Scan(row)
		return err
	})
	for _, sql := range then {
		b.Queue(sql)
	}
	err = t.send(ctx, b)
	t.note(ctx, err)
	return seen, err
}

func (t *transaction) send(ctx context.Context, b *pgx.Batch) error {
	if t.tx != nil {
		return t.tx.SendBatch(ctx, b).Close()
	}
	answers := t.conn.SendBatch(ctx, b)
	t.tx = answers.Tx()
	return answers.Close()
}

// note notes what an error means for the transaction.
func (t *transaction) note(ctx context.Context, err error) {
	state := sqlState(err)
	t.busy = state == pgrows.LockNotAvailable || err != nil && state == "" && !t.working && ctx.Err() != nil && t.caller.Err() == nil
	t.lost = err != nil && state == "" && !t.busy
}

// again says whether the operation is to be tried again: everything was undone because of
// others, or it is not known whether it was, which the next claim finds out.
func (t *transaction) again(err error) bool {
	return err != nil && !t.committed && t.caller.Err() == nil && (t.lost || serialization(err))
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
	_, err := t.tx.Exec(context.WithoutCancel(ctx), "ROLLBACK TO once_work")
	t.version = t.claimed
	return err
}

// rollbackTime is how long the end of a transaction that comes to nothing may take: its
// connection is given up after that, and the server finds out by itself.
const rollbackTime = 5 * time.Second

// end undoes what is not finished, also when the function panics.
func (t *transaction) end() {
	if t.tx != nil && !t.completed {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.caller), rollbackTime)
		defer cancel()
		t.tx.Rollback(ctx) // if it fails, the connection is closed
	}
	if t.conn != nil {
		t.conn.Release()
	}
}
