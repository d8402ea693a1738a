package contract

import (
	"errors"
	"maps"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

var auditing = []promise{
	{"an audit reads every row, of every tenant", auditsReadAll},
	{"an audit reads entries by number, in whatever order they came", auditsReadInOrder},
	{"an audit reads one moment", auditsReadOneMoment},
	{"an audit ends with the first error", auditsEnd},
	{"an audit of an empty store reads nothing", auditsOfNothing},
	{"an audit is told what is found under a reference", auditsFollowReferences},
	{"an audit finds a store with payments in order", paymentsAreInOrder},
	{"since when all keys are known is written down", keysSinceIsKept},
}

var reopening = []promise{
	{"everything is there after reopening", everythingIsKept},
	{"no number is used again after reopening", numbersAreKept},
	{"fences hold after reopening", fencesAreKept},
}

// audited is a bank with rows of all sorts and two tenants, all of them known.
func (b *bank) audited() []*engine.Changes {
	b.Helper()
	first := b.decide(open("a"), open("b"), move("a", "b", 5), b.hold("a", "b", 7, time.Hour))
	first.Keys = []once.Record{b.record("1"), b.record("2")}
	b.must(b.Commit(b.ctx, first))
	b.wait(time.Second)
	other := b.decide(
		ledger.OpenAccount{Ref: ledger.Ref{Tenant: "other", ID: "a"}, Currency: "JPY", Floor: ledger.Floor{None: true}},
		ledger.OpenAccount{Ref: ledger.Ref{Tenant: "other", ID: "b"}, Currency: "JPY"},
		ledger.CreateTransfer{Tenant: "other", From: "a", To: "b", Amount: 5, Currency: "JPY"},
	)
	r := b.record("1")
	r.Key.Tenant = "other"
	other.Keys = []once.Record{r}
	b.must(b.Commit(b.ctx, other))
	b.wait(time.Second)
	settled := b.do(ledger.PostTransfer{Ref: first.Ledger.Transfers[1].Ref})
	sent := b.weigh(charge("1"), create("2"), create(""))
	b.must(b.Commit(b.ctx, sent))
	b.wait(time.Second)
	took := b.weigh(captured(sent.Payments.Payments[0]))
	b.must(b.Commit(b.ctx, took))
	return []*engine.Changes{first, other, settled, sent, took}
}

func (b *bank) snapshot() audit.Source {
	b.Helper()
	return b.fixture.Snapshot(b, b.Store)
}

func auditsReadAll(b *bank) {
	want := b.expected(b.audited()...)
	b.same("the store", want, b.all())
	rows := int64(len(want.Accounts) + len(want.Entries) + len(want.Transfers) + len(want.Keys) + len(want.Events) + len(want.Payments) + len(want.References))
	about, err := b.snapshot().Rows(b.ctx)
	b.must(err)
	if about < rows/2 || about > 2*rows {
		b.Errorf("about %d rows, and there are %d", about, rows)
	}
}

func auditsReadInOrder(b *bank) {
	b.do(open("a"), open("b"), open("c"), open("d"))
	first, second := b.decide(move("a", "b", 1)), b.decide(move("c", "d", 1))
	b.must(b.Commit(b.ctx, second))
	b.must(b.Commit(b.ctx, first))
	b.same("entries", append(first.Ledger.Entries, second.Ledger.Entries...), b.all().Entries)
}

func auditsReadOneMoment(b *bank) {
	b.audited()
	src := b.snapshot()
	count := func() (n int) {
		b.Helper()
		b.must(src.Accounts(b.ctx, func(*ledger.Account) error { n++; return nil }))
		b.must(src.Entries(b.ctx, func(ledger.Entry) error { n++; return nil }))
		b.must(src.Transfers(b.ctx, func(*ledger.Transfer) error { n++; return nil }))
		b.must(src.Keys(b.ctx, func(once.Record) error { n++; return nil }))
		b.must(src.Events(b.ctx, func(outbox.Event) error { n++; return nil }))
		b.must(src.(audit.Payments).Payments(b.ctx, func(p *pay.Payment) error { n += 1 + len(p.Operations); return nil }))
		b.must(src.(audit.Payments).References(b.ctx, func(_ pay.Reference, _ bool, of int64) error { n += 1 + int(of); return nil }))
		return n
	}
	before := count()
	b.do(open("late"), move("late", "b", 5))
	b.answer("late")
	b.pay(charge("late"), create("late 2"))
	b.same("rows of the snapshot", before, count())
	if after := len(b.all().Accounts); after != 7 {
		b.Errorf("a later snapshot has %d accounts, want 7", after)
	}
}

func auditsEnd(b *bank) {
	b.audited()
	enough := errors.New("enough")
	src, calls := b.snapshot(), 0
	stop := func() error { calls++; return enough }
	for what, err := range map[string]error{
		"accounts":  src.Accounts(b.ctx, func(*ledger.Account) error { return stop() }),
		"entries":   src.Entries(b.ctx, func(ledger.Entry) error { return stop() }),
		"transfers": src.Transfers(b.ctx, func(*ledger.Transfer) error { return stop() }),
		"keys":      src.Keys(b.ctx, func(once.Record) error { return stop() }),
		"events":    src.Events(b.ctx, func(outbox.Event) error { return stop() }),

		"payments":   src.(audit.Payments).Payments(b.ctx, func(*pay.Payment) error { return stop() }),
		"references": src.(audit.Payments).References(b.ctx, func(pay.Reference, bool, int64) error { return stop() }),
	} {
		if !errors.Is(err, enough) {
			b.Errorf("%s ended with %v", what, err)
		}
	}
	b.same("rows read", 7, calls)
}

func auditsOfNothing(b *bank) {
	b.same("the store", b.expected(), b.all())
	rows, err := b.snapshot().Rows(b.ctx)
	b.must(err)
	b.same("rows", int64(0), rows)
}

// Two payments were of the first order, one after the other; the second names a
// payment that is of another; the third one that is not there.
func auditsFollowReferences(b *bank) {
	gone := b.pays(create("1"))
	b.pay(pay.CancelPayment{Ref: gone.Ref})
	b.pay(charge("1"))
	b.pay(create("2"))
	b.write(pay.Changes{References: []*pay.Reference{
		{Tenant: tenant, Reference: "2", Payment: gone.ID, Version: 2}, {Tenant: tenant, Reference: "3", Payment: "pay_none", Version: 1},
		{Tenant: "other", Reference: "1", Payment: gone.ID, Version: 1},
	}})
	type under struct {
		held     bool
		payments int64
	}
	got := map[pay.ReferenceID]under{}
	b.must(b.snapshot().(audit.Payments).References(b.ctx, func(f pay.Reference, held bool, n int64) error {
		return put(got, f.ReferenceID(), under{held, n})
	}))
	want := map[pay.ReferenceID]under{
		order("1"): {true, 2}, order("2"): {false, 1}, order("3"): {false, 0}, {Tenant: "other", Reference: "1"}: {false, 0},
	}
	if !maps.Equal(got, want) {
		b.Fatalf("found %v, want %v", got, want)
	}
}

func paymentsAreInOrder(b *bank) {
	claim := b.claim("k")
	sent := b.weigh(charge("1"), charge("2"), create("3"), charge("4"))
	atWork := sent.Payments.Payments[3]
	claim.Resource, atWork.Operations[0].Key = atWork.ID, claim.Key.ID
	sent.Keys = append(sent.Keys, claim)
	b.must(b.Commit(b.ctx, sent))
	b.pay(captured(sent.Payments.Payments[0]))
	b.pay(found(sent.Payments.Payments[1], pay.Finding{Outcome: pay.Conflict, Amount: 7}))
	r, err := audit.Run(b.ctx, b.snapshot(), audit.Config{})
	b.must(err)
	b.same("findings", []audit.Finding{}, r.Findings)
	b.same("what was read", []int64{4, 4, 2}, []int64{r.Rows.Payments, r.Rows.References, r.Rows.Transfers})
}

// It is kept, not computed: a key that was lost must not make an audit look
// away.
func keysSinceIsKept(b *bank) {
	b.same("before any sweep", time.Time{}, b.all().Since)
	late := opening.Add(100 * time.Hour)
	b.sweep(late, late)
	b.same("after a sweep of nothing", late, b.all().Since)
	b.sweep(late, opening)
	b.same("after a sweep that forgot less", late, b.all().Since)
	b.answer("k")
	b.same("with a key that is older", late, b.all().Since)
}

// reopen closes the store and opens what it has kept.
func (b *bank) reopen() {
	b.Helper()
	b.Store = b.fixture.Reopen(b, b.Store)
}

func everythingIsKept(b *bank) {
	commits := b.audited()
	b.sweep(opening, never)
	want := b.expected(commits...)
	want.Since = never
	for range 2 {
		b.reopen()
		b.same("the store", want, b.all())
	}
	events := allEvents(b, engine.EventFilter{}, engine.Page{})
	b.do(move("a", "b", 1))
	b.same("events", events, allEvents(b, engine.EventFilter{}, engine.Page{})[1:])
}

func numbersAreKept(b *bank) {
	b.do(open("a"), open("b"))
	for range 3 {
		b.reserve(1000) // numbers that were reserved and not used may come again
		b.do(move("a", "b", 1))
		b.reopen()
	}
	b.do(move("a", "b", 1))
	entries := b.all().Entries
	for i := 1; i < len(entries); i++ {
		if entries[i].Seq <= entries[i-1].Seq {
			b.Fatalf("entry %d follows entry %d", entries[i].Seq, entries[i-1].Seq)
		}
	}
	b.same("entries", 8, len(entries))
}

func fencesAreKept(b *bank) {
	b.do(open("a"), open("b"))
	b.answer("k")
	stale := b.decide(move("a", "b", 1))
	b.do(move("a", "b", 5))
	p := b.pays(charge("1"))
	late, second := b.weigh(found(p, pay.Finding{Outcome: pay.Declined})), b.weigh(create("2"))
	b.pay(found(p, pay.Finding{}))
	b.pay(create("2"))
	b.reopen()
	b.wantConflict(b.Commit(b.ctx, stale))
	b.wantConflict(b.Commit(b.ctx, late))
	b.wantConflict(b.Commit(b.ctx, second))
	b.wantConflict(b.Commit(b.ctx, b.keys(b.record("k"))))
	b.wantConflict(b.Commit(b.ctx, &engine.Changes{At: b.now, Ledger: &ledger.Changes{Accounts: []*ledger.Account{
		{Ref: ref("a"), Currency: "EUR", CreatedAt: b.now, Version: 1},
	}}}))
	b.do(move("a", "b", 1))
	b.same("what b has", int64(6), b.account("b").Balance.Posted)
}
