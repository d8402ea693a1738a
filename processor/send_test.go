package processor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// A payment whose gateway answers is sent once and is two commits.
func TestAPaymentThatIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		synctest.Wait()
		p := h.payment("t", id)
		if p.Status != pay.Succeeded {
			t.Errorf("it is %s", p.Status)
		}
		if n := s.executions(p.Charge().ID); n != 1 || b.written() != 2 {
			t.Errorf("%d executions, %d commits", n, b.written())
		}
		if got := b.posted(t, "t", "merchant:default"); got != 100 {
			t.Errorf("the merchant has %d", got)
		}
	})
}

// What becomes of a payment whose gateway fails the first time: it ends as it
// should, soon, and is not done twice.
func TestFaultsOfAGateway(t *testing.T) {
	first := func(f fault) func(pay.Call, int) fault {
		return func(_ pay.Call, n int) fault {
			if n == 1 {
				return f
			}
			return fault{}
		}
	}
	for name, row := range map[string]struct {
		contract   pay.Contract
		fault      func(pay.Call, int) fault
		want       pay.Status
		sends      int
		executions int
		within     time.Duration
	}{
		"an answer that is slow": {hostile, first(fault{slow: 2 * time.Second}), pay.Succeeded, 1, 1, 3 * time.Second},
		"a decline":              {hostile, first(fault{declines: true}), pay.Failed, 1, 1, time.Second},
		"an answer that never comes is asked for":                       {hostile, first(fault{mute: true}), pay.Succeeded, 1, 1, 10 * time.Second},
		"a request that never arrives is sent again, once it must have": {hostile, first(fault{hangs: true}), pay.Succeeded, 2, 1, 20 * time.Second},
		"a request that arrives late, as late as it may":                {hostile, first(fault{late: 6900 * time.Millisecond}), pay.Succeeded, 1, 1, 30 * time.Second},
		"a gateway that does it once gets it again before that":         {mild, first(fault{hangs: true}), pay.Succeeded, 2, 1, 8 * time.Second},
		"it may arrive twice at one that does it once":                  {mild, first(fault{late: 5 * time.Second}), pay.Succeeded, 2, 1, 20 * time.Second},
		"a connector with a defect has said nothing":                    {hostile, first(fault{panics: true}), pay.Succeeded, 2, 1, 20 * time.Second},
		"one that breaks at the answer has said nothing either":         {hostile, first(fault{breaks: true}), pay.Succeeded, 1, 1, 9 * time.Second},
		"one that cannot be asked is left to a human":                   {blind, first(fault{mute: true}), pay.NeedsReview, 1, 1, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBooks(), newSide(row.contract)
				s.fault = row.fault
				h := open(t, b, s)
				defer h.shut()
				id := h.create("t", "order-1")
				within(t, row.within, "it is settled", func() bool { return h.payment("t", id).Status != pay.Processing })
				p := h.payment("t", id)
				time.Sleep(time.Minute)
				if p.Status != row.want {
					t.Errorf("it is %s, want %s", p.Status, row.want)
				}
				o := p.Charge().ID
				if s.reached(o) != row.sends || s.executions(o) != row.executions {
					t.Errorf("%d sends, %d executions; want %d, %d", s.reached(o), s.executions(o), row.sends, row.executions)
				}
			})
		})
	}
}
