package stdkeys

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oncepay/oncepay/internal/pgrows"
	"github.com/oncepay/oncepay/once"
)

// asker is a database, or a transaction.
type asker interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// asking is how pgrows asks it.
func asking(a asker) pgrows.Asker {
	return func(ctx context.Context, query string, args ...any) pgrows.Row {
		return a.QueryRowContext(ctx, query, args...)
	}
}

// Swap is once.Store's. What the database refuses because of what others do at the same
// time was certainly not written, and is tried again.
func (k *Keys) Swap(ctx context.Context, next once.Record) (seen once.Seen, err error) {
	for try := range pgrows.Tries {
		if seen, err = k.tables.Swap(ctx, asking(k.db), next); !pgrows.Undone(sqlState(err)) {
			break
		}
		pgrows.Pause(ctx, try)
	}
	return seen, named(err)
}

// Load is once.Store's.
func (k *Keys) Load(ctx context.Context, key once.Key) (once.Seen, error) {
	seen, err := k.tables.Read(ctx, asking(k.db), key)
	return seen, named(err)
}

// Unfinished is once.Lister's. Keys are in the order of their tenants and names.
func (k *Keys) Unfinished(ctx context.Context, after string, limit int) (found []once.Record, next string, err error) {
	from, err := pgrows.ParsePlace(after)
	if err == nil {
		found, err = k.list(ctx, from, limit)
	}
	if err != nil {
		return nil, "", fmt.Errorf("stdkeys: list keys: %w", err)
	}
	if len(found) == limit && limit > 0 {
		next = pgrows.Place(found[limit-1].Key)
	}
	return found, next, nil
}

func (k *Keys) list(ctx context.Context, from once.Key, limit int) (found []once.Record, err error) {
	rows, err := k.db.QueryContext(ctx, k.tables.Unfinished, append(pgrows.ByKey(from), limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		seen, err := pgrows.Scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, seen.Record)
	}
	return found, rows.Err()
}

// Sweep is once.Sweeper's.
func (k *Keys) Sweep(ctx context.Context, now time.Time) (more bool, err error) {
	for _, table := range k.tables.Answers() {
		rest, err := k.sweepAnswers(ctx, table, now)
		if err != nil {
			return false, fmt.Errorf("stdkeys: sweep: %w", err)
		}
		more = more || rest
	}
	rest, err := k.deletePiece(ctx, k.tables.Forget, now)
	if err != nil {
		return false, fmt.Errorf("stdkeys: sweep: %w", err)
	}
	return more || rest, nil
}

// sweepAnswers truncates a table when all in it is over. Where longer windows mix days,
// what should have gone with its day is deleted.
func (k *Keys) sweepAnswers(ctx context.Context, table pgrows.Answers, now time.Time) (more bool, err error) {
	var over, others bool
	if err := k.db.QueryRowContext(ctx, table.Over, now).Scan(&over, &others); err != nil || !over {
		return false, err
	}
	if !others {
		return false, k.truncate(ctx, table, now)
	}
	return k.deletePiece(ctx, table.Delete, now.Add(-pgrows.Overdue))
}

func (k *Keys) deletePiece(ctx context.Context, statement string, now time.Time) (more bool, err error) {
	result, err := k.db.ExecContext(ctx, statement, now, pgrows.Piece)
	if err != nil {
		return false, err
	}
	gone, err := result.RowsAffected()
	return gone == pgrows.Piece, err
}

// truncate empties a table if all in it is over still, now that nobody else is at it. It
// waits for nobody, since others would wait behind it: the next Sweep comes again.
func (k *Keys) truncate(ctx context.Context, table pgrows.Answers, now time.Time) error {
	err := k.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, table.Lock); err != nil {
			return err
		}
		var over, others bool
		if err := tx.QueryRowContext(ctx, table.Over, now).Scan(&over, &others); err != nil || others {
			return err
		}
		_, err := tx.ExecContext(ctx, table.Truncate)
		return err
	})
	if sqlState(err) == pgrows.LockNotAvailable {
		return nil
	}
	return err
}

// sqlState is that of an error that the server has answered with, and after which it goes
// on: nothing was committed. It is empty for all others, among them the states with which
// a server ends a session: class 08, that of shutdowns, and those of sessions and
// transactions that took too long. Drivers show no severity that would tell.
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if !errors.As(err, &e) {
		return ""
	}
	state := e.SQLState()
	if strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57P") || state == "25P03" || state == "25P04" {
		return ""
	}
	return state
}

// named is an error, if it is one, as it is told outside.
func named(err error) error {
	if err != nil {
		err = fmt.Errorf("stdkeys: %w", err)
	}
	return err
}
