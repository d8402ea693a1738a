package pay_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// asks are the requests whose work leaves the house: each is made with a key, and
// answered when it is known what came of it.
var asks = map[string]func(fataler, *world) (*pay.Payment, pay.Command){
	"create": func(_ fataler, w *world) (*pay.Payment, pay.Command) {
		return nil, pay.CreatePayment{Ask: w.ask("k"), Payment: order4711(), Confirm: true}
	},
	"create for an order": func(_ fataler, w *world) (*pay.Payment, pay.Command) {
		p := order4711()
		p.Reference = "order-1"
		return nil, pay.CreatePayment{Ask: w.ask("k"), Payment: p, Confirm: true}
	},
	"create for an order that waits to be confirmed": func(t fataler, w *world) (*pay.Payment, pay.Command) {
		p := order4711()
		p.Reference = "order-1"
		return w.create(t, reference("order-1")), pay.CreatePayment{Ask: w.ask("k"), Payment: p, Confirm: true}
	},
	"confirm": func(t fataler, w *world) (*pay.Payment, pay.Command) {
		p := w.create(t)
		return p, pay.ConfirmPayment{Ask: w.ask("k"), Ref: p.Ref}
	},
	"capture": func(t fataler, w *world) (*pay.Payment, pay.Command) {
		p := w.authorized(t)
		return p, pay.CapturePayment{Ask: w.ask("k"), Ref: p.Ref}
	},
	"cancel": func(t fataler, w *world) (*pay.Payment, pay.Command) {
		p := w.authorized(t)
		return p, pay.CancelPayment{Ask: w.ask("k"), Ref: p.Ref}
	},
	"refund": func(t fataler, w *world) (*pay.Payment, pay.Command) {
		p := w.succeeded(t)
		return p, pay.RefundPayment{Ask: w.ask("k"), Ref: p.Ref}
	},
}

// settlers are the commands that can bring what came of it.
var settlers = map[string]struct {
	contract pay.Contract
	settle   func(fataler, *world, *pay.Payment)
}{
	"an answer": {prompt, func(t fataler, w *world, p *pay.Payment) { w.answer(t, p, asAsked(w, p)) }},
	"a decline": {prompt, func(t fataler, w *world, p *pay.Payment) { w.answer(t, p, declined) }},
	"a refusal": {prompt, func(t fataler, w *world, p *pay.Payment) { w.answer(t, p, refusedF) }},
	"a demand that the customer acts": {prompt, func(t fataler, w *world, p *pay.Payment) {
		f, charge := asAsked(w, p), w.last(p) == w.payments[p.Ref].Charge()
		f.Outcome = pay.ActionRequired
		if w.answer(t, p, f); !charge { // what that waits for may happen yet
			w.givenUp(t, p)
		}
	}},
	"a contradiction": {prompt, func(t fataler, w *world, p *pay.Payment) { w.answer(t, p, pay.Finding{Outcome: pay.Conflict}) }},
	"a check": {prompt, func(t fataler, w *world, p *pay.Payment) {
		w.answer(t, p, silence)
		w.check(t, p, "", asAsked(w, p))
	}},
	"a check while it is sent": {prompt, func(t fataler, w *world, p *pay.Payment) { w.check(t, p, "", asAsked(w, p)) }},
	"a notice":                 {blind, func(t fataler, w *world, p *pay.Payment) { w.do(t, w.notice(p, "sevt_1", asAsked(w, p))) }},
	"a human": {prompt, func(t fataler, w *world, p *pay.Payment) {
		w.answer(t, p, silence)
		w.do(t, w.resolve(p, true))
	}},
	"that nobody can tell": {prompt, func(t fataler, w *world, p *pay.Payment) {
		w.answer(t, p, silence)
		w.givenUp(t, p)
	}},
	"that it is too late": {prompt, func(t fataler, w *world, p *pay.Payment) {
		w.answer(t, p, unsent)
		w.now = w.now.Add(time.Hour)
		w.look(t, p)
	}},
}

// asAsked is the answer that the last operation was done as it was asked.
func asAsked(w *world, p *pay.Payment) pay.Finding { return done(w.last(p).Amount) }

