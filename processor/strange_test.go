package processor_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
