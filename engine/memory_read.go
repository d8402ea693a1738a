package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// Account returns an account, or nil if there is none.
func (m *Memory) Account(_ context.Context, ref ledger.Ref) (*ledger.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.accounts[ref]; ok {
		return cloneAccount(a), nil
	}
	return nil, nil
}

// AccountAt returns an account with the balance that it had at a time, which
// counts the entries of that very moment, or nil if it was not open yet. What is
// no balance is as it is now.
func (m *Memory) AccountAt(_ context.Context, ref ledger.Ref, at time.Time) (*ledger.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.accounts[ref]
	if !ok || a.CreatedAt.After(at) {
		return nil, nil
	}
	then := cloneAccount(a)
	then.Balance = ledger.Balance{}
	for _, e := range m.entries {
		if e.Account == ref && !e.At.After(at) {
			then.Balance = e.After
		}
	}
	return then, nil
}

// Accounts lists the accounts of a tenant, newest first; of two that were opened
// at the same time, the later one first. It fails with ErrBadCursor.
func (m *Memory) Accounts(_ context.Context, tenant string, p Page) (List[*ledger.Account], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []*ledger.Account
	for _, ref := range m.opened {
		if ref.Tenant == tenant {
			rows = append(rows, cloneAccount(m.accounts[ref]))
		}
	}
	return page(fmt.Sprintf("accounts of %q", tenant), rows, func(a *ledger.Account) time.Time { return a.CreatedAt }, nil, p)
}

// Entries lists the entries of an account, newest first. It fails with
// ErrBadCursor.
func (m *Memory) Entries(_ context.Context, ref ledger.Ref, p Page) (List[ledger.Entry], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []ledger.Entry
	for _, e := range m.entries {
		if e.Account == ref {
			rows = append(rows, e)
		}
	}
	return page(fmt.Sprintf("entries of %q", ref), rows, func(e ledger.Entry) time.Time { return e.At }, nil, p)
}

// Transfer returns a transfer, or nil if there is none.
func (m *Memory) Transfer(_ context.Context, ref ledger.Ref) (*ledger.Transfer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.transfers[ref]; ok {
		return cloneTransfer(t), nil
	}
	return nil, nil
}

// Transfers lists the transfers of a tenant, newest first. It fails with
// ErrBadCursor.
func (m *Memory) Transfers(_ context.Context, tenant string, f TransferFilter, p Page) (List[*ledger.Transfer], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []*ledger.Transfer
	for _, ref := range m.made {
		if t := m.transfers[ref]; ref.Tenant == tenant && f.match(t) {
			rows = append(rows, cloneTransfer(t))
		}
	}
	return page(fmt.Sprintf("transfers of %q, %q", tenant, f), rows, func(t *ledger.Transfer) time.Time { return t.CreatedAt }, nil, p)
}

func (f TransferFilter) match(t *ledger.Transfer) bool {
	return (f.Account == "" || f.Account == t.From || f.Account == t.To) &&
		(f.Reference == "" || f.Reference == t.Reference)
}

// Key returns what is known of a key, and of its answer the status alone; the zero
// Record if nothing is.
func (m *Memory) Key(_ context.Context, k once.Key) (once.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.keys[k]
	r.Answer = once.Answer{Status: r.Answer.Status}
	return r, nil
}

// Events lists the events of a tenant, newest first. It fails with
// ErrBadCursor.
func (m *Memory) Events(_ context.Context, tenant string, f EventFilter, p Page) (List[outbox.Event], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []outbox.Event
	for _, e := range m.events {
		if e.Tenant == tenant && (f.Subject == "" || f.Subject == e.Subject) && (f.Type == "" || f.Type == e.Type) {
			e.Data = slices.Clone(e.Data)
			rows = append(rows, e)
		}
	}
	return page(fmt.Sprintf("events of %q, %q", tenant, f), rows, func(e outbox.Event) time.Time { return e.At }, nil, p)
}

// place is where a row stands in a list: when it was made, and its number in
// order of arrival. Rows that arrive later change no place.
type place struct {
	at     time.Time
	number int
}

func (p place) compare(q place) int {
	return cmp.Or(p.at.Compare(q.at), cmp.Compare(p.number, q.number))
}

// page picks a page of rows that are in order of arrival. list names the list,
// so that its cursors are known again. keep says which of the rows are shown now,
// where that changes: they come and go, and the places of the others stay.
func page[T any](list string, rows []T, made func(T) time.Time, keep func(T) bool, p Page) (List[T], error) {
	last, err := readCursor(list, p.Cursor, len(rows))
	if err != nil {
		return List[T]{}, err
	}
	var places []place
	for i, r := range rows {
		here := place{made(r), i}
		after := p.Cursor == "" || here.compare(place{made(rows[last]), last}) < 0
		if after && (keep == nil || keep(r)) && (p.After.IsZero() || here.at.After(p.After)) && (p.Before.IsZero() || here.at.Before(p.Before)) {
			places = append(places, here)
		}
	}
	slices.SortFunc(places, func(a, b place) int { return b.compare(a) })
	var l List[T]
	for _, here := range places[:min(len(places), p.Limit)] {
		l.Items = append(l.Items, rows[here.number])
		last = here.number
	}
	if len(places) > p.Limit {
		l.Next = writeCursor(list, last)
	}
	return l, nil
}

// writeCursor names a row of a list: by the name of the list, shortened, and the
// row's number.
func writeCursor(list string, row int) string {
	name := sha256.Sum256([]byte(list))
	return fmt.Sprintf("%x.%d", name[:8], row)
}

// readCursor returns the number of the last row of the page before.
func readCursor(list, cursor string, rows int) (int, error) {
	if cursor == "" {
		return 0, nil
	}
	_, number, _ := strings.Cut(cursor, ".")
	row, err := strconv.Atoi(number)
	if err != nil || row < 0 || row >= rows || cursor != writeCursor(list, row) {
		return 0, ErrBadCursor
	}
	return row, nil
}
