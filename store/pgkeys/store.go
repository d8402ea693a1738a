package pgkeys

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
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

// Swap is once.Store's. What the database refuses because of what others do at the same
// time was certainly not written, and is tried again.
func (k *Keys) Swap(ctx context.Context, next once.Record) (seen once.Seen, err error) {
	for try := range tries {
		if seen, err = k.swap(ctx, next); !serialization(err) {
			break
		}
		pause(ctx, try)
	}
	return seen, err
}

func (k *Keys) swap(ctx context.Context, next once.Record) (once.Seen, error) {
	q, err := k.tables.Write(next)
	if err != nil {
		return once.Seen{}, fmt.Errorf("pgkeys: %w", err)
	}
	seen, err := pgrows.Scan(k.pool.QueryRow(ctx, q.SQL, q.Args...))
	if err != nil {
		return once.Seen{}, fmt.Errorf("pgkeys: write a key: %w", err)
	}
	return k.show(ctx, k.pool, next, seen)
}

// show is what a write came to.
func (k *Keys) show(ctx context.Context, a asker, next once.Record, seen pgrows.Seen) (once.Seen, error) {
	switch {
	case seen.Won:
		return once.Seen{Record: next, Won: true, At: seen.At}, nil
	case seen.Stale(next):
		return k.load(ctx, a, next.Key)
	}
	return k.whole(ctx, a, next.Key, seen)
}

// Load is once.Store's.
func (k *Keys) Load(ctx context.Context, key once.Key) (once.Seen, error) {
	return k.load(ctx, k.pool, key)
}

func (k *Keys) load(ctx context.Context, a asker, key once.Key) (once.Seen, error) {
	seen, err := pgrows.Scan(a.QueryRow(ctx, k.tables.Load, pgrows.ByKey(key)...))
	if err != nil {
		return once.Seen{}, fmt.Errorf("pgkeys: read a key: %w", err)
	}
	return k.whole(ctx, a, key, seen)
}

// whole is what was seen under a key, with its answer.
func (k *Keys) whole(ctx context.Context, a asker, key once.Key, seen pgrows.Seen) (once.Seen, error) {
	seen.Record.Key = key
	q, elsewhere := k.tables.Answer(seen)
	if !elsewhere {
		return seen.Seen, nil
	}
	err := seen.Put(a.QueryRow(ctx, q.SQL, q.Args...))
	if errors.Is(err, pgx.ErrNoRows) {
		seen.Over()
	} else if err != nil {
		return once.Seen{}, fmt.Errorf("pgkeys: read an answer: %w", err)
	}
	return seen.Seen, nil
}

// Unfinished is once.Lister's. Keys are in the order of their tenants and names.
func (k *Keys) Unfinished(ctx context.Context, after string, limit int) (found []once.Record, next string, err error) {
	from, err := parsePlace(after)
	if err != nil {
		return nil, "", err
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
		next = place(found[limit-1].Key)
	}
	return found, next, nil
}

// place is where a list goes on: behind a key.
func place(k once.Key) string {
	text, _ := json.Marshal(k) // two texts
	return base64.RawURLEncoding.EncodeToString(text)
}

// parsePlace reads what place wrote. The beginning is before every key, since no key has
// an empty name.
func parsePlace(after string) (k once.Key, err error) {
	if after == "" {
		return k, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(after)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return k, fmt.Errorf("pgkeys: list keys: %w", once.ErrCursor)
	}
	return k, nil
}

// sweepPiece is how many rows a Sweep deletes at once, of a kind: some ten milliseconds.
const sweepPiece = 2_000

// overdue is for how long what is over waits to go with its whole table.
const overdue = 24 * time.Hour

// Sweep is once.Sweeper's.
func (k *Keys) Sweep(ctx context.Context, now time.Time) (more bool, err error) {
	for _, table := range k.tables.Answers() {
		rest, err := k.sweepAnswers(ctx, table, now)
		if err != nil {
			return false, fmt.Errorf("pgkeys: sweep: %w", err)
		}
		more = more || rest
	}
	gone, err := k.pool.Exec(ctx, k.tables.Forget, now, sweepPiece)
	if err != nil {
		return false, fmt.Errorf("pgkeys: sweep: %w", err)
	}
	return more || gone.RowsAffected() == sweepPiece, nil
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
	gone, err := k.pool.Exec(ctx, table.Delete, now.Add(-overdue), sweepPiece)
	return gone.RowsAffected() == sweepPiece, err
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
	if sqlState(err) == lockNotAvailable {
		return nil
	}
	return err
}

// SQLSTATEs that mean something here.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
)

// sqlState is that of an error that the server has answered with, and after which it goes
// on: nothing was committed. It is empty for all others.
func sqlState(err error) string {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) && e.SeverityUnlocalized == "ERROR" {
		return e.Code
	}
	return ""
}

// serialization says that the database undid everything because of what others did at
// the same time: the same, tried again, may succeed.
func serialization(err error) bool {
	s := sqlState(err)
	return s == serializationFailure || s == deadlockDetected
}

// tries is how often the same is tried where others are in its way, or where it is not
// known what came of it: each was undone as a whole.
const tries = 8

// pause is a little longer at random with every try, so that those who met do not meet
// again.
func pause(ctx context.Context, try int) {
	t := time.NewTimer(rand.N(time.Millisecond << try))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
