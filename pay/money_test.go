package pay_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/pay"
)

// shop is some payments, and anything that can be done to them or heard of them.
type shop struct {
	*world
	payments []pay.Ref
	keys     int
	notices  int
}

func newShop(t *rapid.T) *shop {
	c := rapid.SampledFrom([]pay.Contract{prompt, blind, forgets, silent, tells, allAtOnce, careful}).Draw(t, "gateway")
	s := &shop{world: newWorld(c)}
	for _, name := range []string{"merchant:default", "suspense", "gateway:g:clearing", "merchant:default:JPY"} {
		if rapid.IntRange(0, 3).Draw(t, "the tenant has opened "+name) == 0 {
			ref := ledger.Ref{Tenant: tenant, ID: name}
			s.accounts[ref] = ledger.Account{Ref: ref, Currency: currencyOf(name), Floor: ledger.Floor{Minor: 7}, Version: 1}
		}
	}
	return s
}

// currencyOf is the currency that a tenant opens an account of that name in.
func currencyOf(name string) money.Currency {
	if strings.HasSuffix(name, ":JPY") {
		return "JPY"
	}
	return "USD"
}

func (s *shop) key(t *rapid.T) pay.Ask {
	s.keys++
	return s.ask(rapid.SampledFrom([]string{"", fmt.Sprint("key-", s.keys)}).Draw(t, "key"))
}

// may executes a command, with its key if it has one; that it is refused is fine.
func (s *shop) may(t *rapid.T, a pay.Ask, c pay.Command) outcome {
	if a.Key.ID != "" {
		return s.keyed(t, a.Key, c)
	}
	return s.batch(t, c)[0]
}

func (s *shop) create(t *rapid.T) {
	a, p := s.key(t), order4711()
	p.Amount = rapid.SampledFrom([]int64{1, 2, 10, 100, pay.MaxAmount}).Draw(t, "amount")
	p.Currency = rapid.SampledFrom([]money.Currency{"EUR", "JPY", "USD"}).Draw(t, "currency")
	p.Manual = rapid.Bool().Draw(t, "manual")
	p.Reference = rapid.SampledFrom([]string{"", "order-1", "order-2"}).Draw(t, "reference")
	o := s.may(t, a, pay.CreatePayment{Ask: a, Payment: p, Confirm: rapid.Bool().Draw(t, "confirm")})
	if o.refusal == nil && !slices.Contains(s.payments, o.Payment.Ref) {
		s.payments = append(s.payments, o.Payment.Ref)
	}
}

func (s *shop) payment(t *rapid.T) *pay.Payment {
	if len(s.payments) == 0 {
		s.payments = append(s.payments, s.world.create(t).Ref)
	}
	return s.world.payments[rapid.SampledFrom(s.payments).Draw(t, "payment")]
}

func (s *shop) operation(t *rapid.T) (*pay.Payment, *pay.Operation) {
	p := s.payment(t)
	if len(p.Operations) == 0 {
		s.world.shut("")
		p = s.confirmed(t)
		s.payments = append(s.payments, p.Ref)
	}
	return p, rapid.SampledFrom(p.Operations).Draw(t, "operation")
}

func anyPart(t *rapid.T, of int64) *int64 {
	return rapid.SampledFrom([]*int64{nil, new(of), new(of/2 + 1), new(int64(1)), new(of + 1), new(int64(0)), new(int64(-1))}).Draw(t, "amount")
}

func (s *shop) confirm(t *rapid.T) {
	s.batch(t, pay.ConfirmPayment{Ask: s.ask(""), Ref: s.payment(t).Ref})
}

func (s *shop) capture(t *rapid.T) {
	a, p := s.key(t), s.payment(t)
	s.may(t, a, pay.CapturePayment{Ask: a, Ref: p.Ref, Amount: anyPart(t, p.Amount-p.Captured), More: rapid.Bool().Draw(t, "more")})
}

func (s *shop) cancel(t *rapid.T) {
	a := s.key(t)
	s.may(t, a, pay.CancelPayment{Ask: a, Ref: s.payment(t).Ref})
}

func (s *shop) refund(t *rapid.T) {
	a, p := s.key(t), s.payment(t)
	o := s.may(t, a, pay.RefundPayment{Ask: a, Ref: p.Ref, Amount: anyPart(t, p.Captured)})
	if o.refusal != nil || o.Payment == nil {
		return
	}
	var back int64
	for _, r := range o.Payment.Operations {
		if r.Kind == pay.Refund && r.Outcome != pay.Declined {
			back += max(r.Amount, r.Moved)
		}
	}
	if back > o.Payment.Captured {
		t.Fatalf("%d are to be given back of %d", back, o.Payment.Captured)
	}
}

