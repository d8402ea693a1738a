package pay_test

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// What a store tells of an operation that it may have forgotten half of proves nothing:
// it may have been sent, by somebody who may still be at it.
func TestAStoreThatForgotProvesNothing(t *testing.T) {
	blind := pay.Contract{Timeout: 3 * time.Second, LookupLag: 4 * time.Second, InFlight: 4 * time.Second}
	unsent := func(o *pay.Operation) { o.Exposed = false }
	forgotten, all := after(time.Minute), time.Time{}
	for _, row := range []struct {
		sentence string
		contract pay.Contract
		forgot   time.Time
		now      time.Duration
		events   []func(*pay.Operation)
		want     pay.Do
	}{
		{"what never left is sent", forgets, all, 2 * time.Minute, []func(*pay.Operation){unsent}, pay.Send},
		{"where the store forgot it is asked about first", forgets, forgotten, 2 * time.Minute, []func(*pay.Operation){unsent}, pay.Check},
		{"an absence that is old enough is a proof", forgets, all, 2 * time.Minute, []func(*pay.Operation){mayHaveArrived, notFound(90 * time.Second)}, pay.Send},
		{"but not where the store forgot who else may be at it", forgets, forgotten, 2 * time.Minute, []func(*pay.Operation){mayHaveArrived, notFound(90 * time.Second)}, pay.Check},
		{"who does things once is sent it again after a check", prompt, forgotten, 2 * time.Minute, []func(*pay.Operation){unsent, notFound(90 * time.Second)}, pay.Send},
		{"who cannot be asked, and does things twice, is left to a human", blind, forgotten, 2 * time.Minute, []func(*pay.Operation){unsent}, pay.Park},
		{"what is too old to be sent did not fail: it is asked about", forgets, forgotten, 20 * time.Minute, []func(*pay.Operation){unsent}, pay.Check},
		{"and is left to a human in the end", forgets, forgotten, 25 * time.Hour, []func(*pay.Operation){unsent}, pay.Park},
		{"what was made after that is like any other", forgets, noon.Add(-time.Minute), 2 * time.Minute, []func(*pay.Operation){unsent}, pay.Send},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			o := op(row.events...)
			if row.contract == blind {
				o.ResendUntil = time.Time{}
			}
			before := o
			got := row.contract.Next(&o, pay.Clock{Now: after(row.now), Forgot: row.forgot})
			if got.Do != row.want || got.Anew && !row.forgot.IsZero() && !row.forgot.Before(noon) {
				t.Errorf("%+v, want %s", got, row.want)
			}
			if o != before {
				t.Error("to look at it changes it")
			}
		})
	}
}

// Nothing is begun that may have been begun in the past that was lost; and nothing of it
// is written.
func TestNothingIsBegunThatMayBeForgotten(t *testing.T) {
	w := newWorld(prompt)
	open, reserved, paid := w.create(t, reference("order-1")), w.authorized(t), w.succeeded(t)
	forgot := w.now.Add(time.Minute)
	w.now = w.now.Add(time.Hour)
	w.house.Forgot = forgot
	ask := func(key string) pay.Ask { return pay.Ask{Key: keyOf(key), House: w.house} }
	fresh := func(key string) pay.CreatePayment {
		return pay.CreatePayment{Ask: ask(key), Confirm: true, Payment: order4711()}
	}
	still := fresh("k")
	still.Confirm = false
	for sentence, c := range map[string]pay.Command{
		"a payment under a key of no known age":        fresh("k"),
		"one that is not confirmed yet":                still,
		"one whose key is older":                       fresh(id.NewUUID(forgot.Add(-time.Second))),
		"one whose key is younger by a client's clock": fresh(id.NewUUID(forgot.Add(time.Second))),
		"the confirmation of a payment that was there": pay.ConfirmPayment{Ask: ask("k"), Ref: open.Ref},
		"its end, though it may have been charged":     pay.CancelPayment{Ask: ask("k"), Ref: open.Ref},
		"a capture, even under a key that is younger":  pay.CapturePayment{Ask: ask(id.NewUUID(w.now)), Ref: reserved.Ref},
		"a refund, which may have been given before":   pay.RefundPayment{Ask: ask(id.NewUUID(w.now)), Ref: paid.Ref},
		"a void": pay.CancelPayment{Ask: ask("k"), Ref: reserved.Ref},
	} {
		t.Run(sentence, func(t *testing.T) { w.refuse(t, c, ledger.Unavailable, "") })
	}
	r := w.do(t, fresh(id.NewUUID(forgot.Add(10*time.Minute))))
	if r.Order == nil {
		t.Errorf("a payment under a key that is younger is %+v", r)
	}
}
