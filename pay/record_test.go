package pay_test

import (
	"math"
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// What the answer of a charge of 100 comes to.
func TestAnswers(t *testing.T) {
	for _, row := range []struct {
		sentence string
		answer   pay.Finding
		want     view
		books    books
	}{
		{"it was charged", done(100), view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"it was declined", declined, view{Status: pay.Failed}, books{}},
		{"the customer must act", action, view{Status: pay.RequiresAction}, books{}},
		{"nothing was heard: that is not a failure", silence, view{Status: pay.Processing, InDoubt: true}, books{}},
		{"it never left: that is no doubt", unsent, view{Status: pay.Processing}, books{}},
		{"it was refused, and certainly did nothing", refusedF, view{Status: pay.Failed}, books{}},
		{"less was charged", done(99), view{Status: pay.NeedsReview, InDoubt: true, Captured: 99}, books{Suspense: 99}},
		{"more was charged", done(101), view{Status: pay.NeedsReview, InDoubt: true, Captured: 101}, books{Suspense: 101}},
		{"nothing was charged, successfully", done(0), view{Status: pay.NeedsReview, InDoubt: true}, books{}},
		{"less than nothing was charged", done(-100), view{Status: pay.NeedsReview, InDoubt: true}, books{}},
		{"more was charged than there is", done(math.MaxInt64), view{Status: pay.NeedsReview, InDoubt: true, Captured: pay.MaxAmount}, books{Suspense: pay.MaxAmount}},
		{"it was charged in another currency, which is no amount of this one",
			pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "JPY"}, view{Status: pay.NeedsReview, InDoubt: true}, books{}},
		{"it was charged in no currency that is named", pay.Finding{Outcome: pay.Done, Amount: 100}, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"the customer must act on another amount: nothing has moved", pay.Finding{Outcome: pay.ActionRequired, Amount: 50, Currency: "EUR"},
			view{Status: pay.NeedsReview, InDoubt: true}, books{}},
		{"it was charged twice", pay.Finding{Outcome: pay.Conflict, Amount: 200, Currency: "EUR"},
			view{Status: pay.NeedsReview, InDoubt: true, Captured: 200}, books{Suspense: 200}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := w.confirmed(t)
			w.answer(t, p, row.answer)
			w.want(t, p, row.want, row.books)
			before := w.commits
			w.answer(t, p, row.answer)
			w.want(t, p, row.want, row.books)
			if changed := w.commits - before; changed > 1 { // the line says that it came again
				t.Errorf("%d commits", changed)
			}
		})
	}
}

// One operation is one execution at the gateway: a second id is a second one.
func TestTwoExecutionsOfOneOperationNeedAReview(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	other := done(100)
	other.GatewayID = "ch_2"
	w.check(t, p, "", other)
	w.want(t, p, view{Status: pay.NeedsReview, InDoubt: true, Captured: 100}, books{Suspense: 100})

	p = w.succeeded(t)
	unnamed := done(100)
	unnamed.GatewayID = ""
	w.check(t, p, "", unnamed)
	if got := w.at(p).Status; got != pay.Succeeded || w.last(p).GatewayID != "ch_1" {
		t.Errorf("what names none is of the one that is known; it is %s, by %q", got, w.last(p).GatewayID)
	}
}

// An answer ends the send that it is of. What one says that was taken over is true
// all the same.
func TestAnswersAreFencedByTheirAttempt(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	answer := func(attempt int64, f pay.Finding) {
		t.Helper()
		w.do(t, pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Finding: &f, Attempt: attempt})
	}
	w.now = noon.Add(8 * time.Second)
	w.do(t, pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Lost: true, Sender: 1})
	w.now = noon.Add(9 * time.Second)
	w.check(t, p, "", absent)
	w.now = w.last(p).DueAt
	w.look(t, p)
	if o := w.last(p); o.Attempt != 2 || o.LeaseUntil.IsZero() {
		t.Fatalf("it was not sent again: %+v", o)
	}
	answer(1, refusedF)
	answer(1, unsent)
	answer(3, unsent)
	if o := w.last(p); o.LeaseUntil.IsZero() || o.Outcome != pay.Unknown || !o.Exposed {
		t.Errorf("another attempt's answer ended it: %+v", o)
	}
	answer(1, done(100))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
	if w.last(p).LeaseUntil.IsZero() {
		t.Error("another attempt's answer ended the send")
	}
	answer(2, done(100))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
}

