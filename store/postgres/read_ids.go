package postgres

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/internal/id"
)

// made is a table whose ids grow with the time at which its rows were made.
type made struct {
	prefix string // of its ids
	first  string // selects when the first row of a tenant from an id on was made
}

var (
	madeTransfers = made{"tr_", "SELECT created_at FROM transfers WHERE tenant = $1 AND id >= $2 ORDER BY id LIMIT 1"}
	madePayments  = made{"pay_", "SELECT created_at FROM payments WHERE tenant = $1 AND id >= $2 ORDER BY id LIMIT 1"}
)

const aboveAllIDs = "\U0010FFFF"

// idsAfter is an id that no row made after a time is below: the time in an id is never
// behind the clock that made it.
func (m made) idsAfter(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return id.First(m.prefix, t)
}

// idsBelow is an id that every row of a page is below, which goes on at a place and has what
// was made before a time.
func (p *pool) idsBelow(ctx context.Context, m made, tenant string, before time.Time, place string) (string, error) {
	if place != "" {
		return place, nil
	}
	return p.idsBefore(ctx, m, tenant, before)
}

// idsBefore is an id that every row made before a time is below, and few others. The time in
// an id can be ahead of the clock, see [id.Source.New], so it is looked whether there is any
// that is.
func (p *pool) idsBefore(ctx context.Context, m made, tenant string, t time.Time) (string, error) {
	if t.IsZero() {
		return aboveAllIDs, nil
	}
	for _, ahead := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		below := id.First(m.prefix, t.Add(ahead))
		first, ok, err := queryOne(ctx, p, m.first, []any{writeText(tenant), below}, (*row).time)
		if err != nil || !ok || !first.Before(t) {
			return below, err
		}
	}
	return aboveAllIDs, nil
}
