package postgres

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/pay"
)

// payments reads those of the payments with these names that are there, with their
// operations, all as of one moment.
func (p *pool) payments(ctx context.Context, refs []pay.Ref) (map[pay.Ref]*pay.Payment, error) {
	args := append(names(refs, paymentNames), []string{}, []string{})
	all := map[pay.Ref]*pay.Payment{}
	var b pgx.Batch
	b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	b.Queue(begin)
	b.Queue(selectPayments, args...).Query(func(rows pgx.Rows) error {
		return eachRow(rows, func(r *row) { x := r.payment(); all[x.Ref] = x })
	})
	b.Queue(selectOperations, args...).Query(func(rows pgx.Rows) error {
		return eachRow(rows, func(r *row) {
			if of, o := r.operation(); all[of] != nil {
				all[of].Operations = append(all[of].Operations, o)
			}
		})
	})
	b.Queue("COMMIT")
	err := p.db.SendBatch(ctx, &b).Close()
	for _, x := range all {
		if err == nil {
			err = x.Check()
		}
	}
	return all, err
}

// Payment returns a payment with its operations, nil if there is none.
func (p *pool) Payment(ctx context.Context, ref pay.Ref) (*pay.Payment, error) {
	all, err := p.payments(ctx, []pay.Ref{ref})
	if err != nil {
		return nil, wrap("payment", err)
	}
	return all[ref], nil
}

const selectPaymentOf = "SELECT payment FROM operations WHERE tenant = $1 AND id = $2"

// PaymentOf returns the payment that has the operation with this id, nil if there is none.
func (p *pool) PaymentOf(ctx context.Context, operation pay.Ref) (*pay.Payment, error) {
	id, ok, err := queryOne(ctx, p, selectPaymentOf, []any{writeText(operation.Tenant), writeText(operation.ID)}, (*row).text)
	if err != nil || !ok {
		return nil, wrap("payment of an operation", err)
	}
	return p.Payment(ctx, pay.Ref{Tenant: operation.Tenant, ID: id})
}

// Payments lists the payments of a tenant, newest first, which is the order of their ids. It
// fails with ErrBadCursor.
//
// A page reads along one index: of a reference, a status or those in doubt, the first of
// these that the filter has. It passes over what the others leave out: after 5,000 payments
// of that it ends early.
func (p *pool) Payments(ctx context.Context, tenant string, f engine.PaymentFilter, page engine.Page) (engine.List[*pay.Payment], error) {
	a := asked[*pay.Payment]{
		list: paging.List{"payments", tenant, f.Reference, fmt.Sprint(uint8(f.Status)), doubtName(f.InDoubt)}, page: page,
		match: func(x *pay.Payment) bool {
			return (f.Status == 0 || f.Status == x.Status) && (f.InDoubt == nil || *f.InDoubt == x.InDoubt)
		},
	}
	a.read = func(ctx context.Context, place string, n int) ([]found[*pay.Payment], error) {
		below, err := p.idsBelow(ctx, madePayments, tenant, page.Before, place)
		if err != nil {
			return nil, err
		}
		sql, narrow := narrowed(f)
		args := append([]any{writeText(tenant), below, madePayments.idsAfter(page.After), n}, narrow...)
		return p.listed(ctx, sql, args, func(x *pay.Payment) string { return x.ID })
	}
	return readPage(ctx, p, a)
}

func doubtName(in *bool) string {
	if in == nil {
		return "any"
	}
	return fmt.Sprint(*in)
}

// A list names its payments first, and they are read by their names.
const (
	listPayments    = "SELECT tenant, id FROM payments WHERE tenant = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4"
	listOfReference = `SELECT tenant, id FROM payments WHERE tenant = $1 AND id < $2 AND id >= $3 AND reference = $5
		ORDER BY reference DESC, id DESC LIMIT $4`
	listByStatus = `SELECT tenant, id FROM payments WHERE tenant = $1 AND id < $2 AND id >= $3 AND status = $5
		ORDER BY status DESC, id DESC LIMIT $4`
	listInDoubt = `SELECT tenant, id FROM payments WHERE tenant = $1 AND id < $2 AND id >= $3 AND in_doubt = 1
		ORDER BY in_doubt DESC, id DESC LIMIT $4`
	listDoubtful = "SELECT tenant, id FROM payments WHERE in_doubt = 1 AND (id, tenant) < ($1, $2) ORDER BY id DESC, tenant DESC LIMIT $3"
)

func narrowed(f engine.PaymentFilter) (sql string, args []any) {
	switch {
	case f.Reference != "":
		return listOfReference, []any{writeText(f.Reference)}
	case f.Status != 0:
		return listByStatus, []any{int64(f.Status)}
	case f.InDoubt != nil && *f.InDoubt:
		return listInDoubt, nil
	}
	return listPayments, nil
}

// listed reads the payments that a query names, in its order. One that has changed since is
// as it is now.
func (p *pool) listed(ctx context.Context, sql string, args []any, place func(*pay.Payment) string) (rows []found[*pay.Payment], err error) {
	var refs []pay.Ref
	err = p.query(ctx, sql, args, func(r *row) { refs = append(refs, pay.Ref{Tenant: r.text(), ID: r.text()}) })
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	all, err := p.payments(ctx, refs)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		x := all[ref]
		if x == nil {
			return nil, errMissing
		}
		rows = append(rows, found[*pay.Payment]{x, x.CreatedAt, place(x)})
	}
	return rows, nil
}

// Each of these reads an index that has what is counted and nothing else.
const countDoubts = `SELECT (SELECT count(*) FROM (SELECT 1 FROM payments WHERE in_doubt = 1 LIMIT $1) d),
	(SELECT count(*) FROM (SELECT 1 FROM payments WHERE status = 8 LIMIT $1) r),
	(SELECT count(*) FROM (SELECT 1 FROM operations WHERE kind = 5 AND (parked IS NOT NULL OR outcome = 4) LIMIT $1) f)`

// CountDoubts counts what is in doubt and what needs a review, each up to most.
func (p *pool) CountDoubts(ctx context.Context, most int) (engine.Doubts, error) {
	d, _, err := queryOne(ctx, p, countDoubts, []any{most}, func(r *row) engine.Doubts {
		return engine.Doubts{Payments: int(r.int()), Reviews: int(r.int()), Refunds: int(r.int())}
	})
	return d, wrap("doubts", err)
}

// Doubtful lists the payments of all tenants that are in doubt, newest first. It fails with
// ErrBadCursor.
func (p *pool) Doubtful(ctx context.Context, page engine.Page) (engine.List[*pay.Payment], error) {
	a := asked[*pay.Payment]{
		list: paging.List{"payments in doubt"}, page: page,
		match: func(x *pay.Payment) bool { return x.InDoubt },
		read: func(ctx context.Context, place string, n int) ([]found[*pay.Payment], error) {
			id, tenant, _ := strings.Cut(cmp.Or(place, aboveAllIDs), "\x00")
			return p.listed(ctx, listDoubtful, []any{id, writeText(tenant), n}, func(x *pay.Payment) string { return x.ID + "\x00" + x.Tenant })
		},
	}
	return readPage(ctx, p, a)
}
