// Package stdkeys is pgkeys for those who use database/sql: it keeps idempotency keys in
// the caller's own PostgreSQL, with whatever driver the caller has. It is a once.Store, a
// once.Lister and a once.Sweeper, and its keys join the caller's own transactions.
//
//	keys, err := stdkeys.New(db, stdkeys.Config{})
//	err = keys.Migrate(ctx)
//	eng, err := once.New(keys, once.Config{Scope: tenantOf, Secret: secret})
//	order := stdkeys.Operation[Order]{Keys: keys, Operation: once.Operation[Order]{Engine: eng, Name: "order"}}
//	o, err := order.Do(ctx, key, request, func(ctx context.Context, tx *sql.Tx, a *once.Attempt) (Order, error) { … })
//
// # What is promised
//
// With an [Operation], the key, the rows that the function writes through tx (an event of
// an outbox among them), its recovery points and the answer are one commit: a crash leaves
// all of them or none, nobody sees one without the others, and there is no state in which
// it is not known what happened. A COMMIT whose answer was lost is found out about before
// anybody is answered: the next claim of the key waits until the transaction that holds it
// has ended, and finds what it has left. All of that holds at every isolation level, and
// rests on the primary key alone: on no clock, and on nothing that a session keeps.
//
// The tables are those of pgkeys: services that use it, and those that use this package,
// share keys.
//
// As a once.Store for what has its effect elsewhere, a write that was acknowledged is kept
// as well as the database keeps what it has committed. Leases and windows are measured by
// the database's clock.
//
// Of the driver it is asked that it takes $1 for a parameter, that its transactions end
// with the context that they were begun with, and that the errors that a server answers
// with have a method SQLState, as those of pgx/stdlib and lib/pq do. With errors that
// have none, all that fails in the statements of this package is tried again like what was
// lost, also where that is in vain.
//
// # What is not promised
//
// Round trips: database/sql has no pipeline. The claim, its savepoint and the answer are
// sent one by one, so that a transaction with a key takes three round trips more than
// without, and two more still with a driver like lib/pq, which prepares a statement with
// parameters each time. Through pgx, pgkeys takes none.
//
// A *sql.Tx cannot be lent without what ends it. A function that commits its transaction
// itself has committed its rows without an answer: it is told [ErrEnded], nothing runs
// again by itself, and when its lease is over the key goes the way of its
// once.Operation.Vanished, like that of a process that died.
//
// Durability is the database's: with synchronous_commit=off a crash takes what was
// acknowledged last, with asynchronous replication a failover does, and a retry runs
// again; so it is where somebody cancels the wait for a synchronous standby, which
// PostgreSQL reports as a success. What the function does outside of tx is not undone with
// it. A server that does not notice that a client has vanished keeps its transaction open,
// and with it the key busy, until tcp_keepalives or tcp_user_timeout end it: set them.
//
// Whether PgBouncer may pool transactions is the driver's matter: it must not name
// prepared statements that PgBouncer does not know of.
package stdkeys

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

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
	// Then it is told that the key is busy, and a connection may be given up for it.
	//
	// Defaults to 10 seconds.
	Wait time.Duration
}

// Keys is a once.Store, once.Lister and once.Sweeper in a database. Make one with [New];
// it is safe for concurrent use.
type Keys struct {
	db     *sql.DB
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
// caller goes on owning db. It fails if a name in cfg is none.
func New(db *sql.DB, cfg Config) (*Keys, error) {
	tables, err := pgrows.New(pgrows.Names{Schema: cfg.Schema, Prefix: cfg.Prefix})
	if err != nil {
		return nil, named(err)
	}
	return &Keys{db: db, tables: tables, wait: cmp.Or(cfg.Wait, 10*time.Second)}, nil
}

// Schema is the SQL that makes the tables, for those who have a tool of their own for
// that: it may be run again. Who sweeps ([once.Engine.Keep]) owns the tables, or has
// DELETE and TRUNCATE.
func (k *Keys) Schema() string { return k.tables.Schema }

// Migrate makes the tables, if they are not there. It may be called at every start, by
// many processes at once.
func (k *Keys) Migrate(ctx context.Context) error {
	if err := k.inTx(ctx, k.makeTables); err != nil {
		return fmt.Errorf("stdkeys: migrate: %w", err)
	}
	return nil
}

func (k *Keys) makeTables(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", k.tables.Lock); err != nil {
		return err
	}
	for statement := range strings.SplitSeq(k.tables.Schema, ";\n") { // no driver need take several at once
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// inTx runs do in a transaction at READ COMMITTED: what it looks at is what is there when
// it has a lock.
func (k *Keys) inTx(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	tx, err := k.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback() // of what is committed it is none
	if err := do(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}
