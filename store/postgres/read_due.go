package postgres

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/pay"
)

const dueColumns = "tenant, payment, id, gateway, due_at"

// due reads the row as it is.
func (r *row) due() pay.Due {
	return pay.Due{Ref: pay.Ref{Tenant: r.text(), ID: r.text()}, Operation: r.text(), Gateway: r.text(), At: r.time()}
}

const selectDueOperations = "SELECT " + dueColumns + ` FROM operations
	WHERE gateway = $1 AND due_at <= $2 ORDER BY gateway, due_at, tenant, payment, place LIMIT $3`

// DueOperations returns up to limit operations of a gateway whose DueAt is not after now, the
// longest due first.
func (p *pool) DueOperations(ctx context.Context, gateway string, now time.Time, limit int) (due []pay.Due, err error) {
	err = p.query(ctx, selectDueOperations, []any{writeText(gateway), micros(now), limit}, func(r *row) { due = append(due, r.due()) })
	return due, wrap("operations that are due", err)
}

// A gateway's first in the index is the one that is due first, and the first behind all of a
// gateway's is the next one's: each gateway takes one step, however much is due there.
const selectLongestDue = `WITH RECURSIVE first AS (
		(SELECT ` + dueColumns + ` FROM operations WHERE due_at IS NOT NULL ORDER BY gateway, due_at, tenant, payment, place LIMIT 1)
		UNION ALL SELECT o.* FROM first f, LATERAL (SELECT ` + dueColumns + ` FROM operations
			WHERE due_at IS NOT NULL AND gateway > f.gateway ORDER BY gateway, due_at, tenant, payment, place LIMIT 1) o)
	SELECT ` + dueColumns + ` FROM first WHERE due_at <= $1 ORDER BY gateway`

// LongestDue returns of each gateway the operation that has been due longest, if there is one
// whose DueAt is not after now, in the order of the gateways' names.
func (p *pool) LongestDue(ctx context.Context, now time.Time) (longest []pay.Due, err error) {
	err = p.query(ctx, selectLongestDue, []any{micros(now)}, func(r *row) { longest = append(longest, r.due()) })
	return longest, wrap("what has been due longest", err)
}

// The operation that a notice names, or, where it names none, the first that the gateway
// knows by the same id.
var selectMatchable = `SELECT n.tenant, n.gateway, n.id, o.payment, o.id, n.gateway_id, n.type, n.matched, n.outcome, n.amount, n.currency,
		n.failure_code, n.decline_code, n.failure_message, n.at, n.version
	FROM notices n, LATERAL (
		SELECT * FROM (SELECT payment, id, place FROM operations
			WHERE n.operation IS NOT NULL AND tenant = n.tenant AND id = n.operation AND gateway = n.gateway AND (n.payment IS NULL OR payment = n.payment)
		UNION ALL SELECT payment, id, place FROM operations
			WHERE n.operation IS NULL AND tenant = n.tenant AND gateway_id = n.gateway_id AND gateway = n.gateway AND (n.payment IS NULL OR payment = n.payment)) f
		ORDER BY payment, place LIMIT 1) o
	WHERE n.gateway = $1 AND n.matched = 0 AND n.waits_for IS NULL ORDER BY n.at, n.id LIMIT $2`

// Matchable returns up to limit notices of a gateway that were not matched and now can be,
// the oldest first, with the payment and the operation that they are about.
func (p *pool) Matchable(ctx context.Context, gateway string, limit int) (notices []pay.Notice, err error) {
	err = p.query(ctx, selectMatchable, []any{writeText(gateway), limit}, func(r *row) { notices = append(notices, *r.notice()) })
	return notices, wrap("notices that can be matched", err)
}
