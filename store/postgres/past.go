package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/engine"
)

var _ engine.Lineage = (*Store)(nil)

// past is the history of the store that this process knows. Its number goes up when what
// was acknowledged may have been lost: the tables are elsewhere than they were, or the server
// has left the history that it told. A server that was promoted, or restored to a time, has
// another timeline.
type past struct {
	number   int64
	noted    int64  // when it began: copies may have counted to the same number
	origin   string // the cluster, the database and the table
	timeline int64
}

// ErrForgot means that the store was opened in another past: it must be opened anew.
var ErrForgot = errors.New("postgres: the store may have lost commits that it had reported, since this process opened it; it must be opened anew")

const (
	selectPast = "SELECT past, noted_at, origin, timeline FROM pasts ORDER BY past DESC LIMIT 1"
	selectHere = "SELECT store_origin(), store_timeline()"

	// fencePast is selected first in every transaction that decides or writes: behind a pooler
	// the server may be another from one to the next.
	fencePast = "fence_past($1, $2, $3, $4)"

	// What was lost is no later than now, but for a margin, nor than what is there.
	insertPast = `INSERT INTO pasts (past, origin, timeline, cause, noted_at, forgot)
		SELECT $1, store_origin(), store_timeline(), $2, now.micros, greatest(now.micros, (` + selectClock + `)) + $3
		FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) now(micros)`
)

// toldBy are the server's functions by which a history is told from another, and what calls
// them alone.
var toldBy = []struct{ function, call string }{
	{"pg_control_system()", "SELECT system_identifier FROM pg_control_system()"},
	{"pg_current_wal_insert_lsn()", "SELECT pg_current_wal_insert_lsn()"},
	{"pg_walfile_name(pg_lsn)", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"},
}

// checkHistory says why a server cannot hold a store by whose word none could be told from
// its own copy. Every user may call these functions, unless somebody took that away; a server
// that is only like PostgreSQL may have none, or refuse them.
func checkHistory(ctx context.Context, db *pgxpool.Pool) error {
	for _, by := range toldBy {
		_, err := db.Exec(ctx, by.call)
		const what = "by which a store that was restored is told from the one before"
		var s *ServerError
		switch hidden := hide(err); {
		case err == nil:
		case hasCode(hidden, codeDenied):
			return fmt.Errorf("this user may not call %[1]s, %[2]s: GRANT EXECUTE ON FUNCTION %[1]s TO it", by.function, what)
		case hasCode(hidden, codeNoFunction):
			return fmt.Errorf("the server has no %s, %s: it cannot hold one", by.function, what)
		case errors.As(hidden, &s) && !s.Fatal:
			return fmt.Errorf("the server does not answer %s, %s, so it cannot hold one: %w", by.function, what, s)
		default:
			return hidden
		}
	}
	return nil
}

// remember compares the history that the server tells with the one that the store is of.
// If it is another one, commits may be missing: that is noted, and is so for every process.
func (s *Store) remember(ctx context.Context) error {
	return inTransaction(ctx, s.desk, pgx.TxOptions{}, func(tx pgx.Tx) (err error) {
		if _, err := tx.Exec(ctx, "LOCK TABLE pasts IN SHARE ROW EXCLUSIVE MODE"); err != nil { // one at a time
			return err
		}
		if err := tx.QueryRow(ctx, selectPast).Scan(&s.past.number, &s.past.noted, &s.past.origin, &s.past.timeline); err != nil {
			return err
		}
		here := past{number: s.past.number}
		if err := tx.QueryRow(ctx, selectHere).Scan(&here.origin, &here.timeline); err != nil {
			return err
		}
		s.found = s.past.number
		cause := s.past.left(here)
		if cause == "" {
			return nil
		}
		s.cfg.Log.Warn("postgres: the store may have lost commits that it had reported: nothing is begun that may have been begun before", "cause", cause)
		here.number++
		s.past = here
		return tx.QueryRow(ctx, insertPast+" RETURNING noted_at", here.number, cause, engine.LossMargin.Microseconds()).Scan(&s.past.noted)
	})
}

// left says how the history that is told here is another one, "" if it is not.
func (p past) left(here past) string {
	switch {
	case p.origin != here.origin:
		return fmt.Sprintf("the store was moved: from %s to %s (cluster/database/table)", p.origin, here.origin)
	case p.timeline != here.timeline:
		return fmt.Sprintf("the server was promoted, or restored to a time: from timeline %d to %d", p.timeline, here.timeline)
	}
	return ""
}

// args are those of fencePast, by which a transaction fails that is in another past.
func (p past) args() []any { return []any{p.number, p.noted, p.origin, p.timeline} }

// forgot tells that the store was opened in another past, if that is why err is.
func (s *Store) forgot(err error) error {
	switch hidden := hide(err); {
	case hasCode(hidden, codePast):
		return s.leftBehind()
	case hasCode(hidden, codeLost):
		return s.lost()
	}
	return err
}

// leftBehind is what a store says that is of another past. It tells it once.
func (s *Store) leftBehind() error {
	s.astray.Do(func() { s.cfg.Fatal(ErrForgot) })
	return fmt.Errorf("%w: %w", engine.ErrNotCommitted, ErrForgot)
}

const causeLost = "commits that were acknowledged to a running process were gone: the server's files were put back to an earlier time"

// lost notes that commits are gone which were acknowledged to this process: no server tells
// of a copy of its files that was simply started, but who was there remembers. What cannot be
// noted is found again by the next commit.
func (s *Store) lost() error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	_, err := s.desk.Exec(ctx, insertPast+" ON CONFLICT (past) DO NOTHING", s.past.number+1, causeLost, engine.LossMargin.Microseconds())
	if err != nil {
		return fmt.Errorf("%w: postgres: note a loss: %w", engine.ErrNotCommitted, hide(err))
	}
	return s.leftBehind()
}

