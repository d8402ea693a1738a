package processor_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// A gateway that needs a moment to say what it promises is nobody's trouble; one
// that stays silent is, and is told of once.
func TestAStrangeGatewayIsToldOfLateAndOnce(t *testing.T) {
	for name, row := range map[string]struct {
		silent time.Duration
		told   int
	}{
		"it speaks after a moment": {2 * time.Second, 0},
		"it stays silent":          {time.Hour, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBooks(), newSide(mild)
				leave(t, b, s, 3, oneTenant)
				time.Sleep(time.Minute) // their leases are over: they are due at once
				s.untold = true
				var log bytes.Buffer
				h := open(t, b, s, func(c *processor.Config, _ *hold) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
				time.Sleep(row.silent)
				s.mu.Lock()
				s.untold = false
				s.mu.Unlock()
				within(t, 20*time.Second, "they are settled", func() bool { return b.processing(t, "t") == 0 })
				h.shut()
				if got := strings.Count(log.String(), "has not said yet"); got != row.told {
					t.Errorf("it was told %d times, want %d:\n%s", got, row.told, log.String())
				}
			})
		})
	}
}

// However much is due at a gateway that was removed, and however many of its
// notices are kept, it hides nothing of another, is told of once, and is not
// counted without end.
func TestAGatewayThatWasRemovedHidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(mild)
		s.contract.LookupLag = time.Millisecond
		leave(t, b, s, 3, oneTenant)
		var log bytes.Buffer
		h := open(t, b, s, func(c *processor.Config, hold *hold) {
			c.Store, c.Log = &crowded{hold}, slog.New(slog.NewTextHandler(&log, nil))
		})
		within(t, 10*time.Second, "what was left is settled", func() bool { return b.processing(t, "t") == 0 })
		s.fault = func(pay.Call, int) fault { return fault{acts: true, slow: 2 * time.Second} }
		o := h.payment("t", h.create("t", "order-new")).Charge().ID
		if err := h.notify(webhook{ID: "evt_1", GatewayID: "ch_" + o + "_0"}); err != nil {
			t.Fatal(err)
		}
		within(t, 5*time.Second, "its notice, which was kept, is looked into", func() bool { return s.asked(o) > 0 })
		time.Sleep(time.Minute)
		if stats := h.Stats(); stats.Stranded != 1_000 || stats.OldestDue < time.Hour {
			t.Errorf("it counts %d, the longest due for %s", stats.Stranded, stats.OldestDue)
		}
		h.shut()
		if n := strings.Count(log.String(), "not configured"); n != 1 || !strings.Contains(log.String(), "gateway=gone") {
			t.Errorf("it was told %d times:\n%s", n, log.String())
		}
	})
}

// crowded is a store in which more than anybody reads has been due for an hour at a
// gateway that was removed, and more of its notices can be matched.
type crowded struct{ *hold }

func (c *crowded) DueOperations(ctx context.Context, gateway string, now time.Time, limit int) ([]pay.Due, error) {
	if gateway != "gone" {
		return c.hold.DueOperations(ctx, gateway, now, limit)
	}
	return slices.Repeat([]pay.Due{gone(now)}, limit), nil
}

func (c *crowded) LongestDue(ctx context.Context, now time.Time) ([]pay.Due, error) {
	longest, err := c.hold.LongestDue(ctx, now)
	return append(longest, gone(now)), err
}

func gone(now time.Time) pay.Due {
	return pay.Due{Ref: pay.Ref{Tenant: "t", ID: "pay_gone"}, Operation: "att_gone", Gateway: "gone", At: now.Add(-time.Hour)}
}

func (c *crowded) Matchable(ctx context.Context, gateway string, limit int) ([]pay.Notice, error) {
	if gateway != "gone" {
		return c.hold.Matchable(ctx, gateway, limit)
	}
	return slices.Repeat([]pay.Notice{{NoticeID: pay.NoticeID{Tenant: "t", Gateway: "gone", ID: "evt_gone"}}}, limit), nil
}
