package sqlite

import (
	"context"

	"github.com/oncepay/oncepay/audit"
)

var _ audit.Structured = (*Reader)(nil)

// Structure yields what SQLite itself finds wrong: pages, rows and, above all,
// indexes. A key that its index has lost would be taken for a new one, and no
// comparison of rows sees that.
func (r *Reader) Structure(ctx context.Context, yield func(string) error) error {
	return each(ctx, r, "structure", "PRAGMA integrity_check(100)", func(q *stmt) error {
		if found := q.columnText(0); found != "ok" {
			return yield(found)
		}
		return nil
	})
}
