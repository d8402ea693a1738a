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

// restored is a store that has the first commits of another one, and no more.
func restored(t *testing.T, commits []*engine.Changes) *books {
	t.Helper()
	b := newBooks()
	if _, err := b.Load(context.Background(), engine.Need{Entries: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	for _, c := range commits {
		if err := b.Commit(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// A store loses its last commits, any number of them, and is told so. All that it knew
// had been done by the gateway; clients send everything again, under the keys that they
// sent it under before. Nothing is done a second time, and in the end nothing is left at
// work: what nobody can know is left to a human.
func TestAStoreThatForgotChargesNobodyTwice(t *testing.T) {
	const orders = 4
	for name, c := range map[string]pay.Contract{"does it again": hostile, "does it once": mild, "cannot be asked": blind} {
		c.Patience = time.Minute
		synctest.Test(t, func(t *testing.T) {
			b, s := newBooks(), newSide(c)
			s.fault = func(pay.Call, int) fault { return fault{slow: 100 * time.Millisecond} }
			h := open(t, b, s)
			for i := range orders {
				if h.create("t", fmt.Sprintf("order-%d", i)) == "" {
					t.Fatal("no payment was made")
				}
				time.Sleep(30 * time.Millisecond) // so that intents and answers lie one between the other
			}
			within(t, time.Minute, "all are settled", func() bool { return b.processing(t, "t") == 0 })
			h.shut()
			if len(b.log) < 2*orders {
				t.Fatalf("%d commits", len(b.log))
			}
			for kept := range len(b.log) {
				lost := time.Now()
				again := restored(t, b.log[:kept])
				h := open(t, again, s, func(cfg *processor.Config, _ *hold) { cfg.Forgot = func() time.Time { return lost } })
				for range 3 {
					for i := range orders {
						h.create("t", fmt.Sprintf("order-%d", i))
					}
					for _, p := range again.all(t, "t") {
						h.exec.Do(t.Context(), &engine.Job{Tenant: "t", Payment: pay.ConfirmPayment{Ask: pay.Ask{House: h.House()}, Ref: p.Ref}})
					}
					time.Sleep(time.Minute)
				}
				if n := s.did(); n != orders {
					t.Fatalf("a gateway that %s: with %d of %d commits kept, %d orders were charged %d times", name, kept, len(b.log), orders, n)
				}
				if n := again.processing(t, "t"); n > 0 {
					t.Errorf("a gateway that %s: with %d commits kept, %d are at work for ever", name, kept, n)
				}
				h.shut()
			}
		})
	}
}

// did returns how often anything was done at all.
func (s *side) did() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.books {
		n += len(x)
	}
	return n
}
