package web

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

var made = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// paid is a payment of that status, with a charge that ended like this.
func paid(s pay.Status, o pay.Outcome) *pay.Payment {
	return &pay.Payment{
		Ref: pay.Ref{Tenant: "acme", ID: "pay_01h455vb4pex5vsknk084sn02q"}, Amount: 100, Currency: "EUR", Method: "pm_ok", Gateway: "sandbox",
		Status: s, CreatedAt: made, UpdatedAt: made,
		Operations: []*pay.Operation{{
			ID: "att_1", Kind: pay.Charge, Outcome: o, Amount: 100, ActionURL: "https://gateway.example/act", RequestID: "req_of_the_charge", CreatedAt: made,
		}},
	}
}

// with adds an operation.
func with(p *pay.Payment, k pay.Kind, o pay.Outcome, f pay.Failure) *pay.Payment {
	p.Operations = append(p.Operations, &pay.Operation{
		ID: "re_2", Kind: k, Outcome: o, Amount: 40, Failure: f, RequestID: "req_of_the_other", CreatedAt: made,
	})
	return p
}

var declined = pay.Failure{Code: "card_declined", DeclineCode: "do_not_honor"}

// What is answered to whom, by what was asked and what it came to.
func TestWhatIsAnsweredToARequestAboutAPayment(t *testing.T) {
	last := func(v pay.Verb, p *pay.Payment, interim bool) pay.Reply {
		return pay.Reply{RequestID: "req_of_now", Result: pay.Result{Verb: v, Payment: p, Operation: p.Operations[len(p.Operations)-1], Interim: interim}}
	}
	failed := paid(pay.Failed, pay.Declined)
	failed.Operations[0].Failure = declined
	rejected := paid(pay.Failed, pay.Declined)
	rejected.Operations[0].Failure = pay.Failure{Code: "gateway_unavailable", Message: "It was never carried out."}
	const place, refunds = "/v1/payments/pay_01h455vb4pex5vsknk084sn02q", "/v1/refunds/re_2"
	for name, row := range map[string]struct {
		reply    pay.Reply
		status   int
		location string
		has      string
	}{
		"a new payment":                             {last(pay.ToCreate, paid(pay.Succeeded, pay.Done), false), 201, place, `"status":"succeeded"`},
		"a new payment that is at work":             {last(pay.ToCreate, paid(pay.Processing, pay.Unknown), true), 202, place, `"status":"processing"`},
		"a new payment that waits for its customer": {last(pay.ToCreate, paid(pay.RequiresAction, pay.ActionRequired), false), 201, place, `"url":"https://gateway.example/act"`},
		"a new payment that needs a human":          {last(pay.ToCreate, paid(pay.NeedsReview, pay.Conflict), false), 201, place, `"status":"needs_review"`},
		"a new payment that was declined":           {last(pay.ToCreate, failed, false), 402, "", `"code":"card_declined"`},
		"a new payment that was never carried out":  {last(pay.ToCreate, rejected, false), 402, "", `"code":"payment_failed"`},
		"the payment that an order has":             {last(pay.ToAdopt, paid(pay.Succeeded, pay.Done), false), 200, place, `"status":"succeeded"`},
		"the payment that an order has, at work":    {last(pay.ToAdopt, paid(pay.Processing, pay.Unknown), true), 202, place, `"status":"processing"`},
		"the payment that an order had":             {last(pay.ToAdopt, paid(pay.Canceled, pay.ActionRequired), false), 200, place, `"status":"canceled"`},
		"an order whose payment was declined":       {last(pay.ToAdopt, failed, false), 402, "", `"code":"card_declined"`},
		"a confirm":                                 {last(pay.ToConfirm, paid(pay.Authorized, pay.Done), false), 200, "", `"status":"authorized"`},
		"a confirm of what is at work":              {last(pay.ToConfirm, paid(pay.Processing, pay.Unknown), true), 202, place, `"status":"processing"`},
		"a confirm of what needs a human":           {last(pay.ToConfirm, paid(pay.NeedsReview, pay.Conflict), false), 200, "", `"status":"needs_review"`},
		"a confirm of what was declined":            {last(pay.ToConfirm, failed, false), 402, "", `"payment":{"id":"pay_`},
		"a capture":                                 {last(pay.ToCapture, with(paid(pay.Succeeded, pay.Done), pay.Capture, pay.Done, pay.Failure{}), false), 200, "", `"status":"succeeded"`},
		"a capture that was declined":               {last(pay.ToCapture, with(paid(pay.Authorized, pay.Done), pay.Capture, pay.Declined, declined), false), 402, "", `"request_id":"req_of_the_other"`},
		"a capture that needs a human":              {last(pay.ToCapture, with(paid(pay.NeedsReview, pay.Done), pay.Capture, pay.Conflict, pay.Failure{}), false), 200, "", `"status":"needs_review"`},
		"a capture at work":                         {last(pay.ToCapture, with(paid(pay.Processing, pay.Done), pay.Capture, pay.Unknown, pay.Failure{}), true), 202, place, `"status":"processing"`},
		"a cancel":                                  {last(pay.ToCancel, with(paid(pay.Canceled, pay.Done), pay.Void, pay.Done, pay.Failure{}), false), 200, "", `"status":"canceled"`},
		"a cancel that was refused":                 {last(pay.ToCancel, with(paid(pay.Authorized, pay.Done), pay.Void, pay.Declined, declined), false), 409, "", `"code":"state_conflict"`},
		"a refund":                                  {last(pay.ToRefund, with(paid(pay.Succeeded, pay.Done), pay.Refund, pay.Done, pay.Failure{}), false), 201, refunds, `"status":"succeeded"`},
		"a refund at work":                          {last(pay.ToRefund, with(paid(pay.Succeeded, pay.Done), pay.Refund, pay.Unknown, pay.Failure{}), true), 202, refunds, `"status":"processing"`},
		"a refund that was refused":                 {last(pay.ToRefund, with(paid(pay.Succeeded, pay.Done), pay.Refund, pay.Declined, declined), false), 201, refunds, `"decline_code":"do_not_honor"`},
		"a refund that needs a human":               {last(pay.ToRefund, with(paid(pay.Succeeded, pay.Done), pay.Refund, pay.Conflict, pay.Failure{}), false), 201, refunds, `"status":"needs_review"`},
		"a decision":                                {last(pay.ToResolve, paid(pay.Failed, pay.Declined), false), 200, "", `"status":"failed"`},
		"a decision about a refund":                 {last(pay.ToResolve, with(paid(pay.Succeeded, pay.Done), pay.Refund, pay.Declined, declined), false), 200, "", `"id":"pay_`},
		"a check":                                   {last(pay.ToCheck, paid(pay.Processing, pay.Unknown), false), 200, "", `"status":"processing"`},
		"a check that nobody waits for":             {last(pay.ToCheck, paid(pay.Succeeded, pay.Done), true), 202, place, `"status":"succeeded"`},
		"a refusal":                                 {pay.Reply{RequestID: "req_of_now", Refusal: ledger.Refuse(pay.ExceedsCaptured, "/amount", "too much")}, 422, "", `"request_id":"req_of_now"`},
	} {
		t.Run(name, func(t *testing.T) {
			a := RenderPayment(row.reply)
			var location, after string
			for _, f := range a.Header {
				switch f.Name {
				case "Location":
					location = f.Value
				case "Retry-After":
					after = f.Value
				}
			}
			if a.Status != row.status || location != row.location || (after != "") != (a.Status == 202) || !strings.Contains(string(a.Body), row.has) || !json.Valid(a.Body) {
				t.Errorf("got %d %q, after %q: %s", a.Status, location, after, a.Body)
			}
			if again := RenderPayment(row.reply); !bytes.Equal(again.Body, a.Body) {
				t.Errorf("rendered again: %s", again.Body)
			}
		})
	}
}

