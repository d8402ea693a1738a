package sandbox_test

import (
	"testing"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

func TestPaymentMethodsChooseWhatHappens(t *testing.T) {
	type seen struct {
		status  int // 0: no answer
		says    string
		charges int
	}
	for _, row := range []struct {
		method, sentence string
		first, repeat    seen
		idle             bool // the caller is patient, since an answer is on its way
	}{
		{"pm_ok", "is charged, and a repeat is the same charge", seen{200, "succeeded", 1}, seen{200, "succeeded", 1}, false},
		{"pm_declined", "is declined, twice", seen{402, "declined", 0}, seen{402, "declined", 0}, false},
		{"pm_requires_action", "waits for the customer", seen{200, "requires_action", 0}, seen{200, "requires_action", 0}, false},
		{"pm_timeout_after_charge", "takes the money and never answers", seen{0, "", 1}, seen{0, "", 1}, false},
		{"pm_timeout_before_charge", "loses the first send only", seen{0, "", 0}, seen{200, "succeeded", 1}, false},
		{"pm_500_after_charge", "takes the money and fails", seen{500, "", 1}, seen{500, "", 1}, false},
		{"pm_slow", "takes two seconds", seen{200, "succeeded", 1}, seen{200, "succeeded", 1}, true},
		{"pm_duplicate_webhooks", "is charged", seen{200, "succeeded", 1}, seen{200, "succeeded", 1}, false},
		{"pm_late", "takes the money and never answers", seen{0, "", 1}, seen{0, "", 1}, false},
	} {
		t.Run(row.method+" "+row.sentence, func(t *testing.T) {
			t.Parallel()
			h := open(t, sandbox.Config{})
			for _, want := range []seen{row.first, row.repeat} {
				d := patience
				if row.idle {
					d *= 20
				}
				a := h.sendWithin(d, "att_1", charge(row.method))
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
