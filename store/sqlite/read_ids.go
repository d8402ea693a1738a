package sqlite

import (
	"time"

	"github.com/oncepay/oncepay/engine"
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
		made, err := lookUp(c, m.first, func(q *stmt) (time.Time, error) { return q.columnTime(0), nil }, tenant, below)
		if err != nil || made.IsZero() || !made.Before(t) {
			return below, err
		}
	}
	return aboveAllIDs, nil
}

// list begins a list of rows of m in the order of their ids, the newest first. The
// query has the tenant, the id that all are below and the id that none is below.
func (c *conn) list(sql string, m made, tenant string, page engine.Page, place string) (*stmt, error) {
	below, err := c.idsBefore(m, tenant, page.Before)
	if err != nil {
		return nil, err
	}
	if place != "" {
		below = min(below, place)
	}
	q, err := c.stmt(sql)
	if err != nil {
		return nil, err
	}
	return q.text(tenant).text(below).text(m.idsAfter(page.After)), nil
}
