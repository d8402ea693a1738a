package pay_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/pay"
)

// event is something that is heard of a payment.
type event struct {
	name  string
	hears func(fataler, *world)
}

// situation is a payment at work, and what may be heard of it: in any order, any
// number of times, and not all of it.
type situation struct {
	*world
	payment *pay.Payment
	events  []event
}

func (s *situation) may(name string, hears func(fataler, *world)) {
	s.events = append(s.events, event{name, hears})
}

// answers has the send of the payment's last operation answered: once, so the
// answer may come again and is the same.
func (s *situation) answers(f pay.Finding) {
	o := s.last(s.payment)
	record := pay.Record{Ref: s.payment.Ref, Operation: o.ID, House: s.house, Finding: &f, Attempt: o.Attempt}
	s.may("answer "+told(f), func(t fataler, w *world) { w.do(t, record) })
}

// finds has a check of an operation find something.
func (s *situation) finds(o *pay.Operation, f pay.Finding) {
	record := pay.Record{Ref: s.payment.Ref, Operation: o.ID, House: s.house, Finding: &f, Began: s.now}
	s.may(fmt.Sprintf("check of the %s: %s", o.Kind, told(f)), func(t fataler, w *world) { w.do(t, record) })
}

// notifies has a notice come of an operation; each is one of its own, which may
// come again.
func (s *situation) notifies(o *pay.Operation, f pay.Finding) {
	n := pay.TakeNotice{
		Notice: pay.Notice{
			NoticeID: pay.NoticeID{Tenant: tenant, Gateway: "g", ID: fmt.Sprintf("sevt_%d", len(s.events))},
			Payment:  s.payment.ID, Operation: o.ID, Type: "operation." + f.Outcome.String(),
		},
		Finding: f, House: s.house,
	}
	s.may(fmt.Sprintf("notice of the %s: %s", o.Kind, told(f)), func(t fataler, w *world) { w.do(t, n) })
}

func told(f pay.Finding) string {
	what := fmt.Sprintf("%s of %d %s by %s%s", f.Outcome, f.Amount, f.Currency, f.GatewayID, f.Failure.DeclineCode)
	switch {
	case f.Absent:
		return "not found"
	case f.Outcome != pay.Unknown:
		return what
	default:
		return map[pay.Reach]string{pay.MayHaveArrived: "silence", pay.NeverLeft: "it never left", pay.Refused: "refused", pay.TooLate: "too late"}[f.Reach]
	}
}

// situations are all that is tried. Time stands still in them: what recovery
// decides because of the time is not heard from anybody.
func situations(t fataler) map[string]*situation {
	all := map[string]*situation{}
	for _, c := range []pay.Contract{prompt, blind} {
		name := map[bool]string{true: "asked, ", false: "blind, "}[c.Lookup]
		for _, first := range []pay.Finding{done(100), declined, action, silence, unsent, refusedF, tooLate} {
			all[name+"a charge answered "+told(first)] = charging(t, c, first)
		}
		all[name+"a charge that is given up"] = givingUp(t, c)
		all[name+"an authorization that is given up"] = givingUp(t, c, manual)
		all[name+"a capture after a void that was declined"] = capturing(t, c)
		all[name+"a refund"] = refunding(t, c)
	}
	all["asked, of another amount"] = misheard(t, prompt)
	all["after a human said that it happened"] = decided(t, true)
	all["after a human said that it did not"] = decided(t, false)
	return all
}

// heard has an operation heard of in every way that there is at the gateway.
func (s *situation) heard(c pay.Contract, o *pay.Operation, all ...pay.Finding) {
	for _, f := range all {
		if c.Lookup {
			s.finds(o, f)
		} else {
			s.notifies(o, f)
		}
	}
	if c.Lookup {
		s.notifies(o, done(o.Amount))
	}
}

func charging(t fataler, c pay.Contract, first pay.Finding) *situation {
	w := newWorld(c)
	created := order4711()
	w.keyed(t, keyOf("k"), pay.CreatePayment{Ask: w.ask("k"), Payment: created, Confirm: true})
	s := &situation{world: w, payment: w.only()}
	w.now = noon.Add(3 * time.Second)
	s.answers(first)
	s.heard(c, w.last(s.payment), done(100), declined, action)
	if c.Lookup {
		s.finds(w.last(s.payment), absent)
		s.finds(w.last(s.payment), silence)
	}
	return s
}

