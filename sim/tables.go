package sim

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// tables is what is on a disk: an audit.Source. Beside the rows is the order in
// which they came, since nothing may depend on the order of a map.
type tables struct {
	rows
	opened    []ledger.Ref
	made      []ledger.Ref
	keyed     []once.Key
	paid      []pay.Ref
	undone    []pay.Ref // payments that may have something to do
	ordered   []pay.ReferenceID
	unmatched []pay.NoticeID
	entries   []ledger.Entry
	events    []outbox.Event
	lastEntry int64
	at        time.Time // of the last commit
	since     time.Time // keys made before it were forgotten
}

func (t *tables) apply(c *engine.Changes) {
	for _, a := range c.Ledger.Accounts {
		if a.Version == 1 {
			t.opened = append(t.opened, a.Ref)
		}
	}
	for _, tr := range c.Ledger.Transfers {
		if tr.Version == 1 {
			t.made = append(t.made, tr.Ref)
		}
	}
	for _, r := range c.Keys {
		if _, there := t.keys[r.Key]; !there {
			t.keyed = append(t.keyed, r.Key)
		}
	}
	for _, p := range c.Payments.Payments {
		if p.Version == 1 {
			t.paid = append(t.paid, p.Ref)
		}
		if !slices.Contains(t.undone, p.Ref) {
			t.undone = append(t.undone, p.Ref)
		}
	}
	for _, f := range c.Payments.References {
		if f.Version == 1 {
			t.ordered = append(t.ordered, f.ReferenceID())
		}
	}
	for _, n := range c.Payments.Notices {
		t.noticed(n)
	}
	for _, e := range c.Ledger.Entries {
		t.lastEntry = max(t.lastEntry, e.Seq)
	}
	t.entries = append(t.entries, c.Ledger.Entries...)
	t.events = append(t.events, c.Ledger.Events...)
	t.at = c.At
	t.put(c)
}

func (t *tables) noticed(n *pay.Notice) {
	if i := slices.Index(t.unmatched, n.NoticeID); i >= 0 {
		t.unmatched = slices.Delete(t.unmatched, i, i+1)
	}
	if !n.Matched {
		t.unmatched = append(t.unmatched, n.NoticeID)
	}
}

// dueHolds returns holds whose time is over.
func (t *tables) dueHolds(now time.Time) (due []ledger.Ref) {
	for _, ref := range t.made {
		tr := t.transfers[ref]
		if tr.Status == ledger.Pending && !tr.ExpiresAt.IsZero() && !tr.ExpiresAt.After(now) {
			due = append(due, ref)
		}
	}
	return due
}

// due returns operations that have something to do by now, the longest due first.
func (t *tables) due(now time.Time) (all []due) {
	t.eachDue(func(p *pay.Payment, o *pay.Operation) {
		if !o.DueAt.After(now) {
			all = append(all, due{payment: p, o: o})
		}
	})
	slices.SortStableFunc(all, func(a, b due) int { return a.o.DueAt.Compare(b.o.DueAt) })
	return all
}

// nextDue says when the first of those that count is due.
func (t *tables) nextDue(counts func(*pay.Operation) bool) (next time.Time) {
	t.eachDue(func(_ *pay.Payment, o *pay.Operation) {
		if (next.IsZero() || o.DueAt.Before(next)) && counts(o) {
			next = o.DueAt
		}
	})
	return next
}

// eachDue goes through operations that have something to do, some time.
func (t *tables) eachDue(yield func(*pay.Payment, *pay.Operation)) {
	left := t.undone[:0]
	for _, ref := range t.undone {
		p, some := t.payments[ref], false
		for _, o := range p.Operations {
			if !o.DueAt.IsZero() {
				some = true
				yield(p, o)
			}
		}
		if some {
			left = append(left, ref)
		}
	}
	t.undone = left
}

// matchable returns notices that were not matched with an operation, and now can
// be, with what they are about.
func (t *tables) matchable() (all []pay.Notice) {
	for _, id := range t.unmatched {
		n := *t.notices[id]
		for _, ref := range t.paid {
			p := t.payments[ref]
			if ref.Tenant != n.Tenant || p.Gateway != n.Gateway {
				continue
			}
			for _, o := range p.Operations {
				if o.ID == n.Operation || n.Operation == "" && o.GatewayID == n.GatewayID && n.GatewayID != "" {
					n.Payment, n.Operation = p.ID, o.ID
				}
			}
		}
		if n.Operation != "" && t.payments[pay.Ref{Tenant: n.Tenant, ID: n.Payment}] != nil {
			all = append(all, n)
		}
	}
	return all
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

// The methods of audit.Source, and of audit.Payments.

var _ audit.Payments = (*tables)(nil)

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

func (t *tables) Payments(_ context.Context, yield func(*pay.Payment) error) error {
	return each(t.paid, func(r pay.Ref) error { return yield(t.payments[r]) })
}

func (t *tables) References(_ context.Context, yield func(r pay.Reference, held bool, payments int64) error) error {
	having := map[pay.ReferenceID]int64{}
	for _, ref := range t.paid {
		having[pay.ReferenceID{Tenant: ref.Tenant, Reference: t.payments[ref].Reference}]++
	}
	return each(t.ordered, func(id pay.ReferenceID) error {
		r := t.references[id]
		p := t.payments[pay.Ref{Tenant: r.Tenant, ID: r.Payment}]
		return yield(*r, p != nil && p.Reference == r.Reference, having[id])
	})
}

func (t *tables) Rows(context.Context) (int64, error) {
	return int64(len(t.opened) + len(t.entries) + len(t.made) + len(t.keyed) + len(t.events) + len(t.paid) + len(t.ordered)), nil
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
	for _, p := range c.Payments.Payments {
		b = append(append(append(b, ' '), p.ID...), '=')
		b = append(b, p.Status.String()...)
		for _, o := range p.Operations {
			b = strconv.AppendInt(append(append(append(b, ' '), o.Kind.String()...), '/'), o.Attempt, 10)
			b = append(append(b, ':'), o.Outcome.String()...)
			if o.Adrift > 0 {
				b = strconv.AppendInt(append(b, " adrift "...), o.Adrift, 10)
			}
		}
	}
	return string(b)
}
