package contract

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

var payments = []promise{
	{"a payment that is not there is not found", missingPayments},
	{"payments of another tenant are not found", foreignPayments},
	{"a reference comes with its holder", holdersAreLoaded},
	{"payments are found among what does not exist", somePaymentsAreFound},
	{"a payment and its money are loaded as of one moment", paymentsAreOfOneMoment},
	{"what is loaded of a payment is the caller's", loadedPaymentsAreTheCallers},
	{"a payment that was committed is not the committer's any more", committedPaymentsAreTheStores},
	{"payment, reference, timeline, key and money are one commit", aPaymentIsOneCommit},
	{"a commit with a payment whose fence is broken writes nothing", noPaymentOrAll},
	{"of many commits that make one order's payment, one wins", oneHolds},
	{"of many commits that change one payment, one wins", oneChangesAPayment},
	{"of many commits that see one notice, one wins", oneSees},
	{"commits of different payments all win", differentPaymentsAllWin},
	{"a commit of thousands of payments is one", manyPayments},
}

var nowhere = pay.Ref{Tenant: tenant, ID: "pay_1"}

func missingPayments(b *bank) {
	b.same("loaded", engine.Rows{}, b.loadPayments(pay.Rows{
		Payments: []pay.Ref{nowhere}, References: []pay.ReferenceID{order("1"), order("")}, Notices: []pay.NoticeID{notice("1")},
	}))
	b.readsNoPayment(nowhere, pay.Ref{Tenant: tenant, ID: "att_1"})
	due, err := b.DueOperations(b.ctx, "sandbox", b.now.AddDate(1000, 0, 0), 10)
	b.must(err)
	b.same("due", 0, len(due))
	longest, err := b.LongestDue(b.ctx, b.now.AddDate(1000, 0, 0))
	b.must(err)
	b.same("longest due", 0, len(longest))
	matchable, err := b.Matchable(b.ctx, "sandbox", 10)
	b.must(err)
	b.same("matchable", 0, len(matchable))
	doubtful, err := b.Doubtful(b.ctx, engine.Page{Limit: 10})
	b.must(err)
	b.same("in doubt", engine.List[*pay.Payment]{}, doubtful)
}

// readsNoPayment holds that reads find nothing, and that this is no error.
func (b *bank) readsNoPayment(r, operation pay.Ref) {
	b.Helper()
	p, err := b.Payment(b.ctx, r)
	b.must(err)
	of, err := b.PaymentOf(b.ctx, operation)
	b.must(err)
	if p != nil || of != nil {
		b.Fatalf("found %v and %v", p, of)
	}
	b.same("lines", 0, len(b.lines(r)))
	b.same("payments", 0, len(allPaymentsOf(b, r.Tenant, engine.PaymentFilter{}, engine.Page{})))
}

func foreignPayments(b *bank) {
	p := b.pays(charge("1"))
	b.write(pay.Changes{Notices: []*pay.Notice{{NoticeID: notice("1"), At: b.now, Version: 1}}})
	foreign := pay.Ref{Tenant: "other", ID: p.ID}
	b.same("loaded", engine.Rows{}, b.loadPayments(pay.Rows{
		Payments: []pay.Ref{foreign}, References: []pay.ReferenceID{{Tenant: "other", Reference: "1"}},
		Notices: []pay.NoticeID{{Tenant: "other", Gateway: "sandbox", ID: "1"}, {Tenant: tenant, Gateway: "blind", ID: "1"}},
	}))
	b.readsNoPayment(foreign, pay.Ref{Tenant: "other", ID: p.Charge().ID})

	theirs := create("1") // the same order is free there
	theirs.Payment.Tenant = "other"
	b.pay(theirs)
	b.write(pay.Changes{Notices: []*pay.Notice{{NoticeID: pay.NoticeID{Tenant: "other", Gateway: "sandbox", ID: "1"}, At: b.now, Version: 1}}})
	b.same("ours", p, b.payment(p.Ref))
}

