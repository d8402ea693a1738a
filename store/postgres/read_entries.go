package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/ledger"
)

// Entries lists the entries of an account, newest first: in the order of their ordinals. It
// fails with ErrBadCursor. A page costs about its length, wherever it is in the list.
func (p *pool) Entries(ctx context.Context, ref ledger.Ref, page engine.Page) (engine.List[ledger.Entry], error) {
	a := asked[ledger.Entry]{list: paging.List{"entries", ref.Tenant, ref.ID}, page: page}
	a.read = p.statement(ref, page)
	return readPage(ctx, p, a)
}

// statement reads the entries of an account from a place on, down to the page's lower
// bound.
func (p *pool) statement(ref ledger.Ref, page engine.Page) func(context.Context, string, int) ([]found[ledger.Entry], error) {
	var a numbered
	return func(ctx context.Context, place string, n int) (rows []found[ledger.Entry], err error) {
		if a.Account == nil {
			if a, err = p.account(ctx, ref); err != nil || a.Account == nil {
				return nil, err
			}
		}
		seq := a.LastEntry
		switch {
		case place != "":
			seq, err = paging.ReadNumber(place)
		case !page.Before.IsZero():
			seq, err = p.entriesFrom(ctx, a.num, seq, page.Before)
		}
		if err != nil || seq == 0 {
			return nil, err
		}
		entries, err := p.walk(ctx, a, seq, n)
		for _, e := range entries {
			if !page.After.IsZero() && !e.At.After(page.After) {
				break
			}
			rows = append(rows, found[ledger.Entry]{e, e.At, paging.Number(e.Prev)})
		}
		return rows, err
	}
}

const selectMark = "SELECT seq FROM entry_marks WHERE account = $1 AND at >= $2 ORDER BY at, seq LIMIT 1"

// entriesFrom returns an entry to walk back from to those before a time, with fewer than
// markEvery entries between that are not. last is the account's last entry.
func (p *pool) entriesFrom(ctx context.Context, account, last int64, before time.Time) (int64, error) {
	seq, ok, err := queryOne(ctx, p, selectMark, []any{account, micros(before)}, (*row).int)
	if err != nil || !ok {
		return last, err
	}
	return seq, nil
}

// walk reads an account's list of entries back from seq: so many, or all there are.
const walkEntries = `WITH RECURSIVE walk AS (
		SELECT e.*, 1 AS step FROM entries e WHERE e.seq = $1
		UNION ALL SELECT e.*, w.step + 1 FROM walk w JOIN entries e ON e.seq = w.prev WHERE w.step < $2 AND w.prev <> 0)
	SELECT e.account, ` + entryColumns + ` FROM walk e ORDER BY e.step`

func (p *pool) walk(ctx context.Context, a numbered, seq int64, n int) (entries []ledger.Entry, err error) {
	strange := false
	err = p.query(ctx, walkEntries, []any{seq, n}, func(r *row) {
		strange = r.int() != a.num || strange
		e := r.entry()
		e.Account, e.Currency = a.Ref, a.Currency
		entries = append(entries, e)
	})
	if err != nil {
		return nil, err
	}
	if strange || len(entries) == 0 || len(entries) < n && entries[len(entries)-1].Prev != 0 {
		return nil, fmt.Errorf("the list of entries of account %s/%s is broken; run an audit", a.Tenant, a.ID)
	}
	return entries, nil
}
