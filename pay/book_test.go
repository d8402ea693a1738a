package pay_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// Commands of one batch see what those before them did, and all of it is one
// change of each row.
func TestSeveralCommandsOnOnePaymentInABatch(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t, manual)
	version := w.at(p).Version
	answer := pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Finding: new(done(100)), Attempt: 1}
	made := w.batch(t,
		w.capture(p, 10, true), // too early
		answer,
		w.capture(p, 60, true),
		w.capture(p, 10, true), // another is at work
		w.cancel(p),
		answer, // again
		pay.ShowPayment{Ref: p.Ref},
	)
	var codes []string
	for _, o := range made {
		if o.refusal != nil {
			codes = append(codes, string(o.refusal.Code))
			continue
		}
		codes = append(codes, o.Payment.Status.String())
	}
	wantStrings(t, "outcomes", []string{
		"in_progress", "authorized", "processing", "in_progress", "in_progress", "processing", "processing",
	}, codes)
	if got := w.at(p); got.Version != version+1 || len(got.Operations) != 2 {
		t.Errorf("it is at version %d, was at %d, with %d operations", got.Version, version, len(got.Operations))
	}
	wantStrings(t, "events", []string{"payment.created", "payment.processing", "payment.authorized", "payment.processing"}, w.eventTypes(0))
}

// How commands are cut into commits does not show.
func TestABatchIsItsCommandsOneAfterTheOther(t *testing.T) {
	commands := func(w *world, p *pay.Payment) []pay.Command {
		charge := w.last(p).ID
		return []pay.Command{
			pay.Record{Ref: p.Ref, Operation: charge, House: w.house, Finding: &silence, Attempt: 1},
			pay.Record{Ref: p.Ref, Operation: charge, House: w.house, Finding: new(done(100)), Began: w.now},
			w.refund(p, 30),
			w.refund(p, 30),
			w.notice(p, "sevt_1", done(100)),
			pay.Record{Ref: p.Ref, Operation: charge, House: w.house, Finding: &declined, Began: w.now},
		}
	}
	together, apart := newWorld(prompt), newWorld(prompt)
	p, q := together.confirmed(t), apart.confirmed(t)
	many := together.batch(t, commands(together, p)...)
	for i, c := range commands(apart, q) {
		one := apart.batch(t, c)[0]
		if (one.refusal == nil) != (many[i].refusal == nil) {
			t.Errorf("command %d is refused with %v alone and %v in a batch", i, one.refusal, many[i].refusal)
		}
	}
	if diff := cmp.Diff(together.fact(p), apart.fact(q)); diff != "" {
		t.Errorf("(-together +apart):\n%s", diff)
	}
	wantStrings(t, "timeline", apart.timeline(q), together.timeline(p))
	wantStrings(t, "events", apart.eventTypes(0), together.eventTypes(0))
}

