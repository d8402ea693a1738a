package sandbox_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

// always is a script of one fault at every send.
func always(f sandbox.Fault) *sandbox.Script { return sandbox.NewScript(sandbox.Rule{Fault: f}) }

// Whatever becomes of the answer, the charge is in the books, unless the fault
// says that nothing was executed.
func TestFaultsOfASend(t *testing.T) {
	script := sandbox.NewScript()
	usual := open(t, sandbox.Config{Script: script})
	charged, nothing := 1, 0
	for _, row := range []struct {
		sentence string
		fault    sandbox.Fault
		method   string
		sees     func(answer) bool
		charges  int
	}{
		{"a status with executing", sandbox.Fault{Status: 503}, "pm_ok", errorOf(503), charged},
		{"a status without executing", sandbox.Fault{Status: 503, Skip: true}, "pm_ok", errorOf(503), nothing},
		{"a refusal of nothing that is wrong", sandbox.Fault{Status: 429, Skip: true}, "pm_ok", errorOf(429), nothing},
		{"skipping alone is an error", sandbox.Fault{Skip: true}, "pm_ok", errorOf(500), nothing},
		{"a rule comes before a payment method", sandbox.Fault{}, "pm_500_after_charge", says(200, "succeeded"), charged},
		{"declined", sandbox.Fault{Decline: "expired_card"}, "pm_ok", says(402, "declined"), nothing},
		{"declined with status 200", sandbox.Fault{Decline: "expired_card", Status: 200}, "pm_ok", says(200, "declined"), nothing},
		{"charged, and said to be declined", sandbox.Fault{SayStatus: "declined"}, "pm_ok", says(200, "declined"), charged},
		{"charged, with status 402", sandbox.Fault{Status: 402}, "pm_ok", says(402, "succeeded"), charged},
		{"an action", sandbox.Fault{Action: true}, "pm_ok", says(200, "requires_action"), nothing},
		{"truncated", sandbox.Fault{Answer: sandbox.Truncated}, "pm_ok", fails(io.ErrUnexpectedEOF), charged},
		{"no JSON", sandbox.Fault{Answer: sandbox.Broken}, "pm_ok", func(a answer) bool {
			return a.status == 200 && a.err != nil && strings.HasPrefix(a.text, `{"operation"`) && fmt.Sprint(len(a.text)) == a.header.Get("Content-Length")
		}, charged},
		{"reset before the answer", sandbox.Fault{Answer: sandbox.ResetBefore}, "pm_ok", fails(syscall.ECONNRESET), charged},
		{"reset before the answer without executing", sandbox.Fault{Skip: true, Answer: sandbox.ResetBefore}, "pm_ok", fails(syscall.ECONNRESET), nothing},
		{"reset after the first byte", sandbox.Fault{Answer: sandbox.ResetWithin}, "pm_ok", func(a answer) bool { return a.err != nil && a.status == 0 && !a.unanswered() }, charged},
		{"reset within the body", sandbox.Fault{Answer: sandbox.ResetInBody}, "pm_ok", func(a answer) bool { return a.status == 200 && errors.Is(a.err, syscall.ECONNRESET) }, charged},
		{"hanging", sandbox.Fault{Answer: sandbox.Hang}, "pm_ok", answer.unanswered, charged},
		{"dripping", sandbox.Fault{Answer: sandbox.Drip}, "pm_ok", func(a answer) bool { return a.status == 200 && a.unanswered() && len(a.text) > 0 }, charged},
		{"on its way back for too long", sandbox.Fault{After: time.Minute}, "pm_ok", answer.unanswered, charged},
		{"on its way there for too long", sandbox.Fault{Before: time.Minute}, "pm_ok", answer.unanswered, nothing},
		{"redirected", sandbox.Fault{Redirect: "http://127.0.0.1:1/elsewhere"}, "pm_ok", redirects(307), charged},
		{"redirected with another status", sandbox.Fault{Redirect: "http://127.0.0.1:1/elsewhere", Status: 302, Skip: true}, "pm_ok", redirects(302), nothing},
		{"a wrong amount is said", sandbox.Fault{SayAmount: 1249}, "pm_ok", func(a answer) bool { return a.Amount == 1249 && a.Currency == "EUR" }, charged},
		{"a wrong currency is said", sandbox.Fault{SayCurrency: "USD"}, "pm_ok", func(a answer) bool { return a.Amount == 1250 && a.Currency == "USD" }, charged},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			h := usual.share(t)
			script.Add(sandbox.Rule{Operation: "att_1" + h.room, Fault: row.fault})
			send := h.send
			if f := row.fault; f.Answer == sandbox.Hang || f.Answer == sandbox.Drip || f.Before+f.After > 0 {
				send = h.sendAndLeave
			}
			if a := send("att_1", charge(row.method)); !row.sees(a) {
				t.Errorf("got %d %q %v", a.status, a.text, a.err)
			}
			h.wantCharges(row.charges)
			for _, c := range h.charges("pay_1") {
				if c.Amount != 1250 || c.Currency != "EUR" {
					t.Errorf("the books have %+v", c)
				}
			}
		})
	}
}