// misheard is a charge of which another amount, another currency and another
// charge are told.
func misheard(t fataler, c pay.Contract) *situation {
	s := charging(t, c, silence)
	o := s.last(s.payment)
	s.events = s.events[:1]
	s.finds(o, done(100))
	s.finds(o, done(90))
	s.finds(o, pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "USD", GatewayID: "ch_1"})
	s.finds(o, pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_0"})
	s.finds(o, pay.Finding{Outcome: pay.Conflict, Amount: 200, Currency: "EUR", GatewayID: "ch_1"})
	s.finds(o, pay.Finding{Outcome: pay.ActionRequired, Amount: 50, Currency: "EUR", GatewayID: "ch_1"})
	s.finds(o, pay.Finding{Outcome: pay.Declined, Failure: pay.Failure{Code: "card_declined", DeclineCode: "expired_card"}})
	s.finds(o, declined)
	return s
}

// decided is a charge that a human has decided, who found another amount. It is a
// new epoch: what is heard from then on is joined with the decision. What is heard
// before it is not, so a decision is the one event whose place counts.
func decided(t fataler, happened bool) *situation {
	s := charging(t, prompt, done(90))
	w, o := s.world, s.last(s.payment)
	w.answer(t, s.payment, done(90))
	w.do(t, w.resolve(s.payment, happened))
	s.events = nil
	for _, f := range []pay.Finding{done(90), done(100), declined, action, absent} {
		s.finds(o, f)
	}
	return s
}

// givingUp is a payment that waited for its customer, and is being canceled.
func givingUp(t fataler, c pay.Contract, set ...func(*pay.Payment)) *situation {
	w := newWorld(c)
	s := &situation{world: w, payment: w.confirmed(t, set...)}
	w.answer(t, s.payment, action)
	w.keyed(t, keyOf("k"), pay.CancelPayment{Ask: w.ask("k"), Ref: s.payment.Ref})
	w.now = noon.Add(3 * time.Second)
	s.answers(silence)
	s.heard(c, w.at(s.payment).Charge(), done(100), declined)
	s.heard(c, w.last(s.payment), done(0), declined)
	return s
}

func capturing(t fataler, c pay.Contract) *situation {
	w := newWorld(c)
	s := &situation{world: w, payment: w.confirmed(t, manual)}
	w.answer(t, s.payment, done(100))
	w.do(t, w.cancel(s.payment))
	w.answer(t, s.payment, declined)
	void := w.last(s.payment)
	capture := w.capture(s.payment, 60, false)
	capture.Ask = w.ask("k")
	w.keyed(t, keyOf("k"), capture)
	w.now = noon.Add(3 * time.Second)
	s.answers(done(60))
	s.heard(c, w.at(s.payment).Charge(), declined)
	s.heard(c, void, done(0))
	s.heard(c, w.last(s.payment), done(60), declined)
	return s
}

func refunding(t fataler, c pay.Contract) *situation {
	w := newWorld(c)
	s := &situation{world: w, payment: w.confirmed(t)}
	w.answer(t, s.payment, done(100))
	refund := w.refund(s.payment, 40)
	refund.Ask = w.ask("k")
	w.keyed(t, keyOf("k"), refund)
	w.now = noon.Add(3 * time.Second)
	s.answers(silence)
	s.heard(c, w.at(s.payment).Charge(), declined)
	own := done(40)
	own.GatewayID = "re_1"
	s.heard(c, w.last(s.payment), own, declined)
	return s
}

// only is the payment of a world that has one.
func (w *world) only() *pay.Payment {
	for _, p := range w.payments {
		return p.Clone()
	}
	return nil
}

// fact is what must not depend on the order in which things are heard: what the
// payment shows, what is known of each operation, and every balance.
type fact struct {
	Shown      view
	Operations []known
	Balances   map[string]int64
	Answered   int
}

type known struct {
	Outcome           pay.Outcome
	Moved             int64
	GatewayID         string
	Failure           pay.Failure
	Parked            bool
	Booked, Suspended int64
	Keyed             bool
}

