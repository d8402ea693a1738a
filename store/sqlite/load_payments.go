package sqlite

import (
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// loadPayments reads what a batch must know of payments.
func loadPayments(c *conn, need *pay.Rows, rows *engine.Rows) error {
	for _, ref := range need.Payments {
		if err := addPayment(c, ref, rows); err != nil {
			return err
		}
	}
	for _, id := range need.References {
		f, err := loadReference(c, id)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		rows.References = append(rows.References, f)
		if err := addPayment(c, pay.Ref{Tenant: f.Tenant, ID: f.Payment}, rows); err != nil {
			return err
		}
	}
	for _, id := range need.Notices {
		n, err := loadNotice(c, id)
		if err != nil {
			return err
		}
		if n != nil {
			rows.Notices = append(rows.Notices, n)
		}
	}
	return nil
}

// addPayment adds a payment to what was found, if there is one.
func addPayment(c *conn, ref pay.Ref, rows *engine.Rows) error {
	p, err := loadPayment(c, ref)
	if err == nil && p != nil {
		rows.Payments = append(rows.Payments, p)
	}
	return err
}

const selectPayment = "SELECT " + paymentColumns + " FROM payments WHERE tenant = ? AND id = ?"

// loadPayment reads a payment with its operations; nil if there is none.
func loadPayment(c *conn, ref pay.Ref) (p *pay.Payment, err error) {
	q, err := c.stmt(selectPayment)
	if err != nil {
		return nil, err
	}
	q.text(ref.Tenant).text(ref.ID)
	if !q.next(&err) {
		return nil, err
	}
	defer q.reset()
	if p, err = q.columnPayment(); err != nil {
		return nil, err
	}
	return p, c.complete(p)
}

const selectOperations = "SELECT " + operationColumns + " FROM operations WHERE tenant = ? AND payment = ? ORDER BY place"

// complete reads the operations of a payment, and says what is wrong with it.
func (c *conn) complete(p *pay.Payment) error {
	q, err := c.stmt(selectOperations)
	if err != nil {
		return err
	}
	q.text(p.Tenant).text(p.ID)
	for q.next(&err) {
		_, o := q.columnOperation()
		p.Operations = append(p.Operations, o)
	}
	if err != nil {
		return err
	}
	return p.Check()
}

const selectReference = "SELECT " + referenceColumns + " FROM payment_references WHERE tenant = ? AND reference = ?"

// loadReference reads a reference; nil if there is none.
func loadReference(c *conn, id pay.ReferenceID) (f *pay.Reference, err error) {
	q, err := c.stmt(selectReference)
	if err != nil {
		return nil, err
	}
	q.text(id.Tenant).text(id.Reference)
	if !q.next(&err) {
		return nil, err
	}
	defer q.reset()
	return new((&columns{stmt: q}).reference()), nil
}

const selectNotice = "SELECT " + noticeColumns + " FROM notices WHERE tenant = ? AND gateway = ? AND id = ?"

// loadNotice reads a notice; nil if there is none.
func loadNotice(c *conn, id pay.NoticeID) (n *pay.Notice, err error) {
	q, err := c.stmt(selectNotice)
	if err != nil {
		return nil, err
	}
	q.text(id.Tenant).text(id.Gateway).text(id.ID)
	if !q.next(&err) {
		return nil, err
	}
	defer q.reset()
	return q.columnNotice(), nil
}
