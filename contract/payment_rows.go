package contract

import (
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/pay"
)

var keepingPayments = []promise{
	{"every payment is loaded as it was committed", paymentsAreKept},
	{"every change of a payment is kept", paymentChangesAreKept},
	{"every operation is loaded as it was committed", operationsAreKept},
	{"every change of an operation is kept", operationChangesAreKept},
	{"operations are in the order in which they were made", operationsAreInOrder},
	{"every reference is loaded as it was committed", referencesAreKept},
	{"every notice is loaded as it was committed", noticesAreKept},
	{"every line of a timeline is read as it was committed", linesAreKept},
	{"a long timeline is read from both ends", linesAreBounded},
	{"the operation that a transfer books is kept", bookedOperationsAreKept},
}

// extremePayments are valid rows with everything in its extremes, but for their
// operations.
func (b *bank) extremePayments() (all []*pay.Payment) {
	add := func(change func(*pay.Payment)) { all = append(all, b.plain(change)) }
	for _, amount := range []int64{1, pay.MaxAmount} {
		add(func(p *pay.Payment) { p.Amount = amount })
	}
	for _, text := range texts {
		for _, at := range []func(*pay.Payment) *string{
			func(p *pay.Payment) *string { return &p.Method },
			func(p *pay.Payment) *string { return &p.Reference },
			func(p *pay.Payment) *string { return &p.Gateway },
			func(p *pay.Payment) *string { return &p.Customer },
			func(p *pay.Payment) *string { return &p.Description },
			func(p *pay.Payment) *string { return &p.StatementDescriptor },
			func(p *pay.Payment) *string { return &p.ReturnURL },
		} {
			add(func(p *pay.Payment) { *at(p) = text })
		}
	}
	for _, c := range []money.Currency{"JPY", "KWD", "CLF"} {
		add(func(p *pay.Payment) { p.Currency = c })
	}
	for _, m := range metadatas {
		add(func(p *pay.Payment) { p.Metadata = m })
		add(func(p *pay.Payment) { p.Options = m })
	}
	for _, at := range times {
		add(func(p *pay.Payment) { p.CreatedAt = at })
		add(func(p *pay.Payment) { p.UpdatedAt = at })
	}
	add(func(p *pay.Payment) { p.Manual = true })
	add(func(p *pay.Payment) { p.Canceled = true })
	add(func(p *pay.Payment) {
		p.Amount = pay.MaxAmount
		b.operation(p, pay.Charge, func(o *pay.Operation) { o.Outcome, o.Moved = pay.Conflict, math.MaxInt64 })
		b.operation(p, pay.Refund, func(o *pay.Operation) { o.Outcome, o.Moved = pay.Done, pay.MaxAmount })
	})
	return all
}

// wantPayment holds that a payment is loaded, and read, as it should be.
func (b *bank) wantPayment(want *pay.Payment) {
	b.Helper()
	b.same("loaded "+want.ID, []*pay.Payment{want}, b.loadPayments(pay.Rows{Payments: []pay.Ref{want.Ref}}).Payments)
	b.same("read "+want.ID, want, b.payment(want.Ref))
	for _, o := range want.Operations {
		of, err := b.PaymentOf(b.ctx, pay.Ref{Tenant: want.Tenant, ID: o.ID})
		b.must(err)
		b.same("that with "+o.ID, want, of)
	}
}

func paymentsAreKept(b *bank) {
	extremes := b.extremePayments()
	b.wantEveryField(extremes)
	b.must(b.Commit(b.ctx, b.payments(extremes...)))
	for _, p := range extremes {
		b.wantPayment(p)
	}
	b.same("payments", len(extremes), len(b.all().Payments))
}

// wantEveryField holds that a test of rows that are kept leaves no field out,
// also when one is added.
func (b *bank) wantEveryField(rows any) {
	b.Helper()
	all := reflect.ValueOf(rows)
	for _, f := range reflect.VisibleFields(all.Type().Elem().Elem()) {
		set := func(i int) bool { return !all.Index(i).Elem().FieldByIndex(f.Index).IsZero() }
		if !slices.ContainsFunc(slices.Collect(indexes(all.Len())), set) {
			b.Errorf("no row has a %s: what it should be kept as is not tested", f.Name)
		}
	}
}

