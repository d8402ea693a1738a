package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// chargeOne is a payment that is created and confirmed under a key, by a request
// of that fingerprint.
func chargeOne(key, request string) *engine.Job {
	k := once.Key{Tenant: "acme", ID: key}
	return &engine.Job{
		Tenant: "acme", Request: once.Request{Key: k, Fingerprint: fingerprint(request), Operation: "POST /v1/payments"},
		Payment: pay.CreatePayment{
			Ask: pay.Ask{Key: k, House: house}, Confirm: true,
			Payment: pay.Payment{Ref: pay.Ref{Tenant: "acme"}, Amount: 100, Currency: "EUR", Gateway: "sandbox"},
		},
	}
}

// Who asks again while the intent is being written down learns with the first
// one that it is at work, and waits for its change; nobody has to ask in turn.
func TestDuplicatesLearnHowFarAPaymentIs(t *testing.T) {
	inBubble(t, engine.Config{Render: render}, func(t *testing.T, e *engine.Executor, store *slow) {
		outcomes := make([]engine.Outcome, 100)
		var wg sync.WaitGroup
		for i := range outcomes {
			wg.Go(func() { outcomes[i] = e.Do(context.Background(), chargeOne("k", "same")) })
		}
		wg.Wait()
		began := 0
		for _, o := range outcomes {
			if !o.Interim || o.Err != nil || o.Changed == nil || o.Resource != outcomes[0].Resource || string(o.Answer.Body) != "processing" {
				t.Fatalf("one is told %+v", o)
			}
			if o.Began {
				began++
			}
		}
		if commits := store.commits.Load(); began != 1 || commits != 1 {
			t.Errorf("%d of them began it in %d commits", began, commits)
		}
	})
}

// The request that began the work and waited for its end gets the first answer,
// and nobody counts it as a repeat.
func TestWhoBeganAndWaitedIsNoRepeat(t *testing.T) {
	orders := make(chan *pay.Order, 1)
	inBubble(t, engine.Config{Render: render, Act: func(o *pay.Order) { orders <- o }}, func(t *testing.T, e *engine.Executor, _ *slow) {
		first, again := chargeOne("k", "same"), chargeOne("k", "same")
		e.Do(context.Background(), first)
		o := <-orders
		e.Do(context.Background(), &engine.Job{Tenant: "acme", Payment: pay.Record{
			Ref: o.Payment.Ref, Operation: o.Operation, House: house, Attempt: o.Attempt,
			Finding: &pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_1"},
		}})
		if o := e.Do(context.Background(), first); o.Replayed || o.Interim || string(o.Answer.Body) != "succeeded" {
			t.Errorf("who began it is told %+v", o)
		}
		if o := e.Do(context.Background(), again); !o.Replayed || string(o.Answer.Body) != "succeeded" {
			t.Errorf("a repeat is told %+v", o)
		}
		if got := e.Stats(); got.Replayed != 1 || got.Unfinished != 1 {
			t.Errorf("counted %+v", got)
		}
	})
}

// Whoever asks for an order under another key while its payment is at work waits
// for it like a repeat: what ends the work writes the answer down.
func TestAnAdoptedPaymentIsWaitedFor(t *testing.T) {
	orders := make(chan *pay.Order, 1)
	inBubble(t, engine.Config{Render: render, Act: func(o *pay.Order) { orders <- o }}, func(t *testing.T, e *engine.Executor, _ *slow) {
		ordered := func(key string) *engine.Job {
			j := chargeOne(key, "same")
			c := j.Payment.(pay.CreatePayment)
			c.Payment.Reference = "order-1"
			j.Payment = c
			return j
		}
		e.Do(context.Background(), ordered("k"))
		first, again := ordered("other"), ordered("other")
		if o := e.Do(context.Background(), first); !o.Interim || !o.Began {
			t.Fatalf("another key is told %+v", o)
		}
		o := <-orders
		e.Do(context.Background(), &engine.Job{Tenant: "acme", Payment: pay.Record{
			Ref: o.Payment.Ref, Operation: o.Operation, House: house, Attempt: o.Attempt,
			Finding: &pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_1"},
		}})
		if o := e.Do(context.Background(), again); o.Stored || !o.Replayed || o.Interim {
			t.Errorf("a repeat is told %+v", o)
		}
		if o := e.Do(context.Background(), first); o.Replayed || o.Interim {
			t.Errorf("who asked first is told %+v", o)
		}
	})
}