// The key of a request whose work leaves the house is claimed with the intent. It
// is completed once, by whatever command brings the outcome, and nothing that is
// heard after that completes it again.
func TestAKeyIsCompletedOnceByWhateverSettlesIt(t *testing.T) {
	for name, ask := range asks {
		for by, row := range settlers {
			t.Run(name+", settled by "+by, func(t *testing.T) {
				w := newWorld(row.contract)
				p, c := ask(t, w)
				first := w.keyed(t, keyOf("k"), c)
				if first.refusal != nil || !first.Interim || len(first.Answers) != 0 {
					t.Fatalf("it is answered at once: %+v %v", first, first.refusal)
				}
				if p == nil {
					p = first.Payment
				}
				if o := w.last(p); o.Key != "k" || o.Asked != first.Verb {
					t.Errorf("the operation has the key %q and the verb %d, want %d", o.Key, o.Asked, first.Verb)
				}
				again := w.keyed(t, keyOf("k"), c)
				if !again.Interim || again.ResourceID() != first.ResourceID() || again.Order != nil {
					t.Errorf("a repeat meanwhile is told %+v of %s", again.Result, again.ResourceID())
				}
				row.settle(t, w, p)
				if n := w.answered[keyOf("k")]; n != 1 || w.last(p).Key != "" {
					t.Fatalf("it was completed %d times, and the operation has the key %q", n, w.last(p).Key)
				}
				for _, f := range []pay.Finding{asAsked(w, p), declined, silence} {
					w.check(t, p, "", f)
					w.answer(t, p, f)
				}
				if n := w.answered[keyOf("k")]; n != 1 {
					t.Errorf("it was completed %d times", n)
				}
				if len(w.orders) > len(w.at(p).Operations) {
					t.Errorf("%d sends of %d operations", len(w.orders), len(w.at(p).Operations))
				}
			})
		}
	}
}

// The answer tells the request's own verb, its operation and its request.
func TestAnAnswerKnowsWhoAsked(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	c := w.refund(p, 40)
	c.Ask = w.ask("k")
	c.RequestID = "req_refund"
	w.keyed(t, keyOf("k"), c)
	r := w.answer(t, p, done(40))
	if len(r.Answers) != 1 {
		t.Fatalf("%d answers", len(r.Answers))
	}
	if a := r.Answers[0]; a.Key != keyOf("k") || a.Verb != pay.ToRefund || a.Operation.ID != w.last(p).ID || a.Operation.RequestID != "req_refund" {
		t.Errorf("it is %+v", a)
	}
}

// What is refused because something is at work is no answer: the same key may come
// again, and then does what it asks for.
func TestAKeyThatCameTooEarlyMayComeAgain(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	w.do(t, w.refund(p, 40))
	c := w.refund(p, 10)
	c.Ask = w.ask("k")
	if o := w.keyed(t, keyOf("k"), c); o.refusal == nil || o.refusal.Code != ledger.InProgress || w.answered[keyOf("k")] != 0 {
		t.Fatalf("it is told %+v", o)
	}
	w.answer(t, p, done(40))
	if o := w.keyed(t, keyOf("k"), c); o.refusal != nil || !o.Interim {
		t.Errorf("it is told %+v", o)
	}
}

// Requests that adopted a payment at work are answered with it, also if they never
// come again: no key waits for ever.
func TestWhoAdoptedAPaymentIsAnsweredWithIt(t *testing.T) {
	for name, ends := range map[string]struct {
		finding pay.Finding
		status  pay.Status
	}{"that succeeds": {done(100), pay.Succeeded}, "that fails": {declined, pay.Failed}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(prompt)
			_, c := asks["create for an order"](t, w)
			first := w.keyed(t, keyOf("k"), c)
			for _, id := range []string{"k2", "k3"} {
				if o := w.adopts(t, c, id); !o.Interim || o.Payment.ID != first.Payment.ID {
					t.Fatalf("%s is told %+v", id, o.Result)
				}
			}
			r := w.answer(t, first.Payment, ends.finding)
			var verbs []pay.Verb
			for _, a := range r.Answers {
				verbs = append(verbs, a.Verb)
			}
			if want := []pay.Verb{pay.ToCreate, pay.ToAdopt, pay.ToAdopt}; !slices.Equal(verbs, want) || r.Payment.Status != ends.status {
				t.Errorf("a payment that is %s answers %v, want %v", r.Payment.Status, verbs, want)
			}
			for _, id := range []string{"k", "k2", "k3"} {
				if w.keys[keyOf(id)].State != once.Done || w.answered[keyOf(id)] != 1 {
					t.Errorf("%s is %s, answered %d times", id, w.keys[keyOf(id)].State, w.answered[keyOf(id)])
				}
			}
			if o := w.last(first.Payment); o.Key != "" || o.Followers != "" || !o.DueAt.IsZero() {
				t.Errorf("it is left with %+v", o)
			}
		})
	}
}

// So is who confirmed a payment at work with a key of its own; without one there is
// nothing to be kept.
func TestWhoConfirmsAPaymentAtWorkIsAnsweredWithIt(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	for range 2 {
		if o := w.keyed(t, keyOf("k"), pay.ConfirmPayment{Ask: w.ask("k"), Ref: p.Ref}); !o.Interim || w.last(p).Followers != "k" {
			t.Fatalf("it is told %+v, and followed by %q", o.Result, w.last(p).Followers)
		}
		w.do(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref})
	}
	if r := w.answer(t, p, done(100)); len(r.Answers) != 1 || w.keys[keyOf("k")].State != once.Done {
		t.Errorf("it answers %+v; the key is %s", r.Answers, w.keys[keyOf("k")].State)
	}
}

