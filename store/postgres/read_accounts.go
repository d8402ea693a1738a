package postgres

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/ledger"
)

// numbered is an account with its number.
type numbered struct {
	num int64
	*ledger.Account
}

func (r *row) numbered() numbered {
	num, a := r.account()
	return numbered{num, a}
}

// account reads an account; one without an Account if there is none.
func (p *pool) account(ctx context.Context, ref ledger.Ref) (numbered, error) {
	a, ok, err := queryOne(ctx, p, selectAccounts, names([]ledger.Ref{ref}, ledgerNames), (*row).numbered)
	if err == nil && ok {
		err = a.Check()
	}
	return a, err
}

// Account returns an account, nil if there is none.
func (p *pool) Account(ctx context.Context, ref ledger.Ref) (*ledger.Account, error) {
	a, err := p.account(ctx, ref)
	return a.Account, wrap("account", err)
}

// AccountAt returns an account with the balance that it had at a time, which counts the
// entries of that very moment; nil if it was not open yet. What is no balance is as it is
// now. It reads a few hundred rows at most, however long ago that was.
func (p *pool) AccountAt(ctx context.Context, ref ledger.Ref, at time.Time) (*ledger.Account, error) {
	a, err := p.account(ctx, ref)
	if err != nil || a.Account == nil || a.CreatedAt.After(at) {
		return nil, wrap("account at a time", err)
	}
	a.Balance, err = p.balanceAt(ctx, a, at)
	return a.Account, wrap("account at a time", err)
}

func (p *pool) balanceAt(ctx context.Context, a numbered, at time.Time) (ledger.Balance, error) {
	seq, err := p.entriesFrom(ctx, a.num, a.LastEntry, at.Add(time.Microsecond))
	for n := 32; err == nil && seq != 0; n = markEvery {
		var entries []ledger.Entry
		if entries, err = p.walk(ctx, a, seq, n); err != nil {
			break
		}
		for _, e := range entries {
			if seq = e.Prev; !e.At.After(at) {
				return e.After, nil
			}
		}
	}
	return ledger.Balance{}, err
}

const listAccounts = "SELECT " + accountColumns + ` FROM accounts a JOIN balances b ON b.account = a.num
	WHERE a.tenant = $1 AND (a.created_at, a.num) < ($2, $3) AND a.created_at >= $4 ORDER BY a.created_at DESC, a.num DESC LIMIT $5`

// Accounts lists the accounts of a tenant, newest first; of those that were opened in one
// commit, the later one first. It fails with ErrBadCursor.
func (p *pool) Accounts(ctx context.Context, tenant string, page engine.Page) (engine.List[*ledger.Account], error) {
	a := asked[*ledger.Account]{list: paging.List{"accounts", tenant}, page: page}
	a.read = func(ctx context.Context, place string, n int) (rows []found[*ledger.Account], err error) {
		from, num := upTo(page.Before), int64(0) // none is at the bound itself
		if page.Before.IsZero() {
			num = endOfTime
		}
		if place != "" {
			if from, num, err = paging.ReadNumbers(place); err != nil {
				return nil, err
			}
		}
		err = p.query(ctx, listAccounts, []any{writeText(tenant), from, num, micros(page.After), n}, func(r *row) {
			a := r.numbered()
			rows = append(rows, found[*ledger.Account]{a.Account, a.CreatedAt, paging.Number(micros(a.CreatedAt)) + paging.Number(a.num)})
		})
		return rows, err
	}
	return readPage(ctx, p, a)
}
