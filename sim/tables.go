package sim

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// tables is what is on a disk: an audit.Source. Beside each map is the order in
// which its rows came, since nothing may depend on the order of a map.
type tables struct {
	accounts  map[ledger.Ref]*ledger.Account
	opened    []ledger.Ref
	transfers map[ledger.Ref]*ledger.Transfer
	made      []ledger.Ref
	keys      map[once.Key]once.Record
	keyed     []once.Key
	entries   []ledger.Entry
	events    []outbox.Event
	lastEntry int64
	at        time.Time // of the last commit
	since     time.Time // keys made before it were forgotten
}

func newTables() tables {
	return tables{
		accounts: map[ledger.Ref]*ledger.Account{}, transfers: map[ledger.Ref]*ledger.Transfer{}, keys: map[once.Key]once.Record{},
	}
}

func (t *tables) apply(c *engine.Changes) {
	for _, a := range c.Ledger.Accounts {
		if t.accounts[a.Ref] == nil {
			t.opened = append(t.opened, a.Ref)
		}
		t.accounts[a.Ref] = a
	}
	for _, tr := range c.Ledger.Transfers {
		if t.transfers[tr.Ref] == nil {
			t.made = append(t.made, tr.Ref)
		}
		t.transfers[tr.Ref] = tr
	}
	for _, r := range c.Keys {
		t.keys[r.Key] = r
		t.keyed = append(t.keyed, r.Key)
	}
	for _, e := range c.Ledger.Entries {
		t.lastEntry = max(t.lastEntry, e.Seq)
	}
	t.entries = append(t.entries, c.Ledger.Entries...)
	t.events = append(t.events, c.Ledger.Events...)
	t.at = c.At
}

// due returns holds whose time is over.
func (t *tables) due(now time.Time) (due []ledger.Ref) {
	for _, ref := range t.made {
		tr := t.transfers[ref]
		if tr.Status == ledger.Pending && !tr.ExpiresAt.IsZero() && !tr.ExpiresAt.After(now) {
			due = append(due, ref)
		}
	}
	return due
}

// sweep drops what is over, as engine.Upkeep says; early is a planted bug.
func (t *tables) sweep(now, forget time.Time, early bool) {
	if forget.After(t.since) {
		t.since = forget
	}
	left := t.keyed[:0]
	for _, k := range t.keyed {
		r := t.keys[k].Bury(now)
		if r.State == once.Tombstone && (early || r.CreatedAt.Before(forget)) {
			delete(t.keys, k)
			continue
		}
		t.keys[k] = r
		left = append(left, k)
	}
	t.keyed = left
}

// The methods of audit.Source.

func (t *tables) Accounts(_ context.Context, yield func(*ledger.Account) error) error {
	return each(t.opened, func(r ledger.Ref) error { return yield(t.accounts[r]) })
}

func (t *tables) Entries(_ context.Context, yield func(ledger.Entry) error) error {
	bySeq := func(a, b ledger.Entry) int { return cmp.Compare(a.Seq, b.Seq) }
	return each(slices.SortedFunc(slices.Values(t.entries), bySeq), yield)
}

func (t *tables) Transfers(_ context.Context, yield func(*ledger.Transfer) error) error {
	return each(t.made, func(r ledger.Ref) error { return yield(t.transfers[r]) })
}

func (t *tables) Keys(_ context.Context, yield func(once.Record) error) error {
	return each(t.keyed, func(k once.Key) error { return yield(t.keys[k]) })
}

func (t *tables) Events(_ context.Context, yield func(outbox.Event) error) error {
	return each(t.events, yield)
}

func (t *tables) Rows(context.Context) (int64, error) {
	return int64(len(t.opened) + len(t.entries) + len(t.made) + len(t.keyed) + len(t.events)), nil
}

func (t *tables) KeysSince(context.Context) (time.Time, error) { return t.since, nil }

func each[T any](rows []T, yield func(T) error) error {
	for _, r := range rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// describe says what a commit wrote, for the trace.
func describe(c *engine.Changes) string {
	b := strconv.AppendInt(nil, int64(len(c.Keys)), 10)
	b = append(b, " keys,"...)
	for _, e := range c.Ledger.Entries {
		b = strconv.AppendInt(append(b, ' '), e.Seq, 10)
		b = strconv.AppendInt(append(b, ':'), e.Delta.Posted, 10)
		b = append(append(append(b, ' '), e.Account.ID...), e.Transfer...)
	}
	return string(b)
}
