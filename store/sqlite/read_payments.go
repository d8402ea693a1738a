package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/pay"
)

// Payment returns a payment with its operations, nil if there is none.
func (p *pool) Payment(ctx context.Context, ref pay.Ref) (x *pay.Payment, err error) {
	err = p.read(ctx, func(c *conn) error {
		x, err = loadPayment(c, ref)
		return err
	})
	return x, wrap("payment", err)
}

const selectPaymentOf = "SELECT payment FROM operations WHERE tenant = ? AND id = ?"

// PaymentOf returns the payment that has the operation with this id, nil if
// there is none.
func (p *pool) PaymentOf(ctx context.Context, operation pay.Ref) (x *pay.Payment, err error) {
	err = p.read(ctx, func(c *conn) error {
		x, err = loadPaymentOf(c, operation)
		return err
	})
	return x, wrap("payment of an operation", err)
}

func loadPaymentOf(c *conn, operation pay.Ref) (*pay.Payment, error) {
	id, err := lookUp(c, selectPaymentOf, (*stmt).name, operation.Tenant, operation.ID)
	if err != nil || id == "" {
		return nil, err
	}
	return loadPayment(c, pay.Ref{Tenant: operation.Tenant, ID: id})
}

// Payments lists the payments of a tenant, newest first, which is the order of
// their ids. It fails with ErrBadCursor.
//
// A page reads along one index: of a reference, a status or those in doubt, the
// first of these that the filter has. It passes over what the others leave out:
// after 5,000 payments of that it ends early.
func (p *pool) Payments(ctx context.Context, tenant string, f engine.PaymentFilter, page engine.Page) (engine.List[*pay.Payment], error) {
	a := ask[*pay.Payment]{
		list: paging.List{"payments", tenant, f.Reference, fmt.Sprint(uint8(f.Status)), doubtName(f.InDoubt)}, page: page,
		match: func(x *pay.Payment) bool {
			return (f.Status == 0 || f.Status == x.Status) && (f.InDoubt == nil || *f.InDoubt == x.InDoubt)
		},
	}
	return readPage(ctx, p, a, func(c *conn, place string) (rows[*pay.Payment], error) {
		return c.payments(tenant, f, page, place)
	})
}

func doubtName(in *bool) string {
	if in == nil {
		return "any"
	}
	return fmt.Sprint(*in)
}

// Indexes are named as in the lists of transfers.
const (
	listPayments = "SELECT " + paymentColumns + ` FROM payments
		WHERE tenant = ?1 AND id < ?2 AND id >= ?3 ORDER BY id DESC`
	listOfReference = "SELECT " + paymentColumns + ` FROM payments INDEXED BY payments_by_reference
		WHERE tenant = ?1 AND reference = ?4 AND id < ?2 AND id >= ?3 ORDER BY id DESC`
	listByStatus = "SELECT " + paymentColumns + ` FROM payments INDEXED BY payments_by_status
		WHERE tenant = ?1 AND status = ?4 AND id < ?2 AND id >= ?3 ORDER BY id DESC`
	listInDoubt = "SELECT " + paymentColumns + ` FROM payments INDEXED BY payments_in_doubt
		WHERE tenant = ?1 AND in_doubt = 1 AND id < ?2 AND id >= ?3 ORDER BY id DESC`
)

// payments yields payments in the order of their ids.
func (c *conn) payments(tenant string, f engine.PaymentFilter, page engine.Page, place string) (rows[*pay.Payment], error) {
	sql := listPayments
	switch {
	case f.Reference != "":
		sql = listOfReference
	case f.Status != 0:
		sql = listByStatus
	case f.InDoubt != nil && *f.InDoubt:
		sql = listInDoubt
	}
	q, err := c.list(sql, madePayments, tenant, page, place)
	if err != nil {
		return nil, err
	}
	switch sql {
	case listOfReference:
		q.text(f.Reference)
	case listByStatus:
		q.int(int64(f.Status))
	}
	return paymentsOf(q, func(x *pay.Payment) string { return x.ID }), nil
}

// paymentsOf yields payments with their operations, and for each the place where
// its list goes on.
func paymentsOf(q *stmt, place func(*pay.Payment) string) rows[*pay.Payment] {
	return func() (r found[*pay.Payment], ok bool, err error) {
		if !q.next(&err) {
			return r, false, err
		}
		if r.item, err = q.payment(); err != nil {
			return r, false, err
		}
		r.at, r.after = r.item.CreatedAt, place(r.item)
		return r, true, nil
	}
}

// Each of these reads an index that has what is counted and nothing else.
const (
	countInDoubt = `SELECT count(*) FROM (SELECT 1 FROM payments INDEXED BY payments_doubtful WHERE in_doubt = 1 LIMIT ?)`
	countReviews = `SELECT count(*) FROM (SELECT 1 FROM payments INDEXED BY payments_in_review WHERE status = 8 LIMIT ?)`
	countRefunds = `SELECT count(*) FROM (SELECT 1 FROM operations INDEXED BY refunds_in_review
		WHERE kind = 5 AND (parked IS NOT NULL OR outcome = 4) LIMIT ?)`
)

// CountDoubts counts what is in doubt and what needs a review, each up to most.
func (p *pool) CountDoubts(ctx context.Context, most int) (d engine.Doubts, err error) {
	err = p.read(ctx, func(c *conn) error {
		for sql, n := range map[string]*int{countInDoubt: &d.Payments, countReviews: &d.Reviews, countRefunds: &d.Refunds} {
			q, err := c.stmt(sql)
			if err != nil {
				return err
			}
			for q.int(int64(most)); q.next(&err); {
				*n = int(q.columnInt(0))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return d, wrap("doubts", err)
}

const listDoubtful = "SELECT " + paymentColumns + ` FROM payments
	WHERE in_doubt = 1 AND (id, tenant) < (?1, ?2) ORDER BY id DESC, tenant DESC`

// Doubtful lists the payments of all tenants that are in doubt, newest first. It
// fails with ErrBadCursor.
func (p *pool) Doubtful(ctx context.Context, page engine.Page) (engine.List[*pay.Payment], error) {
	a := ask[*pay.Payment]{list: paging.List{"payments in doubt"}, page: page}
	return readPage(ctx, p, a, func(c *conn, place string) (rows[*pay.Payment], error) {
		id, tenant, _ := strings.Cut(cmp.Or(place, aboveAllIDs), "\x00")
		q, err := c.stmt(listDoubtful)
		if err != nil {
			return nil, err
		}
		q.text(id).text(tenant)
		return paymentsOf(q, func(x *pay.Payment) string { return x.ID + "\x00" + x.Tenant }), nil
	})
}
