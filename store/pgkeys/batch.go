package pgkeys

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/once"
)

// MaxBatch is how many keys a batch has at most: its transaction holds all of them, and
// everybody who wants one waits for it.
const MaxBatch = 1000

// DoAll runs fn once for all of these keys that nothing is known of, in one transaction
// with their marks: one statement more for all of them together, which travels with BEGIN. fn is
// given which they are, as indexes of ids, and is not called if there are none; DoAll returns
// them once all of it is durable. requests are what Do would be given, one for each id. Of two that are the
// same key the first counts.
//
// The others are left alone: Do knows what became of them. A key that is marked has no
// answer: Do fails with once.ErrNotKept for it, having done nothing.
//
// If DoAll fails, nothing of it stays, unless it is an ErrUnavailable: then it is not known, and
// Do finds out, key by key. It is not tried again, and Config.Observe is told nothing. It waits for others
// who hold one of the keys for up to Config.Wait.
func (o *Operation[T]) DoAll(ctx context.Context, ids []string, requests []any, fn func(ctx context.Context, tx pgx.Tx, fresh []int) error) (fresh []int, err error) {
	records, err := o.marks(ctx, ids, requests)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	conn, err := o.Keys.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", once.ErrUnavailable, err)
	}
	t := &transaction{keys: o.Keys, caller: ctx, options: o.Tx, commits: true, conn: conn}
	defer t.end()
	if fresh, err = t.mark(ctx, records); err != nil || len(fresh) == 0 {
		return nil, t.explained(err)
	}
	if err := fn(ctx, lent{t.tx}, fresh); err != nil {
		return nil, err
	}
	return fresh, t.commit(ctx)
}

// marks are the records of a batch.
func (o *Operation[T]) marks(ctx context.Context, ids []string, requests []any) ([]once.Record, error) {
	if len(ids) > MaxBatch || len(ids) != len(requests) {
		return nil, fmt.Errorf("pgkeys: %d keys for %d requests are no batch: it has %d at most", len(ids), len(requests), MaxBatch)
	}
	records := make([]once.Record, len(ids))
	for i, id := range ids {
		r, err := o.Mark(ctx, id, requests[i])
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", o.Name, id, err)
		}
		records[i] = r
	}
	return records, nil
}

// mark begins the transaction, writes the marks of what nothing is known of, and says which
// they are.
func (t *transaction) mark(ctx context.Context, records []once.Record) (fresh []int, err error) {
	of := make(map[string]int, len(records))
	for i := len(records) - 1; i >= 0; i-- {
		of[records[i].Key.ID] = i
	}
	wait, cancel := t.patience(ctx)
	defer cancel()
	b := &pgx.Batch{}
	b.BeginTx(t.options)
	q := t.keys.tables.Marks(records)
	b.Queue(q.SQL, q.Args...).Query(func(rows pgx.Rows) error {
		var id string
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error { fresh = append(fresh, of[id]); return nil })
		return err
	})
	err = t.send(wait, b)
	t.note(wait, err)
	if err != nil {
		return nil, fmt.Errorf("%w: mark: %w", once.ErrUnavailable, err)
	}
	return fresh, nil
}

// commit ends the transaction of a batch. It is waited for when ctx has ended as well: who
// gives up a COMMIT does not know what it came to.
func (t *transaction) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	if err := t.tx.Commit(ctx); err != nil {
		return fmt.Errorf("%w: commit: %w", once.ErrUnavailable, err)
	}
	t.completed = true
	return nil
}
