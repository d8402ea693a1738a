package audit_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

type tampering struct {
	name string
	do   func(s *tables) (audit.Kind, string)
}

// Each row changes a store that is in order, and says which finding must name
// what. There may be more findings: one lie is often contradicted twice.
var tamperings = []tampering{
	// accounts
	{"a cent is added to a balance", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.Balance.Posted++
		return audit.Balance, a.ID
	}},
	{"a cent is added to a balance, and taken from another", func(s *tables) (audit.Kind, string) {
		a, b := s.account("a1"), s.account("a2")
		a.Balance.Posted++
		b.Balance.Posted--
		return audit.Balance, b.ID
	}},
	{"a cent is added to the sum of all balances", func(s *tables) (audit.Kind, string) {
		s.account("a1").Balance.Posted++
		return audit.Currency, "EUR"
	}},
	{"what is held is forgotten", func(s *tables) (audit.Kind, string) {
		a := s.accountWith(func(a *ledger.Account) bool { return a.Balance.Outgoing > 0 })
		a.Balance.Outgoing = 0
		return audit.Balance, a.ID
	}},
	{"a hold is negative", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.Balance.Incoming = -1
		return audit.Row, a.ID
	}},
	{"an account says that it has one entry more", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.Entries++
		return audit.Balance, a.ID
	}},
	{"an account names another last entry", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.LastEntry--
		return audit.Balance, a.ID
	}},
	{"an account's currency is changed", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.Currency = "USD"
		return audit.Chain, s.firstEntry("a1")
	}},
	{"an account is lost", func(s *tables) (audit.Kind, string) {
		first := s.firstEntry("a1")
		s.accounts = slices.DeleteFunc(s.accounts, func(a *ledger.Account) bool { return a.ID == "a1" && a.Tenant == "acme" })
		return audit.Chain, first
	}},
	{"an account is there twice", func(s *tables) (audit.Kind, string) {
		s.accounts = append(s.accounts, new(*s.account("a1")))
		return audit.Row, "a1"
	}},
	{"the balances of two accounts are swapped", func(s *tables) (audit.Kind, string) {
		a, b := s.account("a1"), s.account("world")
		a.Balance, b.Balance = b.Balance, a.Balance
		return audit.Balance, "a1"
	}},
	{"an account of nobody is added", func(s *tables) (audit.Kind, string) {
		s.accounts = append(s.accounts, &ledger.Account{Ref: ledger.Ref{Tenant: "acme", ID: "mine"}, Currency: "EUR", CreatedAt: s.end()})
		return audit.Key, "mine"
	}},
	{"an account is closed behind the ledger's back", func(s *tables) (audit.Kind, string) {
		s.account("empty").Closed = true
		return audit.Event, "empty"
	}},
	{"a closed account is opened again", func(s *tables) (audit.Kind, string) {
		s.account("closed").Closed = false
		return audit.Event, "closed"
	}},
	{"an account with money in it is closed", func(s *tables) (audit.Kind, string) {
		s.account("world").Closed = true
		return audit.Row, "world"
	}},

	// entries
	{"a cent is added to an entry", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Delta.Posted++
		return audit.Pair, e.Transfer
	}},
	{"a cent is added to both sides of a move", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.Delta.Posted--
		credit.Delta.Posted++
		return audit.Transfer, debit.Transfer
	}},
	{"a cent is added to both sides, to what they lead to, and to both balances", func(s *tables) (audit.Kind, string) {
		debit, credit := s.lastPair()
		debit.Delta.Posted--
		credit.Delta.Posted++
		debit.After.Posted--
		credit.After.Posted++
		s.ref(debit.Account).Balance.Posted--
		s.ref(credit.Account).Balance.Posted++
		return audit.Transfer, debit.Transfer
	}},
	{"a cent is added to what an entry leads to", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Settle)
		e.After.Posted++
		return audit.Chain, seq(e)
	}},
	{"an entry is lost", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		other := seq(debit)
		s.loseEntry(credit.Seq)
		return audit.Pair, other
	}},
	{"a move is lost", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		transfer, numbers := debit.Transfer, []int64{debit.Seq, credit.Seq}
		s.loseEntry(numbers...)
		return audit.Transfer, transfer
	}},
	{"the last move is lost, and both accounts follow", func(s *tables) (audit.Kind, string) {
		transfer := s.undoLastPair()
		return audit.Transfer, transfer
	}},
	{"an entry is there twice", func(s *tables) (audit.Kind, string) {
		i := s.index(ledger.Move)
		s.entries = slices.Insert(s.entries, i, s.entries[i])
		return audit.Chain, seq(&s.entries[i])
	}},
	{"the accounts of a move are swapped", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Hold)
		debit.Account, credit.Account = credit.Account, debit.Account
		return audit.Transfer, debit.Transfer
	}},
	{"an entry is moved to another account", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Account.ID = s.otherAccount(e)
		return audit.Chain, seq(e)
	}},
	{"an entry is moved to another tenant", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Account.Tenant = "globex"
		return audit.Pair, e.Transfer
	}},
	{"an entry is moved to an account that does not exist", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Account.ID = "nowhere"
		return audit.Chain, seq(e)
	}},
	{"an entry forgets the one before it", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Settle)
		e.Prev = 0
		return audit.Chain, seq(e)
	}},
	{"an entry is counted wrong", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Settle)
		e.Ordinal++
		return audit.Chain, seq(e)
	}},
	{"two moves are renumbered into each other's place", func(s *tables) (audit.Kind, string) {
		s.entries[0].Seq, s.entries[2].Seq = s.entries[2].Seq, s.entries[0].Seq
		return audit.Chain, seq(&s.entries[2])
	}},
	{"an entry is of another currency", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Currency = "USD"
		return audit.Currency, "USD"
	}},
	{"an entry says that it is younger than the next", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.At, credit.At = s.end().Add(time.Hour), s.end().Add(time.Hour)
		return audit.Time, strconv.FormatInt(credit.Seq+1, 10)
	}},
	{"the two sides of a move are of different moments", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.At = e.At.Add(-time.Microsecond)
		return audit.Pair, e.Transfer
	}},
	{"a move is said to be a hold", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.Kind, credit.Kind = ledger.Hold, ledger.Hold
		return audit.Pair, debit.Transfer
	}},
	{"an entry is of a kind that does not exist", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.Kind, credit.Kind = 77, 77
		return audit.Pair, debit.Transfer
	}},
	{"a move is laid to another transfer's account", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		from := debit.Transfer
		debit.Transfer, credit.Transfer = s.transfer(ledger.Voided).ID, s.transfer(ledger.Voided).ID
		return audit.Transfer, from
	}},
	{"a move is made for a transfer that does not exist", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.Transfer, credit.Transfer = "tr_nowhere", "tr_nowhere"
		return audit.Transfer, "tr_nowhere"
	}},
	{"a hold's end is laid to another hold of the same amount", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Release)
		from := debit.Transfer
		debit.Transfer, credit.Transfer = "tr_other", "tr_other"
		return audit.Transfer, from
	}},

	// transfers
	{"a cent is added to a transfer", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.Amount++
		t.AmountPosted++
		return audit.Transfer, t.ID
	}},
	{"a cent is added to what was posted of a hold", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.AmountPosted > 0 && t.AmountPosted < t.Amount })
		t.AmountPosted++
		return audit.Transfer, t.ID
	}},
	{"a cent is added to what is held", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Pending)
		t.Amount++
		return audit.Transfer, t.ID
	}},
	{"a cent is added to a hold that was voided", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Voided)
		t.Amount++
		return audit.Transfer, t.ID
	}},
	{"more is posted than was to be", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.AmountPosted = t.Amount + 1
		return audit.Row, t.ID
	}},
	{"a transfer is lost", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		s.transfers = slices.DeleteFunc(s.transfers, func(x *ledger.Transfer) bool { return x == t })
		return audit.Transfer, t.ID
	}},
	{"a transfer is there twice", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		s.transfers = append(s.transfers, new(*t))
		return audit.Transfer, t.ID
	}},
	{"the accounts of a transfer are swapped", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.From, t.To = t.To, t.From
		return audit.Transfer, t.ID
	}},
	{"a transfer goes to another account", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Pending)
		t.To = "elsewhere"
		return audit.Transfer, t.ID
	}},
	{"a transfer belongs to another tenant", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.Tenant == "acme" })
		t.Tenant = "globex"
		return audit.Transfer, t.ID
	}},
	{"the amounts of two transfers are swapped", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Pending)
		other := s.transferWith(func(o *ledger.Transfer) bool { return o.Status == ledger.Pending && o.Amount != t.Amount })
		t.Amount, other.Amount = other.Amount, t.Amount
		return audit.Transfer, other.ID
	}},
	{"a pending transfer is said to be voided", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Pending)
		t.Status = ledger.Voided
		return audit.Transfer, t.ID
	}},
	{"a voided transfer is said to have expired", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Voided)
		t.Status = ledger.Expired
		return audit.Event, t.ID
	}},
	{"a transfer has a status that does not exist", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Voided)
		t.Status = 99
		return audit.Row, t.ID
	}},
	{"a transfer is of another currency", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.Currency = "USD"
		return audit.Transfer, t.ID
	}},
	{"a transfer is said to be older than its first entry", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.CreatedAt = t.CreatedAt.Add(-time.Second)
		return audit.Transfer, t.ID
	}},
	{"a transfer forgets that it was reversed", func(s *tables) (audit.Kind, string) {
		t := s.reversed()
		t.ReversedBy = ""
		return audit.Link, t.ID
	}},
	{"a transfer says that it was reversed by another", func(s *tables) (audit.Kind, string) {
		t := s.reversed()
		t.ReversedBy = s.transfer(ledger.Voided).ID
		return audit.Link, t.ID
	}},
	{"a transfer says that it was reversed and was not", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.Status == ledger.Posted && t.ReversedBy == "" })
		t.ReversedBy = "tr_nowhere"
		return audit.Link, t.ID
	}},
	{"a reversal forgets what it reversed", func(s *tables) (audit.Kind, string) {
		t := s.reversed()
		s.transferWith(func(u *ledger.Transfer) bool { return u.ID == t.ReversedBy }).Reverses = ""
		return audit.Link, t.ID
	}},
	{"two transfers say that they reverse the same one", func(s *tables) (audit.Kind, string) {
		t := s.reversed()
		s.transferWith(func(u *ledger.Transfer) bool { return u.Status == ledger.Posted && u.Reverses == "" && u != t }).Reverses = t.ID
		return audit.Link, t.ID
	}},

	// keys
	{"a key is lost", func(s *tables) (audit.Kind, string) {
		i, r := s.key("POST /v1/transfers")
		made := r.Resource
		s.keys = slices.Delete(s.keys, i, i+1)
		return audit.Key, made
	}},
	{"the key of an account is lost", func(s *tables) (audit.Kind, string) {
		i, r := s.key("POST /v1/accounts")
		made := r.Resource
		s.keys = slices.Delete(s.keys, i, i+1)
		return audit.Key, made
	}},
	{"the key of a reversal is lost", func(s *tables) (audit.Kind, string) {
		i, r := s.key("POST /v1/transfers/{id}/reverse")
		made := r.Resource
		s.keys = slices.Delete(s.keys, i, i+1)
		return audit.Key, made
	}},
	{"a key names a transfer that is not there", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.Resource = "tr_nowhere"
		return audit.Key, "tr_nowhere"
	}},
	{"two keys made the same transfer", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		second := *r
		second.Key.ID = "another"
		s.keys = append(s.keys, second)
		return audit.Key, r.Resource
	}},
	{"a key is there twice", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		s.keys = append(s.keys, *r)
		return audit.Key, r.Resource
	}},
	{"a key belongs to another tenant", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.Key.Tenant = "globex"
		return audit.Key, r.Resource
	}},
	{"two keys have each other's transfer", func(s *tables) (audit.Kind, string) {
		i, r := s.key("POST /v1/transfers")
		for j := range s.keys {
			other := &s.keys[j]
			if j != i && other.Operation == r.Operation && other.Resource != "" && other.CreatedAt != r.CreatedAt && other.Key.Tenant == r.Key.Tenant {
				r.Resource, other.Resource = other.Resource, r.Resource
				break
			}
		}
		return audit.Key, r.Resource
	}},
	{"a key says that it did something else", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.Operation = "POST /v1/transfers/{id}/void"
		return audit.Key, r.Resource
	}},
	{"a key is older than what it made", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.CreatedAt = r.CreatedAt.Add(-time.Second)
		return audit.Key, r.Resource
	}},
	{"a key has no attempt", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.Attempt = 0
		return audit.Row, r.Key.ID
	}},
	{"a key is there and absent", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.State = once.Absent
		return audit.Row, r.Key.ID
	}},
	{"a key's window ends before it begins", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.ExpiresAt = r.CreatedAt
		return audit.Row, r.Key.ID
	}},

	// events
	{"an event is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.posted") }},
	{"the event of a hold is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.pending") }},
	{"the event of a void is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.voided") }},
	{"the event of an expiry is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.expired") }},
	{"the event of a reversal is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.reversed") }},
	{"the event of an account is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("account.opened") }},
	{"an event is there twice", func(s *tables) (audit.Kind, string) {
		e := s.event("transfer.posted")
		s.events = append(s.events, *e)
		return audit.Event, e.Subject
	}},
	{"the event of a payment is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("payment.created") }},
	{"the event of a refund is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("refund.created") }},
	{"an event tells of something else", func(s *tables) (audit.Kind, string) {
		e := s.event("transfer.voided")
		e.Type = "transfer.expired"
		return audit.Event, e.Subject
	}},
	{"an event is of a type that does not exist", func(s *tables) (audit.Kind, string) {
		e := *s.event("transfer.voided")
		e.Type = "transfer.stolen"
		s.events = append(s.events, e)
		return audit.Event, e.Subject
	}},
	{"an event tells of a transfer that is not there", func(s *tables) (audit.Kind, string) {
		s.event("transfer.posted").Subject = "tr_nowhere"
		return audit.Event, "tr_nowhere"
	}},
	{"an event goes to another tenant", func(s *tables) (audit.Kind, string) {
		e := s.event("transfer.posted")
		e.Tenant = map[string]string{"acme": "globex", "globex": "acme"}[e.Tenant]
		return audit.Event, e.Subject
	}},
	{"an event is of another moment", func(s *tables) (audit.Kind, string) {
		e := s.event("transfer.posted")
		e.At = e.At.Add(time.Microsecond)
		return audit.Event, e.Subject
	}},
}

func TestTamperingIsFoundAndNamed(t *testing.T) {
	original := healthy(t, 11, 800)
	for _, row := range append(tamperings, paymentTamperings...) {
		t.Run(row.name, func(t *testing.T) {
			s := original.clone()
			kind, id := row.do(s)
			r, err := audit.Run(t.Context(), s, audit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			named := func(f audit.Finding) bool { return f.Kind == kind && f.ID == id }
			if !slices.ContainsFunc(r.Findings, named) {
				t.Errorf("want a finding of kind %q that names %q, got %q", kind, id, r.Findings)
			}
		})
	}
}

// Whichever row is lost, doubled, or has a number changed by one: it is found.
func TestNoRowCanBeChangedUnseen(t *testing.T) {
	original := healthy(t, 12, 60)
	check := func(what string, s *tables) {
		t.Helper()
		if r, err := audit.Run(t.Context(), s, audit.Config{Buckets: 16, MaxFindings: 1}); err != nil || r.OK() {
			t.Errorf("%s: nothing was found (%v)", what, err)
		}
	}
	for i := range original.accounts {
		everyRow(check, original, "account", i, func(s *tables) *[]*ledger.Account { return &s.accounts })
	}
	for i := range original.transfers {
		everyRow(check, original, "transfer", i, func(s *tables) *[]*ledger.Transfer { return &s.transfers })
	}
	for i := range original.entries {
		everyRow(check, original, "entry", i, func(s *tables) *[]ledger.Entry { return &s.entries })
	}
	for i := range original.payments {
		everyRow(check, original, "payment", i, func(s *tables) *[]*pay.Payment { return &s.payments })
	}
	for i := range original.orders {
		everyRow(check, original, "order", i, func(s *tables) *[]pay.Reference { return &s.orders })
	}
	for i, e := range original.events {
		if strings.HasPrefix(e.Type, "payment.") && e.Type != "payment.created" || strings.HasPrefix(e.Type, "refund.") && e.Type != "refund.created" {
			continue // a payment does not keep what it went through
		}
		everyRow(check, original, "event", i, func(s *tables) *[]outbox.Event { return &s.events })
	}
	for i, r := range original.keys {
		if r.Resource != "" && slices.Contains(making, r.Operation) && !ledger.IsReserved(r.Resource) {
			everyRow(check, original, "key", i, func(s *tables) *[]once.Record { return &s.keys })
		}
	}
	numbers(check, original)
	paymentNumbers(check, original)
}

var making = []string{"POST /v1/transfers", "POST /v1/transfers/{id}/reverse", "POST /v1/accounts"}

func everyRow[T any](check func(string, *tables), original *tables, kind string, i int, of func(*tables) *[]T) {
	lost := original.clone()
	rows := of(lost)
	*rows = slices.Delete(*rows, i, i+1)
	check(fmt.Sprintf("%s %d is lost", kind, i), lost)

	doubled := original.clone()
	rows = of(doubled)
	*rows = slices.Insert(*rows, i, (*rows)[i])
	check(fmt.Sprintf("%s %d is there twice", kind, i), doubled)
}

// numbers changes every number that is money, one at a time.
func numbers(check func(string, *tables), original *tables) {
	change := func(what string, at func(*tables) []*int64) {
		for n := range at(original.clone()) {
			s := original.clone()
			*at(s)[n]++
			check(fmt.Sprintf("number %d of %s is one more", n, what), s)
		}
	}
	for i := range original.accounts {
		change(fmt.Sprintf("account %d", i), func(s *tables) []*int64 {
			a := s.accounts[i]
			return append(parts(&a.Balance), &a.Entries, &a.LastEntry)
		})
	}
	for i := range original.transfers {
		change(fmt.Sprintf("transfer %d", i), func(s *tables) []*int64 {
			return []*int64{&s.transfers[i].Amount, &s.transfers[i].AmountPosted}
		})
	}
	for i := range original.entries {
		change(fmt.Sprintf("entry %d", i), func(s *tables) []*int64 {
			e := &s.entries[i]
			return append(append(parts(&e.Delta), parts(&e.After)...), &e.Seq, &e.Ordinal, &e.Prev)
		})
	}
}

func parts(b *ledger.Balance) []*int64 { return []*int64{&b.Posted, &b.Outgoing, &b.Incoming} }

// Finding rows to tamper with: the first that fits, always of tenant acme where
// tenants matter.

func (s *tables) account(id string) *ledger.Account {
	return s.ref(ledger.Ref{Tenant: "acme", ID: id})
}

func (s *tables) ref(r ledger.Ref) *ledger.Account {
	return s.accountWith(func(a *ledger.Account) bool { return a.Ref == r })
}

func (s *tables) accountWith(fits func(*ledger.Account) bool) *ledger.Account {
	return s.accounts[slices.IndexFunc(s.accounts, fits)]
}

func (s *tables) transferWith(fits func(*ledger.Transfer) bool) *ledger.Transfer {
	return s.transfers[slices.IndexFunc(s.transfers, fits)]
}

func (s *tables) transfer(status ledger.Status) *ledger.Transfer {
	return s.transferWith(func(t *ledger.Transfer) bool { return t.Status == status })
}

func (s *tables) reversed() *ledger.Transfer {
	return s.transferWith(func(t *ledger.Transfer) bool { return t.ReversedBy != "" })
}

func (s *tables) index(kind ledger.Kind) int {
	return slices.IndexFunc(s.entries, func(e ledger.Entry) bool {
		return e.Kind == kind && e.Account.Tenant == "acme" && e.Ordinal > 2
	})
}

func (s *tables) entry(kind ledger.Kind) *ledger.Entry { return &s.entries[s.index(kind)] }

func (s *tables) pair(kind ledger.Kind) (debit, credit *ledger.Entry) {
	i := s.index(kind)
	if i > 0 && s.entries[i-1].Transfer == s.entries[i].Transfer {
		i--
	}
	return &s.entries[i], &s.entries[i+1]
}

func (s *tables) lastPair() (debit, credit *ledger.Entry) {
	n := len(s.entries)
	return &s.entries[n-2], &s.entries[n-1]
}

// undoLastPair drops the last move and puts both accounts where they were.
func (s *tables) undoLastPair() (transfer string) {
	for n := len(s.entries); n > len(s.entries)-2; n-- {
		e := s.entries[n-1]
		a := s.ref(e.Account)
		a.Balance.Posted -= e.Delta.Posted
		a.Balance.Outgoing -= e.Delta.Outgoing
		a.Balance.Incoming -= e.Delta.Incoming
		a.Entries, a.LastEntry, transfer = e.Ordinal-1, e.Prev, e.Transfer
	}
	s.entries = s.entries[:len(s.entries)-2]
	return transfer
}

func (s *tables) loseEntry(numbers ...int64) {
	s.entries = slices.DeleteFunc(s.entries, func(e ledger.Entry) bool { return slices.Contains(numbers, e.Seq) })
}

func (s *tables) firstEntry(account string) string {
	i := slices.IndexFunc(s.entries, func(e ledger.Entry) bool { return e.Account == ledger.Ref{Tenant: "acme", ID: account} })
	return seq(&s.entries[i])
}

func (s *tables) otherAccount(e *ledger.Entry) string {
	if e.Account.ID == "a1" {
		return "a2"
	}
	return "a1"
}

func (s *tables) key(operation string) (int, *once.Record) {
	i := slices.IndexFunc(s.keys, func(r once.Record) bool {
		return r.Operation == operation && r.Resource != "" && r.Key.Tenant == "acme"
	})
	return i, &s.keys[i]
}

func (s *tables) event(typ string) *outbox.Event {
	return &s.events[slices.IndexFunc(s.events, func(e outbox.Event) bool { return e.Type == typ })]
}

func (s *tables) loseEvent(typ string) (audit.Kind, string) {
	subject := s.event(typ).Subject
	i := slices.IndexFunc(s.events, func(e outbox.Event) bool { return e.Type == typ })
	s.events = slices.Delete(s.events, i, i+1)
	return audit.Event, subject
}

func (s *tables) end() time.Time { return s.entries[len(s.entries)-1].At }

func seq(e *ledger.Entry) string { return strconv.FormatInt(e.Seq, 10) }
