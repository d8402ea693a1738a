package sqlite

import (
	"time"

	"github.com/oncepay/oncepay/internal/id"
)

// made is a table whose ids grow with the time at which its rows were made.
type made struct {
	prefix string // of its ids
	first  string // selects when the first row of a tenant from an id on was made
}

var (
	madeTransfers = made{"tr_", "SELECT created_at FROM transfers WHERE tenant = ? AND id >= ? ORDER BY id LIMIT 1"}
	madePayments  = made{"pay_", "SELECT created_at FROM payments WHERE tenant = ? AND id >= ? ORDER BY id LIMIT 1"}
)

const aboveAllIDs = "\U0010FFFF"

// idsAfter is an id that no row made after a time is below: the time in an id is
// never behind the clock that made it.
func (m made) idsAfter(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return id.First(m.prefix, t)
}

// idsBefore is an id that every row made before a time is below, and few others.
// The time in an id can be ahead of the clock, see [id.Source.New], so it is
// looked whether there is any that is.
func (c *conn) idsBefore(m made, tenant string, t time.Time) (string, error) {
	if t.IsZero() {
		return aboveAllIDs, nil
	}
	for _, ahead := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		below := id.First(m.prefix, t.Add(ahead))
		made, found, err := c.madeFrom(m, tenant, below)
		if err != nil || !found || !made.Before(t) {
			return below, err
		}
	}
	return aboveAllIDs, nil
}

// madeFrom says when the first row from an id on was made.
func (c *conn) madeFrom(m made, tenant, from string) (at time.Time, ok bool, err error) {
	q, err := c.stmt(m.first)
	if err != nil {
		return at, false, err
	}
	q.text(tenant).text(from)
	if !q.next(&err) {
		return at, false, err
	}
	defer q.reset()
	return q.columnTime(0), true, nil
}