// Another request with the key is refused, and the right one behind it is not
// told to come back.
func TestAnotherRequestDoesNotAnswerForThePayment(t *testing.T) {
	store := newBank(t)
	drive(t, submitted(chargeOne("k", "same")), store)
	other, right := chargeOne("k", "other"), chargeOne("k", "same")
	outcomes := drive(t, submitted(other, right), store)
	if o := outcomes[other]; !errors.Is(o.Err, once.ErrMismatch) {
		t.Errorf("another request is told %+v", o)
	}
	if o := outcomes[right]; !o.Interim || o.Began {
		t.Errorf("the right one is told %+v", o)
	}
}

// submitted is a new Step that was given jobs.
func submitted(jobs ...*engine.Job) *engine.Step {
	s := engine.NewStep(engine.Config{Render: render, Seed: [32]byte{9}})
	for _, j := range jobs {
		s.Submit(j, day)
	}
	return s
}

// Who finds no place is not told that nothing began, if something did.
func TestAFullQueueDoesNotDenyWhatBegan(t *testing.T) {
	inBubble(t, engine.Config{Render: render}, func(t *testing.T, e *engine.Executor, store *slow) {
		e.Do(context.Background(), chargeOne("at work", "same"))

		full := engine.New(store, engine.Config{Seed: [32]byte{2}, MaxQueue: 1, MaxTenantQueue: 1, MaxBatch: 1, Render: render})
		var wg sync.WaitGroup
		for i := range 3 { // one commits, one is loaded, one is queued
			wg.Go(func() { full.Do(context.Background(), transferOne(fmt.Sprint(i), 1)) })
			time.Sleep(100 * time.Millisecond)
		}
		if o := full.Do(context.Background(), chargeOne("at work", "same")); !errors.Is(o.Err, engine.ErrInProgress) {
			t.Errorf("the one at work is told %+v", o)
		}
		wg.Wait()
		if err := full.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A key whose work took long is kept for a whole window from its answer on, and
// the answer says so.
func TestAnAnswerSaysHowLongItIsKept(t *testing.T) {
	orders := make(chan *pay.Order, 1)
	inBubble(t, engine.Config{Render: render, Act: func(o *pay.Order) { orders <- o }}, func(t *testing.T, e *engine.Executor, _ *slow) {
		buy := func(key string) engine.Outcome {
			j := chargeOne(key, "same")
			c := j.Payment.(pay.CreatePayment)
			c.Payment.Reference = "order-1"
			j.Payment = c
			return e.Do(context.Background(), j)
		}
		buy("first")
		buy("second") // has what the first one buys
		o := <-orders
		time.Sleep(time.Hour)
		e.Do(context.Background(), &engine.Job{Tenant: "acme", Payment: pay.Record{
			Ref: o.Payment.Ref, Operation: o.Operation, House: house, Attempt: o.Attempt,
			Finding: &pay.Finding{Outcome: pay.Done, Amount: 100, Currency: "EUR", GatewayID: "ch_1"},
		}})
		told, again := buy("second"), buy("second")
		if told.Interim || !again.Replayed || !told.ExpiresAt.Equal(again.ExpiresAt) || told.ExpiresAt.Sub(e.Now()) < 24*time.Hour-time.Second {
			t.Errorf("it is kept until %v, then %v; now it is %v", told.ExpiresAt, again.ExpiresAt, e.Now())
		}
	})
}