func errorOf(status int) func(answer) bool {
	return func(a answer) bool { return a.err == nil && a.status == status && a.Error.Code == "fault" }
}

func says(status int, what string) func(answer) bool {
	return func(a answer) bool { return a.err == nil && a.status == status && a.Status == what }
}

func fails(err error) func(answer) bool {
	return func(a answer) bool { return errors.Is(a.err, err) }
}

func redirects(status int) func(answer) bool {
	return func(a answer) bool {
		return a.status == status && a.header.Get("Location") == "http://127.0.0.1:1/elsewhere"
	}
}

// A wrong amount that is executed is wrong in the books too, and in every
// lookup: the gateway's truth is another one.
func TestAWrongAmountCanBeExecuted(t *testing.T) {
	h := open(t, sandbox.Config{Script: always(sandbox.Fault{Amount: 9999, Currency: "USD"})})
	sent, seen, booked := h.send("att_1", charge("pm_ok")), h.check("att_1").Executions[0], h.charges("pay_1")[0]
	for where, got := range map[string]any{
		"the answer": []any{sent.Amount, sent.Currency}, "the lookup": []any{seen.Amount, seen.Currency}, "the books": []any{booked.AmountCaptured, booked.Currency},
	} {
		if fmt.Sprint(got) != "[9999 USD]" {
			t.Errorf("%s: got %v", where, got)
		}
	}
}

