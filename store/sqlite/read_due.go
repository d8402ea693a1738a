package sqlite

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/pay"
)

const dueColumns = "tenant, payment, id, gateway, due_at"

// columnDue reads the row as it is.
func (s *stmt) columnDue() pay.Due {
	c := columns{stmt: s}
	return pay.Due{Ref: pay.Ref{Tenant: c.text(), ID: c.text()}, Operation: c.text(), Gateway: c.text(), At: c.time()}
}

const selectDueOperations = "SELECT " + dueColumns + ` FROM operations
	WHERE gateway = ? AND due_at <= ? ORDER BY due_at, tenant, payment, place LIMIT ?`

// DueOperations returns up to limit operations of a gateway whose DueAt is not
// after now, the longest due first.
func (p *pool) DueOperations(ctx context.Context, gateway string, now time.Time, limit int) (due []pay.Due, err error) {
	err = p.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectDueOperations)
		if err != nil {
			return err
		}
		q.text(gateway).time(now).int(int64(limit))
		for q.next(&err) {
			due = append(due, q.columnDue())
		}
		return err
	})
	return due, wrap("operations that are due", err)
}

// A gateway's first in the index is the one that is due first, and the first
// behind all of a gateway's is the next one's: each gateway takes one step, however
// much is due there.
const selectNextDue = "SELECT " + dueColumns + ` FROM operations
	WHERE due_at IS NOT NULL AND gateway > ? ORDER BY gateway, due_at, tenant, payment, place LIMIT 1`

// LongestDue returns of each gateway the operation that has been due longest, if
// there is one whose DueAt is not after now, in the order of the gateways' names.
func (p *pool) LongestDue(ctx context.Context, now time.Time) (longest []pay.Due, err error) {
	err = p.read(ctx, func(c *conn) error {
		for gateway := ""; ; {
			first, err := lookUp(c, selectNextDue, func(q *stmt) (pay.Due, error) { return q.columnDue(), nil }, gateway)
			if err != nil || first.Gateway == "" {
				return err
			}
			if !first.At.After(now) {
				longest = append(longest, first)
			}
			gateway = first.Gateway
		}
	})
	return longest, wrap("what has been due longest", err)
}

const selectMatchable = "SELECT " + noticeColumns + ` FROM notices
	WHERE gateway = ? AND matched = 0 AND waits_for IS NULL ORDER BY at, id`

// Matchable returns up to limit notices of a gateway that were not matched and now
// can be, the oldest first, with the payment and the operation that they are about.
func (p *pool) Matchable(ctx context.Context, gateway string, limit int) (notices []pay.Notice, err error) {
	err = p.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectMatchable)
		if err != nil {
			return err
		}
		q.text(gateway)
		for len(notices) < limit && q.next(&err) {
			n := q.columnNotice()
			there, err := findOperation(c, n)
			if err != nil {
				return err
			}
			if there {
				notices = append(notices, *n)
			}
		}
		return err
	})
	return notices, wrap("notices that can be matched", err)
}

const (
	operationNamed = `SELECT payment, id FROM operations
		WHERE tenant = ?1 AND id = ?2 AND gateway = ?3 AND (?4 IS NULL OR payment = ?4)`
	operationCharged = `SELECT payment, id FROM operations INDEXED BY operations_at_gateway
		WHERE tenant = ?1 AND gateway_id = ?2 AND gateway = ?3 AND (?4 IS NULL OR payment = ?4)
		ORDER BY payment, place LIMIT 1`
)

// findOperation fills in what a notice is about, and says whether it is there:
// the operation that it names, or, where it names none, the first that the
// gateway knows by the same id.
func findOperation(c *conn, n *pay.Notice) (found bool, err error) {
	sql, id := operationNamed, n.Operation
	if id == "" {
		sql, id = operationCharged, n.GatewayID
	}
	if id == "" {
		return false, nil
	}
	q, err := c.stmt(sql)
	if err != nil {
		return false, err
	}
	q.text(n.Tenant).text(id).text(n.Gateway).textOrNull(n.Payment)
	if !q.next(&err) {
		return false, err
	}
	defer q.reset()
	n.Payment, n.Operation = q.columnText(0), q.columnText(1)
	return true, nil
}
