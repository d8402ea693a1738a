package pay_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// What a human finds about an operation becomes what is known of it, and the money
// follows.
func TestResolve(t *testing.T) {
	const succeeded, failed = pay.Succeeded, pay.Failed
	for _, row := range []struct {
		sentence string
		said     []pay.Finding // of a charge of 100, before
		happened bool
		want     view
		books    books
	}{
		{"silence, and it happened", []pay.Finding{silence}, true, view{Status: succeeded, Captured: 100}, books{Merchant: 100}},
		{"silence, and it did not", []pay.Finding{silence}, false, view{Status: failed}, books{}},
		{"declined and charged, and it happened", []pay.Finding{declined, done(100)}, true, view{Status: succeeded, Captured: 100}, books{Merchant: 100}},
		{"declined and charged, and it did not", []pay.Finding{declined, done(100)}, false, view{Status: failed}, books{}},
		{"less than asked, and it happened", []pay.Finding{done(90)}, true, view{Status: succeeded, Captured: 90}, books{Merchant: 90}},
		{"less than asked, and it was undone", []pay.Finding{done(90)}, false, view{Status: failed}, books{}},
		{"twice, and one of them was undone", []pay.Finding{{Outcome: pay.Conflict, Amount: 200, Currency: "EUR"}}, true,
			view{Status: succeeded, Captured: 100}, books{Merchant: 100}},
		{"another currency, and it happened", []pay.Finding{{Outcome: pay.Done, Amount: 100, Currency: "USD"}}, true,
			view{Status: succeeded, Captured: 100}, books{Merchant: 100}},
		{"a contradiction without an amount, and it happened", []pay.Finding{{Outcome: pay.Conflict}}, true,
			view{Status: succeeded, Captured: 100}, books{Merchant: 100}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := w.confirmed(t)
			for i, f := range row.said {
				if i == 0 {
					w.answer(t, p, f)
				} else {
					w.check(t, p, "", f)
				}
			}
			w.now = w.now.Add(prompt.InFlight) // nothing of it can arrive any more
			before := len(w.events)
			r := w.do(t, w.resolve(p, row.happened))
			if r.Verb != pay.ToResolve || r.Interim {
				t.Errorf("it came to %+v", r)
			}
			w.want(t, p, row.want, row.books)
			o := w.last(p)
			if o.Epoch != 1 || (o.Failure.Code == "resolved_absent") == row.happened || !o.DueAt.IsZero() {
				t.Errorf("the operation is %+v", o)
			}
			types := w.eventTypes(before)
			if types[len(types)-1] != "payment.resolved" {
				t.Errorf("the events are %v", types)
			}
			line, detail := w.lines[len(w.lines)-1], "absent: the gateway's report"
			if row.happened {
				detail = "captured: the gateway's report"
			}
			if line.Type != "resolved" || line.Actor != "ann" || line.Detail != detail || line.Operation != o.ID {
				t.Errorf("the line is %+v", line)
			}
		})
	}
}

// What may still arrive cannot be decided not to have happened: its order would be
// free, and be paid twice. That it happened can be decided at any time.
func TestWhatMayStillArriveIsNotDecidedAbsent(t *testing.T) {
	w := newWorld(prompt)
	p := w.answered1(t, w.confirmed(t), silence)
	w.now = w.now.Add(prompt.InFlight - time.Microsecond)
	w.refuse(t, w.resolve(p, false), ledger.InProgress, "")
	w.now = w.now.Add(time.Microsecond)
	w.do(t, w.resolve(p, false))
	w.want(t, p, view{Status: pay.Failed}, books{})

	p = w.confirmed(t) // nothing was heard of its sender, and nobody wrote that down
	w.now = w.at(p).Charge().LeaseUntil.Add(prompt.InFlight - time.Microsecond)
	w.refuse(t, w.resolve(p, false), ledger.InProgress, "")
	w.now = w.now.Add(time.Microsecond)
	w.do(t, w.resolve(p, false))
	w.want(t, p, view{Status: pay.Failed}, books{})

	p = w.answered1(t, w.confirmed(t), silence)
	elsewhere := w.resolve(p, false)
	elsewhere.House = pay.House{} // who decides knows no gateway: what was promised when that was sent holds
	w.now = w.now.Add(prompt.InFlight - time.Microsecond)
	w.refuse(t, elsewhere, ledger.InProgress, "")
	w.now = w.now.Add(time.Microsecond)
	w.do(t, elsewhere)
	w.want(t, p, view{Status: pay.Failed}, books{})

	p = w.answered1(t, w.confirmed(t), silence)
	w.shorten(func(c *pay.Contract) { c.InFlight = time.Millisecond }) // it promised more when that was sent
	w.now = w.now.Add(prompt.InFlight - time.Microsecond)
	w.refuse(t, w.resolve(p, false), ledger.InProgress, "")

	p = w.answered1(t, w.confirmed(t), pay.Finding{Reach: pay.NeverLeft})
	w.do(t, w.resolve(p, false)) // nothing has left
	w.want(t, p, view{Status: pay.Failed}, books{})

	p = w.answered1(t, w.confirmed(t), silence)
	w.do(t, w.resolve(p, true))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
}