func indexes(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// Each extreme row becomes the next one, so that every column changes.
func paymentChangesAreKept(b *bank) {
	p := b.plain(func(*pay.Payment) {})
	b.must(b.Commit(b.ctx, b.payments(p)))
	for range 2 {
		for _, next := range b.extremePayments() {
			next.Ref, next.Version = p.Ref, p.Version+1
			next.Operations = nil // they only come, and never go
			b.show(next)
			p = next
			b.must(b.Commit(b.ctx, b.payments(p)))
			b.wantPayment(p)
		}
	}
}

// referenceTexts are what orders are called.
func referenceTexts() []string { return append(slices.Clone(texts), " ", "1", "01", "order", "ORDER") }

func referencesAreKept(b *bank) {
	var all []*pay.Reference
	for i, text := range referenceTexts() {
		all = append(all, &pay.Reference{Tenant: tenant, Reference: text, Payment: fmt.Sprint("pay_", i), Version: 1})
	}
	b.wantEveryField(all)
	for range 2 { // made, and taken over
		var clones []*pay.Reference
		for _, f := range all {
			clones = append(clones, new(*f))
		}
		b.write(pay.Changes{References: clones})
		for _, f := range all {
			b.same("loaded", []*pay.Reference{f}, b.loadPayments(pay.Rows{References: []pay.ReferenceID{f.ReferenceID()}}).References)
			f.Payment, f.Version = f.Payment+" again", f.Version+1
		}
	}
	b.same("references", len(all), len(b.all().References))
}

func noticesAreKept(b *bank) {
	var all []*pay.Notice
	add := func(change func(*pay.Notice)) {
		n := &pay.Notice{NoticeID: notice(fmt.Sprint(len(all))), At: b.now, Version: 1}
		change(n)
		all = append(all, n)
	}
	for i, text := range texts {
		add(func(n *pay.Notice) { n.ID = text })
		add(func(n *pay.Notice) { n.Gateway = fmt.Sprint(text, i) })
		add(func(n *pay.Notice) { n.Payment = text })
		add(func(n *pay.Notice) { n.Operation = text })
		add(func(n *pay.Notice) { n.GatewayID = text })
		add(func(n *pay.Notice) { n.Type = text })
		add(func(n *pay.Notice) { n.Failure.Code = text })
		add(func(n *pay.Notice) { n.Failure.DeclineCode = text })
		add(func(n *pay.Notice) { n.Failure.Message = text })
	}
	for _, at := range times {
		add(func(n *pay.Notice) { n.At = at })
	}
	add(func(n *pay.Notice) { n.Matched = true })
	for _, says := range []pay.Outcome{pay.ActionRequired, pay.Declined, pay.Done, pay.Conflict} {
		add(func(n *pay.Notice) { n.Outcome, n.Amount, n.Currency = says, pay.MaxAmount, "EUR" })
	}
	b.wantEveryField(all)
	b.write(pay.Changes{Notices: all})
	for _, n := range all {
		b.same("loaded "+n.ID, n, b.seen(n.NoticeID))
	}
	matched := *all[0]
	matched.Matched, matched.Version = true, 2
	b.write(pay.Changes{Notices: []*pay.Notice{new(matched)}})
	b.same("once it is matched", &matched, b.seen(matched.NoticeID))
}

func linesAreKept(b *bank) {
	one, other := b.plain(func(*pay.Payment) {}), b.plain(func(*pay.Payment) {})
	var want []*pay.Line
	add := func(change func(*pay.Line)) {
		l := &pay.Line{Tenant: tenant, Payment: one.ID, At: b.now}
		change(l)
		want = append(want, l)
	}
	for _, text := range texts {
		add(func(l *pay.Line) { l.Type = text })
		add(func(l *pay.Line) { l.Operation = text })
		add(func(l *pay.Line) { l.Key = text })
		add(func(l *pay.Line) { l.Detail = text })
		add(func(l *pay.Line) { l.Actor = text })
	}
	for _, at := range times { // also where a clock was set back
		add(func(l *pay.Line) { l.At = at })
	}
	b.wantEveryField(want)
	b.must(b.Commit(b.ctx, b.payments(one, other)))
	var lines []pay.Line
	for i, l := range want {
		lines = append(lines, *l)
		b.write(pay.Changes{Lines: []pay.Line{*l, {Tenant: tenant, Payment: other.ID, At: b.now, Detail: fmt.Sprint(i)}}})
	}
	b.same("the timeline", lines, b.lines(one.Ref))
	b.same("lines of the other", len(lines), len(b.lines(other.Ref)))
}

func linesAreBounded(b *bank) {
	p := b.plain(func(*pay.Payment) {})
	b.must(b.Commit(b.ctx, b.payments(p)))
	var all []pay.Line
	for i := range engine.MaxLines + 7 {
		all = append(all, pay.Line{Tenant: tenant, Payment: p.ID, At: b.now, Type: "check", Detail: fmt.Sprint(i)})
	}
	half, written := engine.MaxLines/2, 0
	for _, n := range []int{engine.MaxLines - 1, engine.MaxLines, engine.MaxLines + 1, engine.MaxLines + 7} {
		b.write(pay.Changes{Lines: all[written:n]})
		written = n
		want := all[:n]
		if n > engine.MaxLines {
			want = slices.Concat(all[:half], all[n-half:n])
		}
		b.same(fmt.Sprintf("of %d lines", n), want, b.lines(p.Ref))
	}
}

func bookedOperationsAreKept(b *bank) {
	p := b.pays(charge("1"))
	c := b.weigh(captured(p))
	b.must(b.Commit(b.ctx, c))
	b.same("the operation", p.Charge().ID, c.Ledger.Transfers[0].Operation)
	b.wantTransfers(c.Ledger.Transfers)
	b.same("transfers", c.Ledger.Transfers, allTransfers(b, engine.TransferFilter{Reference: p.ID}, engine.Page{}))
}
