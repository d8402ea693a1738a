package postgres

import (
	"context"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/ledger"
)

// transfers reads those of the transfers with these names that are there.
func (p *pool) transfers(ctx context.Context, refs []ledger.Ref) (all []*ledger.Transfer, err error) {
	err = p.query(ctx, selectTransfers, names(refs, ledgerNames), func(r *row) { all = append(all, r.transfer()) })
	for _, t := range all {
		if err == nil {
			err = t.Check()
		}
	}
	return all, err
}

// Transfer returns a transfer, nil if there is none.
func (p *pool) Transfer(ctx context.Context, ref ledger.Ref) (*ledger.Transfer, error) {
	all, err := p.transfers(ctx, []ledger.Ref{ref})
	if err != nil || len(all) == 0 {
		return nil, wrap("transfer", err)
	}
	return all[0], nil
}

// Transfers lists the transfers of a tenant, newest first, which is the order of their ids.
// It fails with ErrBadCursor.
//
// A page of an account's transfers passes over its entries that settled or released a hold,
// and one of a reference within an account over that reference's other transfers: after
// 5,000 of them it ends early.
func (p *pool) Transfers(ctx context.Context, tenant string, f engine.TransferFilter, page engine.Page) (engine.List[*ledger.Transfer], error) {
	a := asked[*ledger.Transfer]{list: paging.List{"transfers", tenant, f.Account, f.Reference}, page: page}
	switch {
	case f.Account != "" && f.Reference == "":
		a.read, a.match = p.transfersOf(ledger.Ref{Tenant: tenant, ID: f.Account}, page), func(t *ledger.Transfer) bool { return t != nil }
	case f.Account != "":
		a.match = func(t *ledger.Transfer) bool { return t.From == f.Account || t.To == f.Account }
		fallthrough
	default:
		a.read = p.transfersByID(tenant, f.Reference, page)
	}
	return readPage(ctx, p, a)
}

var (
	listTransfers   = "SELECT " + transfersTable.columns("t.") + " FROM transfers t WHERE t.tenant = $1 AND t.id < $2 AND t.id >= $3 ORDER BY t.id DESC LIMIT $4"
	listByReference = "SELECT " + transfersTable.columns("t.") + ` FROM transfers t
		WHERE t.tenant = $1 AND t.reference = $5 AND t.id < $2 AND t.id >= $3 ORDER BY t.reference DESC, t.id DESC LIMIT $4`
)

func (p *pool) transfersByID(tenant, reference string, page engine.Page) func(context.Context, string, int) ([]found[*ledger.Transfer], error) {
	return func(ctx context.Context, place string, n int) (rows []found[*ledger.Transfer], err error) {
		below, err := p.idsBelow(ctx, madeTransfers, tenant, page.Before, place)
		if err != nil {
			return nil, err
		}
		sql, args := listTransfers, []any{writeText(tenant), below, madeTransfers.idsAfter(page.After), n}
		if reference != "" {
			sql, args = listByReference, append(args, writeText(reference))
		}
		err = p.query(ctx, sql, args, func(r *row) {
			t := r.transfer()
			rows = append(rows, found[*ledger.Transfer]{t, t.CreatedAt, t.ID})
		})
		return rows, err
	}
}

// transfersOf reads the transfers of an account, found by the entries that they began with.
// For other entries it has nil.
func (p *pool) transfersOf(ref ledger.Ref, page engine.Page) func(context.Context, string, int) ([]found[*ledger.Transfer], error) {
	statement := p.statement(ref, page)
	return func(ctx context.Context, place string, n int) (rows []found[*ledger.Transfer], err error) {
		entries, err := statement(ctx, place, n)
		if err != nil || len(entries) == 0 {
			return nil, err
		}
		made, err := p.transfersBegun(ctx, ref.Tenant, entries)
		for _, e := range entries {
			row := found[*ledger.Transfer]{at: e.at, after: e.after}
			if e.item.First() {
				row.item = made[e.item.Transfer]
			}
			rows = append(rows, row)
		}
		return rows, err
	}
}

func (p *pool) transfersBegun(ctx context.Context, tenant string, entries []found[ledger.Entry]) (map[string]*ledger.Transfer, error) {
	var refs []ledger.Ref
	for _, e := range entries {
		if e.item.First() {
			refs = append(refs, ledger.Ref{Tenant: tenant, ID: e.item.Transfer})
		}
	}
	all, err := p.transfers(ctx, refs)
	made := make(map[string]*ledger.Transfer, len(all))
	for _, t := range all {
		made[t.ID] = t
	}
	return made, err
}