// What is committed while a batch loads is brought into it.
func TestABatchCatchesUpWithWhatWasCommittedWhileItLoaded(t *testing.T) {
	order := order4711()
	order.Reference = "order-1"
	for _, row := range []struct {
		sentence string
		before   func(fataler, *world) *pay.Payment
		mine     func(*world, *pay.Payment) pay.Command
		theirs   func(fataler, *world, *pay.Payment)
		payments int
		sends    int
	}{
		{
			"a confirm of what was confirmed", ways["requires_confirmation"],
			func(w *world, p *pay.Payment) pay.Command { return pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref} },
			func(t fataler, w *world, p *pay.Payment) { w.do(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref}) }, 1, 1,
		},
		{
			"a create for an order that was created", func(fataler, *world) *pay.Payment { return nil },
			func(w *world, _ *pay.Payment) pay.Command {
				return pay.CreatePayment{Ask: w.ask(""), Payment: order, Confirm: true}
			},
			func(t fataler, w *world, _ *pay.Payment) {
				w.do(t, pay.CreatePayment{Ask: w.ask(""), Payment: order, Confirm: true})
			}, 1, 1,
		},
		{
			"a create for an order that has another payment now", func(t fataler, w *world) *pay.Payment {
				return w.answered1(t, w.confirmed(t, reference("order-1")), declined)
			},
			func(w *world, _ *pay.Payment) pay.Command {
				return pay.CreatePayment{Ask: w.ask(""), Payment: order, Confirm: true}
			},
			func(t fataler, w *world, _ *pay.Payment) {
				w.do(t, pay.CreatePayment{Ask: w.ask(""), Payment: order, Confirm: true})
			}, 2, 2,
		},
		{
			"a notice that was taken", ways["processing"],
			func(w *world, p *pay.Payment) pay.Command { return w.notice(p, "sevt_1", done(100)) },
			func(t fataler, w *world, p *pay.Payment) { w.do(t, w.notice(p, "sevt_1", done(100))) }, 1, 2,
		},
		{
			"a capture of what was captured", ways["authorized"],
			func(w *world, p *pay.Payment) pay.Command { return w.capture(p, 100, false) },
			func(t fataler, w *world, p *pay.Payment) { w.do(t, w.capture(p, 100, false)) }, 1, 2,
		},
		{
			"a capture of one that a notice came of", ways["authorized"],
			func(w *world, p *pay.Payment) pay.Command { return w.capture(p, 100, false) },
			func(t fataler, w *world, p *pay.Payment) { w.do(t, w.notice(p, "sevt_1", declined)) }, 1, 3,
		},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := row.before(t, w)
			mine := row.mine(w, p)
			book := w.load(mine)
			row.theirs(t, w, p)
			theirs := w.committed.payments
			was := theirs.Payments[0].Clone()
			book.CatchUp(w.committed.money)
			book.CatchUpPayments(theirs, nil)
			w.finish(t, book, mine)
			if len(w.payments) != row.payments || len(w.orders) != row.sends {
				t.Errorf("%d payments and %d orders, want %d and %d", len(w.payments), len(w.orders), row.payments, row.sends)
			}
			if diff := cmp.Diff(was, theirs.Payments[0]); diff != "" {
				t.Errorf("what was caught up with has changed:\n%s", diff)
			}
		})
	}
}

// A request that was claimed while its repeat loaded sees what the claim made.
func TestABatchCatchesUpWithKeys(t *testing.T) {
	w := newWorld(prompt)
	create := pay.CreatePayment{Ask: w.ask("k"), Payment: order4711(), Confirm: true}
	book := w.load(create)
	book.WantKey(keyOf("k"))
	book.WantKey(keyOf("other"))
	w.fill(book)
	newer := once.Record{Key: keyOf("k"), State: once.Claimed, Resource: "pay_1", Version: 2}
	book.CatchUpPayments(nil, []once.Record{newer, {Key: keyOf("unasked"), Version: 1}})
	book.CatchUpPayments(nil, []once.Record{{Key: keyOf("k"), Version: 1}}) // older than what it has
	if diff := cmp.Diff(newer, book.Key(keyOf("k"))); diff != "" {
		t.Error(diff)
	}
	if book.Key(keyOf("unasked")).Version != 0 || book.Key(keyOf("other")).State != once.Absent {
		t.Error("it has keys that nobody wants, or that nobody has")
	}
}

// A key may be claimed and completed in one batch, by whoever has read it before.
func TestAKeyThatIsWrittenTwiceHasOneNewVersion(t *testing.T) {
	book := pay.NewBook()
	for _, k := range []string{"seen", "new"} {
		book.WantKey(keyOf(k))
	}
	book.PutKey(once.Record{Key: keyOf("seen"), State: once.Claimed, Version: 2})
	for _, k := range []string{"seen", "new"} {
		before := book.Key(keyOf(k))
		for _, before.State = range []once.State{once.Claimed, once.Done} {
			book.WriteKey(before)
		}
	}
	want := []once.Record{{Key: keyOf("seen"), State: once.Done, Version: 3}, {Key: keyOf("new"), State: once.Done, Version: 1}}
	if diff := cmp.Diff(want, book.WrittenKeys()); diff != "" || book.Key(keyOf("seen")).Version != 3 {
		t.Error(diff)
	}
}

