package pay

import (
	"github.com/oncepay/oncepay/ledger"
)

// The accounts that payments move money between. Each is opened when it is first
// needed. An account has one currency: the first one takes the plain name, the
// others have theirs behind it ("merchant:default:JPY").
const (
	merchantAccount = "merchant:default"
	suspenseAccount = "suspense"
)

func clearingAccount(gateway string) string { return "gateway:" + gateway + ":clearing" }

func (b *Book) wantAccounts(p *Payment) {
	for _, name := range []string{clearingAccount(p.Gateway), merchantAccount, suspenseAccount} {
		for _, ref := range ledger.Candidates(Ref{Tenant: p.Tenant, ID: name}, p.Currency) {
			b.WantAccount(ref)
		}
	}
}

// bookMoney has the ledger follow an operation, and the charge, which a void may
// have come too late for: no other depends on it.
func (b *Book) bookMoney(p *Payment, o *Operation, m ledger.Moment) {
	b.book(p, o, m)
	if charge := p.Charge(); charge != o {
		b.book(p, charge, m)
	}
}

// book has the ledger follow an operation: what it moved for certain is the
// merchant's, what contradicts itself is in suspense until a human has decided.
func (b *Book) book(p *Payment, o *Operation, m ledger.Moment) {
	merchant, suspense := o.places(p)
	gained, held := merchant-o.Booked, suspense-o.Suspended
	if gained == 0 && held == 0 {
		return
	}
	var shift int64 // suspense → merchant; negative: the other way
	switch {
	case gained > 0 && held < 0:
		shift = min(gained, -held)
	case gained < 0 && held > 0:
		shift = max(gained, -held)
	}
	clearing := clearingAccount(p.Gateway)
	b.bookMove(p, o, m, suspenseAccount, merchantAccount, shift)
	b.bookMove(p, o, m, clearing, merchantAccount, gained-shift)
	b.bookMove(p, o, m, clearing, suspenseAccount, held+shift)
	o.Booked, o.Suspended = merchant, suspense
}

// places says where the money of an operation belongs.
func (o *Operation) places(p *Payment) (merchant, suspense int64) {
	switch {
	case o.Kind == Authorize || o.Kind == Void:
		return 0, 0
	case o.Outcome == Conflict, o == p.Charge() && p.clashes():
		return 0, o.Moved
	case o.Outcome == Done:
		return o.Moved, 0
	default:
		return 0, 0
	}
}

// bookMove moves an amount, or back if it is negative. A refund goes the other way.
func (b *Book) bookMove(p *Payment, o *Operation, m ledger.Moment, from, to string, amount int64) {
	if o.Kind == Refund {
		amount = -amount
	}
	if amount < 0 {
		from, to, amount = to, from, -amount
	}
	if amount == 0 {
		return
	}
	t := b.Post(m, ledger.Posting{
		Tenant: p.Tenant, From: from, To: to, Amount: amount, Currency: p.Currency, Operation: o.ID, Reference: p.ID,
		Metadata: map[string]string{"payment": p.ID, "operation": o.ID},
	})
	o.Transfer = t.ID
}