func anyFinding(t *rapid.T, amount int64) pay.Finding {
	f := rapid.SampledFrom([]pay.Finding{
		done(amount), done(amount), done(amount), declined, silence, silence, absent, unsent, refusedF,
		{Outcome: pay.ActionRequired, Amount: amount, Currency: "EUR", ActionURL: "https://bank.example"},
		done(amount + 1), done(-amount), done(math.MaxInt64), {Outcome: pay.Conflict, Amount: 2 * amount, Currency: "EUR"},
		{Outcome: pay.Done, Amount: amount, Currency: "GBP"}, {Outcome: pay.Done, Amount: amount, GatewayID: "ch_2"},
	}).Draw(t, "finding")
	return f
}

// in has a finding be of the payment's currency, unless it is meant not to be.
func in(p *pay.Payment, f pay.Finding) *pay.Finding {
	if f.Currency == "EUR" {
		f.Currency = p.Currency
	}
	return &f
}

func (s *shop) answer(t *rapid.T) {
	p, o := s.operation(t)
	attempt := rapid.Int64Range(max(1, o.Attempt-1), o.Attempt).Draw(t, "attempt")
	s.do(t, pay.Record{Ref: p.Ref, Operation: o.ID, House: s.house, Finding: in(p, anyFinding(t, o.Amount)), Attempt: attempt})
}

func (s *shop) check(t *rapid.T) {
	p, o := s.operation(t)
	began := s.now.Add(-rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Minute}).Draw(t, "before"))
	s.do(t, pay.Record{Ref: p.Ref, Operation: o.ID, House: s.house, Finding: in(p, anyFinding(t, o.Amount)), Began: began})
}

func (s *shop) notify(t *rapid.T) {
	p, o := s.operation(t)
	s.notices += rapid.IntRange(0, 1).Draw(t, "new")
	f := in(p, anyFinding(t, o.Amount))
	s.do(t, pay.TakeNotice{
		Notice: pay.Notice{
			NoticeID: pay.NoticeID{Tenant: tenant, Gateway: "g", ID: fmt.Sprint("sevt_", s.notices)}, Payment: p.ID, Operation: o.ID,
		},
		Finding: *f, House: s.house,
	})
}

// recover finds what is due, and says what it knows of the sender.
func (s *shop) recover(t *rapid.T) {
	p, o := s.operation(t)
	s.now = later(s.now, o.DueAt)
	s.do(t, pay.Record{
		Ref: p.Ref, Operation: o.ID, House: s.house, Sender: o.Attempt,
		Gone: rapid.Bool().Draw(t, "gone"), Lost: rapid.Bool().Draw(t, "lost"),
	})
}

func (s *shop) decide(t *rapid.T) {
	p := s.payment(t)
	c := s.resolve(p, rapid.Bool().Draw(t, "happened"))
	if len(p.Operations) > 0 && rapid.Bool().Draw(t, "names one") {
		c.Operation = rapid.SampledFrom(p.Operations).Draw(t, "operation").ID
	}
	s.batch(t, c)
}

func (s *shop) pass(t *rapid.T) {
	s.now = s.now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 25 * time.Hour}).Draw(t, "time"))
	s.house.Jumped = rapid.IntRange(0, 9).Draw(t, "jumped") == 0
	s.world.shut(rapid.SampledFrom([]string{"", "", "", "its breaker is open"}).Draw(t, "closed"))
}

// place is where the money of an operation belongs, given all that is known.
func place(p *pay.Payment, o *pay.Operation) (merchant, suspense int64) {
	gaveUp, charged := false, false
	for _, x := range p.Operations {
		gaveUp = gaveUp || x.Kind == pay.Void && x.Outcome == pay.Done
		charged = charged || x.Kind != pay.Refund && x.Kind != pay.Authorize && x.Kind != pay.Void && x.Moved > 0 && x.Outcome >= pay.Done
	}
	sign := map[pay.Kind]int64{pay.Charge: 1, pay.Capture: 1, pay.Refund: -1}[o.Kind]
	switch {
	case o.Outcome == pay.Conflict, o.Outcome == pay.Done && o.Kind == pay.Charge && gaveUp && charged:
		return 0, sign * o.Moved
	case o.Outcome == pay.Done:
		return sign * o.Moved, 0
	default:
		return 0, 0
	}
}

// checkMoney holds the ledger to the operations: what moved for certain is the
// merchant's, what contradicts itself is in suspense, the gateway owes both.
func (s *shop) checkMoney(t *rapid.T) {
	type pile struct {
		name string
		of   money.Currency
	}
	want := map[pile]int64{}
	for _, p := range s.world.payments {
		for _, o := range p.Operations {
			merchant, suspense := place(p, o)
			want[pile{"merchant:default", p.Currency}] += merchant
			want[pile{"suspense", p.Currency}] += suspense
			want[pile{"gateway:g:clearing", p.Currency}] -= merchant + suspense
		}
	}
	got := map[pile]int64{}
	for ref, a := range s.accounts {
		got[pile{strings.TrimSuffix(ref.ID, ":"+string(a.Currency)), a.Currency}] += a.Balance.Posted
	}
	for at, amount := range want {
		if got[at] != amount {
			t.Fatalf("%s has %d %s, and the operations come to %d", at.name, got[at], at.of, amount)
		}
	}
	fold := map[ledger.Ref]int64{}
	for _, e := range s.entries {
		fold[e.Account] += e.Delta.Posted
	}
	for ref, a := range s.accounts {
		if a.Balance.Posted != fold[ref] {
			t.Fatalf("%s has %d, its entries come to %d", ref.ID, a.Balance.Posted, fold[ref])
		}
	}
}