// More keys than an operation keeps are told to come again, and then have the
// answer; none is claimed before.
func TestOnlySoManyAdoptAPaymentAtWork(t *testing.T) {
	w := newWorld(prompt)
	_, c := asks["create for an order"](t, w)
	first := w.keyed(t, keyOf("k"), c)
	for i := range pay.MaxFollowers {
		w.adopts(t, c, fmt.Sprint("k", i))
	}
	late := w.adopts(t, c, "late")
	if late.refusal == nil || late.refusal.Code != ledger.InProgress || w.keys[keyOf("late")].State != once.Absent {
		t.Fatalf("it is told %+v %v", late.Result, late.refusal)
	}
	if o := w.adopts(t, c, "k7"); !o.Interim { // it has its place
		t.Errorf("a repeat is told %+v", o.Result)
	}
	if r := w.answer(t, first.Payment, done(100)); len(r.Answers) != 1+pay.MaxFollowers {
		t.Errorf("%d are answered", len(r.Answers))
	}
	if o := w.adopts(t, c, "late"); o.Interim || o.Payment.ID != first.Payment.ID || w.answered[keyOf("late")] != 1 {
		t.Errorf("then it is told %+v", o.Result)
	}
}

// adopts has an order asked for under another key.
func (w *world) adopts(t *testing.T, c pay.Command, key string) outcome {
	t.Helper()
	other := c.(pay.CreatePayment)
	other.Ask = w.ask(key)
	return w.keyed(t, keyOf(key), other)
}

// A payment that failed gives its order back. Whoever asks again with the key that
// made it gets that payment, not the next one.
func TestAKeyKeepsThePaymentThatItMade(t *testing.T) {
	w := newWorld(prompt)
	_, c := asks["create for an order"](t, w)
	first := w.keyed(t, keyOf("k"), c)
	other := c.(pay.CreatePayment)
	other.Ask = w.ask("k2")
	w.keyed(t, keyOf("k2"), other)
	w.answer(t, first.Payment, declined)
	next := w.create(t, reference("order-1"))
	if r := w.keys[keyOf("k2")]; r.Resource != first.Payment.ID || r.Resource == next.ID || r.State != once.Done {
		t.Errorf("it is told of %s, and is %s", r.Resource, r.State)
	}
}

// A command that did not know of a key leaves it with the operation, which is due:
// the next look at it answers the key, or whoever comes with it before that.
func TestAKeyThatWasNotLoadedIsNotLost(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	o := w.last(p)
	late := pay.Record{Ref: p.Ref, Operation: o.ID, House: w.house, Finding: new(done(100)), Began: w.now}
	book := w.load(late) // before there was a refund
	refund := w.refund(p, 40)
	refund.Ask = w.ask("k")
	w.keyed(t, keyOf("k"), refund)
	book.CatchUp(w.committed.money)
	book.CatchUpPayments(w.committed.payments, nil)
	late.Operation, late.Finding = w.last(p).ID, new(done(40))
	if r := w.finish(t, book, late)[0]; len(r.Answers) != 0 || w.last(p).Outcome != pay.Done {
		t.Fatalf("it came to %+v", r.Result)
	}
	if due := w.last(p).DueAt; !due.Equal(w.now) {
		t.Errorf("it is due at %v", due)
	}
	again := w.keyed(t, keyOf("k"), refund)
	if again.Interim || again.refusal != nil || again.Operation.ID != w.last(p).ID || len(w.at(p).Operations) != 2 {
		t.Errorf("who asks again is told %+v %v", again.Result, again.refusal)
	}
	if w.keys[keyOf("k")].State != once.Done || w.answered[keyOf("k")] != 1 {
		t.Errorf("the key is %s", w.keys[keyOf("k")].State)
	}
}

// Nobody has to come: what is due is looked at, and then the keys are known.
func TestAKeyThatWasNotLoadedIsAnsweredByTheNextLook(t *testing.T) {
	w := newWorld(prompt)
	_, c := asks["create for an order"](t, w)
	p := w.keyed(t, keyOf("k"), c).Payment
	late := pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house, Finding: new(done(100)), Began: w.now, Attempt: 1}
	book := w.load(late)
	w.adopts(t, c, "k2") // after what it changes was loaded
	book.CatchUp(w.committed.money)
	book.CatchUpPayments(w.committed.payments, nil)
	if r := w.finish(t, book, late)[0]; len(r.Answers) != 1 || r.Answers[0].Key != keyOf("k") || w.last(p).Followers != "k2" {
		t.Fatalf("it came to %+v", r.Result)
	}
	look := pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house}
	if r := w.do(t, look); len(r.Answers) != 1 || r.Answers[0].Key != keyOf("k2") {
		t.Fatalf("the next look came to %+v", r)
	}
	if o := w.last(p); o.Followers != "" || !o.DueAt.IsZero() {
		t.Errorf("it is left with %+v", o)
	}
}
