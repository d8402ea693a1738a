// Package sqlkeys keeps idempotency keys in the caller's own SQLite database, through
// database/sql and whatever driver the caller has: a once.Store, and keys that join the
// caller's own transactions.
//
//	keys := sqlkeys.New(db)
//	err := keys.Migrate(ctx)
//	eng, err := once.New(keys, once.Config{Scope: tenantOf, Secret: secret})
//	order := sqlkeys.Operation[Order]{Keys: keys, Operation: once.Operation[Order]{Engine: eng, Name: "order"}}
//	o, err := order.Do(ctx, key, request, func(ctx context.Context, tx *sql.Tx, a *once.Attempt) (Order, error) { … })
//
// # What is promised
//
// With an [Operation], the key, the rows that the function writes through tx, and the
// answer are one commit: a crash leaves all of them or none, nobody sees one without
// the others, and there is no state in which it is not known what happened. As a
// once.Store for what has its effect elsewhere, a write that was acknowledged is kept
// as well as the database keeps what it has committed.
//
// # What is not promised
//
// Durability is the database's: open it with journal_mode=WAL and synchronous=FULL, or
// a power cut takes what was acknowledged last, and a retry runs again. What the
// function does outside of tx is not undone with it. SQLite has one writer at a time:
// operations wait for each other (busy_timeout), however different their keys are; keep
// them short. What is over is deleted a piece at a time, since one file has no
// partitions that could be dropped.
package sqlkeys

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/once"
)

//go:embed schema.sql
var schema string

// Keys is a once.Store, once.Lister and once.Sweeper in a database. Make one with
// [New]; it is safe for concurrent use.
type Keys struct {
	db *sql.DB
	clock
}

// New makes the store of a database, which must have its tables: see [Keys.Migrate].
// The caller goes on owning db.
func New(db *sql.DB) *Keys { return &Keys{db: db} }

// Migrate makes the tables, once_keys and its indexes, if they are not there. It may be
// called at every start, by many processes.
func (k *Keys) Migrate(ctx context.Context) error {
	for statement := range strings.SplitSeq(schema, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := k.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("sqlkeys: migrate: %w", err)
		}
	}
	return nil
}

// clock is this machine's, and never runs backwards: all who have the file are on it.
type clock struct{ told atomic.Int64 } // Unix microseconds

func (c *clock) now() time.Time {
	for {
		now, told := time.Now().UnixMicro(), c.told.Load()
		if now <= told {
			return time.UnixMicro(told).UTC()
		}
		if c.told.CompareAndSwap(told, now) {
			return time.UnixMicro(now).UTC()
		}
	}
}

// querier is a database, or a transaction of one.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Swap is once.Store's.
func (k *Keys) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	return k.swap(ctx, k.db, next)
}

// Load is once.Store's.
func (k *Keys) Load(ctx context.Context, key once.Key) (once.Seen, error) {
	return k.load(ctx, k.db, key)
}

func (k *Keys) swap(ctx context.Context, q querier, next once.Record) (once.Seen, error) {
	write, args := insert, []any{}
	header, err := json.Marshal(next.Answer.Header)
	if err != nil {
		return once.Seen{}, fmt.Errorf("sqlkeys: %w", err)
	}
	args = append(args, values(&next, string(header))...)
	if next.Version != 1 {
		write, args = update, append(args, next.Version-1)
	}
	result, err := q.ExecContext(ctx, write, args...)
	if err != nil {
		return once.Seen{}, fmt.Errorf("sqlkeys: write a key: %w", err)
	}
	switch n, err := result.RowsAffected(); {
	case err != nil:
		return once.Seen{}, fmt.Errorf("sqlkeys: write a key: %w", err)
	case n == 1:
		return once.Seen{Record: next, Won: true, At: k.now()}, nil
	}
	return k.load(ctx, q, next.Key)
}

func (k *Keys) load(ctx context.Context, q querier, key once.Key) (once.Seen, error) {
	r, err := scan(q.QueryRowContext(ctx, selectOne, key.Tenant, key.ID))
	if errors.Is(err, sql.ErrNoRows) {
		r, err = once.Record{Key: key}, nil
	}
	if err != nil {
		return once.Seen{}, fmt.Errorf("sqlkeys: read a key: %w", err)
	}
	return once.Seen{Record: r, At: k.now()}, nil
}

// Unfinished is once.Lister's. Keys are in the order of their tenants and names.
func (k *Keys) Unfinished(ctx context.Context, after string, limit int) (found []once.Record, next string, err error) {
	var from [2]string
	if after != "" {
		text, err := base64.RawURLEncoding.DecodeString(after)
		if err == nil {
			err = json.Unmarshal(text, &from)
		}
		if err != nil {
			return nil, "", fmt.Errorf("sqlkeys: list keys: %w", once.ErrCursor)
		}
	}
	rows, err := k.db.QueryContext(ctx, selectUnfinished, from[0], from[0], from[1], after != "", limit)
	if err != nil {
		return nil, "", fmt.Errorf("sqlkeys: list keys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, "", fmt.Errorf("sqlkeys: list keys: %w", err)
		}
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("sqlkeys: list keys: %w", err)
	}
	if len(found) == limit && limit > 0 {
		last := found[limit-1].Key
		text, err := json.Marshal([2]string{last.Tenant, last.ID})
		if err != nil {
			return nil, "", fmt.Errorf("sqlkeys: list keys: %w", err)
		}
		next = base64.RawURLEncoding.EncodeToString(text)
	}
	return found, next, nil
}

// sweepPiece is how many keys a Sweep drops at once: a few milliseconds, for which
// nobody else writes.
const sweepPiece = 500

// Sweep is once.Sweeper's.
func (k *Keys) Sweep(ctx context.Context, now time.Time) (more bool, err error) {
	at := now.UnixMicro()
	for statement, args := range map[string][]any{bury: {at, sweepPiece}, forget: {at, at, sweepPiece}} {
		result, err := k.db.ExecContext(ctx, statement, args...)
		if err != nil {
			return false, fmt.Errorf("sqlkeys: sweep: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return false, fmt.Errorf("sqlkeys: sweep: %w", err)
		}
		more = more || n == sweepPiece
	}
	return more, nil
}
