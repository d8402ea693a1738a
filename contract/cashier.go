package contract

import (
	"slices"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// Here a bank works on payments.

// house has a gateway that can be asked, and one that declares nothing.
var house = pay.House{Process: "p1", Gateways: map[string]pay.Terms{
	"sandbox": {Contract: pay.Contract{
		Window: 24 * time.Hour, Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second,
		PartialCapture: true, ManyCaptures: true,
	}},
	"blind": {},
}}

func order(name string) pay.ReferenceID { return pay.ReferenceID{Tenant: tenant, Reference: name} }

func notice(name string) pay.NoticeID {
	return pay.NoticeID{Tenant: tenant, Gateway: "sandbox", ID: name}
}

// create makes a payment of 100 for an order, "" for none.
func create(order string) pay.CreatePayment {
	return pay.CreatePayment{Ask: pay.Ask{House: house}, Payment: pay.Payment{
		Ref: pay.Ref{Tenant: tenant}, Amount: 100, Currency: "EUR", Gateway: "sandbox", Method: "pm_ok", Reference: order,
	}}
}

// charge makes a payment and has it sent.
func charge(order string) pay.CreatePayment {
	c := create(order)
	c.Confirm = true
	return c
}

// found records what a gateway said of the first operation of a payment.
func found(p *pay.Payment, f pay.Finding) pay.Record {
	return pay.Record{Ref: p.Ref, Operation: p.Charge().ID, House: house, Attempt: p.Charge().Attempt, Finding: &f}
}

// captured says that a gateway did what the payment asks.
func captured(p *pay.Payment) pay.Record {
	return found(p, pay.Finding{Outcome: pay.Done, Amount: p.Amount, Currency: p.Currency, GatewayID: "ch_" + p.ID})
}

// weigh loads what commands about payments need and decides them: the changes
// are not committed yet. No command may be refused.
func (b *bank) weigh(commands ...pay.Command) *engine.Changes {
	b.Helper()
	book := pay.NewBook()
	for range 2 {
		for _, c := range commands {
			c.Needs(book)
		}
		b.fill(book)
	}
	book.Reserve(b.reserve(int64(len(commands)) * ledger.EntriesPerCommand))
	for _, c := range commands {
		if _, err := c.Decide(book, ledger.Moment{Now: b.now, IDs: b.ids}); err != nil {
			b.Fatalf("%+v: %v", c, err)
		}
	}
	c := &engine.Changes{At: b.now}
	var err error
	c.Ledger, err = book.Changes()
	b.must(err)
	c.Payments, err = book.PaymentChanges()
	b.must(err)
	return c
}

func (b *bank) fill(book *pay.Book) {
	b.Helper()
	rows, err := b.Load(b.ctx, engine.Wanted(book))
	b.must(err)
	rows.PutInto(book)
}

// pay decides and commits commands about payments, and returns the payments that
// they wrote.
func (b *bank) pay(commands ...pay.Command) []*pay.Payment {
	b.Helper()
	c := b.weigh(commands...)
	b.must(b.Commit(b.ctx, c))
	return c.Payments.Payments
}

// pays is pay for commands about one payment.
func (b *bank) pays(commands ...pay.Command) *pay.Payment {
	b.Helper()
	written := b.pay(commands...)
	b.same("payments written", 1, len(written))
	return written[0]
}

// payments are changes that write nothing but these.
func (b *bank) payments(payments ...*pay.Payment) *engine.Changes {
	c := b.keys()
	c.Payments = &pay.Changes{Payments: payments}
	return c
}

// write commits rows of payments as they are.
func (b *bank) write(c pay.Changes) {
	b.Helper()
	changes := b.keys()
	changes.Payments = &c
	b.must(b.Commit(b.ctx, changes))
}

// loadPayments loads what is named.
func (b *bank) loadPayments(need pay.Rows) engine.Rows {
	b.Helper()
	rows, err := b.Load(b.ctx, engine.Need{Payments: need})
	b.must(err)
	return rows
}

// payment returns a payment that is there.
func (b *bank) payment(r pay.Ref) *pay.Payment {
	b.Helper()
	p, err := b.Payment(b.ctx, r)
	b.must(err)
	if p == nil {
		b.Fatalf("there is no payment %s", r.ID)
	}
	return p
}

// lines is the timeline of a payment.
func (b *bank) lines(r pay.Ref) []pay.Line {
	b.Helper()
	l, err := b.Lines(b.ctx, r)
	b.must(err)
	return l
}

// seen is what is known of a notice, nil if nothing is.
func (b *bank) seen(n pay.NoticeID) *pay.Notice {
	b.Helper()
	rows := b.loadPayments(pay.Rows{Notices: []pay.NoticeID{n}})
	if len(rows.Notices) == 0 {
		return nil
	}
	b.same("notices of that id", 1, len(rows.Notices))
	return rows.Notices[0]
}

// plain is a payment that was made now and asks for nothing.
func (b *bank) plain(change func(*pay.Payment)) *pay.Payment {
	p := &pay.Payment{
		Ref: pay.Ref{Tenant: tenant, ID: b.ids.New("pay_", b.now)}, Amount: 100, Currency: "EUR", Gateway: "sandbox",
		Status: pay.RequiresConfirmation, CreatedAt: b.now, UpdatedAt: b.now, Version: 1,
	}
	change(p)
	b.show(p)
	return p
}

// show has a payment show what its operations come to: it is what its check
// accepts.
func (b *bank) show(p *pay.Payment) {
	b.Helper()
	p.Captured, p.Refunded = 0, 0
	for _, o := range p.Operations {
		switch moved := o.Outcome == pay.Done || o.Outcome == pay.Conflict; {
		case moved && (o.Kind == pay.Charge || o.Kind == pay.Capture):
			p.Captured += o.Moved
		case moved && o.Kind == pay.Refund:
			p.Refunded += o.Moved
		}
	}
	for _, p.InDoubt = range []bool{false, true} {
		for p.Status = pay.RequiresConfirmation; p.Status <= pay.NeedsReview; p.Status++ {
			if p.Check() == nil {
				return
			}
		}
	}
	b.Fatalf("no status fits: %v", p.Check())
}

// add adds what changes write to what a store holds.
func (e *everything) add(c *pay.Changes) {
	if c == nil {
		return
	}
	for _, p := range c.Payments {
		e.Payments[p.Ref] = *p.Clone()
	}
	for _, f := range c.References {
		e.References[f.ReferenceID()] = *f
	}
	for _, l := range c.Lines {
		ref := pay.Ref{Tenant: l.Tenant, ID: l.Payment}
		e.Lines[ref] = append(e.Lines[ref], l)
	}
}

// allPayments reads the payments of a store into e. Timelines are read from the
// store itself: an audit reads none.
func (b *bank) allPayments(e everything, src audit.Source) {
	b.Helper()
	of := src.(audit.Payments)
	b.must(of.Payments(b.ctx, func(p *pay.Payment) error { return put(e.Payments, p.Ref, *p.Clone()) }))
	b.must(of.References(b.ctx, func(f pay.Reference, _ bool, _ int64) error { return put(e.References, f.ReferenceID(), f) }))
	for ref := range e.Payments {
		if l := b.lines(ref); len(l) > 0 {
			e.Lines[ref] = slices.Clone(l)
		}
	}
}

// paymentIDs are the ids of payments.
func paymentIDs(payments []*pay.Payment) (ids []string) {
	for _, p := range payments {
		ids = append(ids, p.ID)
	}
	return ids
}

// operation appends an operation to a payment, and returns it.
func (b *bank) operation(p *pay.Payment, kind pay.Kind, change func(*pay.Operation)) *pay.Operation {
	prefix := map[pay.Kind]string{pay.Capture: "cap_", pay.Refund: "re_"}[kind]
	if prefix == "" {
		prefix = "att_"
	}
	o := &pay.Operation{
		ID: b.ids.New(prefix, b.now), Kind: kind, Amount: p.Amount, Attempt: 1, FirstSentAt: b.now, SentAt: b.now,
		CreatedAt: b.now, UpdatedAt: b.now,
	}
	if change != nil {
		change(o)
	}
	p.Operations = append(p.Operations, o)
	return o
}
