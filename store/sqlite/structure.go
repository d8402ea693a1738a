package sqlite

import (
	"context"

	"github.com/oncepay/oncepay/audit"
)

var _ audit.Structured = (*Reader)(nil)

// Structure yields what SQLite itself finds wrong: pages, rows and, above all,
// indexes. A key that its index has lost would be taken for a new one, and no
// comparison of rows sees that. And it yields operations whose payment is not
// there, or is at another gateway than they are found at: nobody would ever ask
// what became of them.
func (r *Reader) Structure(ctx context.Context, yield func(string) error) error {
	err := each(ctx, r, "structure", "PRAGMA integrity_check(100)", func(q *stmt) error {
		if found := q.columnText(0); found != "ok" {
			return yield(found)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return each(ctx, r, "structure", selectStrays, func(q *stmt) error { return yield(q.columnText(0)) })
}

const selectStrays = `SELECT 'the operation ' || o.id || ' of tenant ' || o.tenant || ' is one of the payment ' || o.payment ||
		coalesce(', which is at the gateway ' || p.gateway || ', not ' || o.gateway, ', which is not there')
	FROM operations o LEFT JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment
	WHERE p.gateway IS NOT o.gateway LIMIT 100`
