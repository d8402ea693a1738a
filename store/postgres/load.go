package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// Load returns the named rows that exist; see [engine.Store]. It is one round trip, or
// two after a commit whose outcome is not known, or when rows are to be held. It fails if a row is not what a row can
// be.
func (s *Store) Load(ctx context.Context, need engine.Need) (rows engine.Rows, err error) {
	if s.closed.Load() {
		return rows, ErrClosed
	}
	if need.Entries > entryBlock {
		return rows, fmt.Errorf("postgres: load: %d numbers of entries at once, and %d are the most", need.Entries, entryBlock)
	}
	if err := s.settle(ctx); err != nil {
		return rows, fmt.Errorf("postgres: settle a commit whose outcome is not known: %w", hide(err))
	}
	if need.Hold {
		s.hold(ctx, &need)
	}
	l := loading{store: s, need: &need}
	if err := l.run(ctx); err != nil {
		return engine.Rows{}, fmt.Errorf("postgres: load: %w", hide(s.forgot(err)))
	}
	return l.rows, nil
}

// loading is one Load.
type loading struct {
	store *Store
	need  *engine.Need
	rows  engine.Rows
	batch pgx.Batch

	found map[pay.Ref]*pay.Payment
}

// run asks for everything at once, of one moment.
func (l *loading) run(ctx context.Context) error {
	l.batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ")
	l.batch.Queue(begin)
	l.clocks()
	l.numbers()
	l.keys()
	l.accounts()
	l.transfers()
	l.payments()
	if l.batch.Len() == 3 { // nothing is needed
		return ctx.Err()
	}
	l.batch.Queue("COMMIT")
	if err := l.store.desk.SendBatch(ctx, &l.batch).Close(); err != nil {
		return err
	}
	return l.check()
}

// ask queues a query, and what is done with each row.
func (l *loading) ask(sql string, args []any, each func(*row)) {
	l.batch.Queue(sql, args...).Query(func(rows pgx.Rows) error { return eachRow(rows, each) })
}

func eachRow(rows pgx.Rows, each func(*row)) error {
	for rows.Next() {
		r := readRow(rows)
		if each(r); r.err != nil {
			return r.err
		}
	}
	return rows.Err()
}

const selectClocks = selectClock + ", (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, " + fencePast

// clocks tells processes that share the store what time it is. All that is found was written
// by the latest time that any writer has written.
func (l *loading) clocks() {
	l.ask(selectClocks, l.store.past.args(), func(r *row) { l.rows.Seen, l.rows.Now = r.time(), r.time() })
}

func (l *loading) numbers() {
	if l.need.Entries > 0 {
		l.ask("SELECT nextval('entry_numbers')", nil, func(r *row) { l.rows.FirstEntry = l.store.entries.handOut(r.int()) })
	}
}

// names are the two names of each of the ids.
func names[ID any](ids []ID, of func(ID) (string, string)) []any {
	a, b := make([]string, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		first, second := of(id)
		a[i], b[i] = writeText(first), writeText(second)
	}
	return []any{a, b}
}

func keyNames(k once.Key) (string, string)              { return k.Tenant, k.ID }
func ledgerNames(r ledger.Ref) (string, string)         { return r.Tenant, r.ID }
func paymentNames(r pay.Ref) (string, string)           { return r.Tenant, r.ID }
func referenceNames(r pay.ReferenceID) (string, string) { return r.Tenant, r.Reference }

const (
	keyArrays = "unnest($1::text[], $2::text[]) r(tenant, key)"
	ofKey     = "k.tenant = r.tenant AND k.key = r.key"
	idArrays  = "unnest($1::text[], $2::text[]) r(tenant, id)"
	ofID      = "t.tenant = r.tenant AND t.id = r.id"

	selectSwept = "(SELECT value FROM meta WHERE name = 'swept')"
)

var (
	selectKeys = "SELECT " + selectSwept + ", t.* FROM " + lookup(keyArrays, keyColumns, "keys k", ofKey)

	// What is over: see Sweep.
	selectOver = "SELECT t.* FROM " + lookup(keyArrays, closedColumns, "closed_keys k", ofKey) +
		" UNION ALL SELECT t.* FROM " + lookup(keyArrays, tombColumns, "tombstones k", ofKey+" AND "+tombValid)
)

const (
	closedColumns = `k.tenant, k.key, k.fingerprint, 5::smallint, k.operation, k.resource, k.attempt, NULL::bigint,
		k.created_at, k.expires_at, k.replays, k.version, NULL::smallint, NULL::text, NULL::bytea`
	tombColumns = closedColumns

	// A tombstone is valid when all of its day are, and until it is forgotten.
	tombValid = `k.created_at >= (SELECT value FROM meta WHERE name = 'keys_since')
		AND NOT EXISTS (SELECT 1 FROM key_days d WHERE d.day = k.created_at / 86400000000 AND d.state = 2)`
)

