package processor_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// A sender that was lost is gone with its process: what it may have sent is looked
// for, and sent again when it must have been seen, though the gateway would do it
// twice.
func TestALostSenderIsGoneWithItsProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault = func(pay.Call, int) fault { return fault{hangs: true} }
		one := open(t, b, s)
		id := one.create("t", "order-1")
		one.crash()
		s.fault = nil
		b.lose(t, one.payment("t", id))
		two := open(t, b, s)
		defer two.shut()
		within(t, 15*time.Second, "it is settled", func() bool { return two.payment("t", id).Status == pay.Succeeded })
		if o := two.payment("t", id).Charge(); o.Adrift != 0 || s.executions(o.ID) != 1 {
			t.Errorf("%d executions, %+v", s.executions(o.ID), o)
		}
	})
}

// lose has the store say that the charge's only sender was lost.
func (b *books) lose(t *testing.T, p *pay.Payment) {
	t.Helper()
	o := p.Charge()
	o.Adrift, o.Exposed, o.LeaseUntil, o.DueAt = o.Attempt, true, time.Time{}, o.SentAt
	p.InDoubt = true
	p.Version++
	c := &engine.Changes{At: time.Now(), Ledger: &ledger.Changes{}, Payments: &pay.Changes{Payments: []*pay.Payment{p}}}
	if err := b.Memory.Commit(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

// A clock that was wrong for a moment says nothing of what was open then, also when
// it is right again: for how long the store's time stood still nobody knows.
func TestWhatIsOpenIsNotRepeatedOnceTheClockWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		s.fault = func(pay.Call, int) fault { return fault{hangs: true} }
		s.twist = func(_ pay.Call, f *pay.Finding) { *f = pay.Finding{} }
		var lost atomic.Bool
		h := open(t, b, s, func(c *processor.Config, _ *hold) { c.Jumped = lost.Load })
		defer h.shut()
		id := h.create("t", "order-1")
		waits := func() bool {
			o := h.payment("t", id).Charge()
			return o.LeaseUntil.IsZero() && o.DueAt.After(time.Now().Add(10*time.Second))
		}
		within(t, time.Hour, "it is waited for longer than the clock will be wrong", waits)
		if h.payment("t", id).Charge().ResendUntil.IsZero() {
			t.Fatal("it could not be repeated in the first place")
		}
		lost.Store(true)
		time.Sleep(time.Second)
		lost.Store(false)
		if o := h.payment("t", id).Charge(); !o.ResendUntil.IsZero() {
			t.Errorf("it may be repeated until %v", o.ResendUntil)
		}
	})
}

// The store's last commit was made by a clock that was far ahead of what is right.
// What falls into doubt is asked about all the same, and nothing waits until the
// machine's clock has caught up.
func TestAStoreFromTheFutureIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		s.fault = func(pay.Call, int) fault { return fault{mute: true} } // it is done, and not answered
		h := open(t, b, s, func(_ *processor.Config, hold *hold) { hold.since = time.Now().AddDate(10, 0, 0) })
		defer h.shut()
		ctx, stop := context.WithCancel(t.Context())
		var kept sync.WaitGroup
		kept.Go(func() { h.exec.Keep(ctx, b, engine.UpkeepConfig{Log: slog.New(slog.DiscardHandler)}) })
		defer kept.Wait()
		defer stop()
		id := h.create("t", "order-1")
		within(t, 30*time.Second, "it is settled", func() bool { return h.payment("t", id).Status == pay.Succeeded })
		if !h.exec.ClockLost() {
			t.Error("the clock is relied on")
		}
	})
}

// The same is so at a gateway that says what it promises only while the clock is
// lost.
func TestAGatewayThatSpeaksWhileTheClockIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		s.fault = func(pay.Call, int) fault { return fault{hangs: true} }
		s.twist = func(_ pay.Call, f *pay.Finding) { *f = pay.Finding{} }
		before := open(t, b, s)
		id := before.create("t", "order-1")
		far := func() bool { return before.payment("t", id).Charge().DueAt.After(time.Now().Add(20 * time.Second)) }
		within(t, time.Hour, "it is waited for longer than leases last", far)
		before.shut()
		speak := func(untold bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.untold = untold
		}
		var lost atomic.Bool
		lost.Store(true)
		speak(true)
		h := open(t, b, s, func(c *processor.Config, _ *hold) { c.Jumped = lost.Load })
		defer h.shut()
		time.Sleep(time.Second)
		speak(false)
		time.Sleep(time.Second)
		lost.Store(false)
		if o := h.payment("t", id).Charge(); !o.ResendUntil.IsZero() {
			t.Errorf("it may be repeated until %v", o.ResendUntil)
		}
	})
}

// That the clock was lost is written down also of what waits until the gateway can
// be asked about it: the gateway may take longer to answer than the clock is wrong.
func TestWhatWaitsForACheckIsNotRepeatedOnceTheClockWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := hanging(t, 200)
		var lost atomic.Bool
		h := open(t, b, s, func(c *processor.Config, _ *hold) { c.Jumped = lost.Load })
		defer h.shut()
		time.Sleep(time.Second)
		lost.Store(true)
		time.Sleep(time.Second)
		lost.Store(false)
		waited := 0
		for _, p := range b.all(t, "large") {
			o := p.Charge()
			if s.asked(o.ID) > 0 {
				continue
			}
			if waited++; !o.ResendUntil.IsZero() {
				t.Fatalf("%s may be repeated until %v", o.ID, o.ResendUntil)
			}
		}
		if waited != 200-64 {
			t.Errorf("%d waited", waited)
		}
	})
}

// What is settled is sent no more, whatever the time is: a webhook about it has
// the gateway asked also while the clock is lost.
func TestAWebhookIsLookedIntoWhileTheClockIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		s.contract.LookupLag = time.Millisecond
		var lost atomic.Bool
		h := open(t, b, s, func(c *processor.Config, _ *hold) { c.Jumped = lost.Load })
		defer h.shut()
		id := h.create("t", "order-1")
		time.Sleep(time.Second)
		o := h.payment("t", id).Charge()
		if o.Outcome != pay.Done || o.ResendUntil.IsZero() {
			t.Fatalf("it is %s, and could be repeated until %v", o.Outcome, o.ResendUntil)
		}
		lost.Store(true)
		if err := h.notify(webhook{ID: "evt_1", Payment: id, Operation: o.ID}); err != nil {
			t.Fatal(err)
		}
		within(t, time.Second, "it is asked about", func() bool { return s.asked(o.ID) == 1 })
	})
}