// Once a send may have arrived, a later one that was refused, or never left, says
// nothing about the first.
func TestARefusalSaysNothingOfAnEarlierSend(t *testing.T) {
	for name, f := range map[string]pay.Finding{"refused": refusedF, "never left": unsent} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(prompt)
			p := w.confirmed(t)
			w.answer(t, p, silence)
			w.now = noon.Add(time.Second)
			w.check(t, p, "", absent)
			w.now = w.last(p).DueAt
			w.look(t, p)
			w.answer(t, p, f)
			w.want(t, p, view{Status: pay.Processing, InDoubt: true}, books{})
		})
	}
}

// What is known to be gone may have arrived; what was only lost may be at work.
func TestASenderThatIsGoneMayHaveSent(t *testing.T) {
	w := newWorld(forgets)
	p := w.confirmed(t)
	w.do(t, pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Gone: true, Sender: 1})
	o := w.last(p)
	if !o.Exposed || !o.StoppedAt.Equal(noon) || !o.LeaseUntil.IsZero() || !w.at(p).InDoubt {
		t.Errorf("it is %+v", o)
	}
	before := w.commits
	w.do(t, pay.Record{Ref: p.Ref, Operation: o.ID, House: w.house, Gone: true, Sender: 1})
	if w.commits != before {
		t.Error("gone twice is another change")
	}
}

// A check that finds nothing ends nothing: not found is not declined.
func TestNotFoundIsNotDeclined(t *testing.T) {
	for name, f := range map[string]pay.Finding{"not found": absent, "no answer": silence} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(forgets)
			p := w.confirmed(t)
			w.answer(t, p, silence)
			w.now = noon.Add(time.Second)
			w.check(t, p, "", f)
			w.want(t, p, view{Status: pay.Processing, InDoubt: true}, books{})
			w.check(t, p, "", done(100))
			w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
		})
	}
}

// What a check says of a send depends on when it began.
func TestChecksAndSendsThatOvertakeEachOther(t *testing.T) {
	w := newWorld(forgets)
	p := w.confirmed(t)
	at := func(d time.Duration, f pay.Finding) {
		t.Helper()
		w.do(t, pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Finding: &f, Began: after(d)})
	}
	at(time.Second, absent)
	if o := w.last(p); !o.AbsentAt.IsZero() {
		t.Errorf("not found while it was being sent proves nothing: %+v", o)
	}
	w.now = after(3 * time.Second)
	w.answer(t, p, silence)
	at(4*time.Second, absent)
	at(2*time.Second, absent)
	if o := w.last(p); !o.AbsentAt.Equal(after(4*time.Second)) || !o.CheckedAt.Equal(after(4*time.Second)) {
		t.Errorf("the check that began last says most: %+v", o)
	}
	w.now = after(20 * time.Second)
	at(20*time.Second, absent)
	o := w.last(p)
	if o.Attempt != 2 || !o.AbsentAt.IsZero() || o.Blanks != 0 || !o.StoppedAt.IsZero() {
		t.Fatalf("after another send nothing is known of it: %+v", o)
	}
	w.now = after(21 * time.Second)
	w.answer(t, p, silence)
	at(19*time.Second, absent)
	if o := w.last(p); !o.AbsentAt.IsZero() || o.Blanks != 0 {
		t.Errorf("a check that began before the last send says nothing of it: %+v", o)
	}
}

// Stores keep microseconds. What is rounded must not prove more than what was seen.
func TestTimesAreRoundedToTheCarefulSide(t *testing.T) {
	w := newWorld(forgets)
	p := w.confirmed(t)
	w.answer(t, p, silence)
	f := absent
	f.Lag = 2*time.Second + 1
	w.now = noon.Add(time.Second)
	w.do(t, pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Finding: &f, Began: noon.Add(time.Second - 1)})
	if o := w.last(p); !o.AbsentAt.Equal(noon.Add(time.Second-µs)) || o.Lag != 2*time.Second+µs {
		t.Errorf("not found at %s, lagging %s", o.AbsentAt, o.Lag)
	}
}

