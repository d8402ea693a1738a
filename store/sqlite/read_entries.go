package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/ledger"
)

// Entries lists the entries of an account, newest first. It fails with
// ErrBadCursor. A page costs about its length, wherever it is in the list.
func (p *pool) Entries(ctx context.Context, ref ledger.Ref, page engine.Page) (engine.List[ledger.Entry], error) {
	a := ask[ledger.Entry]{list: paging.List{"entries", ref.Tenant, ref.ID}, page: page}
	return readPage(ctx, p, a, func(c *conn, place string) (rows[ledger.Entry], error) {
		return c.statement(ref, page, place)
	})
}

// statement yields the entries of an account from a place on, down to the
// page's lower bound.
func (c *conn) statement(ref ledger.Ref, page engine.Page, place string) (rows[ledger.Entry], error) {
	num, a, err := readAccount(c, ref)
	if err != nil || a == nil {
		return none[ledger.Entry], err
	}
	seq := a.LastEntry
	switch {
	case place != "":
		seq, err = paging.ReadNumber(place)
	case !page.Before.IsZero():
		seq, err = c.entriesFrom(num, seq, page.Before)
	}
	return until(page.After, c.entries(num, a, seq)), err
}

func none[T any]() (r found[T], ok bool, err error) { return r, false, nil }

// until ends rows, whose times only fall, at the first that is not after a
// time.
func until[T any](after time.Time, next rows[T]) rows[T] {
	return func() (found[T], bool, error) {
		row, ok, err := next()
		return row, ok && (after.IsZero() || row.at.After(after)), err
	}
}

const selectMark = "SELECT seq FROM entry_marks WHERE account = ? AND at >= ? ORDER BY at, seq LIMIT 1"

// entriesFrom returns an entry to walk back from to those before a time, with
// fewer than markEvery entries between that are not. last is the account's last
// entry.
func (c *conn) entriesFrom(account, last int64, before time.Time) (seq int64, err error) {
	q, err := c.stmt(selectMark)
	if err != nil {
		return 0, err
	}
	q.int(account).time(before)
	if !q.next(&err) {
		return last, err
	}
	defer q.reset()
	return q.columnInt(0), nil
}

const selectEntry = "SELECT " + entryColumns + " FROM entries e WHERE e.seq = ?"

// entries walks an account's list of entries back from seq.
func (c *conn) entries(num int64, a *ledger.Account, seq int64) rows[ledger.Entry] {
	return func() (r found[ledger.Entry], ok bool, err error) {
		if seq == 0 {
			return r, false, nil
		}
		q, err := c.stmt(selectEntry)
		if err != nil {
			return r, false, err
		}
		q.int(seq)
		if !q.next(&err) {
			return r, false, missingEntry(a, seq, err)
		}
		defer q.reset()
		of, e := q.columnEntry()
		if of != num {
			return r, false, missingEntry(a, seq, nil)
		}
		e.Account, e.Currency = a.Ref, a.Currency
		seq = e.Prev
		return found[ledger.Entry]{item: e, at: e.At, after: paging.Number(e.Prev)}, true, nil
	}
}

func missingEntry(a *ledger.Account, seq int64, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("account %s/%s has no entry %d, which its list names; run an audit", a.Tenant, a.ID, seq)
}
