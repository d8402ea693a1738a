package audit

import (
	"fmt"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
)

// chains are the entries of every account, followed one by one.
type chains struct {
	places map[ledger.Ref]int32 // where in all
	all    []chain
}

// chain is what is known of an account: what its row says, and where its
// entries led so far.
type chain struct {
	ref      ledger.Ref
	currency money.Currency
	row      mark
	at       mark
	fold     ledger.Balance // of all deltas, whatever the entries say they lead to
	when     int64          // of the last entry, Unix microseconds; 0 before the first
	ghost    bool           // there are entries, and no account
}

// mark is where an account stands after an entry.
type mark struct {
	balance ledger.Balance
	entries int64
	last    int64
}

// open takes in an account's row. It reports false if the account is known.
func (c *chains) open(a *ledger.Account) bool {
	if _, known := c.places[a.Ref]; known {
		return false
	}
	c.push(chain{
		ref: a.Ref, currency: a.Currency,
		row: mark{balance: a.Balance, entries: a.Entries, last: a.LastEntry},
	})
	return true
}

func (c *chains) push(ch chain) *chain {
	c.places[ch.ref] = int32(len(c.all))
	c.all = append(c.all, ch)
	return &c.all[len(c.all)-1]
}

// follow takes in an account's next entry, and says where the chain is broken, and of
// when the entry before it is. It goes on from what the entry says, so that one break
// is told once.
func (c *chains) follow(e *ledger.Entry) (broken []string, before time.Time) {
	i, known := c.places[e.Account]
	if !known {
		c.push(chain{ref: e.Account, currency: e.Currency, ghost: true})
		i = c.places[e.Account]
	}
	ch := &c.all[i]
	if ch.ghost && !known {
		broken = append(broken, "there is no such account")
	}
	if ch.when != 0 {
		before = time.UnixMicro(ch.when)
	}
	ch.when = e.At.UnixMicro()
	return append(broken, ch.next(e)...), before
}

func (c *chain) next(e *ledger.Entry) (broken []string) {
	after := add(c.at.balance, e.Delta)
	if e.Ordinal != c.at.entries+1 || e.Prev != c.at.last {
		broken = append(broken, fmt.Sprintf("it is number %d and follows entry %d; number %d, following entry %d, was to come",
			e.Ordinal, e.Prev, c.at.entries+1, c.at.last))
	}
	if e.After != after {
		broken = append(broken, fmt.Sprintf("it leaves %s; the entry before it and its amount make %s", text(e.After), text(after)))
	}
	if e.Currency != c.currency {
		broken = append(broken, fmt.Sprintf("it is in %s, the account in %s", e.Currency, c.currency))
	}
	c.fold = add(c.fold, e.Delta)
	c.at = mark{balance: e.After, entries: e.Ordinal, last: e.Seq}
	c.currency = e.Currency
	return broken
}

// compare says how the account's row differs from its entries, "" if it does
// not.
func (c *chain) compare() string {
	switch {
	case c.ghost:
		return "" // told when its first entry came
	case c.row.balance != c.fold:
		return fmt.Sprintf("the account stands at %s, its entries add up to %s", text(c.row.balance), text(c.fold))
	case c.row.entries != c.at.entries || c.row.last != c.at.last:
		return fmt.Sprintf("the account says it has %d entries, the last of them %d; there are %d, the last of them %d",
			c.row.entries, c.row.last, c.at.entries, c.at.last)
	}
	return ""
}

// add adds part by part. It may wrap: both sides of a comparison do alike.
func add(a, b ledger.Balance) ledger.Balance {
	return ledger.Balance{Posted: a.Posted + b.Posted, Outgoing: a.Outgoing + b.Outgoing, Incoming: a.Incoming + b.Incoming}
}

func text(b ledger.Balance) string {
	if b.Outgoing == 0 && b.Incoming == 0 {
		return fmt.Sprintf("%d", b.Posted)
	}
	return fmt.Sprintf("%d (held: %d out, %d in)", b.Posted, b.Outgoing, b.Incoming)
}
