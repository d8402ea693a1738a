package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

type page struct {
	Data       []sandbox.Charge
	NextCursor *string `json:"next_cursor"`
}

func (h *house) list(query string) page {
	h.t.Helper()
	a := h.get("/sandbox/charges" + query)
	var p page
	if err := json.Unmarshal([]byte(a.text), &p); err != nil || a.status != 200 {
		h.t.Fatalf("got %d %s: %v", a.status, a.text, err)
	}
	return p
}

func TestAChargeIsListed(t *testing.T) {
	at := time.Date(2026, time.November, 21, 12, 0, 0, 1000, time.UTC)
	h := open(t, sandbox.Config{Now: func() time.Time { return at }})
	ch := h.send("att_1", charge("pm_ok")).GatewayID
	h.send("re_1", of("refund", ch, 250))
	want := fmt.Sprintf(`{"data":[{"payment":"pay_1","gateway_id":%q,"amount":1250,"currency":"EUR","amount_captured":1250,"amount_refunded":250,"at":"2026-11-21T12:00:00.000001Z","operation":"att_1","voided":false}],"next_cursor":null}`, ch)
	if a := h.get("/sandbox/charges?payment=pay_1"); strings.TrimSpace(a.text) != want {
		t.Errorf("got  %s\nwant %s", a.text, want)
	}
}

// What took no money is no charge: a judge counts the rows.
func TestOnlyWhatTookOrReservedMoneyIsListed(t *testing.T) {
	h := open(t, sandbox.Config{})
	h.send("att_1", charge("pm_declined"))
	h.send("att_2", charge("pm_requires_action"))
	h.sendAndLeave("att_3", charge("pm_timeout_before_charge"))
	h.send("att_4", charge("pm_ok").with("amount", 0))
	if a := h.get("/sandbox/charges?payment=pay_1"); strings.TrimSpace(a.text) != `{"data":[],"next_cursor":null}` {
		t.Errorf("got %s", a.text)
	}
	ch := h.send("att_5", charge("pm_ok").with("kind", "authorize")).GatewayID
	h.send("cap_1", of("capture", ch, 1250))
	if p := h.list("?payment=pay_1"); len(p.Data) != 1 || p.Data[0].AmountCaptured != 1250 {
		t.Errorf("a capture is no charge of its own: got %+v", p.Data)
	}
}

func TestChargesAreListedInPages(t *testing.T) {
	h := open(t, sandbox.Config{})
	for n := range 7 {
		h.send(fmt.Sprintf("att_%d", n), charge("pm_ok").with("payment", fmt.Sprintf("pay_%d", n%2)))
	}
	var got []string
	query := "?limit=3"
	for range 3 {
		p := h.list(query)
		for _, c := range p.Data {
			got = append(got, c.Operation)
		}
		if p.NextCursor == nil {
			break
		}
		query = "?limit=3&cursor=" + *p.NextCursor
	}
	if want := "[att_6 att_5 att_4 att_3 att_2 att_1 att_0]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if n, all := len(h.charges("pay_1")), len(h.charges("")); n != 3 || all != 7 {
		t.Errorf("pay_1 has %d charges of %d, want 3 of 7", n, all)
	}
	for _, bad := range []string{"?limit=0", "?limit=1001", "?limit=x", "?cursor=-", "?cursor=c!"} {
		if a := h.get("/sandbox/charges" + bad); a.status != 400 {
			t.Errorf("%s: got %d", bad, a.status)
		}
	}
}

func TestCountsAreKept(t *testing.T) {
	h := open(t, sandbox.Config{})
	h.send("att_1", charge("pm_ok"))
	h.send("att_1", charge("pm_ok"))
	h.send("att_1", body{"kind": "nonsense"})
	h.check("att_1")
	if a := h.get("/sandbox/operations/att_1"); strings.TrimSpace(a.text) != `{"operation":"att_1","sends":3,"checks":1,"executions":1}` {
		t.Errorf("got %s", a.text)
	}
	if a := h.get("/sandbox/operations/att_2"); strings.TrimSpace(a.text) != `{"operation":"att_2","sends":0,"checks":0,"executions":0}` {
		t.Errorf("got %s", a.text)
	}
}
