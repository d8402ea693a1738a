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
	for _, ref := range need.Rows.Accounts {
		a, err := s.loadAccount(c, ref, commit)
		if err != nil {
			return err
		}
		if a != nil {
			rows.Accounts = append(rows.Accounts, a)
		}
	}
	for _, ref := range need.Rows.Transfers {
		t, err := loadTransfer(c, ref)
		if err != nil {
			return err
		}
		if t != nil {
			rows.Transfers = append(rows.Transfers, t)
		}
	}
	return loadPayments(c, &need.Payments, rows)
}

const selectKey = "SELECT " + keyColumns + `, a.status, a.header, a.body
	FROM keys k LEFT JOIN answers a ON a.key = k.num WHERE k.key = ? AND k.tenant = ?`

// loadKey reads a key with its answer; the zero Record if there is none.
func loadKey(c *conn, k once.Key) (r once.Record, err error) {
	q, err := c.stmt(selectKey)
	if err != nil {
		return r, err
	}
	q.text(k.ID).text(k.Tenant)
	if !q.next(&err) {
		return r, err
	}
	defer q.reset()
	answered := !q.columnNull(12)
	if r, err = q.columnRecord(answered); err != nil || !answered {
		return r, err
	}
	r.Answer = once.Answer{Status: int(q.columnInt(12)), Header: readHeader(q.columnText(13)), Body: q.columnBytes(14)}
	return r, nil
}

const selectAccount = "SELECT " + accountColumns + accountTables + "WHERE a.tenant = ? AND a.id = ?"

const selectCommit = "SELECT value FROM meta WHERE name = 'commit'"

// snapshotCommit is the commit that the snapshot is as of.
func (c *conn) snapshotCommit() (n int64, err error) {
	q, err := c.stmt(selectCommit)
	if err != nil {
		return 0, err
	}
	if q.next(&err) {
		n = q.columnInt(0)
		q.reset()
	}
	return n, err
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

func readAccount(c *conn, ref ledger.Ref) (num int64, a *ledger.Account, err error) {
	q, err := c.stmt(selectAccount)
	if err != nil {
		return 0, nil, err
	}
	q.text(ref.Tenant).text(ref.ID)
	if !q.next(&err) {
		return 0, nil, err
	}
	defer q.reset()
	if num, a, err = q.columnAccount(); err != nil {
		return 0, nil, err
	}
	return num, a, a.Check()
}

const selectTransfer = "SELECT " + transferColumns + " FROM transfers WHERE tenant = ? AND id = ?"

// loadTransfer reads a transfer; nil if there is none.
func loadTransfer(c *conn, ref ledger.Ref) (t *ledger.Transfer, err error) {
	q, err := c.stmt(selectTransfer)
	if err != nil {
		return nil, err
	}
	q.text(ref.Tenant).text(ref.ID)
	if !q.next(&err) {
		return nil, err
	}
	defer q.reset()
	if t, err = q.columnTransfer(); err != nil {
		return nil, err
	}
	return t, t.Check()
}
