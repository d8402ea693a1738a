package processor_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

// logbook is what was logged, as JSON.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) into(c *processor.Config, _ *hold) {
	c.Log = slog.New(slog.NewJSONHandler(l, nil))
}

// lines are what was logged, but for when.
func (l *logbook) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.b.Bytes()) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		delete(m, "time")
		all = append(all, m)
	}
	return all
}

// Whoever runs the server is told of what a human must decide, once, however it
// came to that; and of payments that go their way, nothing.
func TestAReviewIsLogged(t *testing.T) {
	silent := func(pay.Call, int) fault { return fault{mute: true} }
	for name, row := range map[string]struct {
		contract pay.Contract
		fault    func(pay.Call, int) fault
		twist    func(pay.Call, *pay.Finding)
		tell     func(h *house, id, operation string) error // a moment later
		why      string                                     // "" is no review
	}{
		"all is well":                 {contract: mild},
		"it is in doubt for a moment": {contract: mild, fault: func(_ pay.Call, n int) fault { return fault{mute: n == 1} }},
		"nobody can be asked": {contract: blind, fault: silent,
			why: "charge: the gateway cannot be asked what became of it, and sending it again could do it twice"},
		"a check finds another amount": {
			contract: mild, fault: silent, twist: func(_ pay.Call, f *pay.Finding) { f.Outcome, f.Amount, f.Absent = pay.Done, 90, false },
			why: "charge: the gateway contradicts itself",
		},
		"a webhook that is evidence contradicts the answer": {contract: blind,
			tell: func(h *house, id, operation string) error {
				return h.notify(webhook{ID: "evt_1", Payment: id, Operation: operation, GatewayID: "ch_" + operation + "_0", Done: 90})
			},
			why: "charge: the gateway contradicts itself"},
		"a webhook that was kept and is evidence contradicts the answer": {contract: blind,
			fault: func(pay.Call, int) fault { return fault{slow: 2 * time.Second} },
			tell: func(h *house, _, operation string) error {
				return h.notify(webhook{ID: "evt_1", GatewayID: "ch_" + operation + "_0", Done: 90})
			},
			why: "charge: the gateway contradicts itself"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSide(row.contract)
				s.fault, s.twist = row.fault, row.twist
				var log logbook
				h := open(t, newBooks(), s, log.into)
				id := h.create("t", "order-1")
				time.Sleep(time.Second)
				operation := h.payment("t", id).Charge().ID
				if row.tell != nil {
					if err := row.tell(h, id, operation); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * time.Minute)
				h.shut()
				var want []map[string]any
				parked := 0
				if row.why != "" {
					want, parked = append(want, map[string]any{
						"level": "WARN", "msg": "a human must decide what became of a payment or refund",
						"gateway": "g", "tenant": "t", "payment": id, "operation": operation, "why": row.why,
					}), 1
				}
				if diff := cmp.Diff(want, log.lines(t)); diff != "" {
					t.Errorf("the log (-want +got):\n%s", diff)
				}
				if got := h.Stats().Gateways["g"].Parked; got != int64(parked) {
					t.Errorf("%d are counted", got)
				}
			})
		})
	}
}
