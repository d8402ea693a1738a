package processor_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// A customer who comes back from the gateway's page confirms again: the gateway is
// asked now, and the answer is recorded when Check returns.
func TestCheckAsksNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.contract.LookupLag = time.Millisecond
		s.fault = func(pay.Call, int) fault { return fault{acts: true} }
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		time.Sleep(time.Second)
		if p := h.payment("t", id); p.Status != pay.RequiresAction {
			t.Fatalf("it is %s", p.Status)
		}
		s.finish(h.payment("t", id).Charge().ID, pay.Done)
		if err := h.Check(t.Context(), pay.Ref{Tenant: "t", ID: id}); err != nil {
			t.Fatal(err)
		}
		if p := h.payment("t", id); p.Status != pay.Succeeded || s.asked(p.Charge().ID) != 1 {
			t.Errorf("it is %s after %d checks", p.Status, s.asked(p.Charge().ID))
		}
	})
}

// What is asked about is what is not settled, whatever came before it.
func TestCheckAsksAboutWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.contract.LookupLag = time.Millisecond
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		synctest.Wait()
		s.fault = func(pay.Call, int) fault { return fault{mute: true} }
		ref := pay.Ref{Tenant: "t", ID: id}
		if o := h.exec.Do(t.Context(), &engine.Job{Tenant: "t", Payment: pay.RefundPayment{Ask: pay.Ask{House: h.House()}, Ref: ref}}); o.Err != nil {
			t.Fatal(o.Err)
		}
		time.Sleep(10 * time.Millisecond)
		if err := h.Check(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		p := h.payment("t", id)
		if p.Refunded != 100 || s.asked(p.Operations[1].ID) != 1 || s.asked(p.Operations[0].ID) != 0 {
			t.Errorf("%d is given back; %d checks of the refund, %d of the charge", p.Refunded, s.asked(p.Operations[1].ID), s.asked(p.Operations[0].ID))
		}
	})
}

// All of it is asked at once, as far as there are slots: whoever waits does so as
// long as the gateway takes for one of them.
func TestCheckAsksAtOnce(t *testing.T) {
	for slots, want := range map[int]time.Duration{64: 2 * time.Second, 2: 4 * time.Second, 1: 6 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b, s := newBooks(), newSide(hostile)
			h := open(t, b, s, func(c *processor.Config, _ *hold) { c.MaxChecks = slots })
			defer h.shut()
			id := h.create("t", "order-1")
			synctest.Wait()
			ref, do := pay.Ref{Tenant: "t", ID: id}, func(c pay.Command) {
				if o := h.exec.Do(t.Context(), &engine.Job{Tenant: "t", Payment: c}); o.Err != nil {
					t.Error(o.Err)
				}
				synctest.Wait()
			}
			for i := range 3 { // each is given back, and then the gateway says that it was not
				do(pay.RefundPayment{Ask: pay.Ask{House: h.House()}, Ref: ref, Amount: new(int64(10))})
				do(pay.Record{Ref: ref, Operation: h.payment("t", id).Operations[i+1].ID, House: h.House(), Finding: &pay.Finding{Outcome: pay.Declined}})
			}
			h.stop() // nobody else asks
			h.running.Wait()
			synctest.Wait()
			s.ask = func(pay.Call) { time.Sleep(2 * time.Second) }
			began := time.Now()
			if err := h.Check(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			if n, took := len(h.payment("t", id).Questions()), time.Since(began); n != 3 || took != want {
				t.Errorf("with %d slots %d questions took %s, want %s", slots, n, took, want)
			}
		})
	}
}

// Of what is settled only the charge is asked about: a payment may have hundreds of
// operations.
func TestCheckOfWhatIsSettledAsksAboutTheCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		synctest.Wait()
		ref := pay.Ref{Tenant: "t", ID: id}
		for range 3 {
			h.exec.Do(t.Context(), &engine.Job{Tenant: "t", Payment: pay.RefundPayment{Ask: pay.Ask{House: h.House()}, Ref: ref, Amount: new(int64(10))}})
			synctest.Wait()
		}
		if err := h.Check(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		p := h.payment("t", id)
		if p.Refunded != 30 || s.asked(p.Charge().ID) != 1 {
			t.Errorf("%d is given back; the charge was asked about %d times", p.Refunded, s.asked(p.Charge().ID))
		}
		for _, o := range p.Operations[1:] {
			if n := s.asked(o.ID); n != 0 {
				t.Errorf("the %s was asked about %d times", o.Kind, n)
			}
		}
	})
}

// What is due while somebody asks about it is not asked about by another.
func TestWhatIsDueIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.contract.LookupLag = time.Millisecond
		s.fault = func(pay.Call, int) fault { return fault{mute: true} }
		s.ask = func(pay.Call) { time.Sleep(2 * time.Second) }
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		time.Sleep(3*time.Second + 100*time.Millisecond) // it is in doubt, and not due yet
		if err := h.Check(t.Context(), pay.Ref{Tenant: "t", ID: id}); err != nil {
			t.Fatal(err)
		}
		if p := h.payment("t", id); p.Status != pay.Succeeded || s.asked(p.Charge().ID) != 1 {
			t.Errorf("it is %s after %d checks", p.Status, s.asked(p.Charge().ID))
		}
	})
}

