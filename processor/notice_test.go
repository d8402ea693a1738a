package processor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
)

type webhook struct {
	ID, Payment, Operation, GatewayID string
	Done                              int64
}

var signed = http.Header{"Signed": {"yes"}}

// notify is the gateway sending a webhook.
func (h *house) notify(w webhook) error {
	body, err := json.Marshal(w)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.Notice(h.t.Context(), "g", "t", signed, body)
}

// A webhook makes us ask. It comes before, after and instead of the answer, any
// number of times: the payment ends the same, soon after the first of both, and is
// booked once.
func TestAWebhookAndAnAnswer(t *testing.T) {
	for name, row := range map[string]struct {
		fault  fault
		at     []time.Duration // when webhooks come
		within time.Duration
	}{
		"before the answer":  {fault{slow: 2 * time.Second}, []time.Duration{100 * time.Millisecond}, time.Second},
		"after the answer":   {fault{slow: 100 * time.Millisecond}, []time.Duration{time.Second}, time.Second},
		"instead of it":      {fault{mute: true}, []time.Duration{100 * time.Millisecond}, time.Second},
		"again and again":    {fault{slow: time.Second}, []time.Duration{0, 0, 500 * time.Millisecond, 2 * time.Second}, 2 * time.Second},
		"it never comes":     {fault{slow: time.Second}, nil, 2 * time.Second},
		"as all falls still": {fault{mute: true}, []time.Duration{3 * time.Second, time.Minute}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBooks(), newSide(hostile)
				s.contract.LookupLag = 10 * time.Millisecond
				s.fault = func(pay.Call, int) fault { return row.fault }
				h := open(t, b, s)
				defer h.shut()
				id := h.create("t", "order-1")
				for _, at := range row.at {
					time.AfterFunc(at, func() {
						if err := h.notify(webhook{ID: "evt_1", Payment: id, Operation: h.payment("t", id).Charge().ID}); err != nil {
							t.Error(err)
						}
					})
				}
				within(t, row.within, "it is settled", func() bool { return h.payment("t", id).Status == pay.Succeeded })
				time.Sleep(2 * time.Minute)
				judge(t, b, s, name)
				if o := h.payment("t", id).Charge(); o.Hinted || !o.DueAt.IsZero() {
					t.Errorf("something is left to do: %+v", o)
				}
			})
		})
	}
}

// A webhook about a payment that nobody knows is kept until it is known: by its
// id, or by the gateway's.
func TestAWebhookThatComesBeforeItsPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.contract.LookupLag = time.Millisecond
		s.fault = func(pay.Call, int) fault { return fault{acts: true, slow: 2 * time.Second} }
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		o := h.payment("t", id).Charge().ID
		if err := h.notify(webhook{ID: "evt_1", GatewayID: "ch_" + o + "_0"}); err != nil {
			t.Fatal(err)
		}
		if err := h.notify(webhook{ID: "evt_2", Payment: "pay_of_another", Operation: "att_of_another"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := s.asked(o); n != 0 {
			t.Fatalf("asked %d times about a gateway id that nobody knows", n)
		}
		s.finish(o, pay.Done) // between the answer and the look at what is kept
		within(t, 5*time.Second, "it is settled", func() bool { return h.payment("t", id).Status == pay.Succeeded })
		if n := s.asked(o); n == 0 {
			t.Error("it was never asked about")
		}
		kept, err := b.Matchable(t.Context(), "g", 10)
		if err != nil || len(kept) != 0 {
			t.Errorf("still to be matched: %v %v", kept, err)
		}
	})
}

// A webhook that was kept is not taken while its gateway is not configured: nobody
// would look into it.
func TestAWebhookOfAGatewayThatIsNotConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		s.contract.LookupLag = time.Millisecond
		s.fault = func(pay.Call, int) fault { return fault{slow: 2 * time.Second} }
		h := open(t, b, s)
		h.stop() // nobody matches
		o := h.payment("t", h.create("t", "order-1")).Charge().ID
		if err := h.notify(webhook{ID: "evt_1", GatewayID: "ch_" + o + "_0"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		h.shut()
		without := open(t, b, s, func(c *processor.Config, _ *hold) { c.Connectors = nil })
		time.Sleep(time.Minute)
		without.shut()
		again := open(t, b, s)
		time.Sleep(time.Minute)
		again.shut()
		if n := s.asked(o); n != 1 {
			t.Errorf("it was looked into %d times", n)
		}
	})
}

// Where the gateway cannot be asked, what it signed is evidence.
func TestAWebhookOfAGatewayThatCannotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(blind)
		s.fault = func(pay.Call, int) fault { return fault{mute: true} }
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		time.Sleep(time.Second)
		o := h.payment("t", id).Charge().ID
		if err := h.notify(webhook{ID: "evt_1", Payment: id, Operation: o, GatewayID: "ch_" + o + "_0", Done: 100}); err != nil {
			t.Fatal(err)
		}
		judge(t, b, s, "after the webhook")
	})
}

// What it signed is evidence as well if it was kept: it named the gateway's id, and
// overtook the answer that did.
func TestAWebhookThatWasKeptIsEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(blind)
		s.fault = func(pay.Call, int) fault { return fault{acts: true, slow: 2 * time.Second} }
		h := open(t, b, s)
		defer h.shut()
		id := h.create("t", "order-1")
		time.Sleep(time.Second)
		if err := h.notify(webhook{ID: "evt_1", GatewayID: "ch_" + h.payment("t", id).Charge().ID + "_0", Done: 100}); err != nil {
			t.Fatal(err)
		}
		within(t, 10*time.Second, "it is settled", func() bool { return h.payment("t", id).Status == pay.Succeeded })
		judge(t, b, s, "after the webhook was matched")
	})
}

// What is not taken says so, so that the gateway sends it again, or stops.
func TestWebhooksThatAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBooks(), newSide(hostile)
		var full atomic.Bool
		h := open(t, b, s, func(_ *processor.Config, hold *hold) {
			hold.fail = func() error {
				if full.Load() {
					return fmt.Errorf("%w: the disk is full", engine.ErrNotCommitted)
				}
				return nil
			}
		})
		defer h.shut()
		if err := h.Notice(t.Context(), "nobody", "t", signed, nil); !errors.Is(err, processor.ErrNoGateway) {
			t.Errorf("a gateway that is not there: %v", err)
		}
		if err := h.Notice(t.Context(), "g", "t", nil, nil); !errors.Is(err, errSignature) {
			t.Errorf("a signature that is wrong: %v", err)
		}
		if err := h.Notice(t.Context(), "g", "t", signed, []byte("{")); err == nil {
			t.Error("a connector that panics took it")
		}
		full.Store(true)
		if err := h.notify(webhook{ID: "evt_1"}); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("a store that takes nothing: %v", err)
		}
		if g := h.Stats().Gateways["g"]; g.Refused != 2 || g.Notices != 0 || g.Panics != 1 {
			t.Errorf("it counts %+v", g)
		}
	})
}
