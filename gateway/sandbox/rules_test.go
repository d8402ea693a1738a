package sandbox_test

import (
	"testing"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

// of is the body of a capture, void or refund of a charge.
func of(kind, target string, amount int) body {
	return body{"kind": kind, "payment": "pay_1", "target": target, "amount": amount, "currency": "EUR"}
}

// A story is a charge of 1000 and what is done to it.
type story struct {
	sentence                       string
	cfg                            sandbox.Config
	kind                           string // of the first operation
	steps                          []body // in order; targets are filled in
	status                         int    // of the last step
	code                           string
	captured, refunded             int64
	voided                         bool
	paymentMethod                  string
	noCharge                       bool
	elsewhere, currency, notTarget bool // the last step names another payment, currency, charge
}

func TestTheRulesOfTheOtherSide(t *testing.T) {
	usual := open(t, sandbox.Config{})
	for _, row := range []story{
		{sentence: "a charge is captured at once", kind: "charge", captured: 1000},
		{sentence: "an authorization is not", kind: "authorize"},
		{sentence: "all of it can be captured", kind: "authorize", steps: []body{of("capture", "", 1000)}, status: 200, captured: 1000},
		{sentence: "a part can be captured", kind: "authorize", steps: []body{of("capture", "", 400)}, status: 200, captured: 400},
		{sentence: "one cent more than was authorized cannot", kind: "authorize", steps: []body{of("capture", "", 1001)}, status: 422, code: "capture_exceeds_authorized"},
		{sentence: "a capture is final unless it says otherwise", kind: "authorize",
			steps: []body{of("capture", "", 400), of("capture", "", 1)}, status: 422, code: "already_captured", captured: 400},
		{sentence: "parts can be captured one after the other", kind: "authorize",
			steps: []body{of("capture", "", 400).with("final", false), of("capture", "", 600)}, status: 200, captured: 1000},
		{sentence: "parts cannot be more than the whole", kind: "authorize",
			steps: []body{of("capture", "", 400).with("final", false), of("capture", "", 601)}, status: 422, code: "capture_exceeds_authorized", captured: 400},
		{sentence: "a second full capture is refused", kind: "authorize",
			steps: []body{of("capture", "", 1000), of("capture", "", 1000)}, status: 422, code: "already_captured", captured: 1000},
		{sentence: "a charge cannot be captured again", kind: "charge", steps: []body{of("capture", "", 1)}, status: 422, code: "already_captured", captured: 1000},
		{sentence: "what allows one capture allows no second one", kind: "authorize", cfg: sandbox.Config{OneCapture: true},
			steps: []body{of("capture", "", 400).with("final", false), of("capture", "", 1)}, status: 422, code: "already_captured", captured: 400},
		{sentence: "what captures all or nothing captures no part", kind: "authorize", cfg: sandbox.Config{WholeCapture: true},
			steps: []body{of("capture", "", 999)}, status: 422, code: "partial_capture"},

		{sentence: "all that was captured can be refunded", kind: "charge", steps: []body{of("refund", "", 1000)}, status: 200, captured: 1000, refunded: 1000},
		{sentence: "one cent more cannot", kind: "charge", steps: []body{of("refund", "", 1001)}, status: 422, code: "refund_exceeds_captured", captured: 1000},
		{sentence: "parts can be refunded", kind: "charge", steps: []body{of("refund", "", 400), of("refund", "", 600)}, status: 200, captured: 1000, refunded: 1000},
		{sentence: "parts cannot be more than the whole refunded", kind: "charge",
			steps: []body{of("refund", "", 400), of("refund", "", 601)}, status: 422, code: "refund_exceeds_captured", captured: 1000, refunded: 400},
		{sentence: "what was not captured cannot be refunded", kind: "authorize", steps: []body{of("refund", "", 1)}, status: 422, code: "refund_exceeds_captured"},
		{sentence: "only what was captured can be refunded", kind: "authorize",
			steps: []body{of("capture", "", 400), of("refund", "", 401)}, status: 422, code: "refund_exceeds_captured", captured: 400},

		{sentence: "an authorization can be voided", kind: "authorize", steps: []body{of("void", "", 0)}, status: 200, voided: true},
		{sentence: "a void needs no amount and no currency", kind: "authorize", steps: []body{{"kind": "void", "payment": "pay_1", "target": ""}}, status: 200, voided: true},
		{sentence: "it cannot be voided twice", kind: "authorize", steps: []body{of("void", "", 0), of("void", "", 0)}, status: 422, code: "nothing_to_void", voided: true},
		{sentence: "what was captured cannot be voided", kind: "authorize", steps: []body{of("capture", "", 1), of("void", "", 0)}, status: 422, code: "already_captured", captured: 1},
		{sentence: "a charge cannot be voided", kind: "charge", steps: []body{of("void", "", 0)}, status: 422, code: "already_captured", captured: 1000},
		{sentence: "what was voided cannot be captured", kind: "authorize", steps: []body{of("void", "", 0), of("capture", "", 1)}, status: 422, code: "voided", voided: true},

		{sentence: "the currency of a capture is that of the charge", kind: "authorize", currency: true, steps: []body{of("capture", "", 1)}, status: 422, code: "currency_mismatch"},
		{sentence: "the currency of a refund is that of the charge", kind: "charge", currency: true, steps: []body{of("refund", "", 1)}, status: 422, code: "currency_mismatch", captured: 1000},
		{sentence: "the currency of a void is that of the charge", kind: "authorize", currency: true, steps: []body{of("void", "", 1)}, status: 422, code: "currency_mismatch"},
		{sentence: "a charge that does not exist cannot be captured", kind: "authorize", notTarget: true, steps: []body{of("capture", "", 1)}, status: 404, code: "no_such_charge"},
		{sentence: "a charge that does not exist cannot be voided", kind: "authorize", notTarget: true, steps: []body{of("void", "", 1)}, status: 404, code: "no_such_charge"},
		{sentence: "a charge of another payment cannot be refunded", kind: "charge", elsewhere: true, steps: []body{of("refund", "", 1)}, status: 404, code: "no_such_charge", captured: 1000},
		{sentence: "a charge of another payment cannot be voided", kind: "authorize", elsewhere: true, steps: []body{of("void", "", 1)}, status: 404, code: "no_such_charge"},
		{sentence: "a declined charge cannot be refunded", kind: "charge", paymentMethod: "pm_declined", noCharge: true, steps: []body{of("refund", "", 1)}, status: 422, code: "no_money"},
		{sentence: "a declined authorization holds nothing to void", kind: "authorize", paymentMethod: "pm_declined", noCharge: true, steps: []body{of("void", "", 1)}, status: 422, code: "nothing_to_void"},
		{sentence: "what nobody approved cannot be captured", kind: "authorize", paymentMethod: "pm_requires_action", noCharge: true, steps: []body{of("capture", "", 1)}, status: 422, code: "no_money"},
		{sentence: "what nobody approved can be voided", kind: "authorize", paymentMethod: "pm_requires_action", noCharge: true, steps: []body{of("void", "", 1)}, status: 200},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			h := usual.share(t)
			if row.cfg.OneCapture || row.cfg.WholeCapture {
				h = open(t, row.cfg)
			}
			row.tell(h)
		})
	}
}