// Many who ask about one payment are one question, but for those who came when it
// was on its way already: what it is told may be older than they are.
func TestChecksAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.contract.LookupLag = time.Millisecond
		s.fault = func(pay.Call, int) fault { return fault{acts: true} }
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		synctest.Wait()
		o := h.payment("t", id).Charge().ID
		s.ask = func(pay.Call) { time.Sleep(time.Second) }
		var all sync.WaitGroup
		ask := func() {
			if err := h.Check(context.Background(), pay.Ref{Tenant: "t", ID: id}); err != nil {
				t.Error(err)
			}
		}
		all.Go(ask)
		time.Sleep(500 * time.Millisecond)
		for range 100 {
			all.Go(ask)
		}
		all.Wait()
		if n := s.asked(o); n != 2 {
			t.Errorf("the gateway was asked %d times", n)
		}
	})
}

// What cannot be asked says so.
func TestChecksThatCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(blind)
		h := open(t, b, s)
		id := h.create("t", "order-1")
		synctest.Wait()
		check := func(id string, want error) {
			t.Helper()
			if err := h.Check(t.Context(), pay.Ref{Tenant: "t", ID: id}); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		check("pay_none", processor.ErrNoPayment)
		check(id, processor.ErrCannotAsk)
		other := open(t, b, s, func(c *processor.Config, _ *hold) { c.Connectors = nil })
		if err := other.Check(t.Context(), pay.Ref{Tenant: "t", ID: id}); !errors.Is(err, processor.ErrNoGateway) {
			t.Errorf("got %v", err)
		}
		other.shut()
		s.contract.Lookup, s.untold = true, true
		check(id, processor.ErrUntold)
		s.untold = false
		h.shut()
		check(id, processor.ErrClosed)
	})
}

// A caller who goes away takes the question along if it was not asked yet; and
// nobody else waits for it.
func TestACallerThatGoesAwayLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		h := open(t, b, s, func(c *processor.Config, _ *hold) { c.MaxChecks = 1 })
		defer h.shut()
		one, two := h.create("t", "order-1"), h.create("t", "order-2")
		synctest.Wait()
		s.ask = func(pay.Call) { time.Sleep(2 * time.Second) }
		go h.Check(context.Background(), pay.Ref{Tenant: "t", ID: one})
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Check(ctx, pay.Ref{Tenant: "t", ID: two}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if n := s.asked(h.payment("t", two).Charge().ID); n != 0 {
			t.Errorf("it was asked about %d times", n)
		}
		if err := h.Check(t.Context(), pay.Ref{Tenant: "t", ID: two}); err != nil {
			t.Error(err)
		}
		if n := s.asked(h.payment("t", two).Charge().ID); n != 1 {
			t.Errorf("it was asked about %d times for one who waited", n)
		}
	})
}

// Who does not wait for a check has it made all the same: of each question, and of
// what is settled too.
func TestACheckThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		s.contract.LookupLag = time.Millisecond
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		time.Sleep(time.Second)
		ref, do := pay.Ref{Tenant: "t", ID: id}, func(c pay.Command) {
			if o := h.exec.Do(t.Context(), &engine.Job{Tenant: "t", Payment: c}); o.Err != nil {
				t.Error(o.Err)
			}
			synctest.Wait()
		}
		do(pay.AskGateway{Ref: ref, House: h.House()})
		charge := h.payment("t", id).Charge().ID
		if n := s.asked(charge); n != 1 {
			t.Errorf("of what is settled the charge was asked about %d times", n)
		}
		var refunds []string
		for i := range 2 { // each is given back, and then the gateway says that it was not
			do(pay.RefundPayment{Ask: pay.Ask{House: h.House()}, Ref: ref, Amount: new(int64(10))})
			refunds = append(refunds, h.payment("t", id).Operations[i+1].ID)
			do(pay.Record{Ref: ref, Operation: refunds[i], House: h.House(), Finding: &pay.Finding{Outcome: pay.Declined}})
		}
		time.Sleep(time.Minute)
		time.Sleep(time.Minute) // it was asked what is so
		before := []int{s.asked(refunds[0]), s.asked(refunds[1])}
		do(pay.AskGateway{Ref: ref, House: h.House()})
		time.Sleep(time.Second)
		for i, o := range refunds {
			if n := s.asked(o) - before[i]; n != 1 {
				t.Errorf("refund %d was asked about %d times more", i+1, n)
			}
		}
		if n := s.asked(charge); n != 1 {
			t.Errorf("the charge was asked about %d times, and it is not in question", n)
		}
	})
}
