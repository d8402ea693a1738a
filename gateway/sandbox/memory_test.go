package sandbox_test

import (
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

func TestAnIDIsExecutedOnceHoweverManySendIt(t *testing.T) {
	h := open(t, sandbox.Config{})
	var all sync.Map
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			a := h.send("att_1", charge("pm_ok"))
			all.Store(a.GatewayID, a.status)
		})
	}
	wg.Wait()
	h.wantCharges(1)
	n := 0
	all.Range(func(id, status any) bool {
		n++
		if status != 200 {
			t.Errorf("answered %v", status)
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d different charges were answered, want 1", n)
	}
	if got := h.Sends("att_1"); got != 50 {
		t.Errorf("%d sends were counted, want 50", got)
	}
}

// After the window the same id is a new operation: that is what a window means.
func TestAnIDIsForgottenAfterTheWindow(t *testing.T) {
	var c clock
	h := open(t, sandbox.Config{Now: c.now, Window: time.Hour})
	first := h.send("att_1", charge("pm_ok"))
	c.advance(time.Hour - time.Microsecond)
	if again := h.send("att_1", charge("pm_ok")); again.GatewayID != first.GatewayID {
		t.Errorf("within the window: got %q, want %q", again.GatewayID, first.GatewayID)
	}
	c.advance(time.Microsecond)
	second := h.send("att_1", charge("pm_ok").with("amount", 99))
	if second.status != 200 || second.GatewayID == first.GatewayID {
		t.Errorf("after the window: got %d %q", second.status, second.GatewayID)
	}
	h.wantCharges(2)
	if again := h.send("att_1", charge("pm_ok").with("amount", 99)); again.GatewayID != second.GatewayID {
		t.Errorf("the new execution is not remembered: got %q, want %q", again.GatewayID, second.GatewayID)
	}
	if a := h.check("att_1"); len(a.Executions) != 2 {
		t.Errorf("a check shows %d executions, want 2", len(a.Executions))
	}
}

func TestAnIDBelongsToItsBody(t *testing.T) {
	h := open(t, sandbox.Config{})
	first := charge("pm_ok").with("notify", body{"url": "http://127.0.0.1:1/", "secret": secretText})
	h.send("att_1", first)
	for _, row := range []struct {
		sentence string
		second   body
		status   int
	}{
		{"another amount is refused", first.with("amount", 1251), 409},
		{"another payment is refused", first.with("payment", "pay_2"), 409},
		{"one member more is refused", first.with("customer", "c_1"), 409},
		{"another address for webhooks is the same charge", first.with("notify", body{"url": "http://127.0.0.1:2/", "secret": secretText}), 200},
		{"the same is the same", first, 200},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			a := h.send("att_1", row.second)
			if a.status != row.status || (a.status == 409) != (a.Error.Code == "idempotency_key_reused") {
				t.Errorf("got %d %q, want %d", a.status, a.Error.Code, row.status)
			}
		})
	}
	h.wantCharges(1)
}

// What is refused leaves no memory: the id is free for what is mended.
func TestARefusalIsNotRemembered(t *testing.T) {
	h := open(t, sandbox.Config{})
	if a := h.send("att_1", charge("pm_unheard_of")); a.status != 422 || a.Error.Code != "no_such_payment_method" {
		t.Errorf("got %d %q", a.status, a.Error.Code)
	}
	if a := h.check("att_1"); a.status != 404 {
		t.Errorf("a check of what was refused: got %d", a.status)
	}
	if a := h.send("att_1", charge("pm_ok")); a.status != 200 {
		t.Errorf("got %d", a.status)
	}
	h.wantCharges(1)
}

func TestAHostileGatewayExecutesEverySend(t *testing.T) {
	h := open(t, sandbox.Config{Hostile: true})
	for range 3 {
		if a := h.send("att_1", charge("pm_ok")); a.status != 200 {
			t.Fatalf("got %d", a.status)
		}
	}
	if a := h.send("att_1", charge("pm_ok").with("amount", 1)); a.status != 200 {
		t.Errorf("another body: got %d", a.status)
	}
	h.wantCharges(4)
	a := h.check("att_1")
	if len(a.Executions) != 4 || a.Executions[3].Amount != 1 {
		t.Errorf("a check shows %+v", a.Executions)
	}
}

// Money that moved twice shows, whatever the charge could bear.
func TestAHostileGatewayCapturesAndRefundsTwice(t *testing.T) {
	h := open(t, sandbox.Config{Hostile: true})
	authorized := h.send("att_1", charge("pm_ok").with("kind", "authorize")).GatewayID
	charged := h.send("att_2", charge("pm_ok")).GatewayID
	for range 2 {
		if a := h.send("cap_1", of("capture", authorized, 1250)); a.status != 200 {
			t.Errorf("capture: got %d %+v", a.status, a.Error)
		}
		if a := h.send("re_1", of("refund", charged, 1250)); a.status != 200 {
			t.Errorf("refund: got %d %+v", a.status, a.Error)
		}
	}
	all := h.charges("pay_1") // the newest first
	if all[1].AmountCaptured != 2500 || all[0].AmountCaptured != 1250 || all[0].AmountRefunded != 2500 {
		t.Errorf("got %+v", all)
	}
	for _, b := range []body{of("refund", charged, 1), of("capture", authorized, 1)} {
		if a := h.send("op_2", b); a.status != 422 {
			t.Errorf("another %s: got %d, the rules are still there", b["kind"], a.status)
		}
	}
}

func TestAHostileGatewayForgetsAlsoWhenTheClockGoesBack(t *testing.T) {
	var c clock
	h := open(t, sandbox.Config{Hostile: true, Now: c.now})
	h.send("att_1", charge("pm_ok"))
	c.advance(-time.Hour)
	h.send("att_1", charge("pm_ok"))
	h.wantCharges(2)
}

func TestAHostileGatewayLosesTheFirstSendOnly(t *testing.T) {
	h := open(t, sandbox.Config{Hostile: true})
	for charges, status := range []int{0, 200, 200} {
		a := h.try(status, "att_1", charge("pm_timeout_before_charge"))
		if got := len(h.charges("pay_1")); got != charges || a.status != status {
			t.Errorf("send %d: %d charges and %d (%v), want %d", charges+1, got, a.status, a.err, charges)
		}
	}
}