// shorten changes what the gateway promises from now on.
func (w *world) shorten(change func(*pay.Contract)) {
	g := w.house.Gateways["g"]
	g.Contract = with(g.Contract, change)
	w.house.Gateways = map[string]pay.Terms{"g": g}
}

// A decision opens a new epoch: what the gateway says from then on is joined with
// it, and one that contradicts it is in doubt again.
func TestWhatIsSaidAfterADecision(t *testing.T) {
	review := func(captured int64) view {
		return view{Status: pay.NeedsReview, InDoubt: true, Captured: captured}
	}
	for _, row := range []struct {
		sentence string
		happened bool
		said     pay.Finding
		want     view
		books    books
	}{
		{"it happened, and the gateway says so", true, done(100), view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"it happened, and the gateway says that it did not", true, declined, review(100), books{Suspense: 100}},
		{"it happened, and the gateway knows nothing of it", true, absent, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"it happened, and the gateway says with another amount", true, done(90), review(100), books{Suspense: 100}},
		{"it did not, and the gateway says that it did not", false, declined, view{Status: pay.Failed}, books{}},
		{"it did not, and the gateway says that it happened", false, done(100), review(100), books{Suspense: 100}},
		{"it did not, and the gateway still waits for the customer", false, action, view{Status: pay.Failed}, books{}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := ways["needs_review"](t, w)
			w.do(t, w.resolve(p, row.happened))
			w.check(t, p, "", row.said)
			w.want(t, p, row.want, row.books)
			if row.want.InDoubt {
				w.do(t, w.resolve(p, true))
				if o := w.last(p); o.Epoch != 2 || w.at(p).Status != pay.Succeeded {
					t.Errorf("decided again it is %s, epoch %d", w.at(p).Status, o.Epoch)
				}
			}
		})
	}
}

// What a human found that the gateway calls an operation is kept with it, and is what
// others then name it by. What is known is not overwritten, and what the gateway
// says otherwise later contradicts it.
func TestADecisionSaysWhatTheGatewayCallsIt(t *testing.T) {
	called := func(c pay.ResolvePayment, id string) pay.ResolvePayment {
		c.GatewayID = id
		return c
	}
	w := newWorld(prompt)
	p := w.answered1(t, w.confirmed(t), silence)
	w.do(t, called(w.resolve(p, true), "ch_77"))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
	if line := w.lines[len(w.lines)-1]; line.Type != "resolved" || line.Detail != "captured (ch_77): the gateway's report" {
		t.Errorf("the line is %+v", line)
	}
	w.do(t, w.refund(p, 40))
	if c := w.at(p).Call(w.last(p)); c.Target != "ch_77" || c.TargetOp != p.Charge().ID {
		t.Errorf("a refund is asked of %q, %q", c.Target, c.TargetOp)
	}
	w.answer(t, p, done(40))
	other := done(100)
	other.GatewayID = "ch_78"
	w.check(t, p, p.Charge().ID, other)
	w.want(t, p, view{Status: pay.NeedsReview, InDoubt: true, Captured: 100, Refunded: 40}, books{Suspense: 100, Merchant: -40})
	w.refuse(t, called(w.resolve(p, true), "ch_78"), ledger.Invalid, "/gateway_id")
	w.do(t, called(w.resolve(p, true), "ch_77"))

	p = w.answered1(t, w.confirmed(t), declined)
	w.check(t, p, "", done(100)) // with an id
	known := w.at(p).Charge().GatewayID
	w.refuse(t, called(w.resolve(p, true), known+"x"), ledger.Invalid, "/gateway_id")
	w.refuse(t, called(w.resolve(p, false), known+"x"), ledger.Invalid, "/gateway_id")
	w.do(t, w.resolve(p, true))
	if got := w.at(p).Charge().GatewayID; known == "" || got != known {
		t.Errorf("it is called %q, and was %q", got, known)
	}
}

// A part that a human has accepted is what the gateway may go on saying.
func TestAnAcceptedPartIsNotDoubtedAgain(t *testing.T) {
	w := newWorld(prompt)
	p := w.answered1(t, w.confirmed(t), done(90))
	w.do(t, w.resolve(p, true))
	w.check(t, p, "", done(90))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 90}, books{Merchant: 90})
}

