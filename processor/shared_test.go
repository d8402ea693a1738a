package processor_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// sharing is a process that is not the only one of its store.
func sharing(c *processor.Config, _ *hold) { c.Exclusive = false }

// openShared starts processes that share a store.
func openShared(t *testing.T, b *books, s *side, n int) (all []*house) {
	for range n {
		all = append(all, open(t, b, s, sharing))
	}
	return all
}

// charge has each of some processes make so many payments.
func charge(t *testing.T, all []*house, many int) {
	t.Helper()
	for at, h := range all {
		for i := range many {
			if h.create("t", fmt.Sprintf("order-%d-%d", at, i)) == "" {
				t.Fatal("no payment was made")
			}
		}
	}
}

// wantOneSendEach holds that every operation was sent once, and returns how often the
// gateway was asked about one, on average.
func wantOneSendEach(t *testing.T, b *books, s *side) (asked float64) {
	t.Helper()
	all := b.all(t, "t")
	for _, p := range all {
		if o := p.Charge(); p.Status != pay.Succeeded || s.reached(o.ID) != 1 || s.executions(o.ID) != 1 {
			t.Errorf("%s is %s: sent %d times, done %d times", o.ID, p.Status, s.reached(o.ID), s.executions(o.ID))
		}
	}
	return float64(s.askedInAll()) / float64(len(all))
}

// A gateway does what it is asked and never answers, and would do it again. However
// many processes share the store, each operation is sent once, and the gateway is
// asked about it hardly more often than by one alone.
func TestProcessesShareTheAsking(t *testing.T) {
	asked := map[int]float64{}
	for _, n := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			b, s := newBooks(), newSide(hostile)
			s.fault = func(pay.Call, int) fault { return fault{mute: true} }
			s.ask = func(pay.Call) { time.Sleep(100 * time.Millisecond) }
			all := openShared(t, b, s, n)
			charge(t, all, 300/n)
			within(t, time.Minute, "all are settled", func() bool { return b.processing(t, "t") == 0 })
			asked[n] = wantOneSendEach(t, b, s)
			for _, h := range all {
				h.shut()
			}
		})
	}
	if asked[3] > 1.1*asked[1] {
		t.Errorf("one process asks %.2f times about each, three %.2f times", asked[1], asked[3])
	}
}

// What a process that is gone has sent is looked after by the others, in turn; nothing
// of it is sent again, since it may still be on its way for all that they know.
func TestWhatADeadProcessLeftIsLookedAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault = func(pay.Call, int) fault { return fault{mute: true} }
		s.ask = func(pay.Call) { time.Sleep(100 * time.Millisecond) }
		all := openShared(t, b, s, 3)
		charge(t, all[:1], 300)
		within(t, time.Second, "all are sent", func() bool { return s.count() == 300 })
		all[0].crash()
		within(t, time.Minute, "all are settled", func() bool { return b.processing(t, "t") == 0 })
		if asked := wantOneSendEach(t, b, s); asked > 1.5 {
			t.Errorf("the gateway was asked %.2f times about each", asked)
		}
		if one, two := all[1].Stats().Gateways["g"].Checked, all[2].Stats().Gateways["g"].Checked; min(one, two) < 60 {
			t.Errorf("one of them asked %d times, the other %d times", one, two)
		}
		for _, h := range all[1:] {
			h.shut()
		}
	})
}

// Three processes die in the middle of what they do, one after the other, at any step
// of it, and others come up in their place. The gateway does everything that reaches
// it, answers some of it, and forgets some of what it was sent.
func TestProcessesDieAndNothingIsDoneTwice(t *testing.T) {
	for _, c := range []pay.Contract{hostile, mild} {
		c.Patience = time.Minute
		for dieAt := range 24 {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBooks(), newSide(c)
				s.fault = func(c pay.Call, n int) fault {
					switch c.Operation[len(c.Operation)-1] % 4 {
					case 0:
						return fault{mute: true}
					case 1:
						return fault{late: 2 * time.Second}
					case 2:
						return fault{unsent: n == 1}
					}
					return fault{}
				}
				var all []*house
				for range 3 {
					all = append(all, openAs(t, b, s, &life{dieAt: 1 + dieAt}, sharing))
				}
				for at, h := range all {
					for i := range 5 {
						h.create("t", fmt.Sprintf("order-%d-%d", at, i)) // it may be dead already
					}
				}
				time.Sleep(20 * time.Second)
				last := openShared(t, b, s, 1)[0]
				time.Sleep(3 * time.Minute)
				if op := s.doubled(); op != "" {
					t.Errorf("step %d: %s was done %d times", dieAt, op, s.executions(op))
				}
				if n := b.processing(t, "t"); n != 0 {
					t.Errorf("step %d: %d are at work for ever", dieAt, n)
				}
				for _, h := range all {
					h.crash()
				}
				last.shut()
			})
		}
	}
}
