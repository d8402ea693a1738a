package pay

import (
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

	// Keys is what is known of each key that was named: absent if it was not
	// found. Whoever completes a key changes it here.
	Keys map[once.Key]once.Record

	payments   map[Ref]*row[Payment]
	references map[ReferenceID]*row[Reference]
	notices    map[NoticeID]*row[Notice]
	wanted     Rows
	wantedKeys []once.Key
	changes    Changes
}

// row is a row in the book: nil value means that it is known to be absent.
type row[T any] struct {
	value  *T
	dirty  bool
	writes int         // how often it was written in this book
	before []Operation // of a payment, as they were loaded
}

// NewBook makes an empty book.
func NewBook() *Book {
	return &Book{
		Book: ledger.NewBook(), Keys: map[once.Key]once.Record{},
		payments: map[Ref]*row[Payment]{}, references: map[ReferenceID]*row[Reference]{}, notices: map[NoticeID]*row[Notice]{},
	}
}

// WantKey names a key to be loaded.
func (b *Book) WantKey(k once.Key) {
	if _, known := b.Keys[k]; !known {
		b.Keys[k] = once.Record{Key: k}
		b.wantedKeys = append(b.wantedKeys, k)
	}
}

// hasKey says whether a key was named, so that it is known what is under it.
func (b *Book) hasKey(k once.Key) bool {
	_, has := b.Keys[k]
	return has
}

// WantPayment names a payment to be loaded.
func (b *Book) WantPayment(r Ref) {
	if _, known := b.payments[r]; !known {
		b.payments[r] = &row[Payment]{}
		b.wanted.Payments = append(b.wanted.Payments, r)
	}
}

// WantReference names a reference to be loaded, with the payment that holds it.
func (b *Book) WantReference(r ReferenceID) {
	if _, known := b.references[r]; !known {
		b.references[r] = &row[Reference]{}
		b.wanted.References = append(b.wanted.References, r)
	}
}

// WantNotice names a notice to be loaded.
func (b *Book) WantNotice(n NoticeID) {
	if _, known := b.notices[n]; !known {
		b.notices[n] = &row[Notice]{}
		b.wanted.Notices = append(b.wanted.Notices, n)
	}
}

// WantedRows returns what was named since the last call. Once the store was
// asked for it, a row that was not put is absent.
func (b *Book) WantedRows() Rows {
	w := b.wanted
	b.wanted = Rows{}
	return w
}

// WantedKeys is WantedRows for keys.
func (b *Book) WantedKeys() []once.Key {
	w := b.wantedKeys
	b.wantedKeys = nil
	return w
}

// PutKey puts a key that was loaded into the book, unless it has a newer version.
func (b *Book) PutKey(r once.Record) {
	if have, wanted := b.Keys[r.Key]; wanted && have.Version < r.Version {
		b.Keys[r.Key] = r
	}
}

// PutPayment puts a payment that was loaded into the book, unless it has a newer
// version. The book owns it from now on.
func (b *Book) PutPayment(p *Payment) {
	r, known := b.payments[p.Ref]
	if !known { // the holder of a reference
		r = &row[Payment]{}
		b.payments[p.Ref] = r
	}
	if r.value == nil || r.value.Version < p.Version {
		r.value, r.before = p, r.before[:0]
		for _, o := range p.Operations {
			r.before = append(r.before, *o)
		}
	}
}

// PutReference is PutPayment for a reference.
func (b *Book) PutReference(f *Reference) {
	if r, wanted := b.references[f.ReferenceID()]; wanted && (r.value == nil || r.value.Version < f.Version) {
		r.value = f
	}
}

// PutNotice is PutPayment for a notice.
func (b *Book) PutNotice(n *Notice) {
	if r, wanted := b.notices[n.NoticeID]; wanted && (r.value == nil || r.value.Version < n.Version) {
		r.value = n
	}
}

// ReferenceID is the row's id.
func (f *Reference) ReferenceID() ReferenceID { return ReferenceID{f.Tenant, f.Reference} }

// CatchUpPayments brings the book to what was committed while its rows were
// loading. It copies: c and keys stay as they are.
func (b *Book) CatchUpPayments(c *Changes, keys []once.Record) {
	for _, k := range keys {
		b.PutKey(k)
	}
	if c == nil {
		return
	}
	for _, f := range c.References {
		b.PutReference(new(*f))
	}
	for _, n := range c.Notices {
		b.PutNotice(new(*n))
	}
	for _, p := range c.Payments {
		if _, known := b.payments[p.Ref]; known || b.holds(p) {
			b.PutPayment(p.Clone())
		}
	}
}

// holds says whether p is the holder of a reference in the book.
func (b *Book) holds(p *Payment) bool {
	f := b.reference(ReferenceID{p.Tenant, p.Reference})
	return f != nil && f.Payment == p.ID
}

// PaymentChanges returns what was written, after checking it.
func (b *Book) PaymentChanges() (*Changes, error) {
	for _, p := range b.changes.Payments {
		if err := p.Check(); err != nil {
			return nil, err
		}
		b.compare(p)
	}
	return &b.changes, nil
}

// compare notes which operations of a payment are as they were. They are
// compared rather than marked, so that none that was changed can be missed.
func (b *Book) compare(p *Payment) {
	for i, o := range b.payments[p.Ref].before {
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
func (b *Book) Writes(r Ref) int {
	if row, ok := b.payments[r]; ok {
		return row.writes
	}
	return 0
}

// payment returns a payment, or nil if it does not exist.
func (b *Book) payment(r Ref) *Payment {
	if row, ok := b.payments[r]; ok {
		return row.value
	}
	return nil
}

func (b *Book) reference(r ReferenceID) *Reference {
	if row, ok := b.references[r]; ok {
		return row.value
	}
	return nil
}

// writePayment brings what a payment shows up to date with its operations, marks
// it as changed, and tells of a new status.
func (b *Book) writePayment(p *Payment, m ledger.Moment) {
	r, known := b.payments[p.Ref]
	if !known {
		r = &row[Payment]{}
		b.payments[p.Ref] = r
	}
	before := p.look()
	if len(r.before) > 0 {
		before.action, before.failure = r.before[0].ActionURL, r.before[0].Failure
	}
	p.derive()
	if p.look() != before { // else a client sees the same, and reads the same bytes
		p.UpdatedAt = m.Now
	}
	r.writes++
	if !r.dirty {
		r.value, r.dirty = p, true
		p.Version++
		b.changes.Payments = append(b.changes.Payments, p)
	}
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

func (b *Book) writeReference(f *Reference) {
	r := b.references[f.ReferenceID()]
	if r.dirty {
		return
	}
	r.value, r.dirty = f, true
	f.Version++
	b.changes.References = append(b.changes.References, f)
}

func (b *Book) writeNotice(n *Notice) {
	r := b.notices[n.NoticeID]
	if r.dirty {
		return
	}
	r.value, r.dirty = n, true
	n.Version++
	b.changes.Notices = append(b.changes.Notices, n)
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
