package pay_test

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// notice is a webhook about the payment's last operation.
func (w *world) notice(p *pay.Payment, id string, f pay.Finding) pay.TakeNotice {
	return pay.TakeNotice{
		Notice: pay.Notice{
			NoticeID: pay.NoticeID{Tenant: tenant, Gateway: "g", ID: id}, Payment: p.ID, Operation: w.last(p).ID,
			GatewayID: f.GatewayID, Type: "operation." + f.Outcome.String(),
		},
		Finding: f, House: w.house,
	}
}

// Where the gateway can be asked, a notice is a hint: what it says is not believed,
// it has the gateway asked, at once.
func TestANoticeIsAHintToCheck(t *testing.T) {
	for _, way := range []string{"processing", "processing, in doubt", "requires_action", "succeeded", "failed", "needs_review"} {
		t.Run(way, func(t *testing.T) {
			w := newWorld(prompt)
			p := ways[way](t, w)
			before := shown(p)
			w.now = w.now.Add(time.Second)
			r := w.do(t, w.notice(p, "sevt_1", done(90)))
			if r.Order == nil || r.Order.Attempt != 0 || r.Order.Operation != w.last(p).ID {
				t.Fatalf("the order is %+v", r.Order)
			}
			if o := w.last(p); !o.Hinted || !o.DueAt.Equal(w.now) {
				t.Errorf("it is not due: %+v", o)
			}
			if got := shown(w.at(p)); got != before {
				t.Errorf("it is %+v by the notice alone, and was %+v", got, before)
			}
			for range 2 { // what contradicts what was known is asked once more
				w.check(t, p, "", done(100))
			}
			if o := w.last(p); o.Hinted {
				t.Errorf("the notice is not answered: %+v", o)
			}
		})
	}
}

// A notice that says what is settled already, as one does a moment after the
// answer, has nobody asked: it is written down, and that is all.
func TestANoticeThatSaysNothingNewAsksNobody(t *testing.T) {
	settled, other := done(100), done(100)
	other.GatewayID = "ch_other"
	for _, row := range []struct {
		sentence string
		way      string
		said     pay.Finding
		asked    bool
	}{
		{"what is settled", "succeeded", settled, false},
		{"another execution of it", "succeeded", other, true},
		{"another amount", "succeeded", done(90), true},
		{"that it was declined after all", "succeeded", pay.Finding{Outcome: pay.Declined}, true},
		{"nothing", "succeeded", pay.Finding{}, true},
		{"that it is done, which is not settled yet", "processing", settled, true},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := ways[row.way](t, w)
			row.said.GatewayID = max(row.said.GatewayID, w.last(p).GatewayID)
			if asked := w.do(t, w.notice(p, "sevt_1", row.said)).Order != nil; asked != row.asked {
				t.Errorf("the gateway is asked: %v, want %v", asked, row.asked)
			}
		})
	}
}

// Where it cannot be asked, a notice with our id is evidence: before the answer,
// after it, instead of it, against it.
func TestANoticeIsEvidenceWhereNobodyCanBeAsked(t *testing.T) {
	review := view{Status: pay.NeedsReview, InDoubt: true, Captured: 100}
	for _, row := range []struct {
		sentence      string
		notice        pay.Finding
		before, after *pay.Finding // the answer
		want          view
		books         books
	}{
		{"before the answer", done(100), nil, new(done(100)), view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"after the answer", done(100), new(done(100)), nil, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"instead of the answer", done(100), nil, nil, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"after silence", done(100), &silence, nil, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"that it was declined, after silence", declined, &silence, nil, view{Status: pay.Failed}, books{}},
		{"against the answer: declined", done(100), &declined, nil, review, books{Suspense: 100}},
		{"against the answer: charged", declined, new(done(100)), nil, review, books{Suspense: 100}},
		{"against the answer that comes after it", declined, nil, new(done(100)), review, books{Suspense: 100}},
		{"of another amount", done(90), &silence, nil, view{Status: pay.NeedsReview, InDoubt: true, Captured: 90}, books{Suspense: 90}},
		{"that says less than is known", action, new(done(100)), nil, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(blind)
			p := w.confirmed(t)
			if row.before != nil {
				w.answer(t, p, *row.before)
			}
			w.do(t, w.notice(p, "sevt_1", row.notice))
			if row.after != nil {
				w.answer(t, p, *row.after)
			}
			w.want(t, p, row.want, row.books)
		})
	}
}

// A notice that was kept is worth what it was when it came.
func TestANoticeThatWasKeptIsEvidence(t *testing.T) {
	for _, row := range []struct {
		sentence string
		said     pay.Finding
		want     view
		books    books
	}{
		{"that it is done", done(100), view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"that less is done", done(90), view{Status: pay.NeedsReview, InDoubt: true, Captured: 90}, books{Suspense: 90}},
		{"in another currency", pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "USD", GatewayID: "ch_1"},
			view{Status: pay.NeedsReview, InDoubt: true}, books{}},
		{"that it was declined", pay.Finding{Outcome: pay.Declined, GatewayID: "ch_1", Failure: declined.Failure}, view{Status: pay.Failed}, books{}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(blind)
			p := w.confirmed(t)
			n := w.notice(p, "sevt_1", row.said)
			n.Notice.Payment, n.Notice.Operation = "", ""
			w.do(t, n)
			w.answer(t, p, action)
			kept := w.notices[n.NoticeID]
			kept.Payment, kept.Operation = p.ID, w.last(p).ID
			w.do(t, pay.TakeNotice{Notice: kept, Finding: kept.Finding(), House: w.house})
			w.want(t, p, row.want, row.books)
			if o := w.last(p); o.Failure != row.said.Failure {
				t.Errorf("it failed with %+v", o.Failure)
			}
		})
	}
}

