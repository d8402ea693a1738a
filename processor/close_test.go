package processor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// Close waits for what is in flight, and begins nothing new: commands are refused,
// and an order that comes all the same is left to the next process.
func TestCloseWaitsAndBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault = func(pay.Call, int) fault { return fault{slow: 2 * time.Second} }
		h := open(t, b, s)
		id := h.create("t", "order-1")
		late := h.createJob("t", "order-2", false) // decided by what the house was before
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Close(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a send in flight it says %v", err)
		}
		if h.House().Gateways["g"].Closed == "" {
			t.Error("commands are not told that nothing is begun")
		}
		left := h.made(late)
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p := h.payment("t", id); p.Status != pay.Succeeded {
			t.Errorf("what was in flight is %s", p.Status)
		}
		if n := s.reached(h.payment("t", left).Charge().ID); n != 0 {
			t.Errorf("%d sends after it was closed", n)
		}
		h.shut()

		next := open(t, b, s)
		defer next.shut()
		within(t, 15*time.Second, "what was left is settled", func() bool { return next.payment("t", left).Status == pay.Succeeded })
	})
}

// An order that comes twice is one send.
func TestAnOrderThatComesTwiceIsOneSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault = func(pay.Call, int) fault { return fault{slow: time.Second} }
		h := open(t, b, s)
		defer h.shut()
		h.twice = true
		id := h.create("t", "order-1")
		time.Sleep(2 * time.Second)
		if n := s.reached(h.payment("t", id).Charge().ID); n != 1 {
			t.Errorf("%d sends", n)
		}
	})
}

// A gateway that has too much to do takes nothing new; what is written down by
// then goes on.
func TestTooManySendsAreRefusedBeforeTheyBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault, s.most = func(pay.Call, int) fault { return fault{slow: time.Second} }, 2
		h := open(t, b, s)
		defer h.shut()
		one, two := h.create("t", "order-1"), h.create("t", "order-2")
		synctest.Wait()
		if o := h.exec.Do(t.Context(), h.createJob("t", "order-3", false)); o.Answer.Status != 422 || o.Stored {
			t.Errorf("the third is answered %+v", o)
		}
		time.Sleep(2 * time.Second)
		for _, id := range []string{one, two, h.create("t", "order-3")} {
			time.Sleep(2 * time.Second)
			if p := h.payment("t", id); p.Status != pay.Succeeded {
				t.Errorf("it is %s", p.Status)
			}
		}
	})
}

// Close may come while Run runs: what is due is not asked about any more.
func TestNothingIsAskedOnceItIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		leave(t, b, s, 3, oneTenant)
		s.untold = true
		h := open(t, b, s)
		time.Sleep(time.Second)
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.untold = false
		s.mu.Unlock()
		time.Sleep(time.Minute)
		if n := s.askedInAll(); n != 0 || b.processing(t, "t") != 3 {
			t.Errorf("%d checks, %d wait", n, b.processing(t, "t"))
		}
		h.shut()
	})
}
