package web

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

type shownTimeline struct {
	Data []struct {
		At                                 time.Time
		Type, Detail, Transfer, Key, Event string
	}
	Truncated bool
}

func (h *house) timeline(id string) (s shownTimeline) {
	h.t.Helper()
	a := h.do("GET", "/v1/payments/"+id+"/timeline", "")
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.status != 200 {
		h.t.Fatal(a.status, err, a.body)
	}
	return s
}

// count counts the items of a type.
func (s shownTimeline) count(of string) (n int) {
	for _, item := range s.Data {
		if item.Type == of {
			n++
		}
	}
	return n
}

// Of a very long story the beginning and the end are told, and that there is more.
func TestALongTimelineIsCut(t *testing.T) {
	h := newHouse(t, nil)
	id := h.makePayment("k", confirmed("pm_ok"))
	if s := h.timeline(id); s.Truncated || s.count("gap") != 0 {
		t.Errorf("a short one: %+v", s)
	}
	lines := &pay.Changes{}
	for i := range 2 * engine.MaxLines {
		lines.Lines = append(lines.Lines, pay.Line{
			Tenant: "acme", Payment: id, At: time.Now().Add(time.Duration(i) * time.Second), Type: "check", Detail: fmt.Sprint("check ", i),
		})
	}
	if err := h.store.Commit(context.Background(), &engine.Changes{At: time.Now(), Ledger: &ledger.Changes{}, Payments: lines}); err != nil {
		t.Fatal(err)
	}
	s := h.timeline(id)
	last := s.Data[len(s.Data)-1]
	if !s.Truncated || s.count("gap") != 1 || last.Detail != fmt.Sprint("check ", 2*engine.MaxLines-1) || s.Data[0].Type != "request" {
		t.Errorf("truncated %t, %d gaps, from %+v to %+v", s.Truncated, s.count("gap"), s.Data[0], last)
	}
	for i, item := range s.Data[1:] {
		if item.At.Before(s.Data[i].At) {
			t.Fatalf("%+v comes before %+v", item, s.Data[i])
		}
		if item.Type == "gap" && (i < 400 || i > 600) {
			t.Errorf("the gap is at %d", i)
		}
	}
}

// Transfers that only say that they belong to a payment are none of its own.
func TestATimelineHasItsOwnTransfersOnly(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	id := h.makePayment("k", confirmed("pm_ok"))
	p, err := h.store.Payment(t.Context(), pay.Ref{Tenant: "acme", ID: id})
	if err != nil {
		t.Fatal(err)
	}
	for i, metadata := range []string{`{}`, `{"payment":"` + id + `"}`, `{"payment":"` + id + `","operation":"` + p.Charge().ID + `"}`} {
		a := h.post(fmt.Sprint(i), "/v1/transfers", strings.TrimSuffix(transferBody("1"), "}")+`,"reference":"`+id+`","metadata":`+metadata+`}`)
		if a.status != 201 {
			t.Fatal(a)
		}
	}
	if s := h.timeline(id); s.count("transfer") != 1 {
		t.Errorf("it has %d transfers, want 1", s.count("transfer"))
	}
}

// A payment that was only made has a story, too.
func TestTheTimelineOfAPaymentThatWasOnlyMade(t *testing.T) {
	h := newHouse(t, nil)
	s := h.timeline(h.makePayment("k", paymentBody("", "")))
	if len(s.Data) != 2 || s.count("request") != 1 || s.count("event") != 1 || s.Data[0].Key != "k" {
		t.Errorf("got %+v", s)
	}
}

// A list of refunds is read page by page to its end, newest first, and shows each
// once, also between two times: it is a list like any other.
func TestPagesOfRefunds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		id := h.makePayment("k", confirmed("pm_ok"))
		var newest, times []string
		for i := range 3 {
			time.Sleep(time.Second)
			a := h.post(fmt.Sprint(i), "/v1/payments/"+id+"/refunds", `{"amount":1}`)
			var made struct {
				ID        string
				CreatedAt string `json:"created_at"`
			}
			if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 201 {
				t.Fatal(a, err)
			}
			newest, times = append([]string{made.ID}, newest...), append(times, made.CreatedAt)
		}
		for query, want := range map[string][]string{
			"":                            newest,
			"&created_after=" + times[0]:  newest[:2],
			"&created_before=" + times[2]: newest[1:],
			"&created_after=" + times[0] + "&created_before=" + times[2]: newest[1:2],
			"&created_after=" + times[2]:                                 nil,
			"&created_before=" + times[0]:                                nil,
		} {
			for limit := 1; limit <= 4; limit++ {
				got := h.refundPages(id, fmt.Sprintf("?limit=%d", limit)+query, limit)
				if !slices.Equal(got, want) {
					t.Errorf("%d at once, %q: got %v, want %v", limit, query, got, want)
				}
			}
		}
	})
}

// refundPages reads all pages of a list of refunds, each full but for the last.
func (h *house) refundPages(payment, query string, limit int) (ids []string) {
	h.t.Helper()
	for next := query; next != "" && len(ids) <= 10; {
		a := h.do("GET", "/v1/payments/"+payment+"/refunds"+next, "")
		var page struct {
			Data []struct{ ID string }
			Next *string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(a.body), &page); err != nil {
			h.t.Fatal(a, err)
		}
		for _, r := range page.Data {
			ids = append(ids, r.ID)
		}
		if next = ""; page.Next != nil {
			next = query + "&cursor=" + *page.Next
		}
		if full := len(page.Data) == limit; len(page.Data) > limit || !full && page.Next != nil {
			h.t.Errorf("%s: a page has %d of %d, and the next is at %v", query, len(page.Data), limit, page.Next)
		}
	}
	return ids
}

// Payments are counted by what was asked and what came of it, repeats aside; and
// what others count is shown beside it.
func TestMetricsOfPayments(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Stats = func() []Stat {
			return []Stat{
				{"gateway_sends_total", "Sends.", map[string]string{"gateway": "sandbox", "outcome": "unknown"}, 7},
				{"processor_busy", "At work.", nil, 3},
			}
		}
	})
	id := h.makePayment("k", confirmed("pm_ok"))
	h.post("k", "/v1/payments", confirmed("pm_ok"))
	h.post("l", "/v1/payments", confirmed("pm_declined"))
	h.post("m", "/v1/payments/"+id+"/refunds", `{"amount":2000}`)
	h.post("n", "/v1/payments/"+id+"/refunds", "")
	h.post("o", "/v1/payments/"+id+"/cancel", "")
	h.post("", "/v1/payments/"+id+"/confirm", "")
	h.post("k", "/v1/payments", confirmed("pm_slow"))
	body := h.do("GET", "/metrics", "", "Authorization", "").body
	for _, line := range []string{
		`oncepay_payments_total{operation="create",outcome="succeeded"} 1`,
		`oncepay_payments_total{operation="create",outcome="card_declined"} 1`,
		`oncepay_payments_total{operation="create",outcome="key_reused"} 1`,
		`oncepay_payments_total{operation="refund",outcome="refund_exceeds_captured"} 1`,
		`oncepay_payments_total{operation="refund",outcome="succeeded"} 1`,
		`oncepay_payments_total{operation="cancel",outcome="state_conflict"} 1`,
		`oncepay_payments_total{operation="confirm",outcome="succeeded"} 1`,
		`oncepay_gateway_sends_total{gateway="sandbox",outcome="unknown"} 7`,
		`oncepay_processor_busy 3`,
		`# TYPE oncepay_gateway_sends_total counter`,
		`# TYPE oncepay_processor_busy gauge`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}