// checkPayments holds what must be true of every payment at every moment.
func (s *shop) checkPayments(t *rapid.T) {
	told := map[string]string{}
	for _, e := range s.events {
		if strings.HasPrefix(e.Type, "payment.") && e.Type != "payment.resolved" {
			if told[e.Subject] == e.Type {
				t.Fatalf("%s was told twice of %s", e.Type, e.Subject)
			}
			told[e.Subject] = e.Type
		}
	}
	for _, p := range s.world.payments {
		if err := p.Check(); err != nil {
			t.Fatalf("%v", err)
		}
		if p.Captured > p.Amount && p.Status != pay.NeedsReview {
			t.Fatalf("it is %s with %d of %d captured", p.Status, p.Captured, p.Amount)
		}
		if got := strings.Replace(told[p.ID], "created", "requires_confirmation", 1); got != "payment."+p.Status.String() {
			t.Fatalf("it is %s, and the last event was %s", p.Status, got)
		}
		for i, o := range p.Operations {
			waits := o.Outcome == pay.ActionRequired && i > 0 // for somebody, and others for it
			if (o.Outcome == pay.Unknown || waits) && o.Parked == "" && o.DueAt.IsZero() {
				t.Fatalf("it is stuck: %+v", o)
			}
			if o.Attempt > pay.MaxSends {
				t.Fatalf("it was sent %d times", o.Attempt)
			}
		}
	}
	for key, n := range s.answered {
		if n > 1 {
			t.Fatalf("the key %s was completed %d times", key.ID, n)
		}
	}
}

// Money that moves between two places moves once, from where it was: statements
// are read by people.
func TestTransfersSayWhereMoneyWent(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	w.check(t, p, "", declined)
	w.do(t, w.resolve(p, true))
	w.do(t, w.refund(p, 40))
	w.answer(t, p, done(40))
	w.check(t, p, "", declined)
	w.do(t, w.resolve(p, false))
	var moves []string
	for _, tr := range w.transfers {
		if tr.Reference != p.ID || w.at(p).Operation(tr.Operation) == nil {
			t.Errorf("%s is of %s and %s", tr.ID, tr.Reference, tr.Operation)
		}
		moves = append(moves, fmt.Sprintf("%d %s > %s", tr.Amount, tr.From, tr.To))
	}
	wantStrings(t, "transfers", []string{
		"100 gateway:g:clearing > merchant:default", // charged
		"100 merchant:default > suspense",           // or not
		"100 suspense > merchant:default",           // it was
		"40 merchant:default > gateway:g:clearing",  // given back
		"40 suspense > merchant:default",            // or not
		"40 gateway:g:clearing > suspense",          // it was not
	}, moves)
	if o := w.last(p); o.Transfer != w.transfers[len(w.transfers)-1].ID {
		t.Errorf("its last transfer is %s", o.Transfer)
	}
}

// Whatever is done to payments and heard of them: no money is made or lost, the
// books follow the operations, nothing is stuck, no command panics.
func TestMoneyFollowsWhateverHappens(t *testing.T) {
	reached := map[pay.Status]int{}
	statuses, operations := chart(t, "A payment"), chart(t, "An operation")
	rapid.Check(t, func(t *rapid.T) {
		s := newShop(t)
		happenings := []func(*rapid.T){
			s.create, s.confirm, s.capture, s.cancel, s.refund, s.answer, s.answer, s.answer, s.check, s.notify, s.recover, s.decide, s.pass,
		}
		for range 100 {
			rapid.SampledFrom(happenings).Draw(t, "what")(t)
			s.checkMoney(t)
			s.checkPayments(t)
			for _, p := range s.world.payments {
				reached[p.Status]++
			}
		}
		for e := range s.statusMoves() {
			if !statuses[e] {
				t.Fatalf("a payment went from %s to %s, which docs/states.md does not draw", e.from, e.to)
			}
		}
		for e := range s.moves {
			if !operations[e] {
				t.Fatalf("an operation went from %s to %s, which docs/states.md does not draw", e.from, e.to)
			}
		}
	})
	for status := pay.RequiresConfirmation; status <= pay.NeedsReview; status++ {
		if reached[status] == 0 {
			t.Errorf("no payment was ever %s: the test says little", status)
		}
	}
}
