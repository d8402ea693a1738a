package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/internal/rows"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/outbox"
)

// Book is the part of the ledger that one batch of commands works on: rows
// loaded, rows changed, entries and events written. It is not safe for
// concurrent use.
type Book struct {
	accounts  rows.Set[Ref, Account]
	transfers rows.Set[Ref, Transfer]
	changes   Changes
	nextSeq   int64
}

// Rows names rows.
type Rows struct{ Accounts, Transfers []Ref }

// Empty says whether no row is named.
func (r Rows) Empty() bool { return len(r.Accounts) == 0 && len(r.Transfers) == 0 }

// Changes is what a book's commands wrote.
type Changes struct {
	Accounts  []*Account
	Transfers []*Transfer
	Entries   []Entry
	Events    []outbox.Event
}

// Empty says whether nothing was written.
func (c *Changes) Empty() bool {
	return len(c.Accounts) == 0 && len(c.Transfers) == 0 && len(c.Entries) == 0 && len(c.Events) == 0
}

// EntriesPerCommand is how many entries a command can write at most: what a
// gateway says of a payment can move the money of two operations, each between
// three accounts.
const EntriesPerCommand = 8

// NewBook makes an empty book.
func NewBook() *Book {
	return &Book{
		accounts:  rows.Of(func(a *Account) (Ref, *int64) { return a.Ref, &a.Version }),
		transfers: rows.Of(func(t *Transfer) (Ref, *int64) { return t.Ref, &t.Version }),
	}
}

// Reserve has the book number its entries from first on. Whoever calls it owns
// EntriesPerCommand numbers for each command.
func (b *Book) Reserve(first int64) { b.nextSeq = first }

// NextEntry is the first number that the book did not use.
func (b *Book) NextEntry() int64 { return b.nextSeq }

// WantAccount names an account to be loaded.
func (b *Book) WantAccount(r Ref) { b.accounts.Want(r) }

// WantTransfer names a transfer to be loaded.
func (b *Book) WantTransfer(r Ref) { b.transfers.Want(r) }

// Wanted returns what was named since the last call. Once the store was asked
// for it, a row that was not put is absent.
func (b *Book) Wanted() Rows { return Rows{b.accounts.Wanted(), b.transfers.Wanted()} }

// PutAccount puts a row that was loaded into the book, if the book wants that
// row and has no newer version of it. The book owns it from now on.
func (b *Book) PutAccount(a *Account) { b.accounts.Put(a) }

// PutTransfer is PutAccount for a transfer.
func (b *Book) PutTransfer(t *Transfer) { b.transfers.Put(t) }

// CatchUp brings the book to what was committed while its rows were loading.
// It copies: c stays as it is.
func (b *Book) CatchUp(c *Changes) {
	for _, t := range c.Transfers {
		if b.transfers.Knows(t.Ref) && b.transfers.Get(t.Ref) == nil {
			b.accounts.Know(Ref{t.Tenant, t.From}) // whoever wants it could not name its accounts; who made it wrote them
			b.accounts.Know(Ref{t.Tenant, t.To})
		}
	}
	b.transfers.CatchUp(c.Transfers)
	b.accounts.CatchUp(c.Accounts)
}

// Changes returns what was written, after checking that it conserves money.
func (b *Book) Changes() (*Changes, error) {
	b.changes.Accounts, b.changes.Transfers = b.accounts.Written(), b.transfers.Written()
	if err := b.changes.Check(); err != nil {
		return nil, err
	}
	return &b.changes, nil
}

// move is one move of money: the same kind of entry on both accounts of a
// transfer, with deltas that cancel each other.
type move struct {
	kind     Kind
	transfer *Transfer
	posted   int64 // posted from → to
	held     int64 // change of what is held from → to
}

// plan says where both accounts stand after m, or that an amount overflows. It
// changes nothing.
func (m move) plan(from, to *Account) (debit, credit Balance, err error) {
	debit, ok1 := from.Balance.plus(Balance{Posted: -m.posted, Outgoing: m.held})
	credit, ok2 := to.Balance.plus(Balance{Posted: m.posted, Incoming: m.held})
	if !ok1 || !ok2 {
		return debit, credit, refuse(BalanceOverflow, "/amount", "a balance would leave the range of 64-bit integers")
	}
	if m.begins() && (from.lacksRoom(debit) || to.lacksRoom(credit)) {
		return debit, credit, refuse(BalanceOverflow, "/amount", "payments are booked on this account: half of the range of 64-bit integers is kept for them")
	}
	return debit, credit, nil
}

// begins says whether a client asks for the move, and it could still be refused.
func (m move) begins() bool { return m.transfer.Operation == "" && (m.kind == Move || m.kind == Hold) }

// lacksRoom says whether a balance would leave too little room for payments, which
// have moved already and cannot be refused. Rows that no payment is booked on have
// all the room there is.
func (a *Account) lacksRoom(after Balance) bool {
	const room = math.MaxInt64 / 2
	return (after.Posted+after.Incoming > room || after.Available() < -room) && IsReserved(a.ID)
}

// apply writes the two entries of a move that was planned.
func (b *Book) apply(m move, from, to *Account, debit, credit Balance, now time.Time) {
	b.enter(m, from, debit, now)
	b.enter(m, to, credit, now)
}