// A gateway that takes nothing just now is sent nothing, also not again; what it
// is not asked in time is dropped.
func TestAClosedGatewayIsNotSentAgain(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	w.shut("its breaker is open")
	w.answer(t, p, unsent)
	for range 10 {
		w.now = w.last(p).DueAt
		w.look(t, p)
		if pause := w.last(p).DueAt.Sub(w.now); pause < time.Second || pause > 15*time.Second {
			t.Fatalf("it is looked at again after %s", pause)
		}
	}
	if waited := w.now.Sub(noon); waited < 5*time.Second {
		t.Errorf("ten looks take only %v", waited)
	}
	if len(w.orders) != 1 {
		t.Errorf("%d orders", len(w.orders))
	}
	w.shut("")
	w.now = w.last(p).DueAt
	if r := w.look(t, p); r.Order == nil || r.Order.Attempt != 2 {
		t.Errorf("then it is not sent: %+v", r.Order)
	}
	w.shut("its breaker is open")
	w.answer(t, p, unsent)
	w.now = noon.Add(time.Hour)
	w.look(t, p)
	w.want(t, p, view{Status: pay.Failed}, books{})
	if f := w.last(p).Failure; f.Code != "gateway_unavailable" {
		t.Errorf("it failed with %+v", f)
	}
}

// A gateway that takes nothing can be asked all the same: what it has done meanwhile
// is found out, with few looks, though it would be sent again otherwise.
func TestAClosedGatewayIsAsked(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	w.shut("its breaker is open")
	w.answer(t, p, silence)
	checks := 0
	for w.now.Before(noon.Add(10 * time.Minute)) {
		w.now = w.last(p).DueAt
		if w.house.Gateways["g"].Next(w.last(p), pay.Clock{Now: w.now}).Do != pay.Check {
			t.Fatalf("after %v it is not asked: %+v", w.now.Sub(noon), w.last(p))
		}
		w.check(t, p, "", absent)
		checks++
	}
	if checks < 10 || checks > 40 || len(w.orders) != 1 {
		t.Errorf("it is asked %d times and sent %d times", checks, len(w.orders))
	}
	w.check(t, p, "", done(100))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
}

// A gateway that has not said yet what it promises is asked nothing and sent
// nothing.
func TestNothingIsDecidedByAContractThatIsNotKnown(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	w.house.Gateways = map[string]pay.Terms{"g": {Untold: true}}
	w.answer(t, p, unsent)
	w.now = noon.Add(48 * time.Hour)
	w.look(t, p)
	if o := w.last(p); len(w.orders) != 1 || o.Outcome != pay.Unknown || o.Parked != "" || !o.DueAt.Equal(w.now.Add(time.Second)) {
		t.Errorf("%d orders, and %+v", len(w.orders), o)
	}
}

// What was dropped, and turns out to have been charged, is late money.
func TestWhatWasDroppedAndChargedNeedsAReview(t *testing.T) {
	w := newWorld(forgets)
	p := w.confirmed(t)
	w.answer(t, p, silence)
	w.now = noon.Add(16 * time.Minute)
	w.check(t, p, "", absent)
	w.want(t, p, view{Status: pay.Failed}, books{})
	w.check(t, p, "", done(100))
	w.want(t, p, view{Status: pay.NeedsReview, InDoubt: true, Captured: 100}, books{Suspense: 100})
}

// A human who was called is sent home when the gateway says something after all.
func TestWhatIsParkedIsSettledByWhatTheGatewaySays(t *testing.T) {
	for _, row := range []struct {
		sentence string
		said     pay.Finding
		want     view
		books    books
	}{
		{"charged", done(100), view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100}},
		{"declined", declined, view{Status: pay.Failed}, books{}},
		{"the customer must act", action, view{Status: pay.RequiresAction}, books{}},
		{"not found", absent, view{Status: pay.NeedsReview, InDoubt: true}, books{}},
		{"nothing", silence, view{Status: pay.NeedsReview, InDoubt: true}, books{}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := ways["needs_review"](t, w)
			w.check(t, p, "", row.said)
			w.want(t, p, row.want, row.books)
		})
	}
}

