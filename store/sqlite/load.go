package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// loader is the connection that the executor's loads have for themselves, so
// that the next batch is loaded while one commits.
type loader struct {
	mu sync.Mutex
	c  *conn
}

func (l *loader) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c.close()
}

// Load returns the named rows that exist; see [engine.Store]. It fails if a row
// is not what a row can be.
func (s *Store) Load(ctx context.Context, need engine.Need) (rows engine.Rows, err error) {
	if b := s.broken.Load(); b != nil {
		return rows, b
	}
	if need.Entries > 0 {
		rows.FirstEntry = s.nextEntry.Add(need.Entries) - need.Entries
	}
	if len(need.Keys) == 0 && need.Rows.Empty() && need.Payments.Empty() {
		return rows, ctx.Err()
	}
	err = s.snapshot(ctx, func(c *conn) error { return s.load(c, need, &rows) })
	if err != nil {
		return engine.Rows{}, fmt.Errorf("sqlite: load: %w", err)
	}
	return rows, nil
}

// snapshot runs fn in a read transaction on the loader's connection, or on one
// of the readers' if that is in use: requests that are being shed look up their
// keys beside the executor.
func (s *Store) snapshot(ctx context.Context, fn func(*conn) error) error {
	if !s.loader.mu.TryLock() {
		return s.pool.read(ctx, fn)
	}
	defer s.loader.mu.Unlock()
	if b := s.broken.Load(); b != nil {
		return b // closed since it was looked
	}
	if s.loader.c.inTransaction() { // an earlier read could not be ended
		if err := s.loader.replace(s.cfg); err != nil {
			return err
		}
	}
	return inSnapshot(s.loader.c, fn)
}

// replace opens another connection. l.mu is held.
func (l *loader) replace(cfg Config) error {
	c, err := openBeside(cfg.Path, cfg.CacheBytes/8)
	if err != nil {
		return err
	}
	old := l.c
	l.c = c
	return old.close()
}

// inSnapshot runs fn in a read transaction: all that it reads is of one moment,
// the last commit before its first read.
//
// It ends what it began, also when fn panics. If it cannot, the connection is
// left in a transaction, and must not be used again.
func inSnapshot(c *conn, fn func(*conn) error) (err error) {
	begin, err := c.stmt("BEGIN")
	if err != nil {
		return err
	}
	if _, err := begin.exec(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.endSnapshot()) }()
	return fn(c)
}

// endSnapshot ends a read transaction, unless an error has.
func (c *conn) endSnapshot() error {
	c.leave()
	var errs []error
	for _, sql := range []string{"COMMIT", "ROLLBACK"} {
		if !c.inTransaction() {
			break
		}
		end, err := c.stmt(sql)
		if err == nil {
			_, err = end.exec()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Store) load(c *conn, need engine.Need, rows *engine.Rows) error {
	for _, k := range need.Keys {
		r, err := loadKey(c, k)
		if err != nil {
			return err
		}
		if r.State != once.Absent {
			rows.Keys = append(rows.Keys, r)
		}
	}
	commit, err := c.snapshotCommit()
	if err != nil {
		return err
	}
	account := func(c *conn, ref ledger.Ref) (*ledger.Account, error) { return s.loadAccount(c, ref, commit) }
	if err := loadEach(c, need.Rows.Accounts, account, &rows.Accounts); err != nil {
		return err
	}
	if err := loadEach(c, need.Rows.Transfers, loadTransfer, &rows.Transfers); err != nil {
		return err
	}
	return loadPayments(c, &need.Payments, rows)
}

// loadEach adds those of the rows with these ids that are there.
func loadEach[ID, Row any](c *conn, ids []ID, load func(*conn, ID) (*Row, error), to *[]*Row) error {
	for _, id := range ids {
		row, err := load(c, id)
		if err != nil {
			return err
		}
		if row != nil {
			*to = append(*to, row)
		}
	}
	return nil
}

// lookUp reads the row that a query finds by its names; the zero T if there is
// none.
func lookUp[T any](c *conn, sql string, read func(*stmt) (T, error), names ...string) (row T, err error) {
	q, err := c.stmt(sql)
	if err != nil {
		return row, err
	}
	for _, name := range names {
		q.text(name)
	}
	if !q.next(&err) {
		return row, err
	}
	defer q.reset()
	return read(q)
}

const selectKey = "SELECT " + keyColumns + `, a.status, a.header, a.body
	FROM keys k LEFT JOIN answers a ON a.key = k.num WHERE k.key = ? AND k.tenant = ?`

// loadKey reads a key with its answer; the zero Record if there is none.
func loadKey(c *conn, k once.Key) (once.Record, error) {
	return lookUp(c, selectKey, (*stmt).answered, k.ID, k.Tenant)
}

// answered reads the row of a key and its answer.
func (s *stmt) answered() (r once.Record, err error) {
	answered := !s.columnNull(12)
	if r, err = s.columnRecord(answered); err != nil || !answered {
		return r, err
	}
	r.Answer = once.Answer{Status: int(s.columnInt(12)), Header: readHeader(s.columnText(13)), Body: s.columnBytes(14)}
	return r, nil
}

const selectAccount = "SELECT " + accountColumns + accountTables + "WHERE a.tenant = ? AND a.id = ?"

const selectCommit = "SELECT value FROM meta WHERE name = 'commit'"

// snapshotCommit is the commit that the snapshot is as of.
func (c *conn) snapshotCommit() (int64, error) {
	return lookUp(c, selectCommit, func(q *stmt) (int64, error) { return q.columnInt(0), nil })
}

// loadAccount returns an account as of the snapshot; nil if there is none.
func (s *Store) loadAccount(c *conn, ref ledger.Ref, commit int64) (*ledger.Account, error) {
	if a, ok := s.hot.account(ref, commit); ok {
		return a, nil
	}
	num, a, err := readAccount(c, ref)
	if err != nil || a == nil {
		return nil, err
	}
	s.hot.loaded(num, a, commit)
	return a, nil
}

// readAccount reads an account, and its number; nil if there is none.
func readAccount(c *conn, ref ledger.Ref) (num int64, a *ledger.Account, err error) {
	a, err = lookUp(c, selectAccount, func(q *stmt) (a *ledger.Account, err error) {
		num, a, err = q.account()
		return a, err
	}, ref.Tenant, ref.ID)
	return num, a, err
}

const selectTransfer = "SELECT " + transferColumns + " FROM transfers WHERE tenant = ? AND id = ?"

// loadTransfer reads a transfer; nil if there is none.
func loadTransfer(c *conn, ref ledger.Ref) (*ledger.Transfer, error) {
	return lookUp(c, selectTransfer, (*stmt).transfer, ref.Tenant, ref.ID)
}
