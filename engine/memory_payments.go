package engine

import (
	"cmp"
	"slices"

	"github.com/oncepay/oncepay/pay"
)

// paymentRows are a Memory's payments.
type paymentRows struct {
	payments   map[pay.Ref]*pay.Payment
	made       []pay.Ref // in the order in which they came
	references map[pay.ReferenceID]pay.Reference
	notices    map[pay.NoticeID]pay.Notice
	lines      map[pay.Ref][]pay.Line
}

func newPaymentRows() paymentRows {
	return paymentRows{
		payments: map[pay.Ref]*pay.Payment{}, references: map[pay.ReferenceID]pay.Reference{},
		notices: map[pay.NoticeID]pay.Notice{}, lines: map[pay.Ref][]pay.Line{},
	}
}

func (m *paymentRows) load(need *pay.Rows, rows *Rows) {
	refs := need.Payments
	for _, id := range need.References {
		if f, ok := m.references[id]; ok {
			rows.References = append(rows.References, new(f))
			refs = append(slices.Clip(refs), pay.Ref{Tenant: f.Tenant, ID: f.Payment})
		}
	}
	for _, ref := range refs {
		if p := m.payments[ref]; p != nil {
			rows.Payments = append(rows.Payments, p.Clone())
		}
	}
	for _, id := range need.Notices {
		if n, ok := m.notices[id]; ok {
			rows.Notices = append(rows.Notices, new(n))
		}
	}
}

// fence says whether every row is where c expects it.
func (m *paymentRows) fence(c *pay.Changes) error {
	if c.Empty() {
		return nil
	}
	for _, p := range c.Payments {
		if cmp.Or(m.payments[p.Ref], &pay.Payment{}).Version != p.Version-1 {
			return ErrConflict
		}
	}
	for _, f := range c.References {
		if m.references[f.ReferenceID()].Version != f.Version-1 {
			return ErrConflict
		}
	}
	for _, n := range c.Notices {
		if m.notices[n.NoticeID].Version != n.Version-1 {
			return ErrConflict
		}
	}
	return nil
}

func (m *paymentRows) commit(c *pay.Changes) {
	if c.Empty() {
		return
	}
	for _, p := range c.Payments {
		if p.Version == 1 {
			m.made = append(m.made, p.Ref)
		}
		m.payments[p.Ref] = p.Clone()
	}
	for _, f := range c.References {
		m.references[f.ReferenceID()] = *f
	}
	for _, n := range c.Notices {
		m.notices[n.NoticeID] = *n
	}
	for _, l := range c.Lines {
		ref := pay.Ref{Tenant: l.Tenant, ID: l.Payment}
		m.lines[ref] = append(m.lines[ref], l)
	}
}