// Which operation is meant is said, or is the first one that is in doubt.
func TestResolveNamesAnOperation(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	for range 2 {
		inReview(40)(t, w, p)
	}
	refunds := w.at(p).Operations[1:]
	second := w.resolve(p, true)
	second.Operation = refunds[1].ID
	w.do(t, second)
	w.want(t, p, view{Status: pay.Succeeded, InDoubt: true, Captured: 100, Refunded: 40}, books{Merchant: 60})
	if r := w.do(t, w.resolve(p, false)); r.Operation.ID != refunds[0].ID {
		t.Errorf("the first that is in doubt is %s", r.Operation.ID)
	}
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100, Refunded: 40}, books{Merchant: 60})
	second.Operation = w.at(p).Charge().ID
	w.refuse(t, second, ledger.StateConflict, "/operation")
	second.Operation = "att_of_another"
	w.refuse(t, second, ledger.NotFound, "/operation")
}

// While it is being sent nobody knows better; when the answer should have come,
// somebody may, whoever sends.
func TestWhatIsBeingSentIsNotDecided(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	w.now = noon.Add(8*time.Second - µs)
	w.refuse(t, w.resolve(p, true), ledger.InProgress, "")
	w.now = noon.Add(8 * time.Second)
	w.do(t, w.resolve(p, true))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
	w.answer(t, p, done(100))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
}

// A contradiction that came while the send was at work can be decided, also if
// nothing is heard of the send any more.
func TestAContradictionOfASendThatVanishedIsDecided(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	w.check(t, p, "", done(90))
	w.now = noon.Add(time.Minute)
	w.do(t, w.resolve(p, true))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 90}, books{Merchant: 90})
}

// Given up and charged: one of them is not true, and a human says which.
func TestResolveAVoidThatClashes(t *testing.T) {
	for _, row := range []struct {
		sentence       string
		void, happened bool // which operation; "" names the charge
		want           view
		books          books
	}{
		{"it was charged, so it was not given up", false, true, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"it was not charged", false, false, view{Status: pay.Canceled}, books{}},
		{"it was not given up", true, false, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := ways["needs_review, given up and charged"](t, w)
			c := w.resolve(p, row.happened)
			if row.void {
				c.Operation = p.Operations[1].ID
			}
			w.do(t, c)
			w.want(t, p, row.want, row.books)
		})
	}
	w := newWorld(prompt)
	p := ways["needs_review, given up and charged"](t, w)
	c := w.resolve(p, true)
	c.Operation = p.Operations[1].ID
	w.refuse(t, c, ledger.StateConflict, "") // that it was given up does not say that it was not charged
}

// A capture that a human found after the payment was given up means that it was
// not.
func TestACaptureThatWasFoundAfterAVoid(t *testing.T) {
	w := newWorld(prompt)
	p := w.authorized(t)
	w.do(t, w.capture(p, 60, false))
	w.answer(t, p, declined)
	capture := w.last(p).ID
	w.do(t, w.cancel(p))
	w.answer(t, p, done(0))
	w.check(t, p, capture, done(60))
	w.want(t, p, view{Status: pay.NeedsReview, InDoubt: true, Captured: 60}, books{Suspense: 60})
	if r := w.do(t, w.resolve(p, true)); r.Operation.ID != capture {
		t.Errorf("what is decided is the %s", r.Operation.Kind)
	}
	w.want(t, p, view{Status: pay.Succeeded, Captured: 60}, books{Merchant: 60})
}

// A decline that gives no reason takes none away, whichever is heard first.
func TestTheReasonOfADeclineIsKept(t *testing.T) {
	why := pay.Failure{Code: "card_declined", DeclineCode: "insufficient_funds", Message: "Not enough."}
	for _, less := range []pay.Failure{{}, {Code: "card_declined"}, {Code: "card_declined", DeclineCode: "insufficient_funds"}, {Message: "No."}} {
		for _, order := range [][]pay.Failure{{why, less}, {less, why}} {
			w := newWorld(prompt)
			p := w.confirmed(t)
			for _, f := range order {
				w.check(t, p, "", pay.Finding{Outcome: pay.Declined, Failure: f})
			}
			if got := w.last(p).Failure; got != why {
				t.Errorf("after %+v it failed with %+v", order, got)
			}
		}
	}
}

func TestAResolvedFailureSaysSo(t *testing.T) {
	w := newWorld(prompt)
	p := ways["needs_review"](t, w)
	w.do(t, w.resolve(p, false))
	want := pay.Failure{Code: "resolved_absent", Message: "A review found that it did not happen."}
	if diff := cmp.Diff(want, w.last(p).Failure); diff != "" {
		t.Error(diff)
	}
}

// Whoever asked reads which operation was decided, by the last time that it was.
func TestAResolutionSaysWhatItDecided(t *testing.T) {
	w := newWorld(prompt)
	p := ways["needs_review"](t, w)
	r := &pay.Resolution{ResolvePayment: w.resolve(p, true)}
	w.do(t, r)
	if want := w.last(p).ID; r.Decided != want {
		t.Errorf("it decided %q, want %q", r.Decided, want)
	}
	w.refuse(t, r, ledger.StateConflict, "")
	if r.Decided != "" {
		t.Errorf("it was refused, and decided %q", r.Decided)
	}
}
