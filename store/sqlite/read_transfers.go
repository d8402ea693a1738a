package sqlite

import (
	"context"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/ledger"
)

// Transfer returns a transfer, nil if there is none.
func (p *pool) Transfer(ctx context.Context, ref ledger.Ref) (t *ledger.Transfer, err error) {
	err = p.read(ctx, func(c *conn) error {
		t, err = loadTransfer(c, ref)
		return err
	})
	return t, wrap("transfer", err)
}

// Transfers lists the transfers of a tenant, newest first, which is the order of
// their ids. It fails with ErrBadCursor.
//
// A page of an account's transfers passes over its entries that settled or
// released a hold, and one of a reference within an account over that
// reference's other transfers: after 5,000 of them it ends early.
func (p *pool) Transfers(ctx context.Context, tenant string, f engine.TransferFilter, page engine.Page) (engine.List[*ledger.Transfer], error) {
	a := ask[*ledger.Transfer]{list: paging.List{"transfers", tenant, f.Account, f.Reference}, page: page}
	switch {
	case f.Reference != "":
		a.match = func(t *ledger.Transfer) bool { return f.Account == "" || t.From == f.Account || t.To == f.Account }
	case f.Account != "":
		a.match = func(t *ledger.Transfer) bool { return t != nil }
	}
	return readPage(ctx, p, a, func(c *conn, place string) (rows[*ledger.Transfer], error) {
		if f.Account != "" && f.Reference == "" {
			return c.transfersOf(ledger.Ref{Tenant: tenant, ID: f.Account}, page, place)
		}
		return c.transfers(tenant, f.Reference, page, place)
	})
}

// Indexes are named: SQLite takes the order of ids, which is that of the table,
// for worth more, and would read all rows of the tenant.
const (
	listTransfers = "SELECT " + transferColumns + ` FROM transfers
		WHERE tenant = ?1 AND id < ?2 AND id >= ?3 ORDER BY id DESC`
	listByReference = "SELECT " + transferColumns + ` FROM transfers INDEXED BY transfers_by_reference
		WHERE tenant = ?1 AND reference = ?4 AND id < ?2 AND id >= ?3 ORDER BY id DESC`
)

// transfers yields transfers in the order of their ids.
func (c *conn) transfers(tenant, reference string, page engine.Page, place string) (rows[*ledger.Transfer], error) {
	sql := listTransfers
	if reference != "" {
		sql = listByReference
	}
	q, err := c.list(sql, madeTransfers, tenant, page, place)
	if err != nil {
		return nil, err
	}
	if reference != "" {
		q.text(reference)
	}
	return func() (r found[*ledger.Transfer], ok bool, err error) {
		if !q.next(&err) {
			return r, false, err
		}
		if r.item, err = q.transfer(); err != nil {
			return r, false, err
		}
		r.at, r.after = r.item.CreatedAt, r.item.ID
		return r, true, nil
	}, nil
}

// transfersOf yields the transfers of an account, found by the entries that
// they began with. For other entries it yields nil.
func (c *conn) transfersOf(ref ledger.Ref, page engine.Page, place string) (rows[*ledger.Transfer], error) {
	entries, err := c.statement(ref, page, place)
	return func() (r found[*ledger.Transfer], ok bool, err error) {
		e, ok, err := entries()
		if err != nil || !ok {
			return r, false, err
		}
		r.at, r.after = e.at, e.after
		if e.item.First() {
			r.item, err = loadTransfer(c, ledger.Ref{Tenant: ref.Tenant, ID: e.item.Transfer})
		}
		return r, err == nil, err
	}, err
}
