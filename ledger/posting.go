package ledger

import (
	"fmt"
	"strings"

	"github.com/oncepay/oncepay/money"
)

// Posting is money that has moved already, somewhere else: the ledger follows. It
// opens the accounts that it needs, and no floor holds it up.
type Posting struct {
	Tenant    string
	From, To  string // names of reserved accounts; see Candidates
	Amount    int64  // minor units, > 0
	Currency  money.Currency
	Operation string // id of what moved it: no client can make a transfer that has one
	Reference string
	Metadata  map[string]string
}

// Candidates are the accounts that a reserved name can stand for in a currency:
// an account has one currency, so the first currency takes the plain name and
// the others have theirs behind it.
func Candidates(r Ref, c money.Currency) [2]Ref {
	return [2]Ref{r, {r.Tenant, r.ID + ":" + string(c)}}
}

// Post makes the transfer. It panics where no account can take it, which
// IsReserved keeps from happening, or where a balance would overflow, which takes
// four million of the largest payments: clients leave them half of the range.
func (b *Book) Post(m Moment, p Posting) *Transfer {
	from, to := b.reserved(m, p, p.From), b.reserved(m, p, p.To)
	c := CreateTransfer{
		Tenant: p.Tenant, From: from.ID, To: to.ID, Amount: p.Amount, Currency: p.Currency, Reference: p.Reference, Metadata: p.Metadata,
	}
	t := c.transfer(m)
	t.Operation = p.Operation
	mv := move{kind: Move, transfer: t, posted: p.Amount}
	debit, credit, err := mv.plan(from, to)
	if err != nil {
		panic(err)
	}
	b.transfers.Write(t)
	b.apply(mv, from, to, debit, credit, m.Now)
	b.emitTransfer(m, t)
	return t
}

// reserved returns the account that a name stands for, and opens it if need be.
func (b *Book) reserved(m Moment, p Posting, name string) *Account {
	for _, ref := range Candidates(Ref{p.Tenant, name}, p.Currency) {
		a := b.accounts.Get(ref)
		if a == nil {
			return b.open(m, &Account{Ref: ref, Currency: p.Currency, Floor: Floor{None: true}, CreatedAt: m.Now})
		}
		if a.Currency == p.Currency && !a.Closed {
			return a
		}
	}
	panic(fmt.Sprintf("ledger: no account takes %s of %s", p.Currency, name))
}

func (b *Book) open(m Moment, a *Account) *Account {
	b.accounts.Write(a)
	b.Emit(m, a.Tenant, "account.opened", a.ID, a.AppendJSON(make([]byte, 0, usualJSON)))
	return a
}

// reservedNames are the accounts that payments are booked on, beside a clearing
// account for each gateway.
var reservedNames = []string{"merchant:default", "suspense"}

// IsReserved says whether payments are booked on accounts of this name, so that
// they must stay open.
func IsReserved(id string) bool {
	name, _ := splitCurrency(id)
	for _, r := range reservedNames {
		if name == r || id == r {
			return true
		}
	}
	return isClearing(id) || isClearing(name)
}

func isClearing(id string) bool {
	return strings.HasPrefix(id, "gateway:") && strings.HasSuffix(id, ":clearing")
}

// reservedCurrency is the currency that a reserved name says its account has.
func reservedCurrency(id string) (c money.Currency, says bool) {
	name, c := splitCurrency(id)
	return c, c != "" && IsReserved(name)
}

// splitCurrency splits a currency off the end of a name; "" if there is none.
func splitCurrency(id string) (name string, c money.Currency) {
	i := strings.LastIndexByte(id, ':')
	if i < 0 {
		return id, ""
	}
	if c, err := money.ParseCurrency(id[i+1:]); err == nil {
		return id[:i], c
	}
	return id, ""
}