func (b *Book) enter(m move, a *Account, after Balance, now time.Time) {
	b.accounts.Write(a)
	e := Entry{
		Seq: b.nextSeq, Account: a.Ref, Ordinal: a.Entries + 1, Prev: a.LastEntry,
		Transfer: m.transfer.ID, Kind: m.kind, Delta: after.minus(a.Balance), After: after,
		Currency: a.Currency, At: now,
	}
	b.nextSeq++
	a.Balance, a.Entries, a.LastEntry = after, e.Ordinal, e.Seq
	b.changes.Entries = append(b.changes.Entries, e)
}

// Emit writes an event that carries the resource as it is now.
func (b *Book) Emit(m Moment, tenant, typ, subject string, data []byte) {
	b.changes.Events = append(b.changes.Events, outbox.Event{
		ID: m.IDs.New("evt_", m.Now), Tenant: tenant, Type: typ, Subject: subject, At: m.Now, Data: data,
	})
}

// Moment is when and with what luck a command is decided: both are inputs.
type Moment struct {
	Now time.Time  // the store's time, microseconds
	IDs *id.Source // where new ids come from
}

// plus adds two balances part by part. It reports whether everything stayed in
// range, also if every hold is posted later: so a hold that was accepted never
// overflows when it is settled.
func (b Balance) plus(d Balance) (sum Balance, ok bool) {
	posted, ok1 := money.Add(b.Posted, d.Posted)
	outgoing, ok2 := money.Add(b.Outgoing, d.Outgoing)
	incoming, ok3 := money.Add(b.Incoming, d.Incoming)
	_, ok4 := money.Sub(posted, outgoing)
	_, ok5 := money.Add(posted, incoming)
	return Balance{posted, outgoing, incoming}, ok1 && ok2 && ok3 && ok4 && ok5
}

// minus is the difference of two balances that were a move apart.
func (b Balance) minus(c Balance) Balance {
	return Balance{b.Posted - c.Posted, b.Outgoing - c.Outgoing, b.Incoming - c.Incoming}
}

// ErrUnbalanced means that entries do not cancel each other, or that a balance
// is not the fold of its entries: a defect, never a client's mistake.
var ErrUnbalanced = errors.New("ledger: entries and balances disagree")

// Check says whether c conserves money: entries cancel in pairs, and every
// account that is written stands where its last entry left it.
func (c *Changes) Check() error {
	if len(c.Entries)%2 != 0 {
		return fmt.Errorf("%w: an odd number of entries", ErrUnbalanced)
	}
	last := make(map[Ref]*Entry, len(c.Accounts))
	for _, a := range c.Accounts {
		last[a.Ref] = nil
	}
	for i := 0; i < len(c.Entries); i += 2 {
		debit, credit := &c.Entries[i], &c.Entries[i+1]
		if err := errors.Join(CheckPair(debit, credit), follow(last, debit), follow(last, credit)); err != nil {
			return err
		}
	}
	for _, a := range c.Accounts {
		if err := a.Check(); err != nil {
			return err
		}
		if e := last[a.Ref]; e != nil && (e.After != a.Balance || e.Seq != a.LastEntry || e.Ordinal != a.Entries) {
			return fmt.Errorf("%w: account %s stands at %+v, its last entry says %+v", ErrUnbalanced, a.ID, a.Balance, e.After)
		}
	}
	for _, t := range c.Transfers {
		if err := t.Check(); err != nil {
			return err
		}
	}
	return nil
}

// follow checks that e is on an account that is written, and follows that
// account's entry before it, and makes it the last one.
func follow(last map[Ref]*Entry, e *Entry) error {
	before, written := last[e.Account]
	switch {
	case !written:
		return fmt.Errorf("%w: entry %d is on account %s, which is not written", ErrUnbalanced, e.Seq, e.Account.ID)
	case before != nil && (e.Prev != before.Seq || e.Ordinal != before.Ordinal+1 || e.After.minus(before.After) != e.Delta):
		return fmt.Errorf("%w: entry %d of account %s does not follow entry %d", ErrUnbalanced, e.Seq, e.Account.ID, before.Seq)
	}
	last[e.Account] = e
	return nil
}

// CheckPair says whether two entries are the two sides of one move.
func CheckPair(debit, credit *Entry) error {
	switch {
	case credit.Seq != debit.Seq+1 || credit.Transfer != debit.Transfer || credit.Kind != debit.Kind:
		return fmt.Errorf("%w: entries %d and %d are not one move", ErrUnbalanced, debit.Seq, credit.Seq)
	case credit.Currency != debit.Currency || credit.Account.Tenant != debit.Account.Tenant || credit.Account == debit.Account:
		return fmt.Errorf("%w: entries %d and %d join accounts that cannot exchange money", ErrUnbalanced, debit.Seq, credit.Seq)
	case debit.Delta.Posted != -credit.Delta.Posted || debit.Delta.Outgoing != credit.Delta.Incoming,
		debit.Delta.Incoming != 0 || credit.Delta.Outgoing != 0:
		return fmt.Errorf("%w: transfer %s is off by %d %s", ErrUnbalanced, debit.Transfer,
			cmp.Or(debit.Delta.Posted+credit.Delta.Posted, debit.Delta.Outgoing-credit.Delta.Incoming), debit.Currency)
	}
	return nil
}
