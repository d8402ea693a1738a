package sandbox_test

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

func TestPaymentMethodsChooseWhatHappens(t *testing.T) {
	usual := open(t, sandbox.Config{})
	type seen struct {
		status  int // 0: no answer
		says    string
		charges int
	}
	for _, row := range []struct {
		method, sentence string
		first, repeat    seen
	}{
		{"pm_ok", "is charged, and a repeat is the same charge", seen{200, "succeeded", 1}, seen{200, "succeeded", 1}},
		{"pm_declined", "is declined, twice", seen{402, "declined", 0}, seen{402, "declined", 0}},
		{"pm_requires_action", "waits for the customer", seen{200, "requires_action", 0}, seen{200, "requires_action", 0}},
		{"pm_timeout_after_charge", "takes the money and never answers", seen{0, "", 1}, seen{0, "", 1}},
		{"pm_timeout_before_charge", "loses the first send only", seen{0, "", 0}, seen{200, "succeeded", 1}},
		{"pm_500_after_charge", "takes the money and fails", seen{500, "", 1}, seen{500, "", 1}},
		{"pm_duplicate_webhooks", "is charged", seen{200, "succeeded", 1}, seen{200, "succeeded", 1}},
		{"pm_late", "takes the money and never answers", seen{0, "", 1}, seen{0, "", 1}},
	} {
		t.Run(row.method+" "+row.sentence, func(t *testing.T) {
			t.Parallel()
			h := usual.share(t)
			for _, want := range []seen{row.first, row.repeat} {
				a := h.try(want.status, "att_1", charge(row.method))
				got := seen{a.status, a.Status, len(h.charges("pay_1"))}
				if got != want || (a.status == 0) != a.unanswered() {
					t.Errorf("got %+v (%v), want %+v", got, a.err, want)
				}
			}
			if n := h.Sends("att_1"); n != 2 {
				t.Errorf("%d sends were counted, want 2", n)
			}
		})
	}
}

// An option chooses for captures, voids and refunds what a payment method
// chooses for charges. It is given with either.
func TestOptionsChooseForWhatComesAfterTheCharge(t *testing.T) {
	usual := open(t, sandbox.Config{})
	for _, row := range []struct {
		sentence, kind, method string
		status                 int // of the first send; 0: no answer
		moved                  bool
	}{
		{"a capture is declined", "capture", "pm_declined", 402, false},
		{"a capture is done and never answered", "capture", "pm_timeout_after_charge", 0, true},
		{"a capture is lost", "capture", "pm_timeout_before_charge", 0, false},
		{"a refund fails after it was done", "refund", "pm_500_after_charge", 500, true},
		{"a refund is late", "refund", "pm_late", 0, true},
		{"a refund is done", "refund", "pm_ok", 200, true},
		{"a void is done and never answered", "void", "pm_timeout_after_charge", 0, true},
		{"a void is declined", "void", "pm_declined", 402, false},
	} {
		for where, withCharge := range map[string]bool{"as the charge chose": true, "as it chose itself": false} {
			t.Run(row.sentence+" "+where, func(t *testing.T) {
				t.Parallel()
				h := usual.share(t)
				first, second := charge("pm_ok"), of(row.kind, "", 1250)
				if row.kind != "refund" {
					first["kind"] = "authorize"
				}
				options := body{row.kind: row.method, "colour": "red"}
				if withCharge {
					first["options"] = options
				} else {
					second["options"] = options
				}
				second["target"] = h.send("att_1", first).GatewayID
				if a := h.try(row.status, "op_1", second); a.status != row.status {
					t.Errorf("got %d (%v), want %d", a.status, a.err, row.status)
				}
				c := h.charges("pay_1")[0]
				moved := row.kind == "void" && c.Voided || row.kind == "capture" && c.AmountCaptured == 1250 || c.AmountRefunded == 1250
				if moved != row.moved {
					t.Errorf("moved is %v: %+v", moved, c)
				}
			})
		}
	}
}

// A refund that is late is not found for a while, as a charge is.
func TestALateRefundIsNotFound(t *testing.T) {
	h := open(t, sandbox.Config{})
	ch := h.send("att_1", charge("pm_ok")).GatewayID
	h.sendAndLeave("re_1", of("refund", ch, 1250).with("options", body{"refund": "pm_late"}))
	if a := h.check("re_1"); a.status != 404 || a.LagMillis != 3000 {
		t.Errorf("got %d with lag %d", a.status, a.LagMillis)
	}
}

// A slow charge is on its way for two seconds: nothing is found in between, and
// it is executed although its sender has left.
func TestASlowChargeIsExecutedThoughItsSenderLeft(t *testing.T) {
	t.Parallel()
	h := open(t, sandbox.Config{})
	if a := h.sendAndLeave("att_1", charge("pm_slow")); !a.unanswered() {
		t.Fatalf("got %d", a.status)
	}
	if a := h.check("att_1"); a.status != 404 {
		t.Errorf("on its way: got %d", a.status)
	}
	h.wantCharges(0)
	eventually(t, func() bool { return h.check("att_1").status == 200 })
	h.wantCharges(1)
}

func TestASlowChargeIsAnsweredAfterTwoSeconds(t *testing.T) {
	t.Parallel()
	h := open(t, sandbox.Config{})
	began := time.Now()
	a := h.send("att_1", charge("pm_slow"))
	if took := time.Since(began); a.status != 200 || took < 2*time.Second {
		t.Errorf("got %d after %v", a.status, took)
	}
	h.wantCharges(1)
}
