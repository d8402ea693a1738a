package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/oncepay/oncepay/pay"
)

// View reads a store beside its owner, or offline: what a [Store] reads, each
// read as of its own moment. It is safe for concurrent use. Make one with
// [OpenView].
type View struct{ *pool }

// OpenView opens the store at path as [OpenReader] does, and fails as that does.
func OpenView(ctx context.Context, path string) (*View, error) {
	r, err := OpenReader(ctx, path) // it sees to versions
	if err != nil {
		return nil, err
	}
	secret, err := readSecret(r.c)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("sqlite: open %s to read: %w", path, err)
	}
	return &View{newPool(path, readerCache, secret)}, nil
}

// Close ends the reading.
func (v *View) Close() error { return v.pool.close() }

const selectNextTenant = "SELECT min(tenant) FROM payments WHERE tenant > ?"

// FindPayment returns the payment with this id, or that has an operation with
// it, whosever it is: for operators, never for clients. nil if there is none.
func (p *pool) FindPayment(ctx context.Context, id string) (x *pay.Payment, err error) {
	err = p.read(ctx, func(c *conn) error {
		return c.eachTenant(func(tenant string) (more bool, err error) {
			x, err = findPayment(c, pay.Ref{Tenant: tenant, ID: id})
			return x == nil, err
		})
	})
	return x, wrap("find a payment", err)
}

// Tenants returns the tenants that have payments: for operators, never for
// clients.
func (p *pool) Tenants(ctx context.Context) (all []string, err error) {
	err = p.read(ctx, func(c *conn) error {
		return c.eachTenant(func(tenant string) (more bool, err error) {
			all = append(all, tenant)
			return true, nil
		})
	})
	return all, wrap("tenants", err)
}

// eachTenant visits the tenants that have payments, a step of the index for each:
// an index of its own would cost every payment.
func (c *conn) eachTenant(visit func(tenant string) (more bool, err error)) error {
	tenant, more := "", true
	for more {
		var err error
		if tenant, err = lookUp(c, selectNextTenant, (*stmt).name, tenant); err != nil || tenant == "" {
			return err
		}
		if more, err = visit(tenant); err != nil {
			return err
		}
	}
	return nil
}

func findPayment(c *conn, ref pay.Ref) (*pay.Payment, error) {
	x, err := loadPayment(c, ref)
	if x != nil || err != nil {
		return x, err
	}
	return loadPaymentOf(c, ref)
}