// The byte arrives: a client has seen the begin of an answer when the reset
// comes.
func TestAResetWithinAnAnswerComesAfterItsFirstByte(t *testing.T) {
	h := open(t, sandbox.Config{Script: always(sandbox.Fault{Answer: sandbox.ResetWithin})})
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := `{"kind":"charge","payment":"pay_1","amount":1,"currency":"EUR","payment_method":"pm_ok"}`
	fmt.Fprintf(conn, "POST /v1/operations HTTP/1.1\r\nHost: x\r\nIdempotency-Key: att_1\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	r := bufio.NewReader(conn)
	if c, err := r.ReadByte(); err != nil || c != 'H' {
		t.Fatalf("got %q, %v", c, err)
	}
	if _, err := r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestFaultsOfACheck(t *testing.T) {
	script := sandbox.NewScript()
	usual := open(t, sandbox.Config{Script: script})
	for _, row := range []struct {
		sentence string
		fault    sandbox.Fault
		sees     func(answer) bool
	}{
		{"a status", sandbox.Fault{Status: 500}, errorOf(500)},
		{"not found although it is there", sandbox.Fault{Missing: true}, func(a answer) bool { return a.status == 404 && a.Error.Code == "not_found" && a.LagMillis == 0 }},
		{"truncated", sandbox.Fault{Answer: sandbox.Truncated}, fails(io.ErrUnexpectedEOF)},
		{"no JSON", sandbox.Fault{Answer: sandbox.Broken}, func(a answer) bool { return a.status == 200 && a.err != nil }},
		{"reset", sandbox.Fault{Answer: sandbox.ResetBefore}, fails(syscall.ECONNRESET)},
		{"hanging", sandbox.Fault{Answer: sandbox.Hang}, answer.unanswered},
		{"redirected", sandbox.Fault{Redirect: "http://127.0.0.1:1/elsewhere"}, redirects(307)},
		{"a wrong amount", sandbox.Fault{SayAmount: 1}, func(a answer) bool { return a.Executions[0].Amount == 1 }},
		{"a wrong currency", sandbox.Fault{SayCurrency: "USD"}, func(a answer) bool { return a.Executions[0].Currency == "USD" }},
		{"a wrong state", sandbox.Fault{SayStatus: "declined"}, func(a answer) bool {
			return a.status == 200 && a.Executions[0].Status == "declined" && a.Executions[0].DeclineCode != ""
		}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			h := usual.share(t)
			script.Add(sandbox.Rule{On: sandbox.Check, Operation: "att_1" + h.room, Fault: row.fault})
			if a := h.send("att_1", charge("pm_ok")); a.status != 200 {
				t.Errorf("the rule is not about sends: got %d", a.status)
			}
			check := h.check
			if row.fault.Answer == sandbox.Hang {
				check = h.checkAndLeave
			}
			if a := check("att_1"); !row.sees(a) {
				t.Errorf("got %d %q %v", a.status, a.text, a.err)
			}
			if n := h.Checks("att_1"); n != 1 {
				t.Errorf("%d checks were counted, want 1", n)
			}
		})
	}
}

// A send and three sends more, and what a rule does to each.
func TestWhichSendsARuleIsAbout(t *testing.T) {
	for _, row := range []struct {
		sentence string
		rule     sandbox.Rule
		want     string // the statuses of: att_1, att_1, att_2, then a capture of att_3's authorization
	}{
		{"of everything", sandbox.Rule{}, "500 500 500 500"},
		{"of one kind", sandbox.Rule{Kind: "capture"}, "200 200 200 500"},
		{"of one operation", sandbox.Rule{Operation: "att_1"}, "500 500 200 200"},
		{"of one payment", sandbox.Rule{Payment: "pay_2"}, "200 200 500 200"},
		{"of one payment method", sandbox.Rule{PaymentMethod: "pm_duplicate_webhooks"}, "200 200 500 200"},
		{"of one option", sandbox.Rule{PaymentMethod: "pm_ok", Kind: "capture"}, "200 200 200 500"},
		{"of the second send", sandbox.Rule{Nth: 2}, "200 500 200 200"},
		{"of the first send", sandbox.Rule{Nth: 1}, "500 200 500 500"},
		{"twice", sandbox.Rule{Times: 2}, "500 500 200 200"},
		{"of checks", sandbox.Rule{On: sandbox.Check}, "200 200 200 200"},
		{"of two things at once", sandbox.Rule{Payment: "pay_1", Nth: 1}, "500 200 200 500"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			script := &sandbox.Script{}
			h := open(t, sandbox.Config{Script: script})
			ch := h.send("att_3", charge("pm_ok").with("kind", "authorize")).GatewayID
			row.rule.Fault = sandbox.Fault{Status: 500}
			script.Add(row.rule)
			got := fmt.Sprint(
				h.send("att_1", charge("pm_ok")).status, h.send("att_1", charge("pm_ok")).status,
				h.send("att_2", charge("pm_duplicate_webhooks").with("payment", "pay_2")).status,
				h.send("cap_1", of("capture", ch, 1250)).status)
			if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			script.Clear()
			if a := h.send("att_4", charge("pm_ok")); a.status != 200 {
				t.Errorf("cleared, a rule is still there: got %d", a.status)
			}
		})
	}
}

func TestTheFirstRuleThatMatchesCounts(t *testing.T) {
	h := open(t, sandbox.Config{Script: sandbox.NewScript(
		sandbox.Rule{Kind: "refund", Fault: sandbox.Fault{Status: 501}},
		sandbox.Rule{Times: 1, Fault: sandbox.Fault{Status: 502}},
		sandbox.Rule{Fault: sandbox.Fault{Status: 503}},
	)})
	for _, want := range []int{502, 503} {
		if a := h.send("att_1", charge("pm_ok")); a.status != want {
			t.Errorf("got %d, want %d", a.status, want)
		}
	}
}

// What an executed fault left is replayed by the same payment method, not by the
// rule that is used up.
func TestARepeatAfterAFaultIsAnswered(t *testing.T) {
	h := open(t, sandbox.Config{Script: sandbox.NewScript(sandbox.Rule{Nth: 1, Fault: sandbox.Fault{Answer: sandbox.Hang}})})
	if a := h.sendAndLeave("att_1", charge("pm_ok")); !a.unanswered() {
		t.Errorf("got %d", a.status)
	}
	if a := h.send("att_1", charge("pm_ok")); a.status != 200 {
		t.Errorf("got %d", a.status)
	}
	h.wantCharges(1)
}
