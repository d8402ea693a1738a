package processor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// leave has a process send many payments that the gateway does and does not
// answer, and dies while it waits.
func leave(t testing.TB, b *books, s *side, many int, tenant func(i int) string) {
	t.Helper()
	s.fault = func(_ pay.Call, n int) fault { return fault{mute: n == 1} }
	h := open(t, b, s)
	jobs := make([]*engine.Job, 0, 1000)
	for i := 0; i < many; {
		for jobs = jobs[:0]; i < many && len(jobs) < cap(jobs); i++ {
			jobs = append(jobs, h.createJob(tenant(i), fmt.Sprintf("order-%d", i), false))
		}
		for _, o := range h.exec.DoAll(context.Background(), jobs) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
	for s.count() < many {
		time.Sleep(time.Millisecond)
	}
	h.crash()
}

func oneTenant(int) string { return "t" }

// processing counts the payments that are at work.
func (b *books) processing(t testing.TB, tenant string) (n int) {
	for _, p := range b.all(t, tenant) {
		if p.Status == pay.Processing {
			n++
		}
	}
	return n
}

// Ten thousand payments are in doubt when a process dies. The next one asks a
// gateway that takes 20 ms for each about all of them at once, as many at a time
// as it may and no more, and is done soon.
func TestTenThousandInDoubt(t *testing.T) {
	const many = 10_000
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.contract.LookupLag = 0 // they are old
		leave(t, b, s, many, oneTenant)
		s.contract.LookupLag = hostile.LookupLag
		s.age(time.Minute)
		s.ask = func(pay.Call) { time.Sleep(20 * time.Millisecond) }
		h := open(t, b, s)
		defer h.shut()
		within(t, 5*time.Second, "all are settled", func() bool { return h.Stats().Gateways["g"].Settled == many })
		if n := b.processing(t, "t"); n != 0 {
			t.Errorf("%d are at work", n)
		}
		if order, most := s.asks(); most != 64 || len(order) != many || s.doubled() != "" {
			t.Errorf("%d checks at once, %d in all; %q was done twice", most, len(order), s.doubled())
		}
		if got := b.posted(t, "t", "merchant:default"); got != 100*many {
			t.Errorf("the merchant has %d", got)
		}
		g := h.Stats().Gateways["g"]
		if g.Gone != many || g.Settled != many || g.Checked != many || g.Backlog != 0 || g.Checking != 0 {
			t.Errorf("it counts %+v", g)
		}
	})
}

// What a process that is gone left at a gateway that cannot be asked is sent again
// if the gateway does things once, and left to a human if it does not.
func TestWhatIsLeftAtAGatewayThatCannotBeAsked(t *testing.T) {
	for name, row := range map[string]struct {
		window time.Duration
		busy   time.Duration // for so long the store takes nothing
		want   pay.Status
		sends  int
		within time.Duration
	}{
		"it does things once":                    {24 * time.Hour, 0, pay.Succeeded, 2, 2 * time.Second},
		"it does things once, the store is busy": {24 * time.Hour, 3 * time.Second, pay.Succeeded, 2, 5 * time.Second},
		"it may do things twice":                 {0, 0, pay.NeedsReview, 1, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBooks(), newSide(blind)
				s.contract.Window = row.window
				leave(t, b, s, 1, oneTenant)
				h := open(t, b, s, func(_ *processor.Config, hold *hold) {
					opened := time.Now()
					hold.fail = func() error {
						if time.Since(opened) < row.busy {
							return fmt.Errorf("%w: the disk is full", engine.ErrNotCommitted)
						}
						return nil
					}
				})
				defer h.shut()
				within(t, row.within, "it is settled", func() bool { return b.processing(t, "t") == 0 })
				p := b.all(t, "t")[0]
				if o := p.Charge().ID; p.Status != row.want || s.reached(o) != row.sends || s.executions(o) != 1 {
					t.Errorf("it is %s after %d sends, done %d times", p.Status, s.reached(o), s.executions(o))
				}
			})
		})
	}
}

// What is due is found behind a backlog of another tenant, however long.
func TestABacklogHidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		leave(t, b, s, 6_001, func(i int) string {
			if i < 6_000 {
				return "large"
			}
			return "small"
		})
		s.age(time.Minute)
		s.ask = func(pay.Call) { time.Sleep(20 * time.Millisecond) }
		time.Sleep(10 * time.Second) // the leases are over
		h := open(t, b, s, func(c *processor.Config, _ *hold) { c.Exclusive = false })
		defer h.shut()
		time.Sleep(time.Second)
		if g := h.Stats().Gateways["g"]; g.Backlog == 0 || g.Backlog+g.Settled > 6_001 {
			t.Errorf("%d wait when %d are settled", g.Backlog, g.Settled)
		}
		within(t, 5*time.Second, "all are settled", func() bool { return h.Stats().Gateways["g"].Settled == 6_001 })
		order, _ := s.asks()
		if len(order) != 6_001 {
			t.Errorf("%d checks", len(order))
		}
		if place := slices.Index(order, b.all(t, "small")[0].Charge().ID); place > 1_800 {
			t.Errorf("the payment of the small tenant was asked about as number %d", place)
		}
	})
}