func (l *loading) keys() {
	if len(l.need.Keys) == 0 {
		return
	}
	args := names(l.need.Keys, keyNames)
	l.ask(selectKeys, args, func(r *row) {
		swept := r.int()
		l.rows.Keys = append(l.rows.Keys, r.record(swept))
	})
	l.ask(selectOver, args, func(r *row) { l.rows.Keys = append(l.rows.Keys, r.record(endOfTime)) })
}

var selectAccounts = "SELECT t.* FROM " + lookup(idArrays, accountColumns,
	"accounts a CROSS JOIN LATERAL (SELECT * FROM balances b WHERE b.account = a.num OFFSET 0) b", "a.tenant = r.tenant AND a.id = r.id")

func (l *loading) accounts() {
	if len(l.need.Rows.Accounts) == 0 {
		return
	}
	l.ask(selectAccounts, names(l.need.Rows.Accounts, ledgerNames), func(r *row) {
		num, a := r.account()
		if r.err == nil {
			l.store.known.put(num, a)
		}
		l.rows.Accounts = append(l.rows.Accounts, a)
	})
}

var selectTransfers = "SELECT t.* FROM " + lookup(idArrays, transfersTable.columns("t."), "transfers t", ofID)

func (l *loading) transfers() {
	if len(l.need.Rows.Transfers) == 0 {
		return
	}
	l.ask(selectTransfers, names(l.need.Rows.Transfers, ledgerNames), func(r *row) {
		l.rows.Transfers = append(l.rows.Transfers, r.transfer())
	})
}

// wantedPayments are those that are named, and those that hold a reference that is.
var wantedPayments = "(SELECT tenant, id FROM unnest($1::text[], $2::text[]) n(tenant, id) UNION SELECT t.tenant, t.payment FROM " +
	lookup("unnest($3::text[], $4::text[]) r(tenant, reference)", "f.tenant, f.payment", "payment_references f", "f.tenant = r.tenant AND f.reference = r.reference") + ") r"

var (
	selectReferences = "SELECT t.* FROM " + lookup("unnest($1::text[], $2::text[]) r(tenant, reference)", referencesTable.columns("t."), "payment_references t",
		"t.tenant = r.tenant AND t.reference = r.reference")
	selectPayments   = "SELECT t.* FROM " + lookup(wantedPayments, paymentsTable.columns("t."), "payments t", ofID)
	selectOperations = "SELECT t.* FROM " + lookup(wantedPayments, operationsTable.columns("t."), "operations t", "t.tenant = r.tenant AND t.payment = r.id") +
		" ORDER BY t.tenant, t.payment, t.place"
	selectNotices = "SELECT t.* FROM " + lookup("unnest($1::text[], $2::text[], $3::text[]) r(tenant, gateway, id)", noticesTable.columns("t."), "notices t",
		"t.tenant = r.tenant AND t.gateway = r.gateway AND t.id = r.id")
)

func (l *loading) payments() {
	need := &l.need.Payments
	if len(need.References) > 0 {
		l.ask(selectReferences, names(need.References, referenceNames), func(r *row) {
			l.rows.References = append(l.rows.References, new(r.reference()))
		})
	}
	if len(need.References)+len(need.Payments) > 0 {
		l.found = map[pay.Ref]*pay.Payment{}
		wanted := append(names(need.Payments, paymentNames), names(need.References, referenceNames)...)
		l.ask(selectPayments, wanted, func(r *row) {
			p := r.payment()
			l.found[p.Ref] = p
			l.rows.Payments = append(l.rows.Payments, p)
		})
		l.ask(selectOperations, wanted, func(r *row) {
			if of, o := r.operation(); l.found[of] != nil {
				l.found[of].Operations = append(l.found[of].Operations, o)
			}
		})
	}
	if len(need.Notices) > 0 {
		l.ask(selectNotices, noticeNames(need.Notices), func(r *row) { l.rows.Notices = append(l.rows.Notices, r.notice()) })
	}
}

// check says what is wrong with what was read.
func (l *loading) check() error {
	for _, a := range l.rows.Accounts {
		if err := a.Check(); err != nil {
			return err
		}
	}
	for _, t := range l.rows.Transfers {
		if err := t.Check(); err != nil {
			return err
		}
	}
	for _, p := range l.rows.Payments {
		if err := p.Check(); err != nil {
			return err
		}
	}
	return nil
}
