package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

var _ engine.Upkeep = (*Store)(nil)

const selectDue = `SELECT tenant, id FROM transfers
	WHERE status = 1 /* pending */ AND expires_at IS NOT NULL AND expires_at <= $1 ORDER BY expires_at, tenant, id LIMIT $2`

// DueHolds returns up to limit pending transfers that have expired; see [engine.Upkeep].
func (s *Store) DueHolds(ctx context.Context, now time.Time, limit int) (due []ledger.Ref, err error) {
	err = s.query(ctx, selectDue, []any{micros(now), limit}, func(r *row) {
		due = append(due, ledger.Ref{Tenant: r.text(), ID: r.text()})
	})
	return due, wrap("holds that are due", err)
}

// chunk is how many rows upkeep changes at once: a commit that wants one of them waits for
// some milliseconds.
const chunk = 256

// The keys are in the order in which commits lock them.
const countReplays = `UPDATE keys k SET replays = k.replays + r.n FROM unnest($1::text[], $2::text[], $3::bigint[]) r(tenant, key, n)
	WHERE k.tenant = r.tenant AND k.key = r.key`

// CountReplays adds to the replays of keys; see [engine.Upkeep]. It writes some at a time:
// when it fails, some were counted.
func (s *Store) CountReplays(ctx context.Context, counts map[once.Key]int64) error {
	keys := make([]once.Key, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b once.Key) int { return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID)) })
	for some := range slices.Chunk(keys, chunk) {
		times := make([]int64, len(some))
		for i, k := range some {
			times[i] = counts[k]
		}
		var b pgx.Batch
		b.Queue(begin)
		b.Queue(countReplays, append(names(some, keyNames), times)...)
		if err := s.desk.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("postgres: count replays: %w", hide(err))
		}
	}
	return nil
}

// Sweep drops what is over; see [engine.Upkeep]. That an answer is over is written down at
// once, for all of them: it is not given any more. Then tables go, with what is in them: a
// day's keys when all their windows are over, tombstones when all of them are forgotten. Only
// what stands elsewhere than in the table of its day goes row by row. Of several processes
// that sweep one does.
func (s *Store) Sweep(ctx context.Context, now, forget time.Time) (more bool, err error) {
	if err := makeDays(ctx, s.desk); err != nil {
		return false, fmt.Errorf("postgres: make the tables of days: %w", err)
	}
	err = tidy(ctx, s.desk, func(tx pgx.Tx) error {
		w := sweeping{ctx, tx, micros(now), micros(forget)}
		more, err = w.sweep()
		return err
	})
	if err != nil {
		return false, fmt.Errorf("postgres: sweep: %w", err)
	}
	return more, nil
}

// sweeping is one Sweep.
type sweeping struct {
	context.Context
	tx          pgx.Tx
	now, forget int64
}

// sweep does one piece of work, if there is any.
func (w sweeping) sweep() (more bool, err error) {
	for name, at := range map[string]int64{"swept": w.now, "keys_since": w.forget} {
		if _, err := w.tx.Exec(w, "UPDATE meta SET value = $2 WHERE name = $1 AND value < $2", name, at); err != nil {
			return false, err
		}
	}
	for _, piece := range []func() (bool, error){w.moveDay, w.closeDay, w.dropTombstones, w.dropKeys, w.dropNotices} {
		if more, err = piece(); more || err != nil {
			return more, err
		}
	}
	return false, nil
}

// one reads a number, if there is one.
func (w sweeping) one(sql string, args ...any) (n int64, found bool, err error) {
	err = w.tx.QueryRow(w, sql, args...).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	return n, err == nil, err
}