// A tenant with a great backlog delays nobody else's.
func TestTenantsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		leave(t, b, s, 3_010, func(i int) string {
			if i < 3_000 {
				return "large"
			}
			return "small"
		})
		s.age(time.Minute)
		s.ask = func(pay.Call) { time.Sleep(20 * time.Millisecond) }
		h := open(t, b, s)
		defer h.shut()
		within(t, 5*time.Second, "all are settled", func() bool { return b.processing(t, "large")+b.processing(t, "small") == 0 })
		order, _ := s.asks()
		for _, p := range b.all(t, "small") {
			if place := slices.Index(order, p.Charge().ID); place > 100 {
				t.Errorf("a payment of the small tenant was asked about as number %d", place)
			}
		}
	})
}

// While the store takes nothing, what the gateway answered is kept and recorded
// later: nobody has to ask for it, and nothing is sent again.
func TestAnAnswerIsNotLostToABusyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		var busy atomic.Bool
		h := open(t, b, s, func(_ *processor.Config, hold *hold) {
			hold.fail = func() error {
				if busy.Load() {
					return fmt.Errorf("%w: the disk is full", engine.ErrNotCommitted)
				}
				return nil
			}
		})
		defer h.shut()
		s.fault = func(pay.Call, int) fault { busy.Store(true); return fault{} }
		id := h.create("t", "order-1")
		time.Sleep(6 * time.Second) // within its lease: nobody asks yet
		if p := h.payment("t", id); p.Status != pay.Processing {
			t.Fatalf("it is %s while the store takes nothing", p.Status)
		}
		busy.Store(false)
		within(t, 3*time.Second, "it is settled", func() bool { return h.payment("t", id).Status == pay.Succeeded })
		o := h.payment("t", id).Charge()
		if s.reached(o.ID) != 1 || s.asked(o.ID) != 0 {
			t.Errorf("%d sends, %d checks", s.reached(o.ID), s.asked(o.ID))
		}
		if h.Stats().Gateways["g"].Retried == 0 {
			t.Error("no try to record it is counted as failed")
		}
	})
}

// Answers that find no place in the queue come again: all of them are recorded.
func TestAnswersThatFindNoPlaceComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault = func(pay.Call, int) fault { return fault{slow: time.Second} }
		h := open(t, b, s, func(_ *processor.Config, hold *hold) { hold.queue = 64 })
		defer h.shut()
		for i := range 600 {
			h.create("t", fmt.Sprintf("order-%d", i))
		}
		within(t, 20*time.Second, "all are settled", func() bool { return b.processing(t, "t") == 0 })
		if s.doubled() != "" || s.askedInAll() != 0 {
			t.Errorf("%q was done twice; %d checks", s.doubled(), s.askedInAll())
		}
		if h.Stats().Gateways["g"].Retried == 0 {
			t.Error("all of them found a place")
		}
	})
}

// What cannot be recorded because of a defect is not asked about all the time, and
// does not keep others waiting.
func TestADefectIsLeftAloneForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault = func(_ pay.Call, n int) fault { return fault{mute: true} }
		s.twist = func(c pay.Call, f *pay.Finding) {
			if c.Reference == "order-bad" {
				f.Outcome = 99
			}
		}
		h := open(t, b, s)
		defer h.shut()
		bad, good := h.create("t", "order-bad"), h.create("t", "order-good")
		time.Sleep(5 * time.Minute)
		if p := h.payment("t", good); p.Status != pay.Succeeded {
			t.Errorf("the other payment is %s", p.Status)
		}
		p := h.payment("t", bad)
		if n := s.asked(p.Charge().ID); p.Status != pay.Processing || n < 3 || n > 10 {
			t.Errorf("it is %s after %d checks", p.Status, n)
		}
	})
}