// All who ask about a payment that failed get the bytes of the first answer,
// whoever began it.
func TestAFailureIsToldInTheSameBytes(t *testing.T) {
	h := newHouse(t, nil)
	body := strings.Replace(paymentBody("payment_method", `"pm_declined"`), "}", `,"confirm":true}`, 1)
	first := h.post("k", "/v1/payments", body)
	var p struct{ Payment struct{ ID string } }
	if err := json.Unmarshal([]byte(first.body), &p); err != nil || first.status != 402 {
		t.Fatal(first, err)
	}
	for _, a := range []answer{h.post("k", "/v1/payments", body), h.post("", "/v1/payments/"+p.Payment.ID+"/confirm", "")} {
		if a.status != 402 || a.body != first.body || a.header.Get("Content-Type") != first.header.Get("Content-Type") {
			t.Errorf("got %v, want %v", a, first)
		}
	}
}

// A reason is one sentence, whoever wrote it.
func TestReasons(t *testing.T) {
	for want, f := range map[string]pay.Failure{
		"No money.":                    {Message: "No money."},
		"The card is blocked.":         {Message: "the card is blocked"},
		"Do not honor.":                {DeclineCode: "do_not_honor"},
		"It gave no reason.":           {},
		"Öffentliches Konto gesperrt.": {Message: "Öffentliches Konto gesperrt"},
	} {
		if got := reason(f, "it gave no reason"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
