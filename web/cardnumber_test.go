package web

import (
	"net/url"
	"strings"
	"testing"
)

// A problem does not repeat a card's number, wherever it came from.
func TestProblemsRepeatNoCardNumber(t *testing.T) {
	const card = "4242 4242 4242 4242"
	escaped := url.QueryEscape(card)
	h := newHouse(t, nil)
	id := h.makePayment("p", paymentBody("", ""))
	for name, a := range map[string]answer{
		"an unknown member":       h.post("a", "/v1/payments", paymentBody(card, "1")),
		"one of a transfer":       h.post("b", "/v1/transfers", `{"`+card+`":1}`),
		"one of a capture":        h.post("c", "/v1/payments/"+id+"/capture", `{"`+card+`":1}`),
		"one of a confirm":        h.post("", "/v1/payments/"+id+"/confirm", `{"`+card+`":1}`),
		"a name of metadata":      h.post("d", "/v1/payments", paymentBody("metadata", `{"`+card+`":"a"}`)),
		"one of a transfer's":     h.post("e", "/v1/transfers", `{"metadata":{"`+card+`":1}}`),
		"a name of an option":     h.post("f", "/v1/payments", paymentBody("gateway_options", `{"`+card+`":"a"}`)),
		"a parameter":             h.do("GET", "/v1/payments?"+escaped+"=1", ""),
		"a parameter of a POST":   h.post("g", "/v1/payments?"+escaped+"=1", paymentBody("", "")),
		"a gateway":               h.post("h", "/v1/payments", paymentBody("gateway", `"`+card+`"`)),
		"a member that is double": h.post("i", "/v1/payments", `{"`+card+`":1,"`+card+`":1}`),
		"an item of a batch":      h.post("", "/v1/transfers/batch", `{"transfers":[{"idempotency_key":"k","`+card+`":1}]}`),
	} {
		if !strings.Contains(a.body, `"code":"`) || strings.Contains(a.body, "4242") {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}
