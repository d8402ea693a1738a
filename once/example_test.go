package once_test

import (
	"fmt"
	"time"

	"github.com/oncepay/oncepay/once"
)

// A key runs once. A repeat gets the stored answer, another request under the
// same key is refused, and so is everything after the window.
func Example() {
	rules := once.Rules{Window: 24 * time.Hour, Lease: 30 * time.Second}
	hasher := once.NewHasher([]byte("32 random bytes, kept by a server"), "acme")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	req := once.Request{
		Key:         once.Key{Tenant: "acme", ID: "order-42"},
		Fingerprint: hasher.Request("POST", "/v1/transfers", []byte(`{"amount":100}`)),
		Operation:   "POST /v1/transfers",
	}

	first := once.Decide(once.Record{}, req, now, rules)
	fmt.Println("first:", first.Action, "attempt", first.Record.Attempt)

	// ... the transfer is made, and in the same commit its answer is kept:
	record, err := first.Record.Complete(first.Record.Attempt, "tr_1", once.Answer{Status: 201, Body: []byte(`{"id":"tr_1"}`)})
	if err != nil {
		panic(err)
	}

	repeat := once.Decide(record, req, now.Add(time.Hour), rules)
	fmt.Println("repeat:", repeat.Action, string(repeat.Record.Answer.Body))

	other := req
	other.Fingerprint = hasher.Request("POST", "/v1/transfers", []byte(`{"amount":999}`))
	mismatch := once.Decide(record, other, now.Add(time.Hour), rules)
	fmt.Println("other request:", mismatch.Action, mismatch.Err)

	late := once.Decide(record, req, now.Add(24*time.Hour), rules)
	fmt.Println("a day later:", late.Action, late.Err)
	// Output:
	// first: execute attempt 1
	// repeat: replay {"id":"tr_1"}
	// other request: refuse once: the key was used for a different request
	// a day later: refuse once: the key's window is over
}

// A window is a calculation: it is at least as long as a retry can be on its
// way.
func ExampleWindow_Check() {
	w := once.Window{RetryHorizon: 72 * time.Hour}.WithDefaults()
	fmt.Println(w.Check(24 * time.Hour))
	fmt.Println(w.Check(w.Min()))
	// Output:
	// once: the window is shorter than what retries need: 24h0m0s is less than retry horizon 72h0m0s + partition 4h0m0s + skew 5m0s + margin 1h0m0s = 77h5m0s
	// <nil>
}

func ExampleCheckID() {
	fmt.Println(once.CheckID("order-42"))
	fmt.Println(once.CheckID("order 42"))
	// Output:
	// <nil>
	// once: a key is 1 to 255 visible ASCII characters: character 6 is 0x20
}