func holdersAreLoaded(b *bank) {
	p := b.pays(create("1"))
	rows := b.loadPayments(pay.Rows{References: []pay.ReferenceID{order("1")}})
	b.same("loaded", engine.Rows{
		Payments: []*pay.Payment{p}, References: []*pay.Reference{{Tenant: tenant, Reference: "1", Payment: p.ID, Version: 1}},
	}, rows)
	b.pay(pay.CancelPayment{Ref: p.Ref})
	second := b.pays(charge("1"))
	rows = b.loadPayments(pay.Rows{References: []pay.ReferenceID{order("1")}})
	b.same("loaded, after another took it", engine.Rows{
		Payments: []*pay.Payment{second}, References: []*pay.Reference{{Tenant: tenant, Reference: "1", Payment: second.ID, Version: 2}},
	}, rows)
}

func somePaymentsAreFound(b *bank) {
	one, two := b.pays(charge("1")), b.pays(create(""))
	n := &pay.Notice{NoticeID: notice("1"), At: b.now, Version: 1}
	b.write(pay.Changes{Notices: []*pay.Notice{n}})
	rows := b.loadPayments(pay.Rows{
		Payments:   []pay.Ref{nowhere, two.Ref},
		References: []pay.ReferenceID{order("0"), order("1"), order("2"), order("")},
		Notices:    []pay.NoticeID{notice("0"), notice("1"), notice("2")},
	})
	b.same("notices", []*pay.Notice{n}, rows.Notices)
	b.same("references", []*pay.Reference{{Tenant: tenant, Reference: "1", Payment: one.ID, Version: 1}}, rows.References)
	b.same("payments", 2, len(rows.Payments))
	got := map[pay.Ref]*pay.Payment{}
	for _, p := range rows.Payments {
		got[p.Ref] = p
	}
	b.same("payments", map[pay.Ref]*pay.Payment{one.Ref: one, two.Ref: two}, got)
}

// A payment and the merchant's account are written by the same commits, so they
// are always as far apart as at the beginning.
func paymentsAreOfOneMoment(b *bank) {
	p := b.pays(create("1"))
	b.do(open("a"))
	a := b.account("a")
	ctx, stop := context.WithCancel(b.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	need := engine.Need{Payments: pay.Rows{References: []pay.ReferenceID{order("1")}}, Rows: ledger.Rows{Accounts: []ledger.Ref{a.Ref}}}
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				rows, err := b.Load(b.ctx, need)
				if err != nil || len(rows.Payments) != 1 || len(rows.Accounts) != 1 {
					b.Errorf("loaded %d payments and %d accounts: %v", len(rows.Payments), len(rows.Accounts), err)
					return
				}
				if p, a := rows.Payments[0], rows.Accounts[0]; p.Version != a.Version || int64(len(p.Operations)) != a.Version-1 {
					b.Errorf("of different moments: payment %d with %d operations, account %d", p.Version, len(p.Operations), a.Version)
					return
				}
			}
		})
	}
	for range 60 {
		p, a = p.Clone(), new(*a)
		kind := pay.Authorize
		if len(p.Operations) > 0 {
			kind = pay.Capture
		}
		b.operation(p, kind, nil)
		b.show(p)
		p.Version, a.Version = p.Version+1, a.Version+1
		b.must(b.Commit(b.ctx, &engine.Changes{
			At: b.now, Ledger: &ledger.Changes{Accounts: []*ledger.Account{a}}, Payments: &pay.Changes{Payments: []*pay.Payment{p}},
		}))
		if got := b.payment(p.Ref).Version; got != p.Version {
			b.Fatalf("after version %d was reported version %d is read", p.Version, got)
		}
	}
}

// rich is a payment with something in everything that can be shared.
func (b *bank) rich() (*pay.Payment, *pay.Notice) {
	b.Helper()
	c := charge("1")
	c.Payment.Options, c.Payment.Metadata = map[string]string{"k": "v"}, map[string]string{"k": "v"}
	p := b.pays(c)
	n := &pay.Notice{NoticeID: notice("1"), At: b.now, Version: 1}
	b.write(pay.Changes{Notices: []*pay.Notice{n}})
	return p, n
}