func (s story) tell(h *house) {
	t := h.t
	if s.paymentMethod == "" {
		s.paymentMethod = "pm_ok"
	}
	first := h.send("att_1", charge(s.paymentMethod).with("kind", s.kind, "amount", 1000))
	var last answer
	for i, step := range s.steps {
		step = step.with("target", first.GatewayID)
		if i == len(s.steps)-1 {
			step = s.spoil(step)
		}
		last = h.send("op_"+string(rune('a'+i)), step)
	}
	if last.status != s.status || last.Error.Code != s.code {
		t.Errorf("got %d %q (%s), want %d %q", last.status, last.Error.Code, last.Error.Message, s.status, s.code)
	}
	all := h.charges("pay_1")
	if s.noCharge {
		if len(all) != 0 {
			t.Errorf("there is a charge: %+v", all)
		}
		return
	}
	got := all[0]
	if got.Amount != 1000 || got.AmountCaptured != s.captured || got.AmountRefunded != s.refunded || got.Voided != s.voided {
		t.Errorf("got %+v", got)
	}
}

func (s story) spoil(step body) body {
	switch {
	case s.elsewhere:
		return step.with("payment", "pay_2")
	case s.currency:
		return step.with("currency", "USD")
	case s.notTarget:
		return step.with("target", "ch_1")
	}
	return step
}

