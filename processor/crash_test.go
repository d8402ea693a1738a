package processor_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// A process dies at each step of a payment, and the one that takes over at each
// of its own; a third one finds what they left. The gateway does not do things
// once, or it does, and the first send goes wrong in each way. The client repeats
// its request until it is taken. However that goes, the payment is done once and
// soon, and the books of both sides agree.
func TestCrashesAtEveryStep(t *testing.T) {
	faults := map[string]fault{
		"answered": {}, "mute": {mute: true}, "never arrives": {hangs: true},
		"arrives late": {late: 3900 * time.Millisecond}, // within L of any crash
	}
	for gateway, contract := range map[string]pay.Contract{"mild": mild, "hostile": hostile} {
		for name, f := range faults {
			t.Run(gateway+", "+name, func(t *testing.T) {
				crashes := 0
				for first := 1; ; first++ {
					for second := 0; ; second++ {
						deaths := crashTwice(t, contract, f, first, second)
						crashes += deaths
						if deaths < 1 {
							t.Logf("%d crashes", crashes)
							return
						}
						if second > 0 && deaths < 2 {
							break // the second process came to its end
						}
					}
				}
			})
		}
	}
}

// crashTwice has a process die at a step, and the next one, if that is not 0. It
// returns how many did: one that has no such step does not.
func crashTwice(t *testing.T, contract pay.Contract, f fault, first, second int) (deaths int) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(contract)
		s.fault = func(_ pay.Call, n int) fault {
			if n == 1 {
				return f
			}
			return fault{}
		}
		for _, dieAt := range []int{first, second} {
			if dieAt == 0 {
				continue
			}
			h := openAs(t, b, s, &life{dieAt: dieAt})
			h.create("t", "order-1")
			began := time.Now()
			for !h.life.isDead() && (b.unsettled(t) || time.Since(began) < time.Second) {
				time.Sleep(50 * time.Millisecond)
			}
			if !h.life.isDead() {
				h.shut()
				break
			}
			deaths++
			h.crash()
		}
		h := open(t, b, s)
		h.create("t", "order-1")
		for began := time.Now(); b.unsettled(t); time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("deaths at %d and %d: the payment is not settled", first, second)
			}
		}
		time.Sleep(10 * time.Second) // what may still be on its way
		h.shut()
		judge(t, b, s, fmt.Sprintf("deaths at %d and %d", first, second))
	})
	return deaths
}

// all returns every payment of the tenant.
func (b *books) all(t testing.TB, tenant string) []*pay.Payment {
	t.Helper()
	list, err := b.Payments(context.Background(), tenant, engine.PaymentFilter{}, engine.Page{Limit: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// unsettled says whether there is no payment, or one that is at work.
func (b *books) unsettled(t testing.TB) bool {
	t.Helper()
	all := b.all(t, "t")
	for _, p := range all {
		if p.Status == pay.Processing {
			return true
		}
	}
	return len(all) == 0
}

// judge holds the books of both sides against each other: one payment, which was
// done once and is booked.
func judge(t *testing.T, b *books, s *side, when string) {
	t.Helper()
	all := b.all(t, "t")
	if len(all) != 1 || all[0].Status != pay.Succeeded {
		t.Fatalf("%s: the payments are %v", when, all)
	}
	if n := s.executions(all[0].Charge().ID); n != 1 || len(s.books) != 1 {
		t.Fatalf("%s: it was done %d times, of %d operations", when, n, len(s.books))
	}
	if got := b.posted(t, "t", "merchant:default"); got != 100 {
		t.Fatalf("%s: the merchant has %d", when, got)
	}
}

// A process that was paused between writing a send down and making it does not
// make it, once its lease is over: somebody may have taken it over.
func TestASendThatIsTooLateIsNotMade(t *testing.T) {
	for name, row := range map[string]struct {
		pause    time.Duration
		late     int64
		attempts int64
	}{
		"a pause that is shorter than the lease": {7 * time.Second, 0, 1},
		"one that is longer":                     {9 * time.Second, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBooks(), newSide(hostile)
				h := open(t, b, s)
				defer h.shut()
				first := true
				h.delay = func() time.Duration {
					defer func() { first = false }()
					if first {
						return row.pause
					}
					return 0
				}
				id := h.create("t", "order-1")
				within(t, 30*time.Second, "it is settled", func() bool { return h.payment("t", id).Status == pay.Succeeded })
				o := h.payment("t", id).Charge()
				if got := h.Stats().Gateways["g"].Late; got != row.late || o.Attempt != row.attempts || s.reached(o.ID) != 1 {
					t.Errorf("%d were too late, %d attempts, %d sends", got, o.Attempt, s.reached(o.ID))
				}
			})
		})
	}
}

// Two processes on one store. What one of them sends is its own until the lease
// is over, and from then on only lost: it may still be at it. Nothing is sent in
// its place to a gateway that would do it twice, and its answer still counts.
func TestASendOfAnotherProcessIsOnlyLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault = func(pay.Call, int) fault { return fault{stuck: 20 * time.Minute} }
		replica := func(c *processor.Config, _ *hold) { c.Exclusive = false }
		one, two := open(t, b, s, replica), open(t, b, s, replica)
		one.stop() // it is paused, but for its send
		id := one.create("t", "order-1")
		o := func() *pay.Operation { return one.payment("t", id).Charge() }
		time.Sleep(7 * time.Second)
		if n := s.asked(o().ID); n != 0 || o().LeaseUntil.IsZero() {
			t.Errorf("it was taken over within its lease: %d checks", n)
		}
		time.Sleep(10 * time.Minute)
		if n := s.asked(o().ID); n == 0 || o().Adrift != 1 || !o().StoppedAt.IsZero() {
			t.Errorf("it was not found lost: %d checks, %+v", n, o())
		}
		time.Sleep(20 * time.Minute)
		p := one.payment("t", id)
		if p.Status != pay.Succeeded || s.executions(o().ID) != 1 || s.reached(o().ID) != 1 {
			t.Errorf("it is %s; %d executions, %d sends", p.Status, s.executions(o().ID), s.reached(o().ID))
		}
		one.shut()
		two.shut()
	})
}

// A connector that does not give up in time keeps nobody from asking; but while it
// may still be at it, nothing is sent in its place to a gateway that would do it
// twice.
func TestAConnectorThatHangsIsLost(t *testing.T) {
	for name, row := range map[string]struct {
		contract pay.Contract
		sends    int
		within   time.Duration
	}{
		"a gateway that does things once": {mild, 2, 15 * time.Second},
		"one that would do it a 2nd time": {hostile, 1, 31 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBooks(), newSide(row.contract)
				s.fault = func(_ pay.Call, n int) fault {
					if n == 1 {
						return fault{stuck: 30 * time.Minute}
					}
					return fault{}
				}
				h := open(t, b, s)
				id := h.create("t", "order-1")
				within(t, row.within, "it is settled", func() bool { return h.payment("t", id).Status == pay.Succeeded })
				time.Sleep(time.Hour)
				h.shut()
				judge(t, b, s, name)
				o := h.payment("t", id).Charge().ID
				if s.reached(o) != row.sends || s.asked(o) == 0 {
					t.Errorf("%d sends, %d checks", s.reached(o), s.asked(o))
				}
			})
		})
	}
}
