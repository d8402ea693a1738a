package contract

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

var paymentLists = []promise{
	{"payments are listed newest first, those of one moment the later first", newestPaymentsFirst},
	{"pages of any size make the same list of payments", pagesOfPayments},
	{"payments are filtered by reference, status and doubt", paymentsAreFiltered},
	{"payments are filtered as they are when they are read", filtersFollowChanges},
	{"a list of payments stands still while payments arrive", paymentListsStandStill},
	{"a list goes on where payments have left it", listsGoOn},
	{"bounds in time leave out payments of the moment itself", paymentBoundsAreOpen},
	{"payments in doubt are listed for every tenant", doubtfulOfAll},
	{"what is in doubt is counted for every tenant, up to a most", doubtIsCounted},
	{"a cursor that is none of this list of payments' is refused", badPaymentCursors},
	{"a payment is found by any of its operations", paymentsByOperation},
}

// listOf reads the payments of a tenant that a filter leaves.
func (b *bank) listOf(tenant string, f engine.PaymentFilter) list[*pay.Payment] {
	return func(p engine.Page) (engine.List[*pay.Payment], error) { return b.Payments(b.ctx, tenant, f, p) }
}

func (b *bank) doubtful(p engine.Page) (engine.List[*pay.Payment], error) {
	return b.Doubtful(b.ctx, p)
}

func allPaymentsOf(b *bank, tenant string, f engine.PaymentFilter, p engine.Page) []*pay.Payment {
	return whole(b, b.listOf(tenant, f), p)
}

// till is a bank with 40 payments, newest first: of four orders, in every
// status, every third in doubt; some of one moment and some apart.
func (b *bank) till() (all []*pay.Payment) {
	b.Helper()
	for i := range 40 {
		p := b.plain(func(p *pay.Payment) {
			p.Reference, p.UpdatedAt = fmt.Sprint("order ", i%4), b.now.Add(-time.Duration(i)*time.Hour)
			b.in(p, pay.Status(1+i%8), i%3 == 0)
		})
		b.must(b.Commit(b.ctx, b.payments(p.Clone())))
		b.wait(time.Duration(i%3) * time.Millisecond)
		all = append(all, p)
	}
	slices.Reverse(all)
	return all
}

// in has a payment be in a status, in doubt or not. Operations only come: one
// that has any cannot go back to where none was.
func (b *bank) in(p *pay.Payment, s pay.Status, doubt bool) {
	b.Helper()
	had := p.Operations
	p.Canceled, p.Operations = s == pay.Canceled && !doubt && len(had) == 0, nil
	outcome, kind := pay.Unknown, pay.Charge
	switch s {
	case pay.RequiresAction:
		outcome = pay.ActionRequired
	case pay.Authorized:
		outcome, kind = pay.Done, pay.Authorize
	case pay.Succeeded:
		outcome = pay.Done
	case pay.Failed:
		outcome = pay.Declined
	case pay.NeedsReview:
		outcome = pay.Conflict
	case pay.Canceled:
		outcome, kind = pay.Done, pay.Authorize
	}
	if s != pay.RequiresConfirmation && !p.Canceled {
		b.operation(p, kind, func(o *pay.Operation) { o.Outcome = outcome })
		if outcome == pay.Done {
			p.Charge().Moved = p.Amount
		}
	}
	if s == pay.Canceled && !p.Canceled {
		b.operation(p, pay.Void, func(o *pay.Operation) { o.Outcome = pay.Done })
	}
	if doubt && s != pay.RequiresConfirmation {
		b.operation(p, pay.Refund, func(o *pay.Operation) { o.Exposed = true })
	}
	for i, o := range had {
		if i == len(p.Operations) {
			b.operation(p, pay.Refund, func(o *pay.Operation) { o.Outcome = pay.Declined })
		}
		p.Operations[i].ID = o.ID
	}
	b.show(p)
	if p.Status != s {
		b.Fatalf("the payment is %s, and should be %s", p.Status, s)
	}
}

func newestPaymentsFirst(b *bank) {
	all := b.till()
	b.same("payments", all, allPaymentsOf(b, tenant, engine.PaymentFilter{}, engine.Page{}))
	b.same("payments of another tenant", 0, len(allPaymentsOf(b, "other", engine.PaymentFilter{}, engine.Page{})))
}

// filters are ways to narrow a list of payments.
func filters() (all []engine.PaymentFilter) {
	for _, reference := range []string{"", "order 1", "order 9"} {
		for status := range pay.NeedsReview + 1 {
			for _, doubt := range []*bool{nil, new(true), new(false)} {
				all = append(all, engine.PaymentFilter{Reference: reference, Status: status, InDoubt: doubt})
			}
		}
	}
	return all
}

func filtered(all []*pay.Payment, f engine.PaymentFilter) []*pay.Payment {
	return slices.DeleteFunc(slices.Clone(all), func(p *pay.Payment) bool {
		return f.Reference != "" && p.Reference != f.Reference || f.Status != 0 && p.Status != f.Status ||
			f.InDoubt != nil && p.InDoubt != *f.InDoubt
	})
}

