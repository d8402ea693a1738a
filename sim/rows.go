package sim

import (
	"maps"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// rows is what can be looked up by its id. A row that is in here is not changed
// any more: who changes it puts another one.
type rows struct {
	keys       map[once.Key]once.Record
	accounts   map[ledger.Ref]*ledger.Account
	transfers  map[ledger.Ref]*ledger.Transfer
	payments   map[pay.Ref]*pay.Payment
	references map[pay.ReferenceID]*pay.Reference
	notices    map[pay.NoticeID]*pay.Notice
}

func newRows() rows {
	return rows{
		keys: map[once.Key]once.Record{}, accounts: map[ledger.Ref]*ledger.Account{}, transfers: map[ledger.Ref]*ledger.Transfer{},
		payments: map[pay.Ref]*pay.Payment{}, references: map[pay.ReferenceID]*pay.Reference{}, notices: map[pay.NoticeID]*pay.Notice{},
	}
}

func (r *rows) clone() rows {
	return rows{
		keys: maps.Clone(r.keys), accounts: maps.Clone(r.accounts), transfers: maps.Clone(r.transfers),
		payments: maps.Clone(r.payments), references: maps.Clone(r.references), notices: maps.Clone(r.notices),
	}
}

// put takes in what a commit wrote.
func (r *rows) put(c *engine.Changes) {
	for _, k := range c.Keys {
		r.keys[k.Key] = k
	}
	for _, a := range c.Ledger.Accounts {
		r.accounts[a.Ref] = a
	}
	for _, t := range c.Ledger.Transfers {
		r.transfers[t.Ref] = t
	}
	for _, p := range c.Payments.Payments {
		r.payments[p.Ref] = p
	}
	for _, f := range c.Payments.References {
		r.references[f.ReferenceID()] = f
	}
	for _, n := range c.Payments.Notices {
		r.notices[n.NoticeID] = n
	}
}

// current says whether every row is where c expects it.
func (r *rows) current(c *engine.Changes) bool {
	for _, k := range c.Keys {
		if r.keys[k.Key].Version != k.Version-1 {
			return false
		}
	}
	p := c.Payments
	return expected(r.accounts, c.Ledger.Accounts, func(a *ledger.Account) (ledger.Ref, int64) { return a.Ref, a.Version }) &&
		expected(r.transfers, c.Ledger.Transfers, func(t *ledger.Transfer) (ledger.Ref, int64) { return t.Ref, t.Version }) &&
		expected(r.payments, p.Payments, func(p *pay.Payment) (pay.Ref, int64) { return p.Ref, p.Version }) &&
		expected(r.references, p.References, func(f *pay.Reference) (pay.ReferenceID, int64) { return f.ReferenceID(), f.Version }) &&
		expected(r.notices, p.Notices, func(n *pay.Notice) (pay.NoticeID, int64) { return n.NoticeID, n.Version })
}

// expected says whether each of what is written follows what is there: a row's
// version counts the commits that changed it, and a new one follows nothing.
func expected[ID comparable, T any](there map[ID]*T, written []*T, at func(*T) (ID, int64)) bool {
	for _, row := range written {
		id, version := at(row)
		before := int64(0)
		if old := there[id]; old != nil {
			_, before = at(old)
		}
		if before != version-1 {
			return false
		}
	}
	return true
}

// find returns copies of the rows that are there.
func (r *rows) find(need *engine.Need) (found engine.Rows) {
	for _, k := range need.Keys {
		if rec, ok := r.keys[k]; ok {
			found.Keys = append(found.Keys, rec)
		}
	}
	for _, ref := range need.Rows.Accounts {
		if a := r.accounts[ref]; a != nil {
			found.Accounts = append(found.Accounts, new(*a))
		}
	}
	for _, ref := range need.Rows.Transfers {
		if t := r.transfers[ref]; t != nil {
			found.Transfers = append(found.Transfers, new(*t))
		}
	}
	r.findPayments(&need.Payments, &found)
	return found
}

func (r *rows) findPayments(need *pay.Rows, found *engine.Rows) {
	for _, ref := range need.Payments {
		if p := r.payments[ref]; p != nil {
			found.Payments = append(found.Payments, p.Clone())
		}
	}
	for _, id := range need.References {
		if f := r.references[id]; f != nil {
			found.References = append(found.References, new(*f))
			found.Payments = append(found.Payments, r.payments[pay.Ref{Tenant: f.Tenant, ID: f.Payment}].Clone())
		}
	}
	for _, id := range need.Notices {
		if n := r.notices[id]; n != nil {
			found.Notices = append(found.Notices, new(*n))
		}
	}
}

// copyChanges copies what is written: the engine goes on with its rows.
func copyChanges(c *engine.Changes) *engine.Changes {
	money := &ledger.Changes{Entries: append([]ledger.Entry(nil), c.Ledger.Entries...)}
	money.Events = append(money.Events, c.Ledger.Events...)
	for _, a := range c.Ledger.Accounts {
		money.Accounts = append(money.Accounts, new(*a))
	}
	for _, t := range c.Ledger.Transfers {
		money.Transfers = append(money.Transfers, new(*t))
	}
	return &engine.Changes{At: c.At, Keys: append([]once.Record(nil), c.Keys...), Ledger: money, Payments: copyPayments(c.Payments)}
}

func copyPayments(c *pay.Changes) *pay.Changes {
	made := &pay.Changes{}
	if c == nil {
		return made
	}
	made.Lines = append(made.Lines, c.Lines...)
	for _, p := range c.Payments {
		made.Payments = append(made.Payments, p.Clone())
	}
	for _, f := range c.References {
		made.References = append(made.References, new(*f))
	}
	for _, n := range c.Notices {
		made.Notices = append(made.Notices, new(*n))
	}
	return made
}