// A gateway that is not configured, or has not said yet what it promises: what is
// due there is left as it is until it has.
func TestNothingIsDecidedAboutAGatewayThatIsNotKnown(t *testing.T) {
	for name, set := range map[string]func(*processor.Config, *side){
		"not configured":   func(c *processor.Config, _ *side) { c.Connectors = nil },
		"has not said yet": func(_ *processor.Config, s *side) { s.untold = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBooks(), newSide(mild)
				leave(t, b, s, 3, oneTenant)
				h := open(t, b, s, func(c *processor.Config, _ *hold) { set(c, s) })
				commits := b.written()
				time.Sleep(time.Hour)
				if s.askedInAll() != 0 || b.written() != commits || b.processing(t, "t") != 3 {
					t.Errorf("%d checks, %d commits", s.askedInAll(), b.written()-commits)
				}
				err := h.notify(webhook{ID: "evt_1"})
				if !errors.Is(err, processor.ErrUntold) && !errors.Is(err, processor.ErrNoGateway) {
					t.Errorf("a webhook: %v", err)
				}
				if h.Stats().Stranded != 3 {
					t.Errorf("%d are counted", h.Stats().Stranded)
				}
				s.mu.Lock()
				s.untold = false
				s.mu.Unlock()
				if name == "has not said yet" {
					within(t, 20*time.Second, "they are settled", func() bool { return b.processing(t, "t") == 0 })
				}
				h.shut()
			})
		})
	}
}

// A gateway that takes back what it promised has nothing decided about it.
func TestAGatewayThatForgetsItsContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		s.fault = func(_ pay.Call, n int) fault { return fault{mute: n == 1} }
		h := open(t, b, s)
		defer h.shut()
		h.create("t", "order-1")
		time.Sleep(time.Second)
		s.mu.Lock()
		s.untold, s.contract = true, pay.Contract{}
		s.mu.Unlock()
		time.Sleep(time.Hour)
		if n := b.written(); n != 2 {
			t.Errorf("%d commits, want the intent's and that there was no answer", n)
		}
		if s.askedInAll() != 0 || b.processing(t, "t") != 1 {
			t.Errorf("%d checks; the payment is %s", s.askedInAll(), b.all(t, "t")[0].Status)
		}
		if n := h.Stats().Stranded; n != 1 {
			t.Errorf("%d are counted", n)
		}
		s.mu.Lock()
		s.untold, s.contract = false, mild
		s.mu.Unlock()
		within(t, 20*time.Second, "it is settled", func() bool { return b.processing(t, "t") == 0 })
	})
}

// While the clock cannot be relied on, its age does not prove that something did
// not happen: a human decides.
func TestAClockThatHasJumpedProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.fault = func(pay.Call, int) fault { return fault{hangs: true} }
		h := open(t, b, s, func(c *processor.Config, _ *hold) { c.Jumped = func() bool { return true } })
		defer h.shut()
		if !h.House().Jumped {
			t.Error("commands are not told")
		}
		id := h.create("t", "order-1")
		within(t, 20*time.Second, "it is settled", func() bool { return h.payment("t", id).Status == pay.NeedsReview })
		if n := s.reached(h.payment("t", id).Charge().ID); n != 1 {
			t.Errorf("%d sends", n)
		}
		if n := h.Stats().Gateways["g"].Parked; n != 1 {
			t.Errorf("%d are counted as parked", n)
		}
	})
}

// A store that cannot be read for a while keeps nobody waiting for longer:
// neither what is due can be read, nor, after that, the payments.
func TestReadsThatFailAreMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		leave(t, b, s, 3, oneTenant)
		s.age(time.Minute)
		h := open(t, b, s, func(c *processor.Config, hold *hold) { c.Store = &worn{hold, time.Now()} })
		defer h.shut()
		within(t, 5*time.Second, "they are settled", func() bool { return b.processing(t, "t") == 0 })
	})
}

// worn is a store that cannot be read at first.
type worn struct {
	*hold
	since time.Time
}

var errRead = errors.New("the store cannot be read")

func (w *worn) DueOperations(ctx context.Context, gateway string, now time.Time, limit int) ([]pay.Due, error) {
	if time.Since(w.since) < 2*time.Second {
		return nil, errRead
	}
	return w.hold.DueOperations(ctx, gateway, now, limit)
}

func (w *worn) Load(ctx context.Context, need engine.Need) (engine.Rows, error) {
	if time.Since(w.since) < 4*time.Second {
		return engine.Rows{}, errRead
	}
	return w.hold.Load(ctx, need)
}

// Commands are told of the clock as the executor sees it.
func TestTheHouseSaysWhetherTheClockCanBeReliedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, newBooks(), newSide(hostile))
		defer h.shut()
		var set atomic.Int64
		began := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.exec.Keep(ctx, h.hold.Memory, engine.UpkeepConfig{
			Uptime: func() time.Duration { return time.Since(began) - time.Duration(set.Load()) },
			Log:    slog.New(slog.DiscardHandler),
		})
		synctest.Wait()
		for _, jump := range []time.Duration{0, time.Hour, 0, -time.Hour} {
			set.Store(int64(jump))
			if got := h.House().Jumped; got != (jump != 0) {
				t.Errorf("with a clock that was set by %s it says %v", jump, got)
			}
		}
	})
}