func paymentsAreFiltered(b *bank) {
	all := b.till()
	for _, f := range filters() {
		want := paymentIDs(filtered(all, f))
		for _, limit := range []int{2, 100} {
			got := allPaymentsOf(b, tenant, f, engine.Page{Limit: limit})
			b.same(fmt.Sprintf("those of %q that are %s, in pages of %d", f.Reference, f.Status, limit), want, paymentIDs(got))
		}
	}
}

func pagesOfPayments(b *bank) {
	b.till()
	for _, limit := range []int{1, 3, 13, 39, 40, 41} {
		for _, f := range []engine.PaymentFilter{{}, {Reference: "order 1"}, {InDoubt: new(true)}, {Status: pay.Succeeded}} {
			want := allPaymentsOf(b, tenant, f, engine.Page{})
			b.same("payments", want, allPaymentsOf(b, tenant, f, engine.Page{Limit: limit}))
		}
		b.same("payments in doubt", whole(b, b.doubtful, engine.Page{}), whole(b, b.doubtful, engine.Page{Limit: limit}))
	}
	first, err := b.listOf(tenant, engine.PaymentFilter{})(engine.Page{Limit: 40})
	b.must(err)
	b.same("all of them on one page", 40, len(first.Items))
	b.same("the next page", "", first.Next)
}

func filtersFollowChanges(b *bank) {
	all := b.till()
	for i, p := range all {
		p.Version++
		next := pay.Status(1 + (i+3)%8)
		if len(p.Operations) > 0 {
			next = max(next, pay.Processing)
		}
		b.in(p, next, i%5 == 0)
		if i%7 == 0 {
			p.Reference = "order 9"
		}
		b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	}
	for _, f := range filters() {
		want := filtered(all, f)
		b.same(fmt.Sprintf("those of %q that are %s", f.Reference, f.Status), want, allPaymentsOf(b, tenant, f, engine.Page{}))
	}
	b.same("payments in doubt", filtered(all, engine.PaymentFilter{InDoubt: new(true)}), whole(b, b.doubtful, engine.Page{}))
}

func paymentListsStandStill(b *bank) {
	b.till()
	p := engine.Page{Limit: 4}
	n := 0
	arrive := func() {
		n++
		made := b.plain(func(p *pay.Payment) {
			p.Reference = "order 1"
			b.in(p, pay.Processing, true)
		})
		b.must(b.Commit(b.ctx, b.payments(made)))
	}
	for _, f := range []engine.PaymentFilter{{}, {Reference: "order 1"}, {Status: pay.Processing}, {InDoubt: new(true)}} {
		standsStill(b, b.listOf(tenant, f), p, arrive)
	}
	standsStill(b, b.doubtful, p, arrive)
	if n == 0 {
		b.Error("nothing arrived")
	}
}

// Whoever reads what is in doubt and settles it, page by page, sees all of it.
func listsGoOn(b *bank) {
	for name, read := range map[string]list[*pay.Payment]{
		"in doubt": b.doubtful, "of the tenant that are": b.listOf(tenant, engine.PaymentFilter{InDoubt: new(true)}),
	} {
		want := paymentIDs(filtered(b.till(), engine.PaymentFilter{InDoubt: new(true)}))
		var got []string
		page := engine.Page{Limit: 3}
		for {
			l, err := read(page)
			b.must(err)
			got = append(got, paymentIDs(l.Items)...)
			for _, p := range l.Items {
				p.Version++
				b.in(p, pay.Succeeded, false)
				b.must(b.Commit(b.ctx, b.payments(p)))
			}
			if page.Cursor = l.Next; page.Cursor == "" {
				break
			}
		}
		b.same("payments "+name, want, got)
	}
}

func paymentBoundsAreOpen(b *bank) {
	var made []*pay.Payment
	for range 5 {
		p := b.plain(func(p *pay.Payment) { b.in(p, pay.Processing, true) })
		b.must(b.Commit(b.ctx, b.payments(p.Clone())))
		made = append([]*pay.Payment{p}, made...)
		b.wait(time.Microsecond)
	}
	for _, limit := range []int{1, 100} {
		middle := engine.Page{After: made[4].CreatedAt, Before: made[0].CreatedAt, Limit: limit}
		for _, f := range []engine.PaymentFilter{{}, {Status: pay.Processing}, {InDoubt: new(true)}} {
			b.same("payments", paymentIDs(made[1:4]), paymentIDs(allPaymentsOf(b, tenant, f, middle)))
		}
		b.same("payments in doubt", paymentIDs(made[1:4]), paymentIDs(whole(b, b.doubtful, middle)))
		after := engine.Page{After: made[1].CreatedAt, Limit: limit}
		b.same("the newest", paymentIDs(made[:1]), paymentIDs(whole(b, b.doubtful, after)))
	}
}

