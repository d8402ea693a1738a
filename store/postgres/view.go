package postgres

import (
	"context"
	"fmt"

	"github.com/oncepay/oncepay/pay"
)

// View reads a store: what a [Store] reads, each read as of its own moment. It is safe for
// concurrent use. Make one with [OpenView].
type View struct{ *pool }

// OpenView opens the store at url as [OpenReader] does, and fails as that does.
func OpenView(ctx context.Context, url string) (*View, error) {
	p, err := openPool(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("postgres: open to read: %w", err)
	}
	if err = checkSchema(ctx, p.db); err == nil {
		_, err = p.recall(ctx)
	}
	if err != nil {
		p.db.Close()
		return nil, fmt.Errorf("postgres: open to read: %w", err)
	}
	return &View{p}, nil
}

// Close ends the reading.
func (v *View) Close() error { v.pool.db.Close(); return nil }

// selectTenants visits the tenants that have payments, a step of the index for each: an index
// of its own would cost every payment.
const selectTenants = `WITH RECURSIVE t AS (
		(SELECT tenant FROM payments ORDER BY tenant LIMIT 1)
		UNION ALL SELECT n.tenant FROM t, LATERAL (SELECT tenant FROM payments WHERE tenant > t.tenant ORDER BY tenant LIMIT 1) n)
	SELECT tenant FROM t`

// Tenants returns the tenants that have payments: for operators, never for clients.
func (p *pool) Tenants(ctx context.Context) (all []string, err error) {
	err = p.query(ctx, selectTenants, nil, func(r *row) { all = append(all, r.text()) })
	return all, wrap("tenants", err)
}

// FindPayment returns the payment with this id, or that has an operation with it, whosever it
// is: for operators, never for clients. nil if there is none.
func (p *pool) FindPayment(ctx context.Context, id string) (*pay.Payment, error) {
	tenants, err := p.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	for _, tenant := range tenants {
		ref := pay.Ref{Tenant: tenant, ID: id}
		for _, find := range []func(context.Context, pay.Ref) (*pay.Payment, error){p.Payment, p.PaymentOf} {
			if x, err := find(ctx, ref); x != nil || err != nil {
				return x, err
			}
		}
	}
	return nil, nil
}
