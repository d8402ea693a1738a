package pay_test

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// Gateways differ in what they capture of an authorization of 100.
var (
	allAtOnce = with(prompt, func(c *pay.Contract) { c.PartialCapture, c.ManyCaptures = false, false })
	oneOfLess = with(prompt, func(c *pay.Contract) { c.ManyCaptures = false })
	inParts   = prompt
)

func TestCaptures(t *testing.T) {
	all := (*int64)(nil)
	of := func(n int64) *int64 { return &n }
	for _, row := range []struct {
		sentence string
		contract pay.Contract
		captured int64 // before
		amount   *int64
		more     bool
		code     ledger.Code // of the refusal
		field    string
		takes    int64 // otherwise
		last     bool
		status   pay.Status // when it was taken
	}{
		{"all of it, which is meant by no amount", allAtOnce, 0, all, false, "", "", 100, true, pay.Succeeded},
		{"all of it", allAtOnce, 0, of(100), false, "", "", 100, true, pay.Succeeded},
		{"less, where a gateway captures all or nothing", allAtOnce, 0, of(99), false, ledger.Invalid, "/amount", 0, false, 0},
		{"with more to come, where a gateway captures all or nothing", allAtOnce, 0, of(100), true, ledger.Invalid, "/final", 0, false, 0},
		{"less, and no more", oneOfLess, 0, of(60), false, "", "", 60, true, pay.Succeeded},
		{"less, and more to come, where a gateway captures once", oneOfLess, 0, of(60), true, ledger.Invalid, "/final", 0, false, 0},
		{"less, and more to come", inParts, 0, of(60), true, "", "", 60, false, pay.Authorized},
		{"the rest, which is meant by no amount", inParts, 60, all, false, "", "", 40, true, pay.Succeeded},
		{"a part of the rest, and no more", inParts, 60, of(10), false, "", "", 10, true, pay.Succeeded},
		{"a part of the rest, and more to come", inParts, 60, of(10), true, "", "", 10, false, pay.Authorized},
		{"all of the rest, with more to come, which there is not", inParts, 60, of(40), true, "", "", 40, false, pay.Succeeded},
		{"more than is authorized", inParts, 0, of(101), false, pay.ExceedsAuthorized, "/amount", 0, false, 0},
		{"more than the rest", inParts, 60, of(41), false, pay.ExceedsAuthorized, "/amount", 0, false, 0},
		{"nothing", inParts, 0, of(0), false, ledger.Invalid, "/amount", 0, false, 0},
		{"less than nothing", inParts, 0, of(-1), false, ledger.Invalid, "/amount", 0, false, 0},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(row.contract)
			p := w.authorized(t)
			if row.captured > 0 {
				w.do(t, w.capture(p, row.captured, true))
				w.answer(t, p, done(row.captured))
			}
			c := pay.CapturePayment{Ask: w.ask(""), Ref: p.Ref, Amount: row.amount, More: row.more}
			if row.code != "" {
				w.refuse(t, c, row.code, row.field)
				return
			}
			r := w.do(t, c)
			if o := r.Operation; o.Kind != pay.Capture || o.Amount != row.takes || o.Last != row.last || !r.Interim || r.Verb != pay.ToCapture {
				t.Errorf("it is %+v of %+v", r, *o)
			}
			w.answer(t, p, done(row.takes))
			total := row.captured + row.takes
			w.want(t, p, view{Status: row.status, Captured: total}, books{Merchant: total})
		})
	}
}

// A final capture is the last one; what was declined captured nothing.
func TestTheSecondCaptureAfterAFinalOne(t *testing.T) {
	w := newWorld(prompt)
	p := w.authorized(t)
	w.do(t, w.capture(p, 60, false))
	w.answer(t, p, declined)
	w.do(t, w.capture(p, 50, false))
	w.answer(t, p, done(50))
	w.refuse(t, w.capture(p, 50, false), ledger.StateConflict, "")
	w.want(t, p, view{Status: pay.Succeeded, Captured: 50}, books{Merchant: 50})
}

