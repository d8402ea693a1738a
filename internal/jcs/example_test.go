package jcs_test

import (
	"fmt"

	"github.com/oncepay/oncepay/internal/jcs"
)

func Example() {
	for _, body := range []string{
		`{"to": "bob", "amount": 9007199254740993}`,
		`{"amount":9007199254740993,"\u0074o":"bob"}`,
		`{"amount":9007199254740992,"to":"bob"}`,
	} {
		v, _ := jcs.Parse([]byte(body), jcs.Limits{Depth: 32, Nodes: 1024})
		fmt.Printf("%s\n", v.AppendCanonical(nil))
	}
	// Output:
	// {"amount":9007199254740993,"to":"bob"}
	// {"amount":9007199254740993,"to":"bob"}
	// {"amount":9007199254740992,"to":"bob"}
}

func ExampleParse_errors() {
	for _, body := range []string{`{"amount":1,"amount":2}`, `{"amount":1e400}`, `{"amount":1`, `[[1]]`, `[1,2,3,4,5]`} {
		_, err := jcs.Parse([]byte(body), jcs.Limits{Depth: 1, Nodes: 5})
		fmt.Println(err)
	}
	// Output:
	// invalid JSON at byte 12: member "amount" appears twice
	// invalid JSON at byte 10: the number is too large for a double
	// invalid JSON at byte 11: the text ends too early
	// invalid JSON at byte 1: nested deeper than 1 levels
	// invalid JSON at byte 9: more than 5 values and names
}

func ExampleValue_Members() {
	v, _ := jcs.Parse([]byte(`{"amount": 1250, "currency": "EUR"}`), jcs.Limits{Depth: 32, Nodes: 1024})
	for name, value := range v.Members() {
		fmt.Printf("%s is %s\n", name, value.Raw())
	}
	// Output:
	// amount is 1250
	// currency is "EUR"
}

func ExampleValue_Without() {
	v, _ := jcs.Parse([]byte(`{"to":"bob","idempotency_key":"k1","amount":5}`), jcs.Limits{Depth: 32, Nodes: 1024})
	fmt.Printf("%s\n", v.Without("idempotency_key").AppendCanonical(nil))
	// Output:
	// {"amount":5,"to":"bob"}
}
