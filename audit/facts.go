package audit

import (
	"strings"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// family is an equation: what some tables tell of a resource, and what others
// tell of it.
type family uint8

const (
	moves  family = iota // a transfer's row and its entries
	undos                // reverses and reversed_by
	makers               // what was made and the keys that made it
	told                 // what happened and the events that tell of it
	booked               // what operations of payments have booked and the transfers that did
	orders               // payments and the references that know of them
	families
)

// subject is a resource.
type subject struct {
	kind string // "account", "transfer", "payment", "refund", "operation" or "order"
	ledger.Ref
}

// fact is something that is told of a resource, by its row or elsewhere.
type fact struct {
	what    string
	words   [5]string
	numbers [2]int64
}

// term is a fact on one side of an equation, n times, or on the other, minus n
// times: n is an amount where the fact is about money.
type term struct {
	about  subject
	family family
	n      int64
	fact   fact
}

// facts turns rows into terms. Here is what must agree with what.
type facts struct {
	keysSince time.Time
	to        func(*term)
}

// The operations that make something, as the API names them; their Resource is
// what they made.
const (
	opTransfer = "POST /v1/transfers"
	opReverse  = "POST /v1/transfers/{id}/reverse"
	opAccount  = "POST /v1/accounts"
)

// opPayments begins what the API calls its operations on payments.
const opPayments = "POST /v1/payments"

func (f *facts) account(a *ledger.Account) {
	about := subject{"account", a.Ref}
	if !ledger.IsReserved(a.ID) { // payments open those too, without a key
		f.made(about, opAccount, a.CreatedAt)
	}
	f.happened(about, "account.opened", a.CreatedAt)
	if a.Closed {
		f.plus(about, told, status("account.closed"))
	}
}

func (f *facts) transfer(t *ledger.Transfer) {
	about := subject{"transfer", t.Ref}
	f.plus(about, moves, firstEntry(t.CreatedAt))
	f.plus(about, moves, stateOf(t))
	if t.Status == ledger.Voided || t.Status == ledger.Expired {
		f.plus(about, told, status("transfer."+t.Status.String()))
	}
	if t.ReversedBy != "" {
		f.plus(about, undos, undo(t.ReversedBy, t.From, t.To, t.AmountPosted))
	}
	switch {
	case t.Operation != "": // it has no key
		f.books(t)
	case t.Reverses == "":
		f.made(about, opTransfer, t.CreatedAt)
	default:
		f.made(about, opReverse, t.CreatedAt)
	}
	if t.Reverses == "" {
		return
	}
	original := subject{"transfer", ledger.Ref{Tenant: t.Tenant, ID: t.Reverses}}
	f.minus(original, undos, undo(t.ID, t.To, t.From, t.AmountPosted))
	f.happened(original, "transfer.reversed", t.CreatedAt)
}

// pair takes a move away from where its transfer stands. A hold that ends also
// gives the held state back, so that only the last state is left: that is where
// the row must be.
func (f *facts) pair(p pair) {
	about := subject{"transfer", ledger.Ref{Tenant: p.tenant(), ID: p.debit.Transfer}}
	at := p.debit.At
	switch p.debit.Kind {
	case ledger.Move:
		f.minus(about, moves, firstEntry(at))
		f.minus(about, moves, p.state("posted", p.posted(), p.posted()))
		f.happened(about, "transfer.posted", at)
	case ledger.Hold:
		f.minus(about, moves, firstEntry(at))
		f.minus(about, moves, p.state("held", p.held(), 0))
		f.happened(about, "transfer.pending", at)
	case ledger.Settle:
		f.plus(about, moves, p.state("held", -p.held(), 0))
		f.minus(about, moves, p.state("posted", -p.held(), p.posted()))
		f.happened(about, "transfer.posted", at)
	case ledger.Release:
		f.plus(about, moves, p.state("held", -p.held(), 0))
		f.minus(about, moves, p.state("released", -p.held(), 0))
		f.happened(about, released, at)
	}
}

func (f *facts) key(r *once.Record) {
	if r.Resource == "" || r.CreatedAt.Before(f.keysSince) {
		return
	}
	kind := "transfer"
	switch r.Operation {
	case opAccount:
		if ledger.IsReserved(r.Resource) {
			return
		}
		kind = "account"
	case opTransfer, opReverse:
	default:
		return
	}
	about := subject{kind, ledger.Ref{Tenant: r.Key.Tenant, ID: r.Resource}}
	f.minus(about, makers, making(r.Operation, r.CreatedAt))
}

// released is what the entries of a hold know of its end: whether it was voided
// or has expired is in the row.
const released = "transfer.released"

func (f *facts) event(e *outbox.Event) {
	kind, _, _ := strings.Cut(e.Type, ".")
	about := subject{kind, ledger.Ref{Tenant: e.Tenant, ID: e.Subject}}
	switch e.Type {
	case "transfer.voided", "transfer.expired":
		f.minus(about, told, status(e.Type))
		f.minus(about, told, happening(released, e.At))
	case "account.closed":
		f.minus(about, told, status(e.Type))
	case "account.updated": // as often as it pleases
	case "payment.created", "refund.created":
		f.minus(about, told, happening(e.Type, e.At))
	default:
		if kind == "transfer" || kind == "account" {
			f.minus(about, told, happening(e.Type, e.At))
		}
	}
}

// made says that a key made the resource, if keys of that time are known.
func (f *facts) made(about subject, operation string, at time.Time) {
	if !at.Before(f.keysSince) {
		f.plus(about, makers, making(operation, at))
	}
}

func (f *facts) happened(about subject, typ string, at time.Time) {
	f.plus(about, told, happening(typ, at))
}

func (f *facts) plus(about subject, in family, what fact)  { f.times(1, about, in, what) }
func (f *facts) minus(about subject, in family, what fact) { f.times(-1, about, in, what) }

func (f *facts) times(n int64, about subject, in family, what fact) {
	if n != 0 {
		what.words[3], what.words[4] = about.Tenant, about.ID
		f.to(&term{about: about, family: in, n: n, fact: what})
	}
}

// stateOf is where the row of a transfer says that it stands.
func stateOf(t *ledger.Transfer) fact {
	var state string // of a status that does not exist: no entry agrees with it
	switch t.Status {
	case ledger.Pending:
		state = "held"
	case ledger.Posted:
		state = "posted"
	case ledger.Voided, ledger.Expired:
		state = "released"
	}
	return fact{what: state, words: [5]string{t.From, t.To, string(t.Currency)}, numbers: [2]int64{t.Amount, t.AmountPosted}}
}

// state is where a move leads its transfer, or leads it from.
func (p *pair) state(state string, amount, posted int64) fact {
	words := [5]string{p.debit.Account.ID, p.credit.Account.ID, string(p.debit.Currency)}
	return fact{what: state, words: words, numbers: [2]int64{amount, posted}}
}

func firstEntry(at time.Time) fact {
	return fact{what: "first entry", numbers: [2]int64{at.UnixMicro()}}
}

func undo(by, from, to string, amount int64) fact {
	return fact{what: "undo", words: [5]string{by, from, to}, numbers: [2]int64{amount}}
}

func making(operation string, at time.Time) fact {
	return fact{what: "making", words: [5]string{operation}, numbers: [2]int64{at.UnixMicro()}}
}

func happening(typ string, at time.Time) fact {
	return fact{what: "happening", words: [5]string{typ}, numbers: [2]int64{at.UnixMicro()}}
}

func status(typ string) fact {
	return fact{what: "status", words: [5]string{typ}}
}
