package sqlite

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

var _ engine.Upkeep = (*Store)(nil)

const selectDue = `SELECT tenant, id FROM transfers
	WHERE status = 1 /* pending */ AND expires_at IS NOT NULL AND expires_at <= ? ORDER BY expires_at, tenant, id LIMIT ?`

// DueHolds returns up to limit pending transfers that have expired; see
// [engine.Upkeep].
func (s *Store) DueHolds(ctx context.Context, now time.Time, limit int) (due []ledger.Ref, err error) {
	err = s.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectDue)
		if err != nil {
			return err
		}
		q.time(now).int(int64(limit))
		for q.next(&err) {
			due = append(due, ledger.Ref{Tenant: q.columnText(0), ID: q.columnText(1)})
		}
		return err
	})
	return due, wrap("holds that are due", err)
}

// chunk is how many rows upkeep changes at once: a commit that comes meanwhile
// waits for about a millisecond.
const chunk = 256

// CountReplays adds to the replays of keys; see [engine.Upkeep]. It writes some
// at a time: when it fails, some were counted.
func (s *Store) CountReplays(ctx context.Context, counts map[once.Key]int64) error {
	some := make([]once.Key, 0, chunk)
	left := len(counts)
	for k := range counts {
		some = append(some, k)
		if left--; left > 0 && len(some) < chunk {
			continue
		}
		if err := s.countReplays(ctx, some, counts); err != nil {
			return err
		}
		some = some[:0]
	}
	return nil
}

func (s *Store) countReplays(ctx context.Context, keys []once.Key, counts map[once.Key]int64) error {
	return s.upkeep(ctx, func(w *writer) error {
		q, err := w.c.stmt("UPDATE keys SET replays = replays + ? WHERE key = ? AND tenant = ?")
		if err != nil {
			return err
		}
		for _, k := range keys {
			if _, err := q.int(counts[k]).text(k.ID).text(k.Tenant).exec(); err != nil {
				return err
			}
		}
		return nil
	})
}

// upkeep runs fn in a transaction of its own, between commits.
func (s *Store) upkeep(ctx context.Context, fn func(*writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(fn); err != nil {
		return err
	}
	s.checkpoints.wrote(s.w.logged())
	return nil
}
