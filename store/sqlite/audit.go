package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

var _ audit.Source = (*Reader)(nil)

// Accounts yields every account, in the order in which they were opened.
func (r *Reader) Accounts(ctx context.Context, yield func(*ledger.Account) error) error {
	return each(ctx, r, "accounts", "SELECT "+accountColumns+accountTables+"ORDER BY a.num", func(q *stmt) error {
		_, a, err := q.columnAccount()
		if err != nil {
			return err
		}
		return yield(a)
	})
}

// Entries yields every entry by Seq, ascending.
func (r *Reader) Entries(ctx context.Context, yield func(ledger.Entry) error) error {
	names, err := r.names(ctx)
	if err != nil {
		return err
	}
	return each(ctx, r, "entries", "SELECT "+entryColumns+" FROM entries e ORDER BY e.seq", func(q *stmt) error {
		account, e := q.columnEntry()
		of := names[account] // of none: an entry that nobody owns is yielded too
		e.Account, e.Currency = of.ref, of.currency
		return yield(e)
	})
}

// name is what entries have of their account.
type name struct {
	ref      ledger.Ref
	currency money.Currency
}

// names are the accounts by number: to look each up for every entry would take
// most of an audit.
func (r *Reader) names(ctx context.Context) (map[int64]name, error) {
	names := map[int64]name{}
	err := each(ctx, r, "accounts", "SELECT num, tenant, id, currency FROM accounts", func(q *stmt) error {
		names[q.columnInt(0)] = name{
			ref:      ledger.Ref{Tenant: q.columnText(1), ID: q.columnText(2)},
			currency: money.Currency(q.columnText(3)),
		}
		return nil
	})
	return names, err
}

// Transfers yields every transfer, by tenant and id.
func (r *Reader) Transfers(ctx context.Context, yield func(*ledger.Transfer) error) error {
	return each(ctx, r, "transfers", "SELECT "+transferColumns+" FROM transfers ORDER BY tenant, id", func(q *stmt) error {
		t, err := q.columnTransfer()
		if err != nil {
			return err
		}
		return yield(t)
	})
}

// Keys yields what is known of every key, in the order in which they came.
func (r *Reader) Keys(ctx context.Context, yield func(once.Record) error) error {
	const all = "SELECT " + keyColumns + ", EXISTS (SELECT 1 FROM answers WHERE key = k.num) FROM keys k ORDER BY k.num"
	return each(ctx, r, "keys", all, func(q *stmt) error {
		rec, err := q.columnRecord(q.columnInt(12) != 0)
		if err != nil {
			return err
		}
		return yield(rec)
	})
}

// Events yields every event without its data, in the order in which they came.
func (r *Reader) Events(ctx context.Context, yield func(outbox.Event) error) error {
	return each(ctx, r, "events", "SELECT "+eventColumns+" FROM events ORDER BY seq", func(q *stmt) error {
		return yield(q.columnEvent())
	})
}

// each calls row for every row of a query, until it fails.
func each(ctx context.Context, r *Reader, what, sql string, row func(*stmt) error) error {
	q, err := r.c.prepare(sql) // not shared: row may ask for the same rows again
	if err != nil {
		return wrap(what, err)
	}
	defer q.finalize()
	for n := 0; q.next(&err); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return wrap(what, ctx.Err())
		}
		if err := row(q); err != nil {
			return err
		}
	}
	return wrap(what, err)
}

// Rows says about how many rows all of it has. Most tables are as long as their
// numbers say, accounts know how many entries they have, and there is a transfer
// for about two of those. Payments are counted, along an index.
func (r *Reader) Rows(context.Context) (total int64, err error) {
	for _, sql := range []string{
		"SELECT max(num) - min(num) + 1 FROM accounts",
		"SELECT sum(entries) * 3 / 2 FROM balances",
		"SELECT max(num) - min(num) + 1 FROM keys",
		"SELECT max(seq) - min(seq) + 1 FROM events",
		"SELECT count(*) FROM payments",
		"SELECT count(*) FROM payment_references",
	} {
		rows, err := r.c.integer(sql)
		if err != nil {
			return 0, wrap("rows", err)
		}
		total += rows
	}
	return total, nil
}

// KeysSince says from when on every key is still known: the latest time that
// Sweep was told to forget before, zero if there was none.
func (r *Reader) KeysSince(context.Context) (time.Time, error) {
	n, err := r.c.integer("SELECT value FROM meta WHERE name = 'keys_since'")
	if err != nil {
		return time.Time{}, fmt.Errorf("sqlite: read keys since: %w", err)
	}
	return fromMicros(n), nil
}
