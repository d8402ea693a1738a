package ledger

import (
	"fmt"
	"time"
)

// PostTransfer settles a hold: all of it, or a part and releases the rest.
type PostTransfer struct {
	Ref
	Amount *int64 // nil: all that is held
}

// Needs names the transfer, then its accounts.
func (c PostTransfer) Needs(b *Book) { b.wantWithAccounts(c.Ref) }

// Decide refuses with NotFound, StateConflict, Invalid or ExceedsHold; never for
// lack of funds, they are held.
func (c PostTransfer) Decide(b *Book, m Moment) (Result, error) {
	t, err := b.pending(c.Ref, m.Now, "posted")
	if err != nil {
		return Result{}, err
	}
	amount := t.Amount
	if c.Amount != nil {
		amount = *c.Amount
	}
	switch {
	case amount <= 0:
		return Result{}, refuse(Invalid, "/amount", "an amount is at least 1 minor unit; to release the hold, void it")
	case amount > t.Amount:
		return Result{}, refuse(ExceedsHold, "/amount", "%d is more than the %d that is held", amount, t.Amount)
	}
	err = b.settle(m, t, move{kind: Settle, transfer: t, posted: amount, held: -t.Amount}, Posted)
	return transferResult(t), err
}

// VoidTransfer releases a hold.
type VoidTransfer struct{ Ref }

// Needs names the transfer, then its accounts.
func (c VoidTransfer) Needs(b *Book) { b.wantWithAccounts(c.Ref) }

// Decide refuses with NotFound or StateConflict.
func (c VoidTransfer) Decide(b *Book, m Moment) (Result, error) {
	t, err := b.pending(c.Ref, m.Now, "voided")
	if err != nil {
		return Result{}, err
	}
	err = b.settle(m, t, move{kind: Release, transfer: t, held: -t.Amount}, Voided)
	return transferResult(t), err
}

// ExpireTransfer releases a hold whose time is over. It is idempotent by itself:
// what is not due is left alone.
type ExpireTransfer struct{ Ref }

// Needs names the transfer, then its accounts.
func (c ExpireTransfer) Needs(b *Book) { b.wantWithAccounts(c.Ref) }

// Decide refuses with NotFound.
func (c ExpireTransfer) Decide(b *Book, m Moment) (Result, error) {
	t := b.transfers.Get(c.Ref)
	if t == nil {
		return Result{}, noTransfer()
	}
	var err error
	if t.due(m.Now) {
		err = b.settle(m, t, move{kind: Release, transfer: t, held: -t.Amount}, Expired)
	}
	return transferResult(t), err
}

// due says whether a hold's time is over.
func (t *Transfer) due(now time.Time) bool {
	return t.Status == Pending && !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(now)
}

// ReverseTransfer undoes a posted transfer once, by a new transfer of what was
// posted in the opposite direction.
type ReverseTransfer struct{ Ref }

// Needs names the transfer, then its accounts.
func (c ReverseTransfer) Needs(b *Book) { b.wantWithAccounts(c.Ref) }

// Decide refuses with NotFound, StateConflict, AccountClosed, InsufficientFunds
// or BalanceOverflow. The result is the new transfer.
func (c ReverseTransfer) Decide(b *Book, m Moment) (Result, error) {
	t := b.transfers.Get(c.Ref)
	switch {
	case t == nil:
		return Result{}, noTransfer()
	case t.ReversedBy != "":
		return Result{}, refuse(StateConflict, "", "the transfer was reversed already, by %s", t.ReversedBy)
	case t.Status != Posted:
		return Result{}, refuse(StateConflict, "", "only a posted transfer is reversed; this one is %s", t.Status)
	case t.Operation != "": // it would say that the gateway has the money back
		return Result{}, refuse(StateConflict, "", "a payment made this transfer; refund the payment instead")
	}
	back := CreateTransfer{
		Tenant: t.Tenant, From: t.To, To: t.From, Amount: t.AmountPosted, Currency: t.Currency, Reference: t.Reference,
	}
	return b.reverse(m, t, back)
}

func (b *Book) reverse(m Moment, t *Transfer, back CreateTransfer) (Result, error) {
	fromRef, toRef := back.refs()
	from, to := b.accounts.Get(fromRef), b.accounts.Get(toRef)
	undo := back.transfer(m)
	undo.Reverses = t.ID
	mv := move{kind: Move, transfer: undo, posted: back.Amount}
	debit, credit, err := back.plan(mv, from, to)
	if err != nil {
		err.(*Refusal).Field = "" // the request has no members to point at
		return Result{}, err
	}
	b.transfers.Write(undo)
	b.apply(mv, from, to, debit, credit, m.Now)
	b.transfers.Write(t)
	t.ReversedBy = undo.ID
	b.emitTransfer(m, undo)
	b.Emit(m, t.Tenant, "transfer.reversed", t.ID, t.AppendJSON(make([]byte, 0, usualJSON)))
	return transferResult(undo), nil
}

// settle ends a hold: nothing can be short, since what moves was held.
func (b *Book) settle(m Moment, t *Transfer, mv move, status Status) error {
	from, to := b.accounts.Get(Ref{t.Tenant, t.From}), b.accounts.Get(Ref{t.Tenant, t.To})
	if from == nil || to == nil {
		return fmt.Errorf("ledger: transfer %s holds money on an account that is not there", t.ID)
	}
	debit, credit, err := mv.plan(from, to)
	if err != nil {
		return err
	}
	b.transfers.Write(t)
	t.Status, t.AmountPosted = status, mv.posted
	b.apply(mv, from, to, debit, credit, m.Now)
	b.emitTransfer(m, t)
	return nil
}

// wantWithAccounts names a transfer and, once it is here, its accounts.
func (b *Book) wantWithAccounts(r Ref) {
	b.WantTransfer(r)
	if t := b.transfers.Get(r); t != nil {
		b.WantAccount(Ref{t.Tenant, t.From})
		b.WantAccount(Ref{t.Tenant, t.To})
	}
}

// pending returns a hold that can still be settled.
func (b *Book) pending(r Ref, now time.Time, verb string) (*Transfer, error) {
	t := b.transfers.Get(r)
	switch {
	case t == nil:
		return nil, noTransfer()
	case t.Status != Pending:
		return nil, refuse(StateConflict, "", "only a pending transfer can be %s; this one is %s", verb, t.Status)
	case t.due(now):
		return nil, refuse(StateConflict, "", "the hold expired at %s", t.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return t, nil
}

func noTransfer() *Refusal {
	return refuse(NotFound, "", "there is no such transfer")
}
