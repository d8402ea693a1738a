package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

// Commit writes c as a whole or not at all, and returns nil when it is durable; see
// [engine.Store]. It is one round trip, however much it writes, and goes on when ctx ends:
// to leave a server alone in the middle of a commit is to not know what became of it.
func (s *Store) Commit(ctx context.Context, c *engine.Changes) error {
	if s.closed.Load() {
		return fmt.Errorf("%w: %w", engine.ErrNotCommitted, ErrClosed)
	}
	w := writing{store: s, changes: c, held: s.held.take()}
	if err := w.prepare(ctx); err != nil {
		w.held.letGo()
		return notCommitted(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := w.send(ctx); err != nil {
		return err
	}
	s.writer.acknowledged.Add(1)
	for i, a := range c.Ledger.Accounts {
		s.known.put(w.nums[i], a)
	}
	return nil
}

func notCommitted(err error) error {
	if err == engine.ErrConflict {
		return err
	}
	return fmt.Errorf("%w: postgres: %w", engine.ErrNotCommitted, hide(err))
}

// send has the batch committed. It has no COMMIT: what is sent together is one
// transaction, which the server commits when all of it went well. Where rows are held the
// transaction has begun before, and has one.
func (w *writing) send(ctx context.Context) error {
	s := w.store
	if w.held != nil {
		defer w.held.letGo()
		err := s.sent(ctx, w.held.conn, &w.batch)
		if hasCode(hide(err), codeLock) {
			return engine.ErrConflict
		}
		return s.judge(err)
	}
	conn, err := s.desk.Acquire(ctx)
	if err != nil {
		return notCommitted(err)
	}
	defer conn.Release()
	return s.judge(s.sent(ctx, conn, &w.batch))
}

func (s *Store) sent(ctx context.Context, conn *pgxpool.Conn, b *pgx.Batch) error {
	forgetWarnings(conn.Conn().PgConn())
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	return replicated(conn.Conn().PgConn())
}

// judge says what became of a commit, and notes if that is not known.
func (s *Store) judge(err error) error {
	judged, unknown := judge(s.forgot(err))
	if unknown || hasCode(hide(err), codeEpoch) {
		s.writer.doubtful.Store(true)
	}
	return judged
}

// writing is one Commit: statements that are sent together. Whatever waits for another
// commit does so in the same order in every commit, so that none waits for one that waits
// for it: first the days and the names that notices wait for, then rows that are there, table
// by table and in the order of their keys, then rows that are new, in that order too.
type writing struct {
	store   *Store
	changes *engine.Changes
	batch   pgx.Batch
	nums    []int64 // of the accounts, in their order
	held    *held   // it is made in this transaction, nil: in one of its own
}

// prepare makes the statements. It fails if the changes themselves are wrong, whatever the
// rows are.
func (w *writing) prepare(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.check(); err != nil {
		return err
	}
	if err := w.number(ctx); err != nil {
		return err
	}
	w.batch.Queue(begin)
	if w.held != nil {
		w.batch.Queue(haste)
	}
	me := &w.store.writer
	w.batch.Queue(fenceWriter, append(w.store.past.args(), me.id.Load(), me.epoch.Load(), micros(w.changes.At), me.acknowledged.Load())...)
	w.enterDay()
	w.meetNotices()
	w.changeBalances()
	w.changeTransfers()
	w.changePayments()
	if err := w.changeKeys(); err != nil {
		return err
	}
	w.openAccounts()
	w.changeAccounts()
	w.insertTransfers()
	w.insertEntries()
	w.insertPayments()
	if err := w.insertKeys(); err != nil {
		return err
	}
	w.insertEvents()
	if w.held != nil {
		w.batch.Queue("COMMIT")
	}
	return nil
}

const fenceWriter = `WITH mine AS (UPDATE writers SET clock = greatest(clock, $7), commits = commits + 1 WHERE id = $5 AND epoch = $6 RETURNING commits)
	SELECT ` + fencePast + `, fence_epoch((SELECT commits FROM mine), $8)`

func (w *writing) check() error {
	c := w.changes
	for i := range c.Ledger.Entries {
		if err := w.store.entries.check(c.Ledger.Entries[i].Seq); err != nil {
			return err
		}
	}
	if c.Payments != nil {
		for _, p := range c.Payments.Payments {
			if err := p.Check(); err != nil {
				return err
			}
		}
	}
	return c.Ledger.Check()
}

// put queues a statement for some rows, if there are any.
func (w *writing) put(sql string, c *columns, more ...any) {
	if c.rows > 0 {
		w.batch.Queue(sql, append(slices.Clip(c.arrays), more...)...)
	}
}

var selectNums = "SELECT t.* FROM " + lookup(idArrays, "a.num, a.tenant, a.id", "accounts a", "a.tenant = r.tenant AND a.id = r.id")

// number finds the numbers of the accounts: nearly always they are known. Accounts that are
// opened are given theirs.
func (w *writing) number(ctx context.Context) error {
	accounts := w.changes.Ledger.Accounts
	w.nums = make([]int64, len(accounts))
	var strange []ledger.Ref
	var opened []int
	for i, a := range accounts {
		if a.Version == 1 {
			opened = append(opened, i)
		} else if known, ok := w.store.known.get(a.Ref); ok {
			w.nums[i] = known.num
		} else {
			strange = append(strange, a.Ref)
		}
	}
	nums, err := w.store.opened.take(ctx, w.store.desk, len(opened))
	if err != nil {
		return err
	}
	for i, at := range opened {
		w.nums[at] = nums[i]
	}
	if len(strange) == 0 {
		return nil
	}
	return w.find(ctx, strange)
}

// find reads the numbers of accounts that were not loaded here. One that is not there is a
// conflict.
func (w *writing) find(ctx context.Context, strange []ledger.Ref) error {
	found := map[ledger.Ref]int64{}
	rows, err := w.store.desk.Query(ctx, selectNums, names(strange, ledgerNames)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if err := eachRow(rows, func(r *row) { num := r.int(); found[ledger.Ref{Tenant: r.text(), ID: r.text()}] = num }); err != nil {
		return err
	}
	if len(found) < len(strange) {
		return engine.ErrConflict
	}
	for i, a := range w.changes.Ledger.Accounts {
		if num, ok := found[a.Ref]; ok {
			w.nums[i] = num
		}
	}
	return nil
}

// byNum are the positions of the accounts in the order of their numbers: of those that are
// new, or of the others.
func (w *writing) byNum(opened bool) (at []int) {
	for i, a := range w.changes.Ledger.Accounts {
		if (a.Version == 1) == opened {
			at = append(at, i)
		}
	}
	slices.SortFunc(at, func(i, j int) int { return int(w.nums[i] - w.nums[j]) })
	return at
}

func (w *writing) balances(at []int) *columns {
	var c columns
	for _, i := range at {
		a := w.changes.Ledger.Accounts[i]
		c.next().int(w.nums[i]).int(a.Balance.Posted).int(a.Balance.Outgoing).int(a.Balance.Incoming).int(a.Entries).int(a.LastEntry).int(a.Version)
	}
	return &c
}

func (w *writing) changeBalances() {
	c := w.balances(w.byNum(false))
	w.put(changeBalances, c, c.rows)
}

var (
	changeBalances = balancesTable.change()
	insertBalances = balancesTable.insert()
	insertAccounts = accountsTable.insert()
)

const updateAccounts = `UPDATE accounts t SET min_balance = r.min_balance, closed = r.closed, metadata = r.metadata
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) r(num, min_balance, closed, metadata) WHERE t.num = r.num`

// openAccounts makes accounts in the order of their names, since two commits may open the
// same.
func (w *writing) openAccounts() {
	at := w.byNum(true)
	slices.SortFunc(at, func(i, j int) int {
		return compareRefs(w.changes.Ledger.Accounts[i].Ref, w.changes.Ledger.Accounts[j].Ref)
	})
	var c columns
	for _, i := range at {
		a := w.changes.Ledger.Accounts[i]
		c.next().int(w.nums[i]).text(a.Tenant).text(a.ID).text(string(a.Currency)).intOrNull(a.Floor.Minor, a.Floor.None).
			bool(a.Closed).metadata(a.Metadata).time(a.CreatedAt)
	}
	w.put(insertAccounts, &c)
	w.put(insertBalances, w.balances(w.byNum(true)))
}

// changeAccounts writes what else than a balance has changed of accounts.
func (w *writing) changeAccounts() {
	var c columns
	for _, i := range w.byNum(false) {
		a := w.changes.Ledger.Accounts[i]
		if is, ok := w.store.known.get(a.Ref); !ok || !is.same(a) {
			c.next().int(w.nums[i]).intOrNull(a.Floor.Minor, a.Floor.None).bool(a.Closed).metadata(a.Metadata)
		}
	}
	w.put(updateAccounts, &c)
}
