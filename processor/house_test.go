package processor_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// house is a process: an executor and a processor on a store, and a line to the
// gateway.
type house struct {
	t    testing.TB
	life *life
	hold *hold
	side *side
	exec *engine.Executor
	*processor.Processor

	delay   func() time.Duration // if it is set, how long the next order is on its way
	twice   bool                 // every order comes twice
	stop    context.CancelFunc
	running sync.WaitGroup
}

var seed byte // of the next executor; tests of this package run one after another

// open starts a process that is the only one of its store, and runs until the
// test ends.
func open(t testing.TB, b *books, s *side, set ...func(*processor.Config, *hold)) *house {
	return openAs(t, b, s, &life{}, set...)
}

func openAs(t testing.TB, b *books, s *side, l *life, set ...func(*processor.Config, *hold)) *house {
	t.Helper()
	seed++
	h := &house{t: t, life: l, hold: &hold{books: b, life: l}, side: s}
	cfg := processor.Config{
		Store: h.hold, Connectors: map[string]processor.Connector{"g": &line{side: s, life: l}},
		Process: fmt.Sprintf("p%d", seed), Exclusive: true, Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range set {
		f(&cfg, h.hold)
	}
	h.Processor = processor.New(cfg)
	h.exec = engine.New(h.hold, engine.Config{Render: render, Act: h.act, Seed: [32]byte{seed}, MaxQueue: h.hold.queue, Since: h.hold.since})
	h.Start(h.exec)
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.running.Go(func() { h.Run(ctx) })
	return h
}

// openWith is open with another connector.
func openWith(t testing.TB, b *books, c processor.Connector) *house {
	return open(t, b, nil, func(cfg *processor.Config, _ *hold) { cfg.Connectors = map[string]processor.Connector{"g": c} })
}

// act is an order that may be long on its way.
func (h *house) act(o *pay.Order) {
	if h.twice {
		h.Act(o)
	}
	if h.delay == nil {
		h.Act(o)
	} else if pause := h.delay(); pause > 0 {
		time.AfterFunc(pause, func() { h.Act(o) })
	} else {
		h.Act(o)
	}
}

func newBooks() *books { return &books{Memory: engine.NewMemory()} }

// shut ends a process in good order.
func (h *house) shut() {
	h.t.Helper()
	h.stop()
	h.running.Wait()
	if err := h.Close(context.Background()); err != nil {
		h.t.Error(err)
	}
	if err := h.exec.Close(context.Background()); err != nil {
		h.t.Error(err)
	}
}

// crash ends a process as kill -9 does: from one moment on it writes nothing and
// sends nothing.
func (h *house) crash() {
	h.life.end()
	h.stop()
	h.running.Wait()
	if err := h.exec.Close(context.Background()); err != nil {
		h.t.Error(err)
	}
	if err := h.Close(context.Background()); err != nil {
		h.t.Error(err)
	}
}

func render(r pay.Reply) once.Answer {
	if r.Refusal != nil {
		return once.Answer{Status: 422, Body: []byte(r.Refusal.Code)}
	}
	return once.Answer{Status: 200, Body: []byte(r.Payment.Status.String())}
}

// create makes and confirms a payment of 100, and returns its id; "" if it could
// not.
func (h *house) create(tenant, reference string) string {
	return h.made(h.createJob(tenant, reference, false))
}

func (h *house) createJob(tenant, reference string, manual bool) *engine.Job {
	key := once.Key{Tenant: tenant, ID: reference}
	return &engine.Job{
		Tenant: tenant, Request: once.Request{Key: key, Operation: "POST /v1/payments"},
		Payment: pay.CreatePayment{
			Ask: pay.Ask{Key: key, RequestID: "req", House: h.House()}, Confirm: true,
			Payment: pay.Payment{
				Ref: pay.Ref{Tenant: tenant}, Amount: 100, Currency: money.Currency("EUR"), Gateway: "g", Reference: reference, Method: "pm", Manual: manual,
			},
		},
	}
}

func (h *house) made(j *engine.Job) string {
	o := h.exec.Do(context.Background(), j)
	if o.Err != nil {
		return ""
	}
	return o.Resource.ID
}

// payment is how it is now.
func (h *house) payment(tenant, id string) *pay.Payment {
	h.t.Helper()
	p, err := h.hold.Memory.Payment(context.Background(), pay.Ref{Tenant: tenant, ID: id})
	if err != nil || p == nil {
		h.t.Fatalf("payment %s: %v %v", id, p, err)
	}
	return p
}

// posted is the balance of an account, 0 if there is none.
func (b *books) posted(t testing.TB, tenant, account string) int64 {
	t.Helper()
	a, err := b.Account(context.Background(), ledger.Ref{Tenant: tenant, ID: account})
	if err != nil {
		t.Fatal(err)
	}
	if a == nil {
		return 0
	}
	return a.Balance.Posted
}

// within waits until is says yes, for so long at most.
func within(t testing.TB, d time.Duration, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < d; time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not within %s: %s", d, what)
}