func (w *world) fact(p *pay.Payment) fact {
	now := w.payments[p.Ref]
	f := fact{Shown: shown(now), Balances: map[string]int64{}, Answered: w.answered[keyOf("k")]}
	for _, o := range now.Operations {
		f.Operations = append(f.Operations, known{o.Outcome, o.Moved, o.GatewayID, o.Failure, o.Parked != "", o.Booked, o.Suspended, o.Key != ""})
	}
	for ref, a := range w.accounts {
		if a.Balance.Posted != 0 { // on the way there, other accounts may have been opened
			f.Balances[ref.ID] = a.Balance.Posted
		}
	}
	return f
}

// memory is all that can make a difference to what is heard next: everything but
// counts and times, which only say when something is done.
func (w *world) memory(p *pay.Payment) string {
	now := w.payments[p.Ref].Clone()
	now.UpdatedAt, now.Version = time.Time{}, 0
	s := fmt.Sprintf("%v %v", now.Status, w.answered)
	for _, o := range now.Operations {
		o.Checks, o.Blanks, o.CheckedAt, o.UpdatedAt, o.DueAt, o.Transfer = 0, 0, time.Time{}, time.Time{}, time.Time{}, ""
		s += fmt.Sprintf("%+v", *o)
	}
	return s + fmt.Sprintf("%v %v", w.notices, w.fact(p).Balances)
}

// Whatever is heard of a payment, in whatever order and however often, it ends in
// the same state and the same balances: what was heard alone counts. All orders
// are tried, and all numbers of times, of up to as many events as there are; two
// ways that lead to the same memory are one from there on, so it is all lengths.
func TestTheOrderOfWhatIsHeardDoesNotMatter(t *testing.T) {
	for name, s := range situations(t) {
		t.Run(name, func(t *testing.T) { s.explore(t) })
	}
}

// walk is a way of hearing things.
type walk struct {
	*world
	heard int // a bit for each event
	names []string
}

func (s *situation) explore(t *testing.T) {
	wants, first := map[int]fact{}, map[int][]string{}
	seen := map[string]bool{}
	for todo := []walk{{world: s.world}}; len(todo) > 0; todo = todo[1:] {
		for i, e := range s.events {
			next := walk{todo[0].clone(), todo[0].heard | 1<<i, append(slices.Clip(todo[0].names), e.name)}
			e.hears(t, next.world)
			got := next.fact(s.payment)
			if want, other := wants[next.heard]; !other {
				wants[next.heard], first[next.heard] = got, next.names
			} else if !reflect.DeepEqual(want, got) {
				t.Fatalf("%q and %q end differently (-first +second):\n%s", first[next.heard], next.names, cmp.Diff(want, got))
			}
			if got.Answered > 1 {
				t.Fatalf("after %q the key was completed %d times", next.names, got.Answered)
			}
			if memory := fmt.Sprint(next.heard, next.memory(s.payment)); !seen[memory] {
				seen[memory] = true
				todo = append(todo, next)
			}
		}
	}
	if len(wants) != 1<<len(s.events)-1 {
		t.Errorf("%d sets of %d events were heard", len(wants), len(s.events))
	}
}

// The same without the shortcut, for long histories in which time passes between
// what is heard: no longer than it takes to be parked.
func TestTheOrderOfLongHistoriesDoesNotMatter(t *testing.T) {
	all := situations(t)
	names := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(t *rapid.T) {
		s := all[rapid.SampledFrom(names).Draw(t, "situation")]
		heard := rapid.SliceOfN(rapid.SampledFrom(s.events), 7, 20).Draw(t, "events")
		one, other := s.world.clone(), s.world.clone()
		for _, e := range heard {
			e.hears(t, one)
		}
		for _, e := range rapid.Permutation(heard).Draw(t, "in another order") {
			e.hears(t, other)
			other.now = other.now.Add(time.Millisecond)
		}
		if diff := cmp.Diff(one.fact(s.payment), other.fact(s.payment)); diff != "" {
			t.Fatalf("another order ends differently (-one +other):\n%s", diff)
		}
	})
}
