package sqlite

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/pay"
)

const selectDueOperations = `SELECT o.tenant, o.payment, o.id, p.gateway, o.due_at
	FROM operations o JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment
	WHERE o.due_at <= ? ORDER BY o.due_at, o.tenant, o.payment, o.place LIMIT ?`

// DueOperations returns up to limit operations whose DueAt is not after now, the
// longest due first.
func (p *pool) DueOperations(ctx context.Context, now time.Time, limit int) (due []pay.Due, err error) {
	err = p.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectDueOperations)
		if err != nil {
			return err
		}
		q.time(now).int(int64(limit))
		for q.next(&err) {
			due = append(due, pay.Due{
				Ref:       pay.Ref{Tenant: q.columnText(0), ID: q.columnText(1)},
				Operation: q.columnText(2), Gateway: q.columnText(3), At: q.columnTime(4),
			})
		}
		return err
	})
	return due, wrap("operations that are due", err)
}

const selectMatchable = "SELECT " + noticeColumns + ` FROM notices
	WHERE matched = 0 AND waits_for IS NULL ORDER BY at, id`

// Matchable returns up to limit notices that were not matched and now can be,
// the oldest first, with the payment and the operation that they are about.
func (p *pool) Matchable(ctx context.Context, limit int) (notices []pay.Notice, err error) {
	err = p.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectMatchable)
		if err != nil {
			return err
		}
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
	operationNamed = `SELECT o.payment, o.id FROM operations o JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment
		WHERE o.tenant = ?1 AND o.id = ?2 AND p.gateway = ?3 AND (?4 IS NULL OR o.payment = ?4)`
	operationCharged = `SELECT o.payment, o.id FROM operations o INDEXED BY operations_at_gateway JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment
		WHERE o.tenant = ?1 AND o.gateway_id = ?2 AND p.gateway = ?3 AND (?4 IS NULL OR o.payment = ?4)
		ORDER BY o.payment, o.place LIMIT 1`
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
