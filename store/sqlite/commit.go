package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

// Commit writes c as a whole or not at all, and returns nil when it is durable;
// see [engine.Store]. Where its outcome cannot be known it calls Config.Fatal.
func (s *Store) Commit(ctx context.Context, c *engine.Changes) error {
	if err := cmp.Or(ctx.Err(), s.check(c)); err != nil {
		return fmt.Errorf("%w: %w", engine.ErrNotCommitted, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	nums := make(map[ledger.Ref]int64, len(c.Ledger.Accounts))
	err := s.write(func(w *writer) error { return s.put(w, c, nums) })
	if err != nil {
		s.hot.forget() // a conflict may be its own
		return err
	}
	s.hot.committed(s.w.last.commit, c.Ledger.Accounts, nums)
	s.checkpoints.wrote(s.w.logged())
	return nil
}

// check says what is wrong with the changes themselves, whatever the rows are: a
// defect of whoever made them.
func (s *Store) check(c *engine.Changes) error {
	reserved := s.nextEntry.Load()
	for i := range c.Ledger.Entries {
		if seq := c.Ledger.Entries[i].Seq; seq <= 0 || seq >= reserved {
			return fmt.Errorf("sqlite: entry %d was never reserved", seq)
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

// put writes the rows of a batch, and the row numbers of its accounts into nums.
func (s *Store) put(w *writer, c *engine.Changes, nums map[ledger.Ref]int64) error {
	for _, a := range c.Ledger.Accounts {
		num, err := s.putAccount(w, a)
		if err != nil {
			return err
		}
		nums[a.Ref] = num
	}
	for _, t := range c.Ledger.Transfers {
		if err := w.putTransfer(t); err != nil {
			return err
		}
	}
	for i := range c.Ledger.Entries {
		e := &c.Ledger.Entries[i]
		if err := w.putEntry(nums[e.Account], e); err != nil {
			return err
		}
	}
	if !c.Payments.Empty() {
		if err := w.putPayments(c.Payments); err != nil {
			return err
		}
	}
	for i := range c.Keys {
		if err := w.putKey(&c.Keys[i]); err != nil {
			return err
		}
	}
	for i := range c.Ledger.Events {
		if err := w.putEvent(&c.Ledger.Events[i]); err != nil {
			return err
		}
	}
	return w.putClock(c.At)
}

// putAccount opens an account or brings it to its next version.
func (s *Store) putAccount(w *writer, a *ledger.Account) (num int64, err error) {
	if a.Version == 1 {
		return w.openAccount(a)
	}
	before, ok := s.hot.row(a.Ref)
	if !ok {
		if before, err = readRow(w.c, a.Ref); err != nil {
			return 0, err
		}
	}
	if b := &before.a; b.Floor != a.Floor || b.Closed != a.Closed || !maps.Equal(b.Metadata, a.Metadata) {
		if err := w.changeAccount(before.num, a); err != nil {
			return 0, err
		}
	}
	return before.num, w.putBalance(before.num, a)
}

// readRow reads an account that a commit brings to its next version.
func readRow(c *conn, ref ledger.Ref) (row, error) {
	num, a, err := readAccount(c, ref)
	if err != nil {
		return row{}, err
	}
	if a == nil {
		return row{}, engine.ErrConflict
	}
	return row{num, *a}, nil
}

// write runs fn in a transaction on the writing connection, and makes sure that
// an error says what became of it. s.mu is held.
func (s *Store) write(fn func(*writer) error) error {
	if b := s.broken.Load(); b != nil {
		return fmt.Errorf("%w: %w", engine.ErrNotCommitted, b)
	}
	err := s.w.transaction(fn)
	if s.w.c.inTransaction() {
		return s.fail(err)
	}
	if err == nil || errors.Is(err, engine.ErrNotCommitted) {
		return err
	}
	return s.judge(err)
}
