package sqlite

import (
	"slices"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// loadPayments reads what a batch must know of payments: those that are named, and
// those that hold a reference that is.
func loadPayments(c *conn, need *pay.Rows, rows *engine.Rows) error {
	if err := loadEach(c, need.References, loadReference, &rows.References); err != nil {
		return err
	}
	refs := slices.Clip(need.Payments)
	for _, f := range rows.References {
		refs = append(refs, pay.Ref{Tenant: f.Tenant, ID: f.Payment})
	}
	if err := loadEach(c, refs, loadPayment, &rows.Payments); err != nil {
		return err
	}
	return loadEach(c, need.Notices, loadNotice, &rows.Notices)
}

const selectPayment = "SELECT " + paymentColumns + " FROM payments WHERE tenant = ? AND id = ?"

// loadPayment reads a payment with its operations; nil if there is none.
func loadPayment(c *conn, ref pay.Ref) (*pay.Payment, error) {
	return lookUp(c, selectPayment, (*stmt).payment, ref.Tenant, ref.ID)
}

const selectReference = "SELECT " + referenceColumns + " FROM payment_references WHERE tenant = ? AND reference = ?"

// loadReference reads a reference; nil if there is none.
func loadReference(c *conn, id pay.ReferenceID) (*pay.Reference, error) {
	return lookUp(c, selectReference, func(q *stmt) (*pay.Reference, error) {
		return new((&columns{stmt: q}).reference()), nil
	}, id.Tenant, id.Reference)
}

const selectNotice = "SELECT " + noticeColumns + " FROM notices WHERE tenant = ? AND gateway = ? AND id = ?"

// loadNotice reads a notice; nil if there is none.
func loadNotice(c *conn, id pay.NoticeID) (*pay.Notice, error) {
	return lookUp(c, selectNotice, func(q *stmt) (*pay.Notice, error) {
		return q.columnNotice(), nil
	}, id.Tenant, id.Gateway, id.ID)
}
