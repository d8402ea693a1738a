package web

import (
	"encoding/json"
	"fmt"
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

// No metadata takes a card's number, neither of what is paid nor of accounts and
// transfers. Nothing began: the same key serves the request once it is mended.
func TestMetadataTakesNoCardNumber(t *testing.T) {
	const account, transfer = `{"currency":"EUR","metadata":%s}`, `{"from":"alice","to":"bob","amount":1,"currency":"EUR","metadata":%s}`
	h := newHouse(t, nil)
	h.open()
	for name, send := range map[string]func(key, metadata string) answer{
		"a new account": func(key, m string) answer { return h.post(key, "/v1/accounts", fmt.Sprintf(account, m)) },
		"an account":    func(_, m string) answer { return h.do("PUT", "/v1/accounts/alice", `{"metadata":`+m+`}`) },
		"a transfer":    func(key, m string) answer { return h.post(key, "/v1/transfers", fmt.Sprintf(transfer, m)) },
		"an item of a batch": func(key, m string) answer {
			a := h.post("", "/v1/transfers/batch", `{"transfers":[{"idempotency_key":"`+key+`",`+fmt.Sprintf(transfer, m)[1:]+`]}`)
			var batch struct {
				Results []struct {
					Status int
					Body   json.RawMessage
				}
			}
			if err := json.Unmarshal([]byte(a.body), &batch); err != nil || len(batch.Results) != 1 {
				t.Fatal(a, err)
			}
			return answer{status: batch.Results[0].Status, body: string(batch.Results[0].Body)}
		},
		"a payment": func(key, m string) answer { return h.post(key, "/v1/payments", paymentBody("metadata", m)) },
	} {
		for metadata, pointer := range map[string]string{
			`{"note":"paid with 4242-4242-4242-4242"}`: "/metadata/note",
			`{"card 4242424242424242":"x"}`:            "/metadata/card ***",
		} {
			key := keyOf(name + pointer)
			a := send(key, metadata)
			if a.status != 422 || a.code() != "invalid" || !strings.Contains(a.body, `"errors":[{"pointer":"`+pointer+`"`) || strings.Contains(a.body, "4242") {
				t.Errorf("%s, %s: got %d %s", name, pointer, a.status, a.body)
			}
			if a := send(key, `{"4242":"4242 4242"}`); a.status != 200 && a.status != 201 {
				t.Errorf("%s, mended: got %d %s", name, a.status, a.body)
			}
		}
	}
	if a := h.do("GET", "/v1/accounts/alice", ""); !strings.Contains(a.body, `"metadata":{"4242":"4242 4242"}`) {
		t.Errorf("the account is %s", a.body)
	}
}
