package ledger_test

import (
	"fmt"
	"time"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
)

// A book holds the rows that a batch of commands works on. Commands name what
// they need, whoever has a store fills it in, and the book says what to write.
func ExampleBook() {
	book := ledger.NewBook()
	open := ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: "bob"}, Currency: "EUR"}
	pay := ledger.CreateTransfer{Tenant: "acme", From: "alice", To: "bob", Amount: 1250, Currency: "EUR"}
	tooMuch := ledger.CreateTransfer{Tenant: "acme", From: "bob", To: "alice", Amount: 9999, Currency: "EUR"}
	commands := []ledger.Command{open, pay, tooMuch}
	for _, c := range commands {
		c.Needs(book)
	}
	fmt.Println("to be loaded:", book.Wanted().Accounts)
	book.PutAccount(&ledger.Account{
		Ref: ledger.Ref{Tenant: "acme", ID: "alice"}, Currency: "EUR", Floor: ledger.Floor{None: true}, Version: 1,
	})

	now := ledger.Moment{Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), IDs: id.NewSource([32]byte{1})}
	for _, c := range commands {
		if _, err := c.Decide(book, now); err != nil {
			fmt.Println(err)
		}
	}
	changes, err := book.Changes()
	if err != nil {
		panic(err) // money would be lost or made
	}
	for _, e := range changes.Entries {
		fmt.Println(e.Account.ID, e.Delta.Posted, "leaves", e.After.Posted)
	}
	// Output:
	// to be loaded: [{acme bob} {acme alice}]
	// ledger: insufficient_funds: account bob has 1250 available, in minor units of EUR, and may not go below 0
	// alice -1250 leaves -1250
	// bob 1250 leaves 1250
}
