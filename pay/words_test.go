package pay_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// ask is who asks: a request with that key, or without one.
func (w *world) ask(key string) pay.Ask {
	a := pay.Ask{RequestID: "req_1", House: w.house}
	if key != "" {
		a.Key = keyOf(key)
	}
	return a
}

func keyOf(key string) once.Key { return once.Key{Tenant: tenant, ID: key} }

// order4711 is a payment of 100.
func order4711() pay.Payment {
	return pay.Payment{Ref: pay.Ref{Tenant: tenant}, Amount: 100, Currency: "EUR", Gateway: "g", Method: "pm_ok"}
}

// create makes a payment, and leaves it at that.
func (w *world) create(t fataler, set ...func(*pay.Payment)) *pay.Payment {
	t.Helper()
	p := order4711()
	for _, f := range slices.Concat(w.defaults, set) {
		f(&p)
	}
	return w.do(t, pay.CreatePayment{Ask: w.ask(""), Payment: p}).Payment
}

// confirmed makes a payment and confirms it: its charge is at work.
func (w *world) confirmed(t fataler, set ...func(*pay.Payment)) *pay.Payment {
	t.Helper()
	return w.do(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: w.create(t, set...).Ref}).Payment
}

func manual(p *pay.Payment) { p.Manual = true }

func reference(name string) func(*pay.Payment) {
	return func(p *pay.Payment) { p.Reference = name }
}

// at is the payment as it is in the store.
func (w *world) at(p *pay.Payment) *pay.Payment { return w.payments[p.Ref].Clone() }

// last is the payment's operation that was made last.
func (w *world) last(p *pay.Payment) *pay.Operation {
	all := w.payments[p.Ref].Operations
	return all[len(all)-1]
}

// done is what a gateway says when it did what it was asked.
func done(amount int64) pay.Finding {
	return pay.Finding{Outcome: pay.Done, Amount: amount, Currency: "EUR", GatewayID: "ch_1"}
}

var (
	declined = pay.Finding{Outcome: pay.Declined, Failure: pay.Failure{Code: "card_declined", DeclineCode: "insufficient_funds"}}
	action   = pay.Finding{Outcome: pay.ActionRequired, Amount: 100, Currency: "EUR", GatewayID: "ch_1", ActionURL: "https://bank.example"}
	silence  = pay.Finding{Detail: "no answer in 3s"}
	absent   = pay.Finding{Absent: true}
	unsent   = pay.Finding{Reach: pay.NeverLeft}
	refusedF = pay.Finding{Reach: pay.Refused, Failure: pay.Failure{Code: "gateway_rejected"}}
	tooLate  = pay.Finding{Reach: pay.TooLate}
)

// answer is what the last send of the payment's last operation was answered.
func (w *world) answer(t fataler, p *pay.Payment, f pay.Finding) pay.Result {
	t.Helper()
	o := w.last(p)
	return w.do(t, pay.Record{Ref: p.Ref, Operation: o.ID, House: w.house, Finding: &f, Attempt: o.Attempt})
}

// check is what a check of an operation found that began now; "" is the last one.
func (w *world) check(t fataler, p *pay.Payment, operation string, f pay.Finding) pay.Result {
	t.Helper()
	if operation == "" {
		operation = w.last(p).ID
	}
	return w.do(t, pay.Record{Ref: p.Ref, Operation: operation, House: w.house, Finding: &f, Began: w.now})
}

// look is recovery that finds something due, and asks nobody.
func (w *world) look(t fataler, p *pay.Payment) pay.Result {
	t.Helper()
	return w.do(t, pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house})
}

// resolve is a human's decision about the first thing that is in doubt.
func (w *world) resolve(p *pay.Payment, happened bool) pay.ResolvePayment {
	return pay.ResolvePayment{Ask: w.ask(""), Ref: p.Ref, Happened: happened, Evidence: "the gateway's report", Actor: "ann"}
}

func (w *world) capture(p *pay.Payment, amount int64, more bool) pay.CapturePayment {
	return pay.CapturePayment{Ask: w.ask(""), Ref: p.Ref, Amount: &amount, More: more}
}

func (w *world) cancel(p *pay.Payment) pay.CancelPayment {
	return pay.CancelPayment{Ask: w.ask(""), Ref: p.Ref}
}

func (w *world) refund(p *pay.Payment, amount int64) pay.RefundPayment {
	return pay.RefundPayment{Ask: w.ask(""), Ref: p.Ref, Amount: &amount}
}

// posted is the balance of an account, 0 if there is none.
func (w *world) posted(account string) int64 {
	return w.accounts[ledger.Ref{Tenant: tenant, ID: account}].Balance.Posted
}

// books is where the money of payments is: what the merchant has, and what is in
// suspense.
type books struct{ Merchant, Suspense int64 }

func (w *world) books() books { return books{w.posted("merchant:default"), w.posted("suspense")} }

// view is what a payment shows.
type view struct {
	Status             pay.Status
	InDoubt            bool
	Captured, Refunded int64
}

func shown(p *pay.Payment) view { return view{p.Status, p.InDoubt, p.Captured, p.Refunded} }

func (w *world) want(t *testing.T, p *pay.Payment, want view, money books) {
	t.Helper()
	if diff := cmp.Diff(want, shown(w.at(p))); diff != "" {
		t.Errorf("the payment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(money, w.books()); diff != "" {
		t.Errorf("the books (-want +got):\n%s", diff)
	}
}

// eventTypes are the types of the events since the first n, but for those of
// accounts and transfers.
func (w *world) eventTypes(n int) (types []string) {
	for _, e := range w.events[n:] {
		if e.Type[0] == 'p' || e.Type[0] == 'r' {
			types = append(types, e.Type)
		}
	}
	return types
}

// timeline is a payment's lines, without their times.
func (w *world) timeline(p *pay.Payment) (lines []string) {
	for _, l := range w.lines {
		if l.Payment == p.ID {
			lines = append(lines, fmt.Sprintf("%s %s", l.Type, l.Detail))
		}
	}
	return lines
}

func wantStrings(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the %s (-want +got):\n%s", what, diff)
	}
}
