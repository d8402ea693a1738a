package sandbox_test

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

// decide posts the page's form.
func (h *house) decide(address, outcome string, headers ...string) answer {
	h.t.Helper()
	path := strings.TrimPrefix(address, h.url)
	form := url.Values{"outcome": {outcome}}.Encode()
	headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	return h.do(context.Background(), "POST", path, []byte(form), headers...)
}

func TestTheCustomerDecides(t *testing.T) {
	for _, row := range []struct {
		sentence, kind, outcome string
		status                  string // of the operation, afterwards
		captured                int64  // -1: there is no charge
	}{
		{"an approved charge is captured", "charge", "approved", "succeeded", 1250},
		{"an approved authorization is not", "authorize", "approved", "succeeded", 0},
		{"a refused charge is declined", "charge", "refused", "declined", -1},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			h, m := open(t, sandbox.Config{}), newMailbox(t)
			b := m.notify(charge("pm_requires_action")).with("kind", row.kind, "return_url", "https://shop.example/back?order=1")
			first := h.send("att_1", b)
			if !strings.HasPrefix(first.ActionURL, h.url+"/sandbox/actions/ch_") {
				t.Fatalf("the page is at %q", first.ActionURL)
			}
			a := h.decide(first.ActionURL, row.outcome)
			if a.status != 303 || a.header.Get("Location") != "https://shop.example/back?order=1" {
				t.Errorf("got %d to %q", a.status, a.header.Get("Location"))
			}
			if got := h.check("att_1").Executions; len(got) != 1 || got[0].Status != row.status {
				t.Errorf("a check says %+v", got)
			}
			if again := h.send("att_1", b); again.Status != row.status {
				t.Errorf("a repeat is answered %d %q", again.status, again.Status)
			}
			if got := m.want(2)[1]; got.Type != "operation."+row.status || got.GatewayID != first.GatewayID {
				t.Errorf("the webhook says %+v", got)
			}
			all := h.charges("pay_1")
			if row.captured == -1 && len(all) != 0 || row.captured != -1 && (len(all) != 1 || all[0].AmountCaptured != row.captured) {
				t.Errorf("the books have %+v", all)
			}
		})
	}
}

func TestTheFirstDecisionCounts(t *testing.T) {
	h := open(t, sandbox.Config{})
	first := h.send("att_1", charge("pm_requires_action"))
	for _, step := range []struct {
		outcome, says string
		status        int
	}{
		{"approved", "was approved", 200},
		{"approved", "was approved", 200},
		{"refused", "was approved", 409},
		{"perhaps", "outcome is approved or refused", 400},
	} {
		if a := h.decide(first.ActionURL, step.outcome); a.status != step.status || !strings.Contains(a.text, step.says) {
			t.Errorf("%s: got %d %s", step.outcome, a.status, a.text)
		}
	}
	h.wantCharges(1)
}

func TestAnActionThatWasCalledOffIsOver(t *testing.T) {
	h := open(t, sandbox.Config{})
	first := h.send("att_1", charge("pm_requires_action").with("kind", "authorize"))
	if a := h.send("att_v", of("void", first.GatewayID, 1250)); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	if a := h.decide(first.ActionURL, "approved"); a.status != 409 || !strings.Contains(a.text, "was canceled") {
		t.Errorf("got %d %s", a.status, a.text)
	}
	h.wantCharges(0)
	if got := h.check("att_1").Executions[0]; got.Status != "declined" || got.DeclineCode != "canceled" {
		t.Errorf("got %+v", got)
	}
}

func TestThePageOfAnAction(t *testing.T) {
	h := open(t, sandbox.Config{BaseURL: "http://127.0.0.1:8080"})
	first := h.send("att_1", charge("pm_requires_action").with("reference", `order <script>alert("4711")</script>`, "description", "two tickets"))
	if want := "http://127.0.0.1:8080/sandbox/actions/" + first.GatewayID; first.ActionURL != want {
		t.Errorf("the page is at %s, want %s", first.ActionURL, want)
	}
	a := h.get("/sandbox/actions/" + first.GatewayID)
	for _, want := range []string{"12.50 EUR", "pay_1", "two tickets", "&lt;script&gt;", `value="approved"`, `value="refused"`} {
		if !strings.Contains(a.text, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if outside := regexp.MustCompile(`(src|href|action)=|url\(|@import|<script`).FindString(a.text); outside != "" {
		t.Errorf("the page loads or runs something: %s", outside)
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("the policy is %q", csp)
	}
	h.decide("/sandbox/actions/"+first.GatewayID, "refused")
	if a := h.get("/sandbox/actions/" + first.GatewayID); strings.Contains(a.text, "<form") || !strings.Contains(a.text, "was refused") {
		t.Errorf("a page that is decided still asks: %s", a.text)
	}
}

func TestAPageOfNothing(t *testing.T) {
	h := open(t, sandbox.Config{})
	charged := h.send("att_1", charge("pm_ok"))
	for sentence, path := range map[string]string{"a charge without an action": charged.GatewayID, "nothing": "ch_1"} {
		if a := h.get("/sandbox/actions/" + path); a.status != 404 {
			t.Errorf("%s: got %d", sentence, a.status)
		}
		if a := h.decide("/sandbox/actions/"+path, "approved"); a.status != 404 {
			t.Errorf("deciding %s: got %d", sentence, a.status)
		}
	}
}

// Another site's page must not approve for the customer.
func TestAnotherSiteCannotDecide(t *testing.T) {
	h := open(t, sandbox.Config{})
	first := h.send("att_1", charge("pm_requires_action"))
	if a := h.decide(first.ActionURL, "approved", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); a.status != 403 {
		t.Errorf("got %d", a.status)
	}
	h.wantCharges(0)
}
