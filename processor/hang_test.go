package processor_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// hanging is a store with more payments in doubt than a gateway can be asked about
// at once, and the gateway, which answers no check before the timeout is over.
func hanging(t *testing.T, many int) (*books, *side) {
	t.Helper()
	b, s := newBooks(), newSide(mild)
	leave(t, b, s, many, func(int) string { return "large" })
	s.contract.Timeout = 30 * time.Second
	s.ask = func(pay.Call) { time.Sleep(30 * time.Second) }
	return b, s
}

// A gateway that answers no check holds up nothing that only has to be written: a
// send that never left is sent again as soon as ever.
func TestChecksThatHangHoldUpNoResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := hanging(t, 200)
		h := open(t, b, s)
		defer h.shut()
		time.Sleep(time.Second)
		if g := h.Stats().Gateways["g"]; g.Checking != 64 || g.Backlog != 200-64 {
			t.Errorf("%d checks are at work, %d wait", g.Checking, g.Backlog)
		}
		s.fault = func(_ pay.Call, n int) fault { return fault{unsent: n == 1} }
		for _, tenant := range []string{"large", "small"} {
			id := h.create(tenant, "order-new")
			within(t, 2*time.Second, "what never left is sent again", func() bool { return h.payment(tenant, id).Status == pay.Succeeded })
		}
	})
}

// What waits until the gateway can be asked is loaded when it is found and when it
// is asked about, not all the time in between.
func TestWhatWaitsForACheckIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 1_000
		b, s := hanging(t, many)
		var loaded atomic.Int64
		h := open(t, b, s, func(c *processor.Config, hold *hold) { c.Store = &counted{hold, &loaded} })
		defer h.shut()
		time.Sleep(29 * time.Second)
		if n := loaded.Load(); n != many {
			t.Errorf("%d payments were loaded before a check was over", n)
		}
		time.Sleep(30 * time.Second)
		if n := loaded.Load(); n > many+2*64 {
			t.Errorf("%d payments were loaded for the next 64 checks", n-many)
		}
		time.Sleep(10 * time.Minute)
		if n := loaded.Load(); n > 15*many {
			t.Errorf("%d payments were loaded in ten minutes", n)
		}
	})
}

// counted counts the payments that are loaded.
type counted struct {
	*hold
	loaded *atomic.Int64
}

func (c *counted) Load(ctx context.Context, need engine.Need) (engine.Rows, error) {
	c.loaded.Add(int64(len(need.Payments.Payments)))
	return c.hold.Load(ctx, need)
}

// What a human must decide by the time that it could be asked about is left to one
// then.
func TestWhatWaitedForTooLongIsLeftToAHuman(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := hanging(t, 200)
		s.contract.Patience = 45 * time.Second
		h := open(t, b, s)
		defer h.shut()
		s.fault = func(pay.Call, int) fault { return fault{mute: true} }
		id := h.create("small", "order-new") // it is in doubt after 30 s, and the second 64 checks begin
		within(t, 65*time.Second, "it is left to a human", func() bool { return h.payment("small", id).Status == pay.NeedsReview })
		if n := s.asked(h.payment("small", id).Charge().ID); n != 0 {
			t.Errorf("it was asked about %d times", n)
		}
	})
}

// Nor does that wait for the checks to end: what is in line is looked at again.
func TestWhatWaitsForNoCheckAnyMoreIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := hanging(t, 200)
		s.contract.Timeout, s.contract.Patience = time.Hour, 2*time.Hour
		s.ask = func(pay.Call) { time.Sleep(time.Hour) }
		s.fault = func(pay.Call, int) fault { return fault{panics: true} }
		h := open(t, b, s)
		defer h.shut()
		id := h.create("small", "order-new")
		time.Sleep(30 * time.Second) // it is in line
		s.mu.Lock()
		s.contract.Patience = time.Second
		s.mu.Unlock()
		within(t, 70*time.Second, "it is left to a human", func() bool { return h.payment("small", id).Status == pay.NeedsReview })
		if n := s.askedInAll(); n != 64 {
			t.Errorf("%d checks", n)
		}
	})
}

// What was settled while it waited for a check is not asked about.
func TestWhatWasSettledWhileItWaitedIsNotAskedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := hanging(t, 200)
		h := open(t, b, s)
		defer h.shut()
		time.Sleep(time.Second)
		var settled []string
		for _, p := range b.all(t, "large") {
			if o := p.Charge(); s.asked(o.ID) == 0 {
				h.settle(p, o)
				settled = append(settled, o.ID)
			}
		}
		if len(settled) != 200-64 {
			t.Fatalf("%d waited", len(settled))
		}
		time.Sleep(2 * time.Minute)
		for _, o := range settled {
			if n := s.asked(o); n != 0 {
				t.Fatalf("%d checks of one that is settled", n)
			}
		}
		if n := s.askedInAll(); n <= 64 { // those that are not go on being asked about, and nobody keeps a slot from them
			t.Errorf("%d checks of the others", n)
		}
	})
}

// settle is an answer that was long on its way.
func (h *house) settle(p *pay.Payment, o *pay.Operation) {
	h.t.Helper()
	done := pay.Record{
		Ref: p.Ref, Operation: o.ID, House: h.House(), Attempt: o.Attempt,
		Finding: &pay.Finding{Outcome: pay.Done, Amount: p.Amount, Currency: p.Currency, GatewayID: "ch_" + o.ID + "_0"},
	}
	if got := h.exec.Do(h.t.Context(), &engine.Job{Tenant: p.Tenant, Payment: done}); got.Err != nil {
		h.t.Fatal(got.Err)
	}
}

// A tenant whose payment comes to be asked about while another's many wait has its
// turn when the next checks begin.
func TestWhoComesWhileManyWaitHasATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := hanging(t, 1_000)
		h := open(t, b, s)
		defer h.shut()
		time.Sleep(time.Second)
		s.fault = func(_ pay.Call, n int) fault { return fault{mute: n == 1} }
		id := h.create("small", "order-new")
		time.Sleep(90 * time.Second) // its send is over after 30 s, and so are the first checks
		order, most := s.asks()
		if most != 64 {
			t.Errorf("%d checks were at work at once", most)
		}
		if place := slices.Index(order, h.payment("small", id).Charge().ID); place < 0 || place >= 3*64 {
			t.Errorf("it was asked about as number %d of %d", place, len(order))
		}
	})
}
