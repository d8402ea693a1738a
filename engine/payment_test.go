package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// house is one gateway that can be asked and does things once.
var house = pay.House{Process: "p1", Gateways: map[string]pay.Terms{"sandbox": {Contract: pay.Contract{
	Window: 24 * time.Hour, Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second,
}}}}

// render shows what a reply is about.
func render(r pay.Reply) once.Answer {
	switch {
	case r.Refusal != nil:
		return once.Answer{Status: 422, Body: []byte(r.Refusal.Code)}
	case r.Interim:
		return once.Answer{Status: 202, Body: []byte(r.Payment.Status.String())}
	default:
		return once.Answer{Status: 200, Body: []byte(r.Payment.Status.String())}
	}
}

// The key of a request that leaves the house is claimed with the intent, and
// answered by the commit that brings the outcome.
func TestAPaymentIsTwoCommits(t *testing.T) {
	orders := make(chan *pay.Order, 1)
	store := engine.NewMemory()
	commits := 0
	ex := engine.New(store, engine.Config{Render: render, Act: func(o *pay.Order) { orders <- o }, OnCommit: func(p engine.Phase) {
		if p == engine.Ended {
			commits++
		}
	}})
	defer ex.Close(context.Background())
	key := once.Key{Tenant: "t", ID: "k"}
	create := func() *engine.Job {
		return &engine.Job{
			Tenant: "t", Request: once.Request{Key: key, Operation: "POST /v1/payments"},
			Payment: pay.CreatePayment{
				Ask: pay.Ask{Key: key, RequestID: "req_1", House: house}, Confirm: true,
				Payment: pay.Payment{Ref: pay.Ref{Tenant: "t"}, Amount: 100, Currency: "EUR", Gateway: "sandbox", Reference: "order-1"},
			},
		}
	}
	first := ex.Do(t.Context(), create())
	if !first.Interim || first.Answer.Status != 202 {
		t.Fatalf("the first answer is %+v", first)
	}
	again := ex.Do(t.Context(), create())
	if !again.Interim || again.Resource != first.Resource {
		t.Fatalf("a repeat is answered %+v", again)
	}
	order := <-orders
	record := pay.Record{
		Ref: order.Payment.Ref, Operation: order.Operation, House: house, Attempt: order.Attempt,
		Finding: &pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_1"},
	}
	if o := ex.Do(t.Context(), &engine.Job{Tenant: "t", Payment: record}); o.Err != nil {
		t.Fatal(o.Err)
	}
	<-first.Changed
	last := ex.Do(t.Context(), create())
	if last.Interim || !last.Replayed || string(last.Answer.Body) != "succeeded" {
		t.Fatalf("the last answer is %+v %s", last, last.Answer.Body)
	}
	if commits != 2 {
		t.Errorf("%d commits", commits)
	}
	a, err := store.Account(t.Context(), pay.Ref{Tenant: "t", ID: "merchant:default"})
	if err != nil || a == nil || a.Balance.Posted != 100 {
		t.Errorf("the merchant's account is %+v %v", a, err)
	}
}

// Who asks again is told that the payment is at work, and in the same commit it
// is settled: nothing will change any more, so nothing would wake who waits.
func TestWhoIsToldInTheCommitThatSettlesIsSentAgain(t *testing.T) {
	store := newBank(t)
	first := chargeOne("k", "same")
	drive(t, submitted(first), store)
	m := store.Snapshot()
	var payment *pay.Payment
	if err := m.Payments(t.Context(), func(p *pay.Payment) error { payment = p; return nil }); err != nil {
		t.Fatal(err)
	}
	record := &engine.Job{Tenant: "acme", Payment: pay.Record{
		Ref: payment.Ref, Operation: payment.Charge().ID, Attempt: 1, House: house,
		Finding: &pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_1"},
	}}
	before, after := chargeOne("k", "same"), chargeOne("k", "same")
	outcomes := drive(t, submitted(before, record), store)
	if o := outcomes[before]; !o.Interim || !o.Outdated {
		t.Errorf("who asked before it was settled is told %+v", o)
	}
	if o := drive(t, submitted(after), store)[after]; o.Interim || !o.Replayed {
		t.Errorf("who asks after it is told %+v", o)
	}
}