// A void may name the operation, where nobody knows what the gateway called it.
func TestAVoidOfAnOperation(t *testing.T) {
	usual := open(t, sandbox.Config{})
	void := body{"kind": "void", "payment": "pay_1", "target_operation": "att_1"}
	for _, row := range []struct {
		sentence, kind, method string
		void                   body
		status                 int
		code                   string
		live                   int
	}{
		{"releases its authorization", "authorize", "pm_ok", void, 200, "", 0},
		{"releases one that never answered", "authorize", "pm_late", void, 200, "", 0},
		{"calls off what nobody decided", "charge", "pm_requires_action", void, 200, "", 0},
		{"is refused once money was taken", "charge", "pm_ok", void, 422, "already_captured", 1},
		{"is refused of what was declined", "charge", "pm_declined", void, 422, "nothing_to_void", 0},
		{"is refused of what never came", "charge", "pm_ok", void.with("target_operation", "att_2"), 404, "no_such_operation", 1},
		{"is refused of another payment's", "authorize", "pm_ok", void.with("payment", "pay_2"), 404, "no_such_operation", 1},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			h := usual.share(t)
			first := h.send
			if row.method == "pm_late" {
				first = h.sendAndLeave
			}
			first("att_1", charge(row.method).with("kind", row.kind))
			if a := h.send("att_v", row.void); a.status != row.status || a.Error.Code != row.code {
				t.Errorf("got %d %q, want %d %q", a.status, a.Error.Code, row.status, row.code)
			}
			live := 0
			for _, c := range h.charges("pay_1") {
				if !c.Voided {
					live++
				}
			}
			if live != row.live {
				t.Errorf("%d charges are live, want %d", live, row.live)
			}
		})
	}
}

