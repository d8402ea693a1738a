package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func paymentBody(member, value string) string {
	members := map[string]string{"amount": "1250", "currency": `"EUR"`, "payment_method": `"pm_ok"`}
	if member != "" {
		members[member] = value
	}
	var parts []string
	for name, value := range members {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", name, value))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// What is wrong with a payment's body is told with a pointer, never repeats what
// may be a card's number, and leaves the key free.
func TestWrongPaymentBodies(t *testing.T) {
	const card = "4242424242424242"
	long := func(n int) string { return `"` + strings.Repeat("é", n) + `"` }
	h := newHouse(t, nil)
	for name, row := range map[string]struct{ member, value, pointer string }{
		"no amount":                               {"amount", "", "/amount"},
		"an amount of nothing":                    {"amount", "0", "/amount"},
		"an amount with a point":                  {"amount", "12.50", "/amount"},
		"the largest amount and one":              {"amount", "1000000000000", "/amount"},
		"an amount of 2^63":                       {"amount", "9223372036854775808", "/amount"},
		"no currency":                             {"currency", "", "/currency"},
		"no payment method":                       {"payment_method", "", "/payment_method"},
		"an empty payment method":                 {"payment_method", `""`, "/payment_method"},
		"a payment method of 256 characters":      {"payment_method", `"` + strings.Repeat("x", 256) + `"`, "/payment_method"},
		"a payment method with a space":           {"payment_method", `"pm ok"`, "/payment_method"},
		"a payment method that is not ASCII":      {"payment_method", `"pm_é"`, "/payment_method"},
		"a payment method that is a number":       {"payment_method", card, "/payment_method"},
		"a card's number":                         {"payment_method", `"` + card + `"`, "/payment_method"},
		"a card's number with an escape":          {"payment_method", `"\u0034242424242424242"`, "/payment_method"},
		"a reference of two lines":                {"reference", `"a\nb"`, "/reference"},
		"a reference that turns its direction":    {"reference", `"a\u202eb"`, "/reference"},
		"a reference with a separator of lines":   {"reference", `"a\u2028b"`, "/reference"},
		"a description with an isolate":           {"description", `"a\u2067b"`, "/description"},
		"a description with C1's line break":      {"description", `"a\u0085b"`, "/description"},
		"a customer with a space without width":   {"customer", `"a\u200bb"`, "/customer"},
		"a descriptor of two paragraphs":          {"statement_descriptor", `"a\u2029b"`, "/statement_descriptor"},
		"a gateway with a mark of direction":      {"gateway", `"a\u200fb"`, "/gateway"},
		"a return address that turns around":      {"return_url", `"https://shop.example/\u202egpj.exe"`, "/return_url"},
		"a reference of 256 characters":           {"reference", long(256), "/reference"},
		"a gateway that is a number":              {"gateway", "7", "/gateway"},
		"an empty gateway":                        {"gateway", `""`, "/gateway"},
		"a gateway of 65 characters":              {"gateway", long(65), "/gateway"},
		"a capture method nobody knows":           {"capture_method", `"later"`, "/capture_method"},
		"a capture method that is true":           {"capture_method", "true", "/capture_method"},
		"a confirm that is a word":                {"confirm", `"true"`, "/confirm"},
		"an empty customer":                       {"customer", `""`, "/customer"},
		"a customer of 256 characters":            {"customer", long(256), "/customer"},
		"a customer who is a card's number":       {"customer", `"` + card + `"`, "/customer"},
		"a description of 501 characters":         {"description", long(501), "/description"},
		"a description with a card's number":      {"description", `"for ` + card + `"`, "/description"},
		"a description of two lines":              {"description", `"a\nb"`, "/description"},
		"a descriptor of 23 characters":           {"statement_descriptor", long(23), "/statement_descriptor"},
		"a descriptor with a card's number":       {"statement_descriptor", `"` + card + `"`, "/statement_descriptor"},
		"a return address that is a path":         {"return_url", `"/thanks"`, "/return_url"},
		"a return address without a host":         {"return_url", `"https:///thanks"`, "/return_url"},
		"a return address that is a script":       {"return_url", `"javascript:alert(1)"`, "/return_url"},
		"a return address with a password":        {"return_url", `"https://a:b@shop.example/"`, "/return_url"},
		"a return address with a space":           {"return_url", `"https://shop.example/a b"`, "/return_url"},
		"a return address with a line break":      {"return_url", `"https://shop.example/\r\nX: y"`, "/return_url"},
		"a return address of 2,001 characters":    {"return_url", `"https://shop.example/` + strings.Repeat("x", 2001-21) + `"`, "/return_url"},
		"a return address of 2,001 bytes":         {"return_url", `"https://shop.example/` + strings.Repeat("é", 990) + `"`, "/return_url"},
		"options that are a list":                 {"gateway_options", "[]", "/gateway_options"},
		"an option that is a number":              {"gateway_options", `{"a":1}`, "/gateway_options/a"},
		"an option with a card's number":          {"gateway_options", `{"a":"` + card + `"}`, "/gateway_options/a"},
		"an option named by a card's number":      {"gateway_options", `{"` + card + `":"a"}`, "/gateway_options/***"},
		"metadata named by a card's number":       {"metadata", `{"` + card + `":"a"}`, "/metadata/***"},
		"a return address with a card's number":   {"return_url", `"https://shop.example/?card=` + card + `"`, "/return_url"},
		"one that is escaped there":               {"return_url", `"https://shop.example/?card=4242%204242%204242%204242"`, "/return_url"},
		"a payment method that has one in it":     {"payment_method", `"pm_` + card + `"`, "/payment_method"},
		"metadata with a card's number":           {"metadata", `{"a":"` + card + `"}`, "/metadata/a"},
		"metadata with a value of 501 characters": {"metadata", `{"a":` + long(501) + `}`, "/metadata/a"},
		"a member that is not there":              {"colour", `"red"`, "/colour"},
		"a member that is null":                   {"reference", "null", "/reference"},
		"a gateway that is not there":             {"gateway", `"elsewhere"`, "/gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.post(keyOf(name), "/v1/payments", paymentBody(row.member, row.value))
			if a.status != 422 || a.code() != "invalid" {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			var p struct {
				Errors []struct{ Pointer, Detail string }
			}
			if err := json.Unmarshal([]byte(a.body), &p); err != nil || len(p.Errors) == 0 || p.Errors[0].Pointer != row.pointer {
				t.Errorf("got the errors %v, want a first pointer %q", p.Errors, row.pointer)
			}
			if strings.Contains(a.body, "4242") || strings.Contains(h.log.String(), "4242") {
				t.Errorf("the card's number is repeated: %s", a.body)
			}
			if again := h.post(keyOf(name), "/v1/payments", paymentBody("", "")); again.status != 201 || again.header.Get("Idempotency-Replayed") != "" {
				t.Errorf("mended: %d %s, want it made", again.status, again.body)
			}
		})
	}
}

// What is as large as the limits allow is taken.
func TestPaymentBodiesAtTheLimit(t *testing.T) {
	long := func(n int) string { return `"` + strings.Repeat("é", n) + `"` }
	h := newHouse(t, nil)
	for name, row := range map[string]struct{ member, value string }{
		"the largest amount":                    {"amount", "999999999999"},
		"a payment method of 255 characters":    {"payment_method", `"` + strings.Repeat("x", 255) + `"`},
		"a reference of 255 characters":         {"reference", long(255)},
		"a reference in Persian, with a joiner": {"reference", `"می\u200cخواهم"`},
		"a customer who is a family":            {"customer", `"👨\u200d👩\u200d👧"`},
		"a reference like a card's number":      {"reference", `"4242424242424242"`},
		"the gateway by its name":               {"gateway", `"sandbox"`},
		"a customer of 255 characters":          {"customer", long(255)},
		"a description of 500 characters":       {"description", long(500)},
		"a descriptor of 22 characters":         {"statement_descriptor", long(22)},
		"a return address of 2,000 bytes":       {"return_url", `"https://shop.example/x` + strings.Repeat("é", 989) + `"`},
		"a return address on this very machine": {"return_url", `"http://localhost:3000/back?order=1#x"`},
		"no options":                            {"gateway_options", "{}"},
		"an option of 500 characters":           {"gateway_options", `{"a":` + long(500) + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			if a := h.post(keyOf(name), "/v1/payments", paymentBody(row.member, row.value)); a.status != 201 {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

// The small bodies are read as strictly.
func TestWrongBodiesOfWhatIsDoneToAPayment(t *testing.T) {
	h := newHouse(t, nil)
	id := h.makePayment("p", paymentBody("", ""))
	for name, row := range map[string]struct{ verb, body, pointer string }{
		"a capture of nothing":                  {"capture", `{"amount":0}`, "/amount"},
		"a capture with a word for final":       {"capture", `{"final":"no"}`, "/final"},
		"a capture of what is not there":        {"capture", `{"currency":"EUR"}`, "/currency"},
		"a cancel with a reason":                {"cancel", `{"reason":"x"}`, "/reason"},
		"a refund of nothing":                   {"refunds", `{"amount":0}`, "/amount"},
		"a refund above every payment":          {"refunds", `{"amount":1000000000000}`, "/amount"},
		"a refund that is a list":               {"refunds", `[]`, ""},
		"a check of something":                  {"check", `{"operation":"att_1"}`, "/operation"},
		"a decision without one":                {"resolve", `{"evidence":"x"}`, "/as"},
		"a decision without evidence":           {"resolve", `{"as":"absent"}`, "/evidence"},
		"a decision with empty evidence":        {"resolve", `{"as":"absent","evidence":""}`, "/evidence"},
		"evidence of 1,001 characters":          {"resolve", `{"as":"absent","evidence":"` + strings.Repeat("x", 1001) + `"}`, "/evidence"},
		"evidence with a card's number":         {"resolve", `{"as":"absent","evidence":"4242 4242 4242 4242"}`, "/evidence"},
		"evidence with a card's number in dots": {"resolve", `{"as":"absent","evidence":"seen:\n4242.4242.4242.4242"}`, "/evidence"},
		"evidence that a terminal obeys":        {"resolve", `{"as":"absent","evidence":"a\u001b[2Jb"}`, "/evidence"},
		"evidence with a carriage return":       {"resolve", `{"as":"absent","evidence":"captured\rabsent"}`, "/evidence"},
		"evidence that turns its direction":     {"resolve", `{"as":"absent","evidence":"a\u202eb"}`, "/evidence"},
		"evidence with a separator of lines":    {"resolve", `{"as":"absent","evidence":"a\u2028b"}`, "/evidence"},
		"a decision about a hidden operation":   {"resolve", `{"as":"absent","evidence":"x","operation":"att_\u202e1"}`, "/operation"},
		"a decision with an id that is empty":   {"resolve", `{"as":"captured","evidence":"x","gateway_id":""}`, "/gateway_id"},
		"an id of 256 characters":               {"resolve", `{"as":"captured","evidence":"x","gateway_id":"` + strings.Repeat("x", 256) + `"}`, "/gateway_id"},
		"an id with a space":                    {"resolve", `{"as":"captured","evidence":"x","gateway_id":"ch 1"}`, "/gateway_id"},
		"an id that a terminal obeys":           {"resolve", `{"as":"captured","evidence":"x","gateway_id":"ch_\u001b[2J"}`, "/gateway_id"},
		"an id beyond ASCII":                    {"resolve", `{"as":"captured","evidence":"x","gateway_id":"ché"}`, "/gateway_id"},
		"an id that is a number":                {"resolve", `{"as":"captured","evidence":"x","gateway_id":77}`, "/gateway_id"},
		"a decision nobody can make":            {"resolve", `{"as":"maybe","evidence":"x"}`, "/as"},
		"a decision about a number":             {"resolve", `{"as":"absent","evidence":"x","operation":1}`, "/operation"},
		"a decision with a member that is none": {"resolve", `{"as":"absent","evidence":"x","actor":"me"}`, "/actor"},
		"a confirm with a member":               {"confirm", `{"amount":1}`, "/amount"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.post(keyOf(name), "/v1/payments/"+id+"/"+row.verb, row.body)
			if a.status != 422 || !strings.Contains(a.body, `"errors":[{"pointer":"`+row.pointer+`"`) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

// keyOf makes a key of a sentence.
func keyOf(sentence string) string { return strings.ReplaceAll(sentence, " ", "_") }

// makePayment makes a payment and returns its id.
func (h *house) makePayment(key, body string) string {
	h.t.Helper()
	a := h.post(key, "/v1/payments", body)
	if a.status != 201 {
		h.t.Fatal(a)
	}
	return a.id()
}

// id is that of the resource in an answer.
func (a answer) id() string {
	var r struct{ ID string }
	json.Unmarshal([]byte(a.body), &r)
	return r.ID
}

// Evidence may be a part of a report, with its lines and columns.
func TestEvidenceOfSeveralLines(t *testing.T) {
	h := newHouse(t, nil)
	id := h.makePayment("p", paymentBody("", ""))
	if a := h.post("k", "/v1/payments/"+id+"/resolve", `{"as":"absent","evidence":"report:\n\tline 311"}`); a.code() != "state_conflict" {
		t.Errorf("got %v, want it to be taken, and nothing to be in doubt", a)
	}
}