// closeDay closes the first day whose windows are all over.
func (w sweeping) closeDay() (bool, error) {
	rows, err := w.tx.Query(w, "SELECT day FROM key_days WHERE state = 1 AND (day + 1) * $1 <= $2 ORDER BY day", microsPerDay, w.now)
	if err != nil {
		return false, err
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, day := range days {
		_, open, err := w.one(fmt.Sprintf("SELECT 1 FROM keys_%d WHERE state IN (2, 5) AND expires_at > $1 LIMIT 1", day), w.now)
		if err != nil {
			return false, err
		}
		if !open {
			return true, closeDay(w, w.tx, day)
		}
	}
	return false, err
}

// moved is how many keys of a closed day become tombstones at once. Nobody waits for that:
// it bounds the transaction.
const moved = 5000

const moveKeys = `WITH part AS (SELECT k.* FROM closed_keys k, key_days d WHERE d.day = $1 AND k.created_at >= $1 * 86400000000 AND k.created_at < ($1 + 1) * 86400000000
		AND (k.tenant, k.key) > (d.moved_tenant, d.moved_key) ORDER BY k.tenant, k.key LIMIT $2),
	put AS (INSERT INTO tombstones SELECT key, tenant, fingerprint, operation, resource, attempt, created_at, expires_at, replays, version FROM part),
	last AS (SELECT tenant, key FROM part ORDER BY tenant DESC, key DESC LIMIT 1)
	UPDATE key_days SET moved_tenant = last.tenant, moved_key = last.key FROM last WHERE day = $1`

// moveDay makes tombstones of some keys of a closed day, and drops it when that are all.
func (w sweeping) moveDay() (bool, error) {
	day, found, err := w.one("SELECT day FROM key_days WHERE state = 2 ORDER BY day LIMIT 1")
	if err != nil || !found {
		return false, err
	}
	if err := w.makeSpan(day); err != nil {
		return false, err
	}
	tag, err := w.tx.Exec(w, moveKeys, day, moved)
	if err != nil || tag.RowsAffected() > 0 {
		return true, err
	}
	return true, dropDay(w, w.tx, day)
}

// spanDays is how many days of tombstones share a table. Each table is looked in whenever a key
// is not known, so there should be few; and what is forgotten goes so much later.
const spanDays = 100

const scriptMakeSpan = `CREATE TABLE IF NOT EXISTS tombstones_%[1]d PARTITION OF tombstones FOR VALUES FROM (%[2]d) TO (%[3]d)`

// makeSpan makes the table of a day's tombstones.
func (w sweeping) makeSpan(day int64) error {
	span := day / spanDays
	if _, there, err := w.one("SELECT 1 WHERE to_regclass($1) IS NOT NULL", fmt.Sprint("tombstones_", span)); err != nil || there {
		return err
	}
	_, err := w.tx.Exec(w, fmt.Sprintf(scriptMakeSpan, span, span*spanDays*microsPerDay, (span+1)*spanDays*microsPerDay))
	return err
}

const selectSpans = `SELECT substr(c.relname, 12)::bigint span FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'tombstones'::regclass AND c.relname ~ '^tombstones_[0-9]+$' ORDER BY span LIMIT 1`

// dropTombstones drops the oldest tombstones when all of their span are forgotten.
func (w sweeping) dropTombstones() (bool, error) {
	span, found, err := w.one(selectSpans)
	if err != nil || !found || (span+1)*spanDays*microsPerDay > w.forget {
		return false, err
	}
	_, err = w.tx.Exec(w, fmt.Sprint("DROP TABLE tombstones_", span))
	return true, err
}

const dropKeys = `DELETE FROM keys WHERE (tenant, key) IN (SELECT tenant, key FROM keys
		WHERE created_at < $1 AND (state = 5 OR state = 2 AND expires_at <= $2) LIMIT $3) AND created_at < $1`

// dropKeys drops keys that are to be forgotten and no tombstones yet: there are any in the
// rest only, unless keys are to be forgotten as soon as they are over.
func (w sweeping) dropKeys() (bool, error) {
	tag, err := w.tx.Exec(w, dropKeys, w.forget, w.now, chunk)
	return tag.RowsAffected() == chunk, err
}

const dropNotices = `DELETE FROM notices WHERE (tenant, gateway, id) IN
	(SELECT tenant, gateway, id FROM notices WHERE at < $1 ORDER BY at LIMIT $2)`

func (w sweeping) dropNotices() (bool, error) {
	tag, err := w.tx.Exec(w, dropNotices, w.now-engine.NoticesKept.Microseconds(), chunk)
	return tag.RowsAffected() == chunk, err
}