// spoil changes whatever can be reached from rows.
func spoil(rows engine.Rows) {
	for _, p := range rows.Payments {
		p.Status, p.Version, p.Options["k"], p.Metadata["k"] = pay.Failed, 99, "changed", "changed"
		p.Operations[0].Outcome, p.Operations[0].Key = pay.Declined, "changed"
		p.Operations = append(p.Operations[:0], &pay.Operation{ID: "changed"})
	}
	for _, f := range rows.References {
		f.Payment, f.Version = "changed", 99
	}
	for _, n := range rows.Notices {
		n.Matched, n.Version = true, 99
	}
}

func loadedPaymentsAreTheCallers(b *bank) {
	p, n := b.rich()
	before := b.all()
	need := pay.Rows{References: []pay.ReferenceID{order("1")}, Notices: []pay.NoticeID{notice("1")}}
	for range 3 { // the second time it may come from a cache
		rows := b.loadPayments(need)
		b.same("the payment", []*pay.Payment{p}, rows.Payments)
		b.same("the notice", []*pay.Notice{n}, rows.Notices)
		spoil(rows)
		spoil(engine.Rows{Payments: []*pay.Payment{b.payment(p.Ref)}})
		of, err := b.PaymentOf(b.ctx, pay.Ref{Tenant: tenant, ID: p.Charge().ID})
		b.must(err)
		spoil(engine.Rows{Payments: []*pay.Payment{of}})
		spoil(engine.Rows{Payments: allPaymentsOf(b, tenant, engine.PaymentFilter{}, engine.Page{})})
		b.lines(p.Ref)[0].Detail = "changed"
	}
	b.same("the store", before, b.all())
	b.same("the notice", n, b.seen(notice("1")))
	b.pay(captured(p))
}

func committedPaymentsAreTheStores(b *bank) {
	c := charge("1")
	c.Payment.Options, c.Payment.Metadata = map[string]string{"k": "v"}, map[string]string{"k": "v"}
	changes := b.weigh(c)
	changes.Payments.Notices = []*pay.Notice{{NoticeID: notice("1"), At: b.now, Version: 1}}
	b.must(b.Commit(b.ctx, changes))
	before, p := b.all(), changes.Payments.Payments[0].Clone()
	changes.Payments.Lines[0].Detail = "changed"
	spoil(engine.Rows{Payments: changes.Payments.Payments, References: changes.Payments.References, Notices: changes.Payments.Notices})
	b.same("the store", before, b.all())
	b.same("the notice", int64(1), b.seen(notice("1")).Version)
	b.pay(captured(p))
}

// aPaymentIsOneCommit has a payment made, sent and captured, with the key of
// each request.
func aPaymentIsOneCommit(b *bank) {
	first := b.weigh(charge("1"))
	claim := b.claim("k")
	first.Keys = append(first.Keys, claim)
	b.must(b.Commit(b.ctx, first))
	b.same("the store, while it is at work", b.expected(first), b.all())
	b.wait(time.Second)
	second := b.weigh(captured(first.Payments.Payments[0]))
	second.Keys = append(second.Keys, b.done(claim))
	b.must(b.Commit(b.ctx, second))
	b.same("the store", b.expected(first, second), b.all())
	b.same("what the merchant has", int64(100), b.account("merchant:default").Balance.Posted)
}

func differentPaymentsAllWin(b *bank) {
	var commits []*engine.Changes
	for i := range racers {
		c := b.weigh(charge(fmt.Sprint(i)))
		c.Keys = append(c.Keys, b.claim(fmt.Sprint(i)))
		commits = append(commits, c)
	}
	b.same("winners", int64(racers), b.race(commits))
	b.same("the store", b.expected(commits...), b.all())
}

// As many as an executor commits at most, and the outcome of all of them.
func manyPayments(b *bank) {
	var create, record []pay.Command
	for i := range 1024 {
		create = append(create, charge(fmt.Sprint(i)))
	}
	first := b.weigh(create...)
	b.must(b.Commit(b.ctx, first))
	for _, p := range first.Payments.Payments {
		record = append(record, captured(p))
	}
	second := b.weigh(record...)
	b.must(b.Commit(b.ctx, second))
	all := b.all()
	b.same("payments", 1024, len(all.Payments))
	b.same("the store", b.expected(first, second), all)
	b.same("what the merchant has", int64(102400), b.account("merchant:default").Balance.Posted)
}
