package httponce_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

// A charge that is sent twice is made once, and answered twice.
func ExampleHandler() {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	charges := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charges", func(w http.ResponseWriter, _ *http.Request) {
		charges++
		w.Header().Set("Location", fmt.Sprint("/charges/", charges))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "charge %d", charges)
	})
	srv := httptest.NewServer(httponce.Handler{Engine: eng}.Wrap(mux))
	defer srv.Close()

	for _, amount := range []string{"10", "10", "999"} {
		r, _ := http.NewRequest("POST", srv.URL+"/charges", strings.NewReader(amount))
		r.Header.Set("Idempotency-Key", "order-42")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Printf("%s: %d %.24s, replayed: %q\n", amount, res.StatusCode, body, res.Header.Get("Idempotency-Replayed"))
	}
	// Output:
	// 10: 201 charge 1, replayed: ""
	// 10: 201 charge 1, replayed: "true"
	// 999: 422 {"type":"/docs/problems/, replayed: ""
}

// What differs between routes is data.
func ExampleTable() {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	stripe := httponce.StripeV1
	stripe.Vanished = once.Rerun // our handlers check for themselves
	h := httponce.Handler{Engine: eng, Route: httponce.Table(map[string]httponce.Route{
		"/":             {},               // a key is required
		"POST /hooks/":  {Unkeyed: true},  // others' events, which have ids of their own
		"POST /books":   httponce.AIP155,  // the key is in the body
		"/v1/":          stripe,           // answers as Stripe's API does
		"POST /reports": {Wait: -1},       // nobody waits for a report
		"PATCH /drafts": {Optional: true}, // a key where the client has one
	})}.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") }))

	for _, target := range []string{"/charges", "/hooks/1", "/books", "/v1/charges"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", target, strings.NewReader(`{"request_id":"42"}`)))
		fmt.Println(target, w.Code, w.Header().Get("Idempotency-Expires") != "")
	}
	// Output:
	// /charges 400 false
	// /hooks/1 200 false
	// /books 200 true
	// /v1/charges 200 false
}

// The answer to a charge gets lost, and the client never knows: it asks again, with
// the same key.
func ExampleTransport() {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	charges, requests := 0, 0
	h := httponce.Handler{Engine: eng}.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		charges++
		fmt.Fprintf(w, "charge %d", charges)
	}))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests == 1 {
			h.ServeHTTP(httptest.NewRecorder(), r) // charged,
			panic(http.ErrAbortHandler)            // and cut off
		}
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()

	client := &http.Client{Transport: &httponce.Transport{}}
	ctx := httponce.WithKey(context.Background(), "order-42") // stored beside the order
	r, _ := http.NewRequestWithContext(ctx, "POST", srv.URL, strings.NewReader(`{"amount":10}`))
	res, err := client.Do(r)
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Printf("%s after %d requests\n", body, requests)
	// Output:
	// charge 1 after 2 requests
}

// Nobody knows what became of a charge, and an operator finds it out.
func ExampleOperator() {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	charge := once.Operation[string]{Engine: eng, Name: "charge"}
	charge.Do(context.Background(), "order-42", nil, func(context.Context, *once.Attempt) (string, error) {
		return "", errors.New("the gateway hung up")
	})
	operator := func(r *http.Request) (string, error) { // who asks, and may
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			return "", errors.New("no operator")
		}
		return "ann", nil
	}
	internal := http.NewServeMux()
	internal.Handle("/internal/keys/", http.StripPrefix("/internal/keys", httponce.Operator{Engine: eng, Actor: operator}))

	decision := `{"tenant": "default", "key": "order-42", "as": "absent", "evidence": "the gateway knows nothing of it"}`
	r := httptest.NewRequest("POST", "/internal/keys/settle", strings.NewReader(decision))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer s3cret")
	w := httptest.NewRecorder()
	internal.ServeHTTP(w, r)
	fmt.Println(w.Code)
	charged, err := charge.Do(context.Background(), "order-42", nil, func(context.Context, *once.Attempt) (string, error) {
		return "ch_1", nil
	})
	fmt.Println(charged, err)
	// Output:
	// 200
	// ch_1 <nil>
}
