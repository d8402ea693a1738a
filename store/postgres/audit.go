package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

var (
	_ audit.Source     = (*Reader)(nil)
	_ audit.Payments   = (*Reader)(nil)
	_ audit.Structured = (*Reader)(nil)
)

// Reader reads all of a store from end to end, as of the moment at which it was made: an
// audit.Source. Make one with [OpenReader] or [Store.Snapshot]. It is for one goroutine at a
// time, and holds no more than some rows.
//
// While it is open the server keeps what has changed since as it was, too: close it soon.
type Reader struct {
	conn  *pgx.Conn
	tx    pgx.Tx
	swept int64
	named int // cursors
}

// OpenReader opens the store at url. It migrates nothing and changes nothing. It fails as
// [Open] does.
func OpenReader(ctx context.Context, url string) (_ *Reader, err error) {
	p, err := pgxConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: open to read: %w", err)
	}
	r := &Reader{}
	if r.conn, err = pgx.ConnectConfig(ctx, p); err != nil {
		return nil, fmt.Errorf("postgres: open to read: %w", hide(err))
	}
	if err := r.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: open to read: %w", hide(err)), r.Close())
	}
	return r, nil
}

func (r *Reader) begin(ctx context.Context) (err error) {
	if r.tx, err = r.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		return err
	}
	found, err := version(ctx, r.tx)
	if err != nil {
		return err
	}
	if err := checkVersion(found); err != nil {
		return err
	}
	return r.tx.QueryRow(ctx, "SELECT value FROM meta WHERE name = 'swept'").Scan(&r.swept)
}

// Snapshot returns a Reader of all that was committed. Close it soon.
func (s *Store) Snapshot(ctx context.Context) (*Reader, error) { return OpenReader(ctx, s.cfg.URL) }

// Close ends the reading.
func (r *Reader) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	return hide(r.conn.Close(ctx))
}

// fetched is how many rows are in memory at a time.
const fetched = 1000

// each calls row for every row of a query, until it fails. It uses a cursor, so that others may
// be read meanwhile.
func each[T any](ctx context.Context, r *Reader, what, sql string, read func(*row) T, yield func(T) error) error {
	c, err := open(ctx, r, what, sql, read)
	if err != nil {
		return err
	}
	defer c.close(ctx)
	for {
		item, ok, err := c.next(ctx)
		if err != nil || !ok {
			return err
		}
		if err := yield(item); err != nil {
			return err
		}
	}
}

// stream is a query that is read some rows at a time.
type stream[T any] struct {
	r          *Reader
	what, name string
	read       func(*row) T
	items      []T
	ended      bool
}

func open[T any](ctx context.Context, r *Reader, what, sql string, read func(*row) T) (*stream[T], error) {
	r.named++
	c := &stream[T]{r: r, what: what, name: fmt.Sprint("reading_", r.named), read: read}
	_, err := r.tx.Exec(ctx, "DECLARE "+c.name+" NO SCROLL CURSOR FOR "+sql)
	return c, wrap(what, err)
}

func (c *stream[T]) next(ctx context.Context) (item T, ok bool, err error) {
	if len(c.items) == 0 && !c.ended {
		if err := c.fetch(ctx); err != nil {
			return item, false, wrap(c.what, err)
		}
	}
	if len(c.items) == 0 {
		return item, false, nil
	}
	item, c.items = c.items[0], c.items[1:]
	return item, true, nil
}