// Events tell of each new status once, however often what it came from is said.
func TestEventsTellOfEachStatusOnce(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t, manual)
	for range 2 {
		w.answer(t, p, action)
		w.check(t, p, "", action)
		w.do(t, w.notice(p, "sevt_1", action))
	}
	for range 2 {
		w.check(t, p, "", done(100))
	}
	w.do(t, w.capture(p, 60, true))
	w.answer(t, p, silence)
	w.answer(t, p, done(60))
	w.check(t, p, "", done(60))
	w.do(t, w.capture(p, 40, false))
	w.answer(t, p, done(40))
	w.do(t, w.refund(p, 10))
	w.answer(t, p, done(10))
	wantStrings(t, "events", []string{
		"payment.created", "payment.processing", "payment.requires_action", "payment.authorized",
		"payment.processing", "payment.authorized", "payment.processing", "payment.succeeded",
		"refund.created", "refund.succeeded",
	}, w.eventTypes(0))
	for _, e := range w.events {
		if e.Type == "payment.succeeded" && e.Subject != p.ID || e.Type[:6] == "refund" && e.Subject != w.last(p).ID {
			t.Errorf("%s is about %s", e.Type, e.Subject)
		}
	}
}

// The timeline tells everything once, and the same thing over and over as a count.
func TestTheTimelineOfAChargeWhoseAnswerWasLost(t *testing.T) {
	w := newWorld(prompt)
	p := w.do(t, pay.CreatePayment{Ask: w.ask("k"), Payment: order4711(), Confirm: true}).Payment
	w.now = w.now.Add(3 * time.Second)
	w.answer(t, p, silence)
	for range 4 {
		w.now = w.now.Add(time.Millisecond)
		w.check(t, p, "", absent)
	}
	for range 4 {
		w.now = w.now.Add(time.Millisecond)
		w.check(t, p, "", pay.Finding{Detail: "HTTP 500"})
	}
	w.do(t, w.notice(p, "sevt_1", done(100)))
	w.check(t, p, "", done(100))
	wantStrings(t, "timeline", []string{
		"request created and confirmed",
		"send ",
		"answer unknown: no answer in 3s",
		"check not found",
		"webhook operation.succeeded",
		"check succeeded",
	}, w.timeline(p))
	if o := w.last(p); o.Checks != 9 {
		t.Errorf("%d checks", o.Checks)
	}
}

// Two executions that are heard of one at a time may be any number: the gateway is
// asked for their sum, once.
func TestExecutionsHeardOneAtATimeAreAddedUp(t *testing.T) {
	for _, row := range []struct {
		sentence string
		contract pay.Contract
		said     pay.Finding
		asked    bool
	}{
		{"another execution", prompt, pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_2"}, true},
		{"a contradiction", prompt, declined, true},
		{"the sum of them", prompt, pay.Finding{Outcome: pay.Conflict, Amount: 200, Currency: "EUR"}, false},
		{"another execution, of a gateway that cannot be asked", blind, pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_2"}, false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(row.contract)
			p := w.confirmed(t)
			w.answer(t, p, done(100))
			w.check(t, p, "", row.said)
			if o := w.last(p); o.Hinted != row.asked || o.DueAt.Equal(w.now) != row.asked {
				t.Fatalf("it is due: %v, at %s", o.Hinted, o.DueAt)
			}
			if !row.asked {
				return
			}
			w.check(t, p, "", pay.Finding{Outcome: pay.Conflict, Amount: 200, Currency: "EUR"})
			w.want(t, p, view{Status: pay.NeedsReview, InDoubt: true, Captured: 200}, books{Suspense: 200})
			if o := w.last(p); o.Hinted || !o.DueAt.IsZero() {
				t.Errorf("it is asked again at %s", o.DueAt)
			}
		})
	}
}

// Whoever has a payment checked again and again makes no rows.
func TestChecksThatTellNothingNewAreCounted(t *testing.T) {
	for sentence, said := range map[string]pay.Finding{
		"settled": done(100), "declined": declined, "waiting for the customer": action, "a contradiction": done(90), "silence": silence,
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := w.confirmed(t)
			w.answer(t, p, said)
			for range 5 {
				w.now = w.now.Add(time.Second)
				w.check(t, p, "", said)
			}
			lines := len(w.lines)
			for range 20 {
				w.now = w.now.Add(time.Second)
				w.check(t, p, "", said)
			}
			if n := w.last(p).Checks; n != 25 || len(w.lines) != lines {
				t.Errorf("after %d checks the timeline is %v", n, w.timeline(p))
			}
		})
	}
}
