package pay

import (
	"github.com/oncepay/oncepay/internal/rows"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Rows names rows.
type Rows struct {
	Payments   []Ref
	References []ReferenceID // with their holders
	Notices    []NoticeID
}

// Empty says whether no row is named.
func (r *Rows) Empty() bool {
	return len(r.Payments) == 0 && len(r.References) == 0 && len(r.Notices) == 0
}

// Changes is what a book's commands wrote, beside what they wrote to the ledger.
type Changes struct {
	Payments   []*Payment // with all of their operations
	References []*Reference
	Notices    []*Notice
	Lines      []Line

	same map[*Operation]bool // operations of Payments that nothing has changed
}

// Same says that an operation of a payment that was written is as it was when it
// was loaded: a store that has it need not write it again.
func (c *Changes) Same(o *Operation) bool { return c.same[o] }

// Empty says whether nothing was written.
func (c *Changes) Empty() bool {
	return c == nil || len(c.Payments) == 0 && len(c.References) == 0 && len(c.Notices) == 0 && len(c.Lines) == 0
}

// Book is the part of the payments that one batch of commands works on, with the
// ledger's. It is not safe for concurrent use.
type Book struct {
	*ledger.Book

	keys       rows.Set[once.Key, once.Record]
	payments   rows.Set[Ref, Payment]
	references rows.Set[ReferenceID, Reference]
	notices    rows.Set[NoticeID, Notice]
	pasts      map[Ref]*past
	changes    Changes
}

// past is what became of a payment in this book.
type past struct {
	loaded []Operation // as they were loaded
	writes int         // how often it was written
}

// NewBook makes an empty book.
func NewBook() *Book {
	return &Book{
		Book:       ledger.NewBook(),
		keys:       rows.Of(func(r *once.Record) (once.Key, *int64) { return r.Key, &r.Version }),
		payments:   rows.Of(func(p *Payment) (Ref, *int64) { return p.Ref, &p.Version }),
		references: rows.Of(func(f *Reference) (ReferenceID, *int64) { return f.ReferenceID(), &f.Version }),
		notices:    rows.Of(func(n *Notice) (NoticeID, *int64) { return n.NoticeID, &n.Version }),
	}
}

// WantKey names a key to be loaded.
func (b *Book) WantKey(k once.Key) { b.keys.Want(k) }

// WantPayment names a payment to be loaded.
func (b *Book) WantPayment(r Ref) { b.payments.Want(r) }

// WantReference names a reference to be loaded, with the payment that holds it.
func (b *Book) WantReference(r ReferenceID) { b.references.Want(r) }

// WantNotice names a notice to be loaded.
func (b *Book) WantNotice(n NoticeID) { b.notices.Want(n) }

// WantedRows returns what was named since the last call. Once the store was
// asked for it, a row that was not put is absent.
func (b *Book) WantedRows() Rows {
	return Rows{b.payments.Wanted(), b.references.Wanted(), b.notices.Wanted()}
}

// WantedKeys is WantedRows for keys.
func (b *Book) WantedKeys() []once.Key { return b.keys.Wanted() }

// PutKey puts a key that was loaded into the book, if the book wants it and has
// no newer version of it.
func (b *Book) PutKey(r once.Record) { b.keys.Put(&r) }

// PutPayment puts a payment that was loaded into the book, unless it has a newer
// version. The book owns it from now on.
func (b *Book) PutPayment(p *Payment) {
	b.payments.Know(p.Ref) // it may be the holder of a reference
	if !b.payments.Lacks(p) {
		return
	}
	b.payments.Put(p)
	past := b.past(p.Ref)
	past.loaded = past.loaded[:0]
	for _, o := range p.Operations {
		past.loaded = append(past.loaded, *o)
	}
}

// PutReference is PutKey for a reference.
func (b *Book) PutReference(f *Reference) { b.references.Put(f) }

// PutNotice is PutKey for a notice.
func (b *Book) PutNotice(n *Notice) { b.notices.Put(n) }

// ReferenceID is the row's id.
func (f *Reference) ReferenceID() ReferenceID { return ReferenceID{f.Tenant, f.Reference} }

// CatchUpPayments brings the book to what was committed while its rows were
// loading. It copies: c and keys stay as they are.
func (b *Book) CatchUpPayments(c *Changes, keys []once.Record) {
	for i := range keys {
		if b.keys.Lacks(&keys[i]) {
			b.PutKey(keys[i])
		}
	}
	if c == nil {
		return
	}
	b.references.CatchUp(c.References)
	b.notices.CatchUp(c.Notices)
	for _, p := range c.Payments {
		if b.payments.Knows(p.Ref) || b.holds(p) {
			b.PutPayment(p.Clone())
		}
	}
}

// holds says whether p is the holder of a reference in the book.
func (b *Book) holds(p *Payment) bool {
	f := b.references.Get(ReferenceID{p.Tenant, p.Reference})
	return f != nil && f.Payment == p.ID
}

// Key is what is known of a key that was named: absent if it was not found.
func (b *Book) Key(k once.Key) once.Record {
	if r := b.keys.Get(k); r != nil {
		return *r
	}
	return once.Record{Key: k}
}

// WriteKey writes what is known of a key from now on, as the version after the one
// that was loaded.
func (b *Book) WriteKey(r once.Record) {
	if have := b.keys.Get(r.Key); have != nil {
		r.Version = have.Version
		*have = r
		b.keys.Write(have)
		return
	}
	b.keys.Write(&r)
}

// WrittenKeys returns what was written of keys.
func (b *Book) WrittenKeys() []once.Record {
	keys := make([]once.Record, 0, len(b.keys.Written()))
	for _, r := range b.keys.Written() {
		keys = append(keys, *r)
	}
	return keys
}

// PaymentChanges returns what was written, after checking it.
func (b *Book) PaymentChanges() (*Changes, error) {
	c := &b.changes
	c.Payments, c.References, c.Notices = b.payments.Written(), b.references.Written(), b.notices.Written()
	for _, p := range c.Payments {
		if err := p.Check(); err != nil {
			return nil, err
		}
		b.compare(p)
	}
	return c, nil
}

// compare notes which operations of a payment are as they were. They are
// compared rather than marked, so that none that was changed can be missed.
func (b *Book) compare(p *Payment) {
	for i, o := range b.past(p.Ref).loaded {
		if *p.Operations[i] != o {
			continue
		}
		if b.changes.same == nil {
			b.changes.same = map[*Operation]bool{}
		}
		b.changes.same[p.Operations[i]] = true
	}
}

// Writes counts how often a payment was written in this book: who was told how it
// is can tell whether it has changed since.
func (b *Book) Writes(r Ref) int { return b.past(r).writes }

func (b *Book) past(r Ref) *past {
	is := b.pasts[r]
	if is == nil {
		if b.pasts == nil {
			b.pasts = map[Ref]*past{}
		}
		is = &past{}
		b.pasts[r] = is
	}
	return is
}

// writePayment brings what a payment shows up to date with its operations, marks
// it as changed, and tells of a new status.
func (b *Book) writePayment(p *Payment, m ledger.Moment) {
	past, before := b.past(p.Ref), p.look()
	if len(past.loaded) > 0 {
		before.action, before.failure = past.loaded[0].ActionURL, past.loaded[0].Failure
	}
	p.derive()
	if p.look() != before { // else a client sees the same, and reads the same bytes
		p.UpdatedAt = m.Now
	}
	past.writes++
	b.payments.Write(p)
	if p.Status != before.status {
		b.emit(p, m, before.status == 0)
	}
}

// look is what a client sees of a payment that can change.
type look struct {
	status             Status
	inDoubt            bool
	captured, refunded int64
	action             string
	failure            Failure
}

func (p *Payment) look() look {
	l := look{status: p.Status, inDoubt: p.InDoubt, captured: p.Captured, refunded: p.Refunded}
	if charge := p.Charge(); charge != nil {
		l.action, l.failure = charge.ActionURL, charge.Failure
	}
	return l
}

// emit writes the event of a payment's new status.
func (b *Book) emit(p *Payment, m ledger.Moment, made bool) {
	typ := "payment." + p.Status.String()
	if made {
		typ = "payment.created"
	}
	b.Emit(m, p.Tenant, typ, p.ID, p.AppendJSON(make([]byte, 0, usualJSON)))
}

// note writes a line of a payment's timeline.
func (b *Book) note(p *Payment, m ledger.Moment, typ string, o *Operation, detail string) *Line {
	l := Line{Tenant: p.Tenant, Payment: p.ID, At: m.Now, Type: typ, Detail: detail}
	if o != nil {
		l.Operation = o.ID
	}
	b.changes.Lines = append(b.changes.Lines, l)
	return &b.changes.Lines[len(b.changes.Lines)-1]
}