// What a gateway reserved, and a human accepted, is what can be captured.
func TestACaptureOfWhatWasReallyReserved(t *testing.T) {
	w := newWorld(prompt)
	p := w.answered1(t, w.confirmed(t, manual), done(90))
	w.do(t, w.resolve(p, true))
	w.refuse(t, w.capture(p, 91, false), pay.ExceedsAuthorized, "/amount")
	w.do(t, w.capture(p, 90, false))
	w.answer(t, p, done(90))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 90}, books{Merchant: 90})
}

func TestCancel(t *testing.T) {
	for _, row := range []struct {
		sentence string
		way      string
		answers  pay.Finding
		status   pay.Status // then
	}{
		{"an authorization", "authorized", done(0), pay.Canceled},
		{"an authorization, which the gateway will not", "authorized", declined, pay.Authorized},
		{"an authorization, and the gateway says it did nothing", "authorized", refusedF, pay.Authorized},
		{"an authorization, and there is no answer", "authorized", silence, pay.Processing},
		{"what waits for its customer", "requires_action", done(0), pay.Canceled},
		{"what waits for its customer, and the gateway will not", "requires_action", declined, pay.RequiresAction},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := ways[row.way](t, w)
			r := w.do(t, w.cancel(p))
			if o := r.Operation; o.Kind != pay.Void || o.Amount != 0 || !r.Interim || r.Verb != pay.ToCancel {
				t.Errorf("it is %+v of %+v", r, *o)
			}
			if got := w.answered1(t, p, row.answers).Status; got != row.status {
				t.Errorf("then it is %s, want %s", got, row.status)
			}
			if w.books() != (books{}) {
				t.Errorf("money moved: %+v", w.books())
			}
		})
	}
}

// Before anything was sent there is nobody to be asked.
func TestCancelBeforeAnythingWasSentAsksNobody(t *testing.T) {
	w := newWorld(prompt)
	p := w.create(t)
	r := w.do(t, w.cancel(p))
	if r.Interim || r.Operation != nil || len(w.orders) != 0 || w.at(p).Status != pay.Canceled {
		t.Errorf("it came to %+v", r)
	}
	w.refuse(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref}, ledger.StateConflict, "")
}

// A customer who acts while the payment is given up is charged and not charged.
// The void was declined then, and the charge is asked about at once; or it was
// not, and a human decides about money in suspense.
func TestACustomerWhoActsWhileThePaymentIsGivenUp(t *testing.T) {
	w := newWorld(prompt)
	p := ways["requires_action"](t, w)
	charge := w.last(p).ID
	w.do(t, w.cancel(p))
	w.answer(t, p, declined)
	if o := w.at(p).Operation(charge); !o.Hinted || !o.DueAt.Equal(w.now) {
		t.Errorf("the charge is not asked about: %+v", o)
	}
	w.check(t, p, charge, done(100))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})

	w = newWorld(prompt)
	p = ways["needs_review, given up and charged"](t, w)
	w.want(t, p, view{Status: pay.NeedsReview, InDoubt: true, Captured: 100}, books{Suspense: 100})
	w.do(t, w.resolve(p, true))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
}

// The rows of a payment are loaded all at once, so there are only so many; but
// what is reserved can always be given up, however much was declined.
func TestAPaymentHasOnlySoManyOperations(t *testing.T) {
	w := newWorld(prompt)
	p := w.authorized(t)
	for range 2 * pay.MaxOperations {
		w.do(t, w.capture(p, 1, true))
		w.answer(t, p, declined)
	}
	w.refuse(t, w.capture(p, 1, true), ledger.StateConflict, "")
	w.do(t, w.cancel(p))
	w.answer(t, p, done(0))
	w.want(t, p, view{Status: pay.Canceled}, books{})
}