const selectForgot = "SELECT (SELECT coalesce(max(forgot), 0) FROM pasts WHERE ended_at IS NULL), " + fencePast

// Forgot is [engine.Lineage]'s. Who asks now and then learns of another past although
// there is nothing to load.
func (s *Store) Forgot(ctx context.Context) (until time.Time, err error) {
	var b pgx.Batch
	b.Queue(begin)
	b.Queue(selectForgot, s.past.args()...).Query(func(rows pgx.Rows) error {
		return eachRow(rows, func(r *row) { until = r.time() })
	})
	err = s.desk.SendBatch(ctx, &b).Close()
	return until, wrap("what is forgotten", s.forgot(err))
}

const selectLosses = `SELECT past, cause, noted_at, forgot, ended_at, evidence, actor FROM pasts WHERE forgot IS NOT NULL ORDER BY past DESC`

// Losses are the times at which commits may have been lost, the last one first.
func (s *Store) Losses(ctx context.Context) (losses []engine.Loss, err error) {
	rows, err := s.desk.Query(ctx, selectLosses)
	if err != nil {
		return nil, wrap("losses", err)
	}
	defer rows.Close()
	err = eachRow(rows, func(r *row) {
		losses = append(losses, engine.Loss{
			Number: r.int(), Cause: r.text(), NotedAt: r.time(), Forgot: r.time(), EndedAt: r.time(), Evidence: r.text(), Actor: r.text(),
		})
	})
	return losses, wrap("losses", err)
}

// NoteLoss notes that commits may have been lost, which somebody knows and no server
// tells. Every process that has the store open, this one too, must open it anew.
func (s *Store) NoteLoss(ctx context.Context, cause string) error {
	_, err := s.desk.Exec(ctx, insertPast, s.past.number+1, writeText(cause), engine.LossMargin.Microseconds())
	if err != nil {
		return fmt.Errorf("postgres: note a loss: %w", hide(err))
	}
	return nil
}

const endLosses = `UPDATE pasts SET ended_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, evidence = $1, actor = $2
	WHERE forgot IS NOT NULL AND ended_at IS NULL AND past <= $3`

// EndLosses ends the caution about all that was known to be lost when the store was opened:
// not about what was noticed only then, since nobody can have looked into that. It says how
// many losses that were.
func (s *Store) EndLosses(ctx context.Context, evidence, actor string) (ended int, err error) {
	tag, err := s.desk.Exec(ctx, endLosses, writeText(evidence), writeText(actor), s.found)
	if err != nil {
		return 0, fmt.Errorf("postgres: end losses: %w", hide(err))
	}
	return int(tag.RowsAffected()), nil
}
