package pay_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/pay"
)

// One resource has one shape, wherever it is met.
func TestThePaymentsShape(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t, reference("order \"1\""), func(p *pay.Payment) {
		p.ID, p.Metadata, p.Description = "", map[string]string{"b": "2", "a": "é"}, "shoes"
	})
	want := `{"id":"` + p.ID + `","status":"processing","in_doubt":false,"amount":100,"amount_captured":0,"amount_refunded":0,` +
		`"currency":"EUR","reference":"order \"1\"","gateway":"g","capture_method":"automatic","payment_method":"pm_ok",` +
		`"customer":null,"description":"shoes","statement_descriptor":null,"return_url":null,"next_action":null,"failure":null,` +
		`"metadata":{"a":"é","b":"2"},"created_at":"2026-11-21T12:00:00.000000Z","updated_at":"2026-11-21T12:00:00.000000Z"}`
	if got := string(w.at(p).AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Members that are only there in some statuses.
func TestWhatThePaymentsShapeTellsByStatus(t *testing.T) {
	for _, row := range []struct {
		way    string
		member string
		want   any
	}{
		{"requires_action", "next_action", map[string]any{"type": "redirect", "url": "https://bank.example"}},
		{"requires_action, manual", "capture_method", "manual"},
		{"processing", "next_action", nil},
		{"succeeded", "next_action", nil},
		{"failed", "failure", map[string]any{"code": "card_declined", "decline_code": "insufficient_funds", "message": nil}},
		{"succeeded", "failure", nil},
		{"needs_review, declined and charged", "failure", nil},
		{"needs_review", "in_doubt", true},
		{"authorized, a part captured", "amount_captured", 60.0},
		{"succeeded, all given back", "amount_refunded", 100.0},
	} {
		t.Run(fmt.Sprintf("%s of one that is %s", row.member, row.way), func(t *testing.T) {
			w := newWorld(prompt)
			got := map[string]any{}
			if err := json.Unmarshal(ways[row.way](t, w).AppendJSON(nil), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got[row.member]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheRefundsShape(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	w.do(t, w.refund(p, 40))
	id := w.last(p).ID
	for _, row := range []struct {
		sentence string
		answer   pay.Finding
		want     string
	}{
		{"that is in doubt", silence, `"status":"processing","in_doubt":true,"failure":null,`},
		{"that was declined", declined, `"status":"failed","in_doubt":false,` +
			`"failure":{"code":"card_declined","decline_code":"insufficient_funds","message":null},`},
		{"that contradicts itself", done(40), `"status":"needs_review","in_doubt":true,"failure":null,`},
	} {
		w.answer(t, p, row.answer)
		want := `{"id":"` + id + `","payment":"` + p.ID + `","amount":40,"currency":"EUR",` + row.want +
			`"created_at":"2026-11-21T12:00:00.000000Z"}`
		if got := string(w.at(p).AppendRefund(nil, w.last(p))); got != want {
			t.Errorf("a refund %s\ngot  %s\nwant %s", row.sentence, got, want)
		}
	}
}

// What events carry is the resource as it was then.
func TestEventsCarryTheResource(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	w.do(t, w.refund(p, 40))
	w.answer(t, p, done(40))
	var told []string
	for _, e := range w.events {
		var data struct{ ID, Status string }
		if e.Type[0] != 'p' && e.Type[0] != 'r' {
			continue
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || data.ID != e.Subject || e.Tenant != tenant {
			t.Errorf("%s carries %s (%v)", e.Type, e.Data, err)
		}
		told = append(told, e.Type+" "+data.Status)
	}
	wantStrings(t, "events", []string{
		"payment.created requires_confirmation", "payment.processing processing", "payment.succeeded succeeded",
		"refund.created processing", "refund.succeeded succeeded",
	}, told)
}

func TestNames(t *testing.T) {
	for s := pay.RequiresConfirmation; s <= pay.NeedsReview; s++ {
		if again, ok := pay.ParseStatus(s.String()); !ok || again != s {
			t.Errorf("%s is read as %s", s, again)
		}
	}
	for _, name := range []string{"", "status(0)", "Succeeded", "unknown"} {
		if s, ok := pay.ParseStatus(name); ok {
			t.Errorf("%q is read as %s", name, s)
		}
	}
	for k, want := range map[pay.Kind]string{
		pay.Charge: "charge", pay.Authorize: "authorize", pay.Capture: "capture", pay.Void: "void", pay.Refund: "refund", 0: "kind(0)", 9: "kind(9)",
	} {
		if k.String() != want {
			t.Errorf("kind %d is called %s", k, k)
		}
	}
	for o, want := range map[pay.Outcome]string{
		pay.Unknown: "unknown", pay.ActionRequired: "action_required", pay.Declined: "declined", pay.Done: "succeeded", pay.Conflict: "conflict",
		9: "outcome(9)",
	} {
		if o.String() != want {
			t.Errorf("outcome %d is called %s", o, o)
		}
	}
}
