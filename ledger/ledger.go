// Package ledger moves money between accounts by double entry.
//
// There are few types. An [Account] holds a balance in one currency. A
// [Transfer] moves an amount from one account to another, at once or after a
// hold. An [Entry] is one side of such a move, on one account. A [Book] is the
// part of the ledger that somebody works on: a [Command] names the rows it
// needs, reads them in the book and writes what changes into it. Nothing here
// reads a clock or touches a store.
//
// # What is promised
//
// Every move writes two entries that cancel each other; a balance is the fold
// of its account's entries; no entry is ever changed. Arithmetic is checked: no
// amount wraps. A command that is refused changes nothing.
//
// # What is not promised
//
// A book knows only what was loaded into it. That rows are current and commit
// together is the executor's and the store's work.
package ledger

import (
	"fmt"
	"time"

	"github.com/oncepay/oncepay/money"
)

// Ref names an account or a transfer of a tenant.
type Ref struct{ Tenant, ID string }

// Balance is where an account stands, in minor units of its currency.
type Balance struct {
	Posted   int64 // what has moved: credits minus debits
	Outgoing int64 // held by pending transfers out of the account, >= 0
	Incoming int64 // held by pending transfers into the account, >= 0
}

// Available is what can be debited: posted minus outgoing holds. Incoming holds
// do not count, they may never be posted.
func (b Balance) Available() int64 { return b.Posted - b.Outgoing }

// Pending is by how much Posted changes if every hold is posted in full:
// positive if more is coming in than going out.
func (b Balance) Pending() int64 { return b.Incoming - b.Outgoing }

// Floor is the lowest available balance that a debit may leave. The zero Floor
// is zero: an account cannot go below nothing.
type Floor struct {
	Minor int64
	None  bool // no limit: the outside world
}

// Account holds money in one currency.
type Account struct {
	Ref
	Currency  money.Currency
	Floor     Floor
	Balance   Balance
	Closed    bool
	Metadata  map[string]string
	CreatedAt time.Time

	Version   int64 // 1 when opened; grows by one with every commit that changes the row
	Entries   int64 // how many entries it has: the Ordinal of the latest
	LastEntry int64 // Seq of its latest entry, 0 if there is none
}

// Check says what is wrong with a, if anything. It runs on every row that is
// read and before every write.
func (a *Account) Check() error {
	switch {
	case a.Balance.Outgoing < 0 || a.Balance.Incoming < 0:
		return fmt.Errorf("ledger: account %s/%s has a negative hold: %+v", a.Tenant, a.ID, a.Balance)
	case a.Closed && a.Balance != Balance{}:
		return fmt.Errorf("ledger: account %s/%s is closed and not empty: %+v", a.Tenant, a.ID, a.Balance)
	case a.Entries == 0 && a.Balance != Balance{}:
		return fmt.Errorf("ledger: account %s/%s has a balance and no entry: %+v", a.Tenant, a.ID, a.Balance)
	}
	_, ok1 := money.Sub(a.Balance.Posted, a.Balance.Outgoing)
	_, ok2 := money.Add(a.Balance.Posted, a.Balance.Incoming)
	if !ok1 || !ok2 {
		return fmt.Errorf("ledger: account %s/%s overflows: %+v", a.Tenant, a.ID, a.Balance)
	}
	return nil
}

// Status is where a transfer stands.
type Status uint8

// The statuses of a transfer. Posted, Voided and Expired are final.
const (
	Pending Status = iota + 1
	Posted
	Voided
	Expired
)

var statusNames = [...]string{"", "pending", "posted", "voided", "expired"}

func (s Status) String() string { return nameOf("status", statusNames[:], uint8(s)) }

// Transfer moves an amount between two accounts of one tenant and currency.
type Transfer struct {
	Ref
	Status       Status
	From, To     string // account ids
	Amount       int64  // minor units, > 0
	AmountPosted int64  // what has moved: Amount, or less if a hold was posted in part
	Currency     money.Currency
	Reference    string    // a label; not unique
	Reverses     string    // id of the transfer that this one undoes
	ReversedBy   string    // id of the transfer that undid this one
	Operation    string    // id of the operation of a payment that it books; "" if a client asked for it
	ExpiresAt    time.Time // when a hold is released by itself; zero: never
	Metadata     map[string]string
	CreatedAt    time.Time

	Version int64 // 1 when made; grows by one with every commit that changes the row
}

// Check says what is wrong with t, if anything. It runs on every row that is
// read and before every write.
func (t *Transfer) Check() error {
	switch {
	case t.Status < Pending || t.Status > Expired:
		return fmt.Errorf("ledger: transfer %s has the %s, which does not exist", t.ID, t.Status)
	case t.Amount <= 0:
		return fmt.Errorf("ledger: transfer %s moves %d", t.ID, t.Amount)
	case t.AmountPosted < 0 || t.AmountPosted > t.Amount:
		return fmt.Errorf("ledger: transfer %s posted %d of %d", t.ID, t.AmountPosted, t.Amount)
	case (t.Status == Posted) != (t.AmountPosted > 0):
		return fmt.Errorf("ledger: transfer %s is %s and posted %d", t.ID, t.Status, t.AmountPosted)
	case t.From == t.To:
		return fmt.Errorf("ledger: transfer %s goes from %s to itself", t.ID, t.From)
	}
	return nil
}

// Kind says what an entry does to its account.
type Kind uint8

// The kinds of entries.
const (
	Move    Kind = iota + 1 // posts without a hold
	Hold                    // sets money aside
	Settle                  // posts a hold, all or in part, and releases the rest
	Release                 // ends a hold without posting
)

var kindNames = [...]string{"", "move", "hold", "settle", "release"}

func (k Kind) String() string { return nameOf("kind", kindNames[:], uint8(k)) }

// nameOf names a value also if it is none of those that exist: a row that was
// damaged must be told of, not crash who reads it.
func nameOf(of string, names []string, v uint8) string {
	if v > 0 && int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", of, v)
}

// Entry is one side of one move, on one account. Entries come in pairs with
// consecutive Seq, the debited side first, and are never changed.
type Entry struct {
	Seq      int64 // unique in the store, ascending along each account
	Account  Ref
	Ordinal  int64 // 1 for the first entry of the account
	Prev     int64 // Seq of the account's entry before this one, 0 if there is none
	Transfer string
	Kind     Kind
	Delta    Balance // what it adds to each part of the balance
	After    Balance // the account's balance after it: the running balance
	Currency money.Currency
	At       time.Time
}

// First says whether e is the entry that its transfer began with.
func (e Entry) First() bool { return e.Kind == Move || e.Kind == Hold }
