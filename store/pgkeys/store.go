package pgkeys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/oncepay/oncepay/internal/pgrows"
	"github.com/oncepay/oncepay/once"
)

// asker is a pool, or a transaction.
type asker interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// asking is how pgrows asks it.
func asking(a asker) pgrows.Asker {
	return func(ctx context.Context, sql string, args ...any) pgrows.Row { return a.QueryRow(ctx, sql, args...) }
}

// Swap is once.Store's. What the database refuses because of what others do at the same
// time was certainly not written, and is tried again.
func (k *Keys) Swap(ctx context.Context, next once.Record) (seen once.Seen, err error) {
	for try := range pgrows.Tries {
		if seen, err = k.tables.Swap(ctx, asking(k.pool), next); !serialization(err) {
			break
		}
		pgrows.Pause(ctx, try)
	}
	return seen, named(err)
}

// Load is once.Store's.
func (k *Keys) Load(ctx context.Context, key once.Key) (once.Seen, error) {
	seen, err := k.tables.Read(ctx, asking(k.pool), key)
	return seen, named(err)
}

// named is an error, if it is one, as it is told outside.
func named(err error) error {
	if err != nil {
		err = fmt.Errorf("pgkeys: %w", err)
	}
	return err
}

// Unfinished is once.Lister's. Keys are in the order of their tenants and names.
func (k *Keys) Unfinished(ctx context.Context, after string, limit int) (found []once.Record, next string, err error) {
	from, err := pgrows.ParsePlace(after)
	if err != nil {
		return nil, "", fmt.Errorf("pgkeys: list keys: %w", err)
	}
	rows, err := k.pool.Query(ctx, k.tables.Unfinished, append(pgrows.ByKey(from), limit)...)
	if err == nil {
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (once.Record, error) {
			seen, err := pgrows.Scan(row)
			return seen.Record, err
		})
	}
	if err != nil {
		return nil, "", fmt.Errorf("pgkeys: list keys: %w", err)
	}
	if len(found) == limit && limit > 0 {
		next = pgrows.Place(found[limit-1].Key)
	}
	return found, next, nil
}

// Sweep is once.Sweeper's.
func (k *Keys) Sweep(ctx context.Context, now time.Time) (more bool, err error) {
	for _, table := range k.tables.Answers() {
		rest, err := k.sweepAnswers(ctx, table, now)
		if err != nil {
			return false, fmt.Errorf("pgkeys: sweep: %w", err)
		}
		more = more || rest
	}
	gone, err := k.pool.Exec(ctx, k.tables.Forget, now, pgrows.Piece)
	if err != nil {
		return false, fmt.Errorf("pgkeys: sweep: %w", err)
	}
	return more || gone.RowsAffected() == pgrows.Piece, nil
}

// sweepAnswers truncates a table when all in it is over. Where longer windows mix days,
// what should have gone with its day is deleted.
func (k *Keys) sweepAnswers(ctx context.Context, table pgrows.Answers, now time.Time) (more bool, err error) {
	var over, others bool
	if err := k.pool.QueryRow(ctx, table.Over, now).Scan(&over, &others); err != nil || !over {
		return false, err
	}
	if !others {
		return false, k.truncate(ctx, table, now)
	}
	gone, err := k.pool.Exec(ctx, table.Delete, now.Add(-pgrows.Overdue), pgrows.Piece)
	return gone.RowsAffected() == pgrows.Piece, err
}

// truncate empties a table if all in it is over still, now that nobody else is at it. It
// waits for nobody, since others would wait behind it: the next Sweep comes again.
func (k *Keys) truncate(ctx context.Context, table pgrows.Answers, now time.Time) error {
	err := pgx.BeginTxFunc(ctx, k.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, table.Lock); err != nil {
			return err
		}
		var over, others bool
		if err := tx.QueryRow(ctx, table.Over, now).Scan(&over, &others); err != nil || others {
			return err
		}
		_, err := tx.Exec(ctx, table.Truncate)
		return err
	})
	if sqlState(err) == pgrows.LockNotAvailable {
		return nil
	}
	return err
}

// sqlState is that of an error that the server has answered with, and after which it goes
// on: nothing was committed. It is empty for all others.
func sqlState(err error) string {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) && e.SeverityUnlocalized == "ERROR" {
		return e.Code
	}
	return ""
}

func serialization(err error) bool { return pgrows.Undone(sqlState(err)) }
