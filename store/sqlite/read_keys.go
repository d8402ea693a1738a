package sqlite

import (
	"context"

	"github.com/oncepay/oncepay/once"
)

const selectKeyOnly = "SELECT " + keyColumns + `, (SELECT status FROM answers WHERE key = k.num)
	FROM keys k WHERE k.key = ? AND k.tenant = ?`

// Key returns what is known of a key, and of its answer the status alone; the zero
// Record if nothing is.
func (r *pool) Key(ctx context.Context, k once.Key) (rec once.Record, err error) {
	err = r.read(ctx, func(c *conn) error {
		rec, err = lookUp(c, selectKeyOnly, func(q *stmt) (once.Record, error) {
			status := int(q.columnInt(12))
			rec, err := q.columnRecord(status != 0)
			rec.Answer.Status = status
			return rec, err
		}, k.ID, k.Tenant)
		return err
	})
	return rec, wrap("key", err)
}
