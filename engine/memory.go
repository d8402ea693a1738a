package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// Memory is a store that keeps everything in memory: a [Store] and an [Upkeep]
// that are as plain as can be, so that others can be compared with it. What it
// is given and what it gives is copied. It is safe for concurrent use; NewMemory
// makes one.
//
// It forgets everything with its process. Its lists scan all that there is.
type Memory struct {
	mu        sync.Mutex
	accounts  map[ledger.Ref]*ledger.Account
	transfers map[ledger.Ref]*ledger.Transfer
	opened    []ledger.Ref // accounts, in the order in which they came
	made      []ledger.Ref // transfers, in the order in which they came
	entries   []ledger.Entry
	numbers   map[int64]bool // of the entries
	events    []outbox.Event
	keys      map[once.Key]once.Record
	payments  paymentRows
	sinks     map[string]*memorySink
	nextEntry int64     // the first sequence number that is not reserved
	since     time.Time // what Sweep was last told to forget before
	at        time.Time // of the latest commit
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{
		accounts: map[ledger.Ref]*ledger.Account{}, transfers: map[ledger.Ref]*ledger.Transfer{},
		numbers: map[int64]bool{}, keys: map[once.Key]once.Record{}, nextEntry: 1, payments: newPaymentRows(),
		sinks: map[string]*memorySink{},
	}
}

// Load is [Store]'s.
func (m *Memory) Load(_ context.Context, need Need) (Rows, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows Rows
	for _, k := range need.Keys {
		if r, ok := m.keys[k]; ok {
			rows.Keys = append(rows.Keys, cloneRecord(r))
		}
	}
	for _, ref := range need.Rows.Accounts {
		if a, ok := m.accounts[ref]; ok {
			rows.Accounts = append(rows.Accounts, cloneAccount(a))
		}
	}
	for _, ref := range need.Rows.Transfers {
		if t, ok := m.transfers[ref]; ok {
			rows.Transfers = append(rows.Transfers, cloneTransfer(t))
		}
	}
	m.payments.load(&need.Payments, &rows)
	if len(rows.Keys)+len(rows.Accounts)+len(rows.Transfers)+len(rows.Payments) > 0 {
		rows.Seen = m.at
	}
	if need.Entries > 0 {
		rows.FirstEntry = m.nextEntry
		m.nextEntry += need.Entries
	}
	return rows, nil
}

// Commit is [Store]'s.
func (m *Memory) Commit(_ context.Context, c *Changes) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fence(c); err != nil {
		return err
	}
	if err := m.check(c); err != nil {
		return err
	}
	if c.At.After(m.at) {
		m.at = c.At
	}
	for _, r := range c.Keys {
		m.keys[r.Key] = cloneRecord(r)
	}
	for _, a := range c.Ledger.Accounts {
		if a.Version == 1 {
			m.opened = append(m.opened, a.Ref)
		}
		m.accounts[a.Ref] = cloneAccount(a)
	}
	for _, t := range c.Ledger.Transfers {
		if t.Version == 1 {
			m.made = append(m.made, t.Ref)
		}
		m.transfers[t.Ref] = cloneTransfer(t)
	}
	for _, e := range c.Ledger.Entries {
		m.numbers[e.Seq] = true
		m.entries = append(m.entries, e)
	}
	for _, e := range c.Ledger.Events {
		e.Data = slices.Clone(e.Data)
		m.events = append(m.events, e)
	}
	m.payments.commit(c.Payments)
	return nil
}

// fence says whether every row is where c expects it: one that is absent is at
// version 0.
func (m *Memory) fence(c *Changes) error {
	for _, r := range c.Keys {
		if m.keys[r.Key].Version != r.Version-1 {
			return ErrConflict
		}
	}
	for _, a := range c.Ledger.Accounts {
		if cmp.Or(m.accounts[a.Ref], &ledger.Account{}).Version != a.Version-1 {
			return ErrConflict
		}
	}
	for _, t := range c.Ledger.Transfers {
		if cmp.Or(m.transfers[t.Ref], &ledger.Transfer{}).Version != t.Version-1 {
			return ErrConflict
		}
	}
	return m.payments.fence(c.Payments)
}

// check says what is wrong with the changes themselves: a defect of whoever made
// them, so nothing is written.
func (m *Memory) check(c *Changes) error {
	for _, e := range c.Ledger.Entries {
		if m.numbers[e.Seq] || e.Seq >= m.nextEntry {
			return fmt.Errorf("%w: entry %d is taken, or was never reserved", ErrNotCommitted, e.Seq)
		}
	}
	if err := c.Ledger.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotCommitted, err)
	}
	return nil
}

// DueHolds is [Upkeep]'s.
func (m *Memory) DueHolds(_ context.Context, now time.Time, limit int) ([]ledger.Ref, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []*ledger.Transfer
	for _, ref := range m.made {
		t := m.transfers[ref]
		if t.Status == ledger.Pending && !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(now) {
			due = append(due, t)
		}
	}
	slices.SortStableFunc(due, func(a, b *ledger.Transfer) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
	refs := make([]ledger.Ref, 0, len(due))
	for _, t := range due[:min(len(due), limit)] {
		refs = append(refs, t.Ref)
	}
	return refs, nil
}

// CountReplays is [Upkeep]'s.
func (m *Memory) CountReplays(_ context.Context, counts map[once.Key]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, n := range counts {
		if r, ok := m.keys[k]; ok {
			r.Replays += n
			m.keys[k] = r
		}
	}
	return nil
}

// Sweep is [Upkeep]'s. It does all of it at once.
func (m *Memory) Sweep(_ context.Context, now, forget time.Time) (more bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if forget.After(m.since) {
		m.since = forget
	}
	for k, r := range m.keys {
		r = r.Bury(now)
		if r.State == once.Tombstone && r.CreatedAt.Before(forget) {
			delete(m.keys, k)
			continue
		}
		m.keys[k] = r
	}
	m.payments.sweep(now)
	return false, nil
}

func cloneAccount(a *ledger.Account) *ledger.Account {
	c := *a
	c.Metadata = maps.Clone(a.Metadata)
	return &c
}

func cloneTransfer(t *ledger.Transfer) *ledger.Transfer {
	c := *t
	c.Metadata = maps.Clone(t.Metadata)
	return &c
}

func cloneRecord(r once.Record) once.Record {
	r.Answer.Header = slices.Clone(r.Answer.Header)
	r.Answer.Body = slices.Clone(r.Answer.Body)
	return r
}

func withoutAnswer(r once.Record) once.Record {
	r.Answer = once.Answer{}
	return r
}