// A capture and a refund may name the operation, too. It is of one charge: of those
// that the operation made, the one that holds money.
func TestACaptureOrRefundOfAnOperation(t *testing.T) {
	usual, hostile := open(t, sandbox.Config{}), open(t, sandbox.Config{Hostile: true})
	by := func(kind string, amount int) body {
		return body{"kind": kind, "payment": "pay_1", "target_operation": "att_1", "amount": amount, "currency": "EUR"}
	}
	for _, row := range []struct {
		sentence, kind, method string
		times                  int // that the charge is executed
		steps                  []body
		status                 int // of the last step
		code                   string
		captured, refunded     int64 // of the newest charge
	}{
		{"a refund gives its charge back", "charge", "pm_ok", 1, []body{by("refund", 1250)}, 200, "", 1250, 1250},
		{"of one that never answered, too", "charge", "pm_late", 1, []body{by("refund", 50)}, 200, "", 1250, 50},
		{"no more than was captured", "charge", "pm_ok", 1, []body{by("refund", 1000), by("refund", 251)}, 422, "refund_exceeds_captured", 1250, 1000},
		{"nothing more when all of it was", "charge", "pm_ok", 1, []body{by("refund", 1250), by("refund", 1)}, 422, "refund_exceeds_captured", 1250, 1250},
		{"a capture takes what was authorized", "authorize", "pm_ok", 1, []body{by("capture", 1250)}, 200, "", 1250, 0},
		{"and what was captured is given back", "authorize", "pm_ok", 1, []body{by("capture", 400), by("refund", 300)}, 200, "", 400, 300},
		{"nothing of what was voided", "authorize", "pm_ok", 1, []body{{"kind": "void", "payment": "pay_1", "target_operation": "att_1"}, by("capture", 1)}, 422, "voided", 0, 0},
		{"nothing of what was declined", "charge", "pm_declined", 1, []body{by("refund", 1)}, 422, "no_money", 0, 0},
		{"nothing of what never came", "charge", "pm_ok", 1, []body{by("refund", 1).with("target_operation", "att_2")}, 404, "no_such_operation", 1250, 0},
		{"nothing of what is no charge", "charge", "pm_ok", 1, []body{by("refund", 1), by("refund", 1).with("target_operation", "op_a")}, 404, "no_such_operation", 1250, 1},
		{"nothing of another payment", "charge", "pm_ok", 1, []body{by("refund", 1).with("payment", "pay_2")}, 404, "no_such_operation", 1250, 0},
		{"nothing in another currency", "charge", "pm_ok", 1, []body{by("refund", 1).with("currency", "USD")}, 422, "currency_mismatch", 1250, 0},
		{"one of two is not guessed", "charge", "pm_ok", 2, []body{by("refund", 1)}, 422, "ambiguous_target", 1250, 0},
		{"one of two is not guessed for a capture", "authorize", "pm_ok", 2, []body{by("capture", 1)}, 422, "ambiguous_target", 0, 0},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			h := usual.share(t)
			if row.times > 1 {
				h = hostile.share(t)
			}
			first := h.send
			if row.method == "pm_late" {
				first = h.sendAndLeave
			}
			for range row.times {
				first("att_1", charge(row.method).with("kind", row.kind))
			}
			var last answer
			for i, step := range row.steps {
				last = h.send("op_"+string(rune('a'+i)), step)
			}
			if last.status != row.status || last.Error.Code != row.code {
				t.Errorf("got %d %q (%s), want %d %q", last.status, last.Error.Code, last.Error.Message, row.status, row.code)
			}
			all := h.charges("pay_1")
			if row.method == "pm_declined" {
				return
			}
			if got := all[0]; len(all) != row.times || got.AmountCaptured != row.captured || got.AmountRefunded != row.refunded {
				t.Errorf("of %d charges got %+v", len(all), got)
			}
		})
	}
}

// When one of two charges was given back there is no question which is meant; and
// the options of the charge hold for what names its operation.
func TestTheChargeThatIsLeftIsMeant(t *testing.T) {
	h := open(t, sandbox.Config{Hostile: true})
	var ids []string
	for range 2 {
		ids = append(ids, h.send("att_1", charge("pm_ok").with("options", map[string]string{"refund": "pm_declined"})).GatewayID)
	}
	plain := map[string]string{"refund": "pm_ok"}
	h.send("re_1", of("refund", ids[0], 1250).with("options", plain))
	refund := body{"kind": "refund", "payment": "pay_1", "target_operation": "att_1", "amount": 1000, "currency": "EUR"}
	if a := h.send("re_2", refund); a.status != 402 {
		t.Errorf("a refund that its charge has declined: %d %s", a.status, a.text)
	}
	if a := h.send("re_3", refund.with("options", plain)); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.text)
	}
	for _, c := range h.charges("pay_1") {
		if want := map[string]int64{ids[0]: 1250, ids[1]: 1000}[c.GatewayID]; c.AmountRefunded != want {
			t.Errorf("of %s %d was given back, want %d", c.GatewayID, c.AmountRefunded, want)
		}
	}
}

// A hostile gateway may hold two authorizations for one id: a void of the id
// releases both.
func TestAVoidOfAnOperationThatRanTwice(t *testing.T) {
	h := open(t, sandbox.Config{Hostile: true})
	for range 2 {
		h.send("att_1", charge("pm_ok").with("kind", "authorize"))
	}
	for range 2 { // hostile: the void is executed again too
		if a := h.send("att_v", body{"kind": "void", "payment": "pay_1", "target_operation": "att_1"}); a.status != 200 {
			t.Errorf("got %d %+v", a.status, a.Error)
		}
	}
	for _, c := range h.charges("pay_1") {
		if !c.Voided {
			t.Errorf("still live: %+v", c)
		}
	}
}