// What is loaded late is no news.
func TestABookKeepsTheNewestVersion(t *testing.T) {
	w := newWorld(prompt)
	p := w.create(t, reference("order-1"))
	old := w.at(p)
	w.do(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref})
	confirm := pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref}
	book := w.load(confirm)
	book.PutPayment(old)
	if r := w.finish(t, book, confirm)[0]; r.Payment.Status != pay.Processing {
		t.Errorf("it is %s", r.Payment.Status)
	}
}

// A book asks for what it was told to want: once, and for nothing else.
func TestABookNamesWhatItWants(t *testing.T) {
	w := newWorld(prompt)
	p := w.create(t, reference("order-1"))
	confirm := pay.ConfirmPayment{Ask: w.ask("k"), Ref: p.Ref}
	again := order4711()
	again.Reference = "order-1"
	create := pay.CreatePayment{Ask: w.ask("k"), Payment: again}
	notice := pay.TakeNotice{Notice: pay.Notice{NoticeID: pay.NoticeID{Tenant: tenant, Gateway: "g", ID: "1"}}}
	b := pay.NewBook()
	for range 2 {
		for _, c := range []pay.Command{confirm, create, notice} {
			c.Needs(b)
		}
	}
	want := pay.Rows{
		Payments:   []pay.Ref{p.Ref},
		References: []pay.ReferenceID{{Tenant: tenant, Reference: "order-1"}},
		Notices:    []pay.NoticeID{notice.NoticeID},
	}
	if diff := cmp.Diff(want, b.WantedRows()); diff != "" {
		t.Error(diff)
	}
	if again := b.WantedRows(); !again.Empty() || len(b.WantedKeys()) != 0 {
		t.Errorf("asked again it wants %+v", again)
	}
	if accounts := b.Wanted().Accounts; len(accounts) != 0 {
		t.Errorf("nothing is settled, and it wants %v", accounts)
	}
	b = w.load(pay.Record{Ref: p.Ref})
	if rows := b.Wanted(); !rows.Empty() {
		t.Errorf("after two rounds it still wants %+v", rows)
	}
}

// A change that would break a payment is not written.
func TestAPaymentIsCheckedBeforeItIsWritten(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	w.payments[p.Ref].Amount = 0
	c := pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Finding: new(done(100)), Attempt: 1}
	b := w.load(c)
	b.Reserve(1)
	if _, err := c.Decide(b, ledger.Moment{Now: w.now, IDs: w.ids}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PaymentChanges(); err == nil {
		t.Error("it is written")
	}
}

// An order that changes hands twice in a batch is one change of its row.
func TestAnOrderThatChangesHandsTwiceInABatch(t *testing.T) {
	w := newWorld(prompt)
	p := order4711()
	p.Reference = "order-1"
	create := pay.CreatePayment{Ask: w.ask(""), Payment: p}
	b := w.load(create)
	b.Reserve(1)
	first := w.decide(t, b, create).Payment
	w.decide(t, b, w.cancel(first))
	second := w.decide(t, b, create).Payment
	w.decide(t, b, w.cancel(second))
	w.finish(t, b, create)
	held := w.references[pay.ReferenceID{Tenant: tenant, Reference: "order-1"}]
	if len(w.payments) != 3 || held.Version != 1 || held.Payment == first.ID || held.Payment == second.ID {
		t.Errorf("%d payments, and the order is held by %+v", len(w.payments), held)
	}
}

// A notice that names its operation by the gateway's id is matched in the batch
// that brings that id.
func TestANoticeThatIsMatchedByALaterCommandOfItsBatch(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	n := w.notice(p, "sevt_1", done(100))
	n.Notice.Operation = ""
	answer := pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Finding: new(done(100)), Attempt: 1}
	made := w.batch(t, n, answer, n, n)
	var matched []bool
	for _, o := range made {
		matched = append(matched, o.Payment != nil)
	}
	if diff := cmp.Diff([]bool{false, true, true, false}, matched); diff != "" {
		t.Error(diff)
	}
	if kept := w.notices[n.NoticeID]; !kept.Matched || kept.Version != 1 {
		t.Errorf("it is kept as %+v", kept)
	}
}