// Those that happened have fewer places, whatever was declined. The charge has one of
// its own.
func TestAPaymentHasOnlySoManyRefunds(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t, func(p *pay.Payment) { p.Amount = 1000 })
	w.answer(t, p, done(1000))
	for range pay.MaxOperations {
		w.do(t, w.refund(p, 1))
		w.answer(t, p, done(1))
	}
	w.refuse(t, w.refund(p, 1), ledger.StateConflict, "")
}

func TestRefunds(t *testing.T) {
	all := (*int64)(nil)
	of := func(n int64) *int64 { return &n }
	for _, row := range []struct {
		sentence string
		before   func(t *testing.T, w *world, p *pay.Payment) // of 100, captured
		amount   *int64
		code     ledger.Code // of the refusal
		field    string
		gives    int64 // otherwise
	}{
		{"all, which is meant by no amount", nil, all, "", "", 100},
		{"a part", nil, of(40), "", "", 40},
		{"more than was captured", nil, of(101), pay.ExceedsCaptured, "/amount", 0},
		{"nothing", nil, of(0), ledger.Invalid, "/amount", 0},
		{"less than nothing", nil, of(-1), ledger.Invalid, "/amount", 0},
		{"the rest, which is meant by no amount", refunded(40, done(40)), all, "", "", 60},
		{"the rest", refunded(40, done(40)), of(60), "", "", 60},
		{"more than the rest", refunded(40, done(40)), of(61), pay.ExceedsCaptured, "/amount", 0},
		{"again, when all was given back", refunded(100, done(100)), all, pay.ExceedsCaptured, "", 0},
		{"all, after one that was declined", refunded(40, declined), of(100), "", "", 100},
		{"while another is at work", refunded(40, pay.Finding{Reach: pay.NeverLeft}), of(10), ledger.InProgress, "", 0},
		{"while another is in doubt", refunded(40, silence), of(10), ledger.InProgress, "", 0},
		{"the rest, after one that needs a review, which counts", inReview(40), of(60), "", "", 60},
		{"more than the rest, after one that needs a review", inReview(40), of(61), pay.ExceedsCaptured, "/amount", 0},
		{"the rest, after one that gave back more than there was", refunded(40, done(130)), all, pay.ExceedsCaptured, "", 0},
		{"more than the rest, after one that gave back more than it should", refunded(40, done(70)), of(31), pay.ExceedsCaptured, "/amount", 0},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := w.succeeded(t)
			if row.before != nil {
				row.before(t, w, p)
			}
			c := pay.RefundPayment{Ask: w.ask(""), Ref: p.Ref, Amount: row.amount}
			if row.code != "" {
				w.refuse(t, c, row.code, row.field)
				return
			}
			r := w.do(t, c)
			if o := r.Operation; o.Kind != pay.Refund || o.Amount != row.gives || !r.Interim || r.ResourceID() != o.ID {
				t.Errorf("it is %+v of %+v", r, *o)
			}
		})
	}
}

func refunded(amount int64, answer pay.Finding) func(*testing.T, *world, *pay.Payment) {
	return func(t *testing.T, w *world, p *pay.Payment) {
		w.do(t, w.refund(p, amount))
		w.answer(t, p, answer)
	}
}

func inReview(amount int64) func(*testing.T, *world, *pay.Payment) {
	return func(t *testing.T, w *world, p *pay.Payment) {
		refunded(amount, silence)(t, w, p)
		w.givenUp(t, p)
	}
}

// A refund has events and a status of its own; the payment stays what it is.
func TestTheLifeOfARefund(t *testing.T) {
	for _, row := range []struct {
		sentence string
		answers  pay.Finding
		event    string
		refunded int64
		inDoubt  bool
		books    books
	}{
		{"made", done(40), "refund.succeeded", 40, false, books{Merchant: 60}},
		{"declined", declined, "refund.failed", 0, false, books{Merchant: 100}},
		{"of another amount", done(41), "refund.needs_review", 41, true, books{Merchant: 100, Suspense: -41}},
		{"that nothing is heard of", silence, "", 0, true, books{Merchant: 100}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := w.succeeded(t)
			before := len(w.events)
			w.do(t, w.refund(p, 40))
			w.answer(t, p, row.answers)
			want := []string{"refund.created"}
			if row.event != "" {
				want = append(want, row.event)
			}
			wantStrings(t, "events", want, w.eventTypes(before))
			w.want(t, p, view{Status: pay.Succeeded, InDoubt: row.inDoubt, Captured: 100, Refunded: row.refunded}, row.books)
		})
	}
}