func (c *stream[T]) fetch(ctx context.Context) error {
	rows, err := c.r.tx.Query(ctx, fmt.Sprint("FETCH ", fetched, " FROM ", c.name), pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	defer rows.Close()
	c.items = c.items[:0]
	err = eachRow(rows, func(r *row) { c.items = append(c.items, c.read(r)) })
	c.ended = len(c.items) < fetched
	return err
}

// close is not worth an error: what is wrong with the connection shows at the next query.
func (c *stream[T]) close(ctx context.Context) {
	c.r.tx.Exec(context.WithoutCancel(ctx), "CLOSE "+c.name)
}

// Accounts yields every account, in the order of their numbers.
func (r *Reader) Accounts(ctx context.Context, yield func(*ledger.Account) error) error {
	return each(ctx, r, "accounts", "SELECT "+accountColumns+" FROM accounts a JOIN balances b ON b.account = a.num ORDER BY a.num",
		func(row *row) *ledger.Account { _, a := row.account(); return a }, yield)
}

// Entries yields every entry by Seq, ascending: one that nobody owns, too.
func (r *Reader) Entries(ctx context.Context, yield func(ledger.Entry) error) error {
	return each(ctx, r, "entries", "SELECT a.tenant, a.id, a.currency, "+entryColumns+" FROM entries e LEFT JOIN accounts a ON a.num = e.account ORDER BY e.seq",
		func(row *row) ledger.Entry {
			of, currency := ledger.Ref{Tenant: row.text(), ID: row.text()}, money.Currency(row.text())
			e := row.entry()
			e.Account, e.Currency = of, currency
			return e
		}, yield)
}

// Transfers yields every transfer, by tenant and id.
func (r *Reader) Transfers(ctx context.Context, yield func(*ledger.Transfer) error) error {
	return each(ctx, r, "transfers", "SELECT "+transfersTable.columns("t.")+" FROM transfers t ORDER BY tenant, id", (*row).transfer, yield)
}

const (
	auditKeys = `SELECT k.tenant, k.key, k.fingerprint, k.state, k.operation, k.resource, k.attempt, k.lease_until,
		k.created_at, k.expires_at, k.replays, k.version, k.status, NULL::text, NULL::bytea FROM keys k`
	auditOver = "SELECT " + closedColumns + " FROM closed_keys k UNION ALL SELECT " + tombColumns + " FROM tombstones k WHERE " + tombValid
)

// Keys yields what is known of every key, tombstones last.
func (r *Reader) Keys(ctx context.Context, yield func(once.Record) error) error {
	bare := func(row *row) once.Record {
		rec := row.record(r.swept)
		rec.Answer = once.Answer{}
		return rec
	}
	if err := each(ctx, r, "keys", auditKeys, bare, yield); err != nil {
		return err
	}
	return each(ctx, r, "keys", auditOver, bare, yield)
}

// Events yields every event without its data, in the order of their numbers.
func (r *Reader) Events(ctx context.Context, yield func(outbox.Event) error) error {
	return each(ctx, r, "events", "SELECT "+eventColumns+" FROM events ORDER BY seq", (*row).event, yield)
}

// owned is an operation, and whose it is.
type owned struct {
	of pay.Ref
	*pay.Operation
}

// Payments yields every payment with its operations, by tenant and id. An operation of a
// payment that is not there is found by [Reader.Structure].
func (r *Reader) Payments(ctx context.Context, yield func(*pay.Payment) error) error {
	operations, err := open(ctx, r, "operations", "SELECT "+operationsTable.columns("t.")+" FROM operations t ORDER BY tenant, payment, place",
		func(row *row) owned { of, o := row.operation(); return owned{of, o} })
	if err != nil {
		return err
	}
	defer operations.close(ctx)
	next, more, err := operations.next(ctx)
	if err != nil {
		return err
	}
	return each(ctx, r, "payments", "SELECT "+paymentsTable.columns("t.")+" FROM payments t ORDER BY tenant, id", (*row).payment, func(p *pay.Payment) error {
		for more && !before(p.Ref, next.of) {
			if next.of == p.Ref {
				p.Operations = append(p.Operations, next.Operation)
			}
			if next, more, err = operations.next(ctx); err != nil {
				return err
			}
		}
		return yield(p)
	})
}

func before(a, b pay.Ref) bool { return a.Tenant < b.Tenant || a.Tenant == b.Tenant && a.ID < b.ID }

// under is a reference, and what is found under it.
type under struct {
	pay.Reference
	held     bool
	payments int64
}

// References yields every reference with what is found under it, by tenant and name.
func (r *Reader) References(ctx context.Context, yield func(f pay.Reference, held bool, payments int64) error) error {
	const all = `SELECT f.tenant, f.reference, f.payment, f.version,
		EXISTS (SELECT 1 FROM payments p WHERE p.tenant = f.tenant AND p.id = f.payment AND p.reference = f.reference)::int,
		(SELECT count(*) FROM payments p WHERE p.tenant = f.tenant AND p.reference = f.reference)
		FROM payment_references f ORDER BY f.tenant, f.reference`
	return each(ctx, r, "references", all, func(row *row) under {
		return under{row.reference(), row.bool(), row.int()}
	}, func(u under) error { return yield(u.Reference, u.held, u.payments) })
}

// Rows says about how many rows all of it has: accounts know how many entries they have, and
// there is a transfer for about two of those.
func (r *Reader) Rows(ctx context.Context) (total int64, err error) {
	err = r.tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM accounts) + (SELECT coalesce(sum(entries), 0)::bigint * 3 / 2 FROM balances)
		+ (SELECT count(*) FROM keys) + (SELECT count(*) FROM closed_keys) + (SELECT count(*) FROM tombstones)
		+ (SELECT count(*) FROM events) + (SELECT count(*) FROM payments) + (SELECT count(*) FROM payment_references)`).Scan(&total)
	return total, wrap("rows", err)
}

// KeysSince says from when on every key is still known: the latest time that Sweep was told
// to forget before, zero if there was none.
func (r *Reader) KeysSince(ctx context.Context) (time.Time, error) {
	var n int64
	err := r.tx.QueryRow(ctx, "SELECT value FROM meta WHERE name = 'keys_since'").Scan(&n)
	return fromMicros(n), wrap("keys since", err)
}

const (
	selectStrays = `SELECT 'the operation ' || o.id || ' of tenant ' || o.tenant || ' is one of the payment ' || o.payment ||
			coalesce(', which is at the gateway ' || p.gateway || ', not ' || o.gateway, ', which is not there')
		FROM operations o LEFT JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment
		WHERE p.gateway IS DISTINCT FROM o.gateway LIMIT 100`

	// A day's index has its keys once, and no index sees two days.
	selectTwice = `SELECT 'the key ' || key || ' of tenant ' || tenant || ' is there ' || count(*) || ' times'
		FROM (SELECT tenant, key FROM keys UNION ALL SELECT tenant, key FROM closed_keys) k GROUP BY tenant, key HAVING count(*) > 1 LIMIT 100`
)

// Structure yields what no comparison of rows sees: operations whose payment is not there, or
// is at another gateway than they are found at, so that nobody would ever ask what became of
// them; and keys that are there twice.
func (r *Reader) Structure(ctx context.Context, yield func(string) error) error {
	for _, sql := range []string{selectStrays, selectTwice} {
		if err := each(ctx, r, "structure", sql, (*row).text, yield); err != nil {
			return err
		}
	}
	return nil
}
