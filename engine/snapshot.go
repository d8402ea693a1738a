package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// Snapshot is all that a [Memory] held at one moment, to be read from end to
// end: an audit.Source. It is safe for concurrent use.
type Snapshot struct {
	accounts  []*ledger.Account
	entries   []ledger.Entry
	transfers []*ledger.Transfer
	keys      []once.Record
	events    []outbox.Event
	payments  []*pay.Payment
	orders    []order
	since     time.Time
}

// order is a reference, and what is found under it.
type order struct {
	pay.Reference
	held     bool
	payments int64
}

// Snapshot copies all that m holds.
func (m *Memory) Snapshot() *Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &Snapshot{entries: slices.Clone(m.entries), since: m.since}
	slices.SortFunc(s.entries, func(a, b ledger.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, ref := range m.opened {
		s.accounts = append(s.accounts, cloneAccount(m.accounts[ref]))
	}
	for _, ref := range m.made {
		s.transfers = append(s.transfers, cloneTransfer(m.transfers[ref]))
	}
	for _, r := range m.keys {
		s.keys = append(s.keys, withoutAnswer(r))
	}
	for _, e := range m.events {
		e.Data = nil
		s.events = append(s.events, e)
	}
	m.payments.snapshot(s)
	return s
}

func (m *paymentRows) snapshot(s *Snapshot) {
	number := map[pay.ReferenceID]int64{}
	for _, ref := range m.made {
		p := m.payments[ref].Clone()
		s.payments = append(s.payments, p)
		number[pay.ReferenceID{Tenant: p.Tenant, Reference: p.Reference}]++
	}
	for id, f := range m.references {
		holder := m.payments[pay.Ref{Tenant: f.Tenant, ID: f.Payment}]
		s.orders = append(s.orders, order{f, holder != nil && holder.Reference == f.Reference, number[id]})
	}
}

// Accounts yields every account.
func (s *Snapshot) Accounts(_ context.Context, yield func(*ledger.Account) error) error {
	return each(s.accounts, yield)
}

// Entries yields every entry by Seq, ascending.
func (s *Snapshot) Entries(_ context.Context, yield func(ledger.Entry) error) error {
	return each(s.entries, yield)
}

// Transfers yields every transfer.
func (s *Snapshot) Transfers(_ context.Context, yield func(*ledger.Transfer) error) error {
	return each(s.transfers, yield)
}

// Keys yields what is known of every key, without the answer.
func (s *Snapshot) Keys(_ context.Context, yield func(once.Record) error) error {
	return each(s.keys, yield)
}

// Events yields every event, without its data.
func (s *Snapshot) Events(_ context.Context, yield func(outbox.Event) error) error {
	return each(s.events, yield)
}

// Payments yields every payment.
func (s *Snapshot) Payments(_ context.Context, yield func(*pay.Payment) error) error {
	return each(s.payments, yield)
}

// References yields every reference, whether the payment that it names is there
// and has it, and how many payments have it.
func (s *Snapshot) References(_ context.Context, yield func(r pay.Reference, held bool, payments int64) error) error {
	return each(s.orders, func(o order) error { return yield(o.Reference, o.held, o.payments) })
}

// Rows says how many rows all of it has.
func (s *Snapshot) Rows(context.Context) (int64, error) {
	return int64(len(s.accounts) + len(s.entries) + len(s.transfers) + len(s.keys) + len(s.events) + len(s.payments) + len(s.orders)), nil
}

// KeysSince says from when on every key is still known: the latest time that
// Sweep was told to forget before, zero if there was none.
func (s *Snapshot) KeysSince(context.Context) (time.Time, error) { return s.since, nil }

func each[T any](rows []T, yield func(T) error) error {
	for _, r := range rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}
