// Package pgkeys keeps idempotency keys in the caller's own PostgreSQL, through pgx: a
// once.Store, a once.Lister and a once.Sweeper, and keys that join the caller's own
// transactions. Package stdkeys, below it, does the same through database/sql.
//
//	keys, err := pgkeys.New(pool, pgkeys.Config{})
//	err = keys.Migrate(ctx)
//	eng, err := once.New(keys, once.Config{Scope: tenantOf, Secret: secret})
//	order := pgkeys.Operation[Order]{Keys: keys, Operation: once.Operation[Order]{Engine: eng, Name: "order"}}
//	o, err := order.Do(ctx, key, request, func(ctx context.Context, tx pgx.Tx, a *once.Attempt) (Order, error) { … })
//
// # What is promised
//
// With an [Operation], the key, the rows that the function writes through tx (an event of
// an outbox among them), its recovery points and the answer are one commit: a crash leaves
// all of them or none, nobody sees one without the others, and there is no state in which
// it is not known what happened. It takes no round trip more than the same transaction
// without a key: the claim travels with BEGIN, and the answer with COMMIT. A COMMIT whose
// answer was lost is found out about before anybody is answered: the next claim of the key
// waits until the transaction that holds it has ended, and finds what it has left. All of
// that holds at every isolation level, and rests on the primary key alone: on no clock,
// and on nothing that a session keeps, so that PgBouncer may pool transactions.
//
// As a once.Store for what has its effect elsewhere, a write that was acknowledged is kept
// as well as the database keeps what it has committed. Leases and windows are measured by
// the database's clock.
//
// A key expires by comparison, which takes no time. What is left is the space: the answers
// of a day are in one table, which is truncated when the last of them is over.
//
// # What is not promised
//
// Durability is the database's: with synchronous_commit=off a crash takes what was
// acknowledged last, with asynchronous replication a failover does, and a retry runs
// again; so it is where somebody cancels the wait for a synchronous standby, which
// PostgreSQL reports as a success. What the function does outside of tx is not undone with
// it. A server that does not notice that a client has vanished keeps its transaction open,
// and with it the key busy, until tcp_keepalives or tcp_user_timeout end it: set them.
//
// Keys themselves, which are refused for as long as once.Config.Tombstones says, are
// deleted a piece at a time when they may be forgotten: a table whose days could be
// dropped could not have a primary key over all of them, and that is what all of this
// rests on.
//
// With PgBouncer before 1.21, which pools transactions and knows of no prepared
// statements, the pool needs QueryExecModeExec or QueryExecModeCacheDescribe.
package pgkeys

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgrows"
	"github.com/oncepay/oncepay/once"
)

// Config says where keys are, and how long a duplicate waits. All of it works as it is.
type Config struct {
	// Schema is the schema of the tables: small letters, digits and _.
	//
	// Defaults to what search_path says.
	Schema string

	// Prefix is what the tables' names begin with.
	//
	// Defaults to "once_".
	Prefix string

	// Wait is how long an Operation waits for another transaction that holds its key.
	// Then it is told that the key is busy, and a connection is given up for it.
	//
	// Defaults to 10 seconds.
	Wait time.Duration
}

// Keys is a once.Store, once.Lister and once.Sweeper in a database. Make one with [New];
// it is safe for concurrent use.
type Keys struct {
	pool   *pgxpool.Pool
	tables *pgrows.Tables
	wait   time.Duration
	turns  pgrows.Turns
}

var (
	_ once.Store   = (*Keys)(nil)
	_ once.Lister  = (*Keys)(nil)
	_ once.Sweeper = (*Keys)(nil)
)

// New makes the store of a database, which must have its tables: see [Keys.Migrate]. The
// caller goes on owning the pool. It fails if a name in cfg is none.
func New(pool *pgxpool.Pool, cfg Config) (*Keys, error) {
	tables, err := pgrows.New(pgrows.Names{Schema: cfg.Schema, Prefix: cfg.Prefix})
	if err != nil {
		return nil, fmt.Errorf("pgkeys: %w", err)
	}
	return &Keys{pool: pool, tables: tables, wait: cmp.Or(cfg.Wait, 10*time.Second)}, nil
}

// Schema is the SQL that makes the tables, for those who have a tool of their own for
// that: it may be run again. Who sweeps ([once.Engine.Keep]) owns the tables, or has
// DELETE and TRUNCATE.
func (k *Keys) Schema() string { return k.tables.Schema }

// Migrate makes the tables, if they are not there. It may be called at every start, by
// many processes at once.
func (k *Keys) Migrate(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, k.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", k.tables.Lock); err != nil {
			return err
		}
		_, err := tx.Conn().PgConn().Exec(ctx, k.tables.Schema).ReadAll()
		return err
	})
	if err != nil {
		return fmt.Errorf("pgkeys: migrate: %w", err)
	}
	return nil
}
