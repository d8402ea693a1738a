package once_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/oncepay/oncepay/once"
)

// Receipt is what charging a card comes to.
type Receipt struct{ Charge string }

// A function runs once for its key; whoever asks again gets its result.
func ExampleOperation() {
	ctx := context.Background()
	chargeCard := func(_ context.Context, key string) (string, error) { return "ch_1", nil }

	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	charge := once.Operation[Receipt]{Engine: eng, Name: "charge"}
	for range 2 {
		receipt, err := charge.Do(ctx, "order-42", "100 EUR", func(ctx context.Context, a *once.Attempt) (Receipt, error) {
			fmt.Println("the card is charged")
			id, err := chargeCard(ctx, a.Derive("card")) // the gateway's key is the same in every attempt
			return Receipt{Charge: id}, err
		})
		fmt.Println(receipt.Charge, err)
	}
	_, err = charge.Do(ctx, "order-42", "999 EUR", nil)
	fmt.Println(errors.Is(err, once.ErrMismatch))
	// Output:
	// the card is charged
	// ch_1 <nil>
	// ch_1 <nil>
	// true
}

// A long operation is a row of steps. What an attempt has finished before it vanished
// is not done again by the next.
func ExampleStep() {
	ctx := context.Background()
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	ships := false // the first time, the carrier does not answer

	order := once.Operation[string]{Engine: eng, Name: "order", Vanished: once.Resume}
	for range 2 {
		label, err := order.Do(ctx, "order-42", "a book", func(ctx context.Context, a *once.Attempt) (string, error) {
			reserved, err := once.Step(ctx, a, "reserve", func(context.Context) (string, error) {
				fmt.Println("a book is taken from the shelf")
				return "shelf 7", nil
			})
			if err != nil {
				return "", err
			}
			return once.Step(ctx, a, "ship", func(context.Context) (string, error) {
				if !ships {
					return "", errors.New("no answer from the carrier")
				}
				return "label for " + reserved, nil
			})
		})
		fmt.Println(label, err)
		ships = true
	}
	// Output:
	// a book is taken from the shelf
	//  no answer from the carrier
	// label for shelf 7 <nil>
}

// Where the other side can be asked, it is: what it says is the result.
func ExampleOperation_probe() {
	ctx := context.Background()
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	atGateway := map[string]string{}

	charge := once.Operation[Receipt]{
		Engine: eng, Name: "charge", Vanished: once.Probe,
		Probe: func(_ context.Context, a *once.Attempt) (Receipt, once.Found, error) {
			id, charged := atGateway[a.Derive("card")]
			if !charged {
				return Receipt{}, once.NotThere, nil
			}
			return Receipt{Charge: id}, once.Happened, nil
		},
	}
	for range 2 {
		receipt, err := charge.Do(ctx, "order-42", "100 EUR", func(_ context.Context, a *once.Attempt) (Receipt, error) {
			atGateway[a.Derive("card")] = "ch_1"
			return Receipt{}, errors.New("timeout") // it is charged, and nobody knows
		})
		fmt.Println(receipt.Charge, err)
	}
	// Output:
	//  timeout
	// ch_1 <nil>
}

// What nobody knows is listed, and settled by a human.
func ExampleEngine_Settle() {
	ctx := context.Background()
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	charge := once.Operation[Receipt]{Engine: eng, Name: "charge"} // Vanished is Park
	timeout := func(context.Context, *once.Attempt) (Receipt, error) { return Receipt{}, errors.New("timeout") }
	charge.Do(ctx, "order-42", "100 EUR", timeout)
	_, err = charge.Do(ctx, "order-42", "100 EUR", timeout)
	fmt.Println(errors.Is(err, once.ErrParked))

	found, _, err := eng.Unfinished(ctx, "", 100)
	fmt.Println(found[0].Key.ID, found[0].State, found[0].Note, err)
	_, err = eng.Settle(ctx, found[0].Key, once.Settlement{
		Happened: true, Answer: once.Answer{Status: 200, Body: []byte(`{"Charge":"ch_1"}`)},
		Evidence: "the gateway's report of 30 November, line 7", Actor: "ann",
	})
	receipt, _ := charge.Do(ctx, "order-42", "100 EUR", timeout)
	fmt.Println(receipt.Charge, err)
	// Output:
	// true
	// order-42 unknown timeout <nil>
	// ch_1 <nil>
}