// The same notice again is nothing, whenever it comes.
func TestANoticeIsTakenOnce(t *testing.T) {
	for name, c := range map[string]pay.Contract{"asked": prompt, "blind": blind} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(c)
			p := w.confirmed(t)
			n := w.notice(p, "sevt_1", done(100))
			w.batch(t, n, n)
			w.check(t, p, "", done(100))
			before := w.commits
			if r := w.do(t, n); r.Payment != nil || r.Order != nil || w.commits != before {
				t.Errorf("it came to %+v", r)
			}
			if len(w.notices) != 1 || w.books().Merchant != 100 {
				t.Errorf("%d notices, %+v", len(w.notices), w.books())
			}
			wantStrings(t, "webhooks", []string{"webhook operation.succeeded"}, only(w.timeline(p), "webhook"))
		})
	}
}

func only(lines []string, begin string) (some []string) {
	for _, l := range lines {
		if len(l) > len(begin) && l[:len(begin)] == begin {
			some = append(some, l)
		}
	}
	return some
}

// What names a payment that is not there is kept, and matched when it is. What
// names another tenant's payment, or one of another gateway, never is.
func TestANoticeOfAnUnknownPayment(t *testing.T) {
	for _, row := range []struct {
		sentence string
		change   func(*pay.TakeNotice)
		matched  bool
	}{
		{"that is there now", func(*pay.TakeNotice) {}, true},
		{"that names none", func(n *pay.TakeNotice) { n.Notice.Payment = "" }, false},
		{"of another tenant", func(n *pay.TakeNotice) { n.Tenant = "other" }, false},
		{"of another gateway", func(n *pay.TakeNotice) { n.Gateway = "h" }, false},
		{"and an operation that it does not have", func(n *pay.TakeNotice) { n.Notice.Operation = "att_0" }, false},
		{"and the gateway's id instead of ours", func(n *pay.TakeNotice) { n.Notice.Operation = "" }, true},
		{"and no id at all", func(n *pay.TakeNotice) { n.Notice.Operation, n.GatewayID = "", "" }, false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			later := newWorld(prompt)
			later.ids = w.ids
			p := ways["succeeded"](t, later)
			n := later.notice(p, "sevt_1", done(100))
			row.change(&n)
			if r := w.do(t, n); r.Payment != nil {
				t.Fatalf("it was matched with %+v", r.Payment)
			}
			w.do(t, n) // again, and it is still not there
			kept := w.notices[n.NoticeID]
			if kept.Matched || kept.Version != 1 || !kept.At.Equal(noon) {
				t.Errorf("it is kept as %+v", kept)
			}
			later.notices = w.notices
			r := later.do(t, n)
			if got := r.Payment != nil; got != row.matched || later.notices[n.NoticeID].Matched != row.matched {
				t.Errorf("it is matched: %v, want %v", got, row.matched)
			}
		})
	}
}

// A hint is answered by a check that began since and that the gateway answered. If
// nothing else would have it asked, it is asked until then; not for ever.
func TestAHintIsKeptUntilTheGatewayAnswers(t *testing.T) {
	w := newWorld(prompt)
	p := ways["failed"](t, w)
	w.do(t, w.notice(p, "sevt_1", done(100)))
	for range 3 {
		w.check(t, p, "", silence)
		o := w.last(p)
		if !o.Hinted || !o.DueAt.After(w.now) {
			t.Fatalf("after silence it is %+v", o)
		}
		w.now = o.DueAt
	}
	w.check(t, p, "", done(100))
	w.want(t, p, view{Status: pay.NeedsReview, InDoubt: true, Captured: 100}, books{Suspense: 100})

	p = ways["failed"](t, w)
	w.do(t, w.notice(p, "sevt_2", done(100)))
	began, checks := w.now, 0
	for ; w.last(p).Hinted; checks++ {
		w.now = later(w.now, w.last(p).DueAt)
		w.check(t, p, "", silence)
	}
	if lasted := w.now.Sub(began); checks > 100 || lasted < time.Hour || lasted > 2*time.Hour || !w.last(p).DueAt.IsZero() {
		t.Errorf("it took %d checks in %s, and is due at %s", checks, lasted, w.last(p).DueAt)
	}
}

// A second notice has the gateway asked as if it were the first.
func TestANewHintIsLookedIntoAtOnce(t *testing.T) {
	w := newWorld(prompt)
	p := ways["failed"](t, w)
	w.do(t, w.notice(p, "sevt_1", done(100)))
	for range 8 {
		w.now = later(w.now, w.last(p).DueAt)
		w.check(t, p, "", silence)
	}
	w.do(t, w.notice(p, "sevt_2", done(100)))
	w.look(t, p)
	if o := w.last(p); !o.DueAt.Equal(w.now) {
		t.Errorf("it is due %s from now", o.DueAt.Sub(w.now))
	}
}