func doubtfulOfAll(b *bank) {
	var want []string
	for i := range 6 {
		p := b.plain(func(p *pay.Payment) {
			p.Tenant = []string{tenant, "other"}[i%2]
			b.in(p, []pay.Status{pay.Processing, pay.NeedsReview, pay.Succeeded}[i%3], i%3 < 2)
		})
		b.must(b.Commit(b.ctx, b.payments(p)))
		if i%3 < 2 {
			want = append([]string{p.Tenant + p.ID}, want...)
		}
		b.wait(time.Millisecond)
	}
	var got []string
	for _, p := range whole(b, b.doubtful, engine.Page{Limit: 1}) {
		got = append(got, p.Tenant+p.ID)
	}
	b.same("payments in doubt", want, got)
}

func doubtIsCounted(b *bank) {
	count := func(most int) engine.Doubts {
		b.Helper()
		d, err := b.CountDoubts(b.ctx, most)
		b.must(err)
		return d
	}
	b.same("of nothing", engine.Doubts{}, count(10))
	made := []*pay.Payment{}
	for i := range 8 {
		p := b.plain(func(p *pay.Payment) {
			p.Tenant = []string{tenant, "other"}[i%2]
			b.in(p, []pay.Status{pay.Succeeded, pay.Processing, pay.NeedsReview, pay.NeedsReview}[i%4], i == 1)
		})
		if i == 0 {
			b.operation(p, pay.Refund, func(o *pay.Operation) { o.Parked = "nobody knows" })
			b.operation(p, pay.Refund, func(o *pay.Operation) { o.Outcome, o.Moved = pay.Conflict, 10 })
			b.show(p)
		}
		b.must(b.Commit(b.ctx, b.payments(p.Clone())))
		made = append(made, p)
	}
	b.same("doubts", engine.Doubts{Payments: 6, Reviews: 4, Refunds: 2}, count(100))
	b.same("doubts, up to 3", engine.Doubts{Payments: 3, Reviews: 3, Refunds: 2}, count(3))
	b.same("doubts, up to 1", engine.Doubts{Payments: 1, Reviews: 1, Refunds: 1}, count(1))
	for _, p := range made {
		for _, o := range p.Operations {
			o.Outcome, o.Moved, o.Parked, o.Exposed = pay.Declined, 0, "", false
		}
		p.Version++
		b.show(p)
		b.must(b.Commit(b.ctx, b.payments(p)))
	}
	b.same("doubts, after all were settled", engine.Doubts{}, count(100))
}

func badPaymentCursors(b *bank) {
	b.till()
	orders := engine.PaymentFilter{Reference: "order 1"}
	first, err := b.listOf(tenant, orders)(engine.Page{Limit: 1})
	b.must(err)
	doubt, err := b.doubtful(engine.Page{Limit: 1})
	b.must(err)
	refused := func(what string, read list[*pay.Payment], cursor string) {
		b.Helper()
		if _, err := read(engine.Page{Limit: 1, Cursor: cursor}); !errors.Is(err, engine.ErrBadCursor) {
			b.Errorf("%s: got %v, want an ErrBadCursor", what, err)
		}
	}
	for _, cursor := range []string{"x", "0", "-1", " ", "99999999999999999999", "AAAA", "\x00", first.Next + "x", "x" + doubt.Next} {
		refused(fmt.Sprintf("payments at %q", cursor), b.listOf(tenant, orders), cursor)
		refused(fmt.Sprintf("payments in doubt at %q", cursor), b.doubtful, cursor)
	}
	refused("another order's payments", b.listOf(tenant, engine.PaymentFilter{Reference: "order 2"}), first.Next)
	refused("payments of a status", b.listOf(tenant, engine.PaymentFilter{Reference: "order 1", Status: pay.Failed}), first.Next)
	refused("payments that are in doubt", b.listOf(tenant, engine.PaymentFilter{Reference: "order 1", InDoubt: new(true)}), first.Next)
	refused("another tenant's payments", b.listOf("other", orders), first.Next)
	refused("payments in doubt at a cursor of a tenant's", b.doubtful, first.Next)
	refused("a tenant's at a cursor of those in doubt", b.listOf(tenant, engine.PaymentFilter{InDoubt: new(true)}), doubt.Next)
}

func paymentsByOperation(b *bank) {
	p := b.plain(func(p *pay.Payment) {
		b.operation(p, pay.Authorize, nil)
		b.operation(p, pay.Capture, nil)
	})
	other := b.plain(func(p *pay.Payment) { b.operation(p, pay.Charge, nil) })
	b.must(b.Commit(b.ctx, b.payments(p.Clone(), other.Clone())))
	b.wantPayment(p)
	b.wantPayment(other)
	b.operation(p, pay.Refund, nil)
	p.Version++
	b.show(p)
	b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	b.wantPayment(p)
	of, err := b.PaymentOf(b.ctx, p.Ref)
	b.must(err)
	if of != nil {
		b.Errorf("by its own id is found %v", of)
	}
}
