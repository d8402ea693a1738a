package sqlite

import (
	"cmp"
	"context"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/ledger"
)

// Account returns an account, nil if there is none.
func (p *pool) Account(ctx context.Context, ref ledger.Ref) (a *ledger.Account, err error) {
	err = p.read(ctx, func(c *conn) error {
		_, a, err = readAccount(c, ref)
		return err
	})
	return a, wrap("account", err)
}

// AccountAt returns an account with the balance that it had at a time, which
// counts the entries of that very moment; nil if it was not open yet. What is no
// balance is as it is now. It reads a few hundred rows at most, however long ago
// that was.
func (p *pool) AccountAt(ctx context.Context, ref ledger.Ref, at time.Time) (a *ledger.Account, err error) {
	err = p.read(ctx, func(c *conn) error {
		num, now, err := readAccount(c, ref)
		if err != nil || now == nil || now.CreatedAt.After(at) {
			return err
		}
		a = now
		a.Balance, err = c.balanceAt(num, now, at)
		return err
	})
	return a, wrap("account at a time", err)
}

func (c *conn) balanceAt(num int64, a *ledger.Account, at time.Time) (ledger.Balance, error) {
	seq, err := c.entriesFrom(num, a.LastEntry, at.Add(time.Microsecond))
	if err != nil {
		return ledger.Balance{}, err
	}
	next := c.entries(num, a, seq)
	for {
		row, ok, err := next()
		if err != nil || !ok {
			return ledger.Balance{}, err
		}
		if !row.at.After(at) {
			return row.item.After, nil
		}
	}
}

// Accounts lists the accounts of a tenant, newest first; of those that were
// opened in one commit, the later one first. It fails with ErrBadCursor.
func (p *pool) Accounts(ctx context.Context, tenant string, page engine.Page) (engine.List[*ledger.Account], error) {
	a := ask[*ledger.Account]{list: paging.List{"accounts", tenant}, page: page}
	return readPage(ctx, p, a, func(c *conn, place string) (rows[*ledger.Account], error) {
		from, num := upTo(page.Before), int64(noLimit)
		if place != "" {
			var err error
			if from, num, err = paging.ReadNumbers(place); err != nil {
				return nil, err
			}
		}
		return c.accounts(tenant, from, num, micros(page.After))
	})
}

const noLimit = 1<<63 - 1

// upTo is a bound of times as it is kept; no bound is the end of time.
func upTo(t time.Time) int64 { return cmp.Or(micros(t), noLimit) }

const listAccounts = "SELECT " + accountColumns + accountTables + `
	WHERE a.tenant = ?1 AND a.created_at <= ?2 AND a.created_at >= ?4 AND (a.created_at < ?2 OR a.num < ?3)
	ORDER BY a.created_at DESC, a.num DESC`

// accounts yields accounts from a place on, which is left out, down to a time.
func (c *conn) accounts(tenant string, from, num, down int64) (rows[*ledger.Account], error) {
	q, err := c.stmt(listAccounts)
	if err != nil {
		return nil, err
	}
	q.text(tenant).int(from).int(num).int(down)
	return func() (r found[*ledger.Account], ok bool, err error) {
		if !q.next(&err) {
			return r, false, err
		}
		if num, r.item, err = q.account(); err != nil {
			return r, false, err
		}
		r.at, r.after = r.item.CreatedAt, paging.Number(micros(r.item.CreatedAt))+paging.Number(num)
		return r, true, nil
	}, nil
}