// Too much that was captured is given back, once a human has said that it was.
func TestARefundOfWhatWasCapturedTooMuch(t *testing.T) {
	w := newWorld(prompt)
	p := ways["needs_review, too much captured"](t, w)
	w.want(t, p, view{Status: pay.NeedsReview, InDoubt: true, Captured: 160}, books{Merchant: 160})
	w.do(t, w.refund(p, 160))
	w.answer(t, p, done(160))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 160, Refunded: 160}, books{})
}

// Or it turns out that not so much was: what was asked before, and was allowed then,
// is no reason to write nothing any more.
func TestACaptureThatWasNoneAfterARefundThatFailed(t *testing.T) {
	w := newWorld(prompt)
	p := ways["needs_review, too much captured"](t, w)
	w.do(t, w.refund(p, 160))
	w.answer(t, p, declined)
	absent := w.resolve(p, false)
	w.refuse(t, absent, ledger.StateConflict, "") // which of them?
	absent.Operation = w.at(p).Operations[1].ID
	happened := absent
	happened.Happened = true
	w.refuse(t, happened, ledger.StateConflict, "")
	w.do(t, absent)
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
}

// A gateway that has not said yet what it promises allows nothing and forbids
// nothing: what it refuses later is refused then.
func TestACaptureAtAGatewayThatIsNotKnownYet(t *testing.T) {
	for sentence, gateways := range map[string]map[string]pay.Terms{
		"has not said, and takes nothing":      {"g": {Untold: true, Closed: "has not said"}},
		"has not said, and does not say so":    {"g": {Untold: true}},
		"has not said, and declares no lookup": {"g": {Untold: true, Contract: pay.Contract{ManyCaptures: true, PartialCapture: true}}},
		"is not configured":                    {},
		"takes nothing":                        {"g": {Contract: pay.Contract{}, Closed: "its breaker is open"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(prompt)
			p := w.authorized(t)
			fresh := order4711()
			w.house.Gateways = gateways
			w.refuse(t, w.capture(p, 60, true), ledger.Unavailable, "")
			w.refuse(t, w.cancel(p), ledger.Unavailable, "")
			if len(gateways) > 0 {
				w.refuse(t, pay.CreatePayment{Ask: w.ask(""), Payment: fresh, Confirm: true}, ledger.Unavailable, "")
				w.do(t, pay.CreatePayment{Ask: w.ask(""), Payment: fresh})
			}
		})
	}
}

// What was given back was taken: nobody decides that it was not.
func TestWhatWasGivenBackWasTaken(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	w.do(t, w.refund(p, 40))
	w.answer(t, p, done(40))
	w.check(t, p, p.Charge().ID, declined)
	w.refuse(t, w.resolve(p, false), ledger.StateConflict, "")
	w.do(t, w.resolve(p, true))
	w.want(t, p, view{Status: pay.Succeeded, Captured: 100, Refunded: 40}, books{Merchant: 60})
}

// Nobody is given back today what nobody knows to have been taken.
func TestNoRefundWhileTheCaptureIsInDoubt(t *testing.T) {
	w := newWorld(prompt)
	p := ways["needs_review, declined and charged"](t, w)
	w.refuse(t, w.refund(p, 10), ledger.StateConflict, "")
	w.do(t, w.resolve(p, true))
	w.now = w.now.Add(time.Second)
	w.do(t, w.refund(p, 10))
}
