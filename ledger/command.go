package ledger

import (
	"fmt"
	"maps"
	"time"

	"github.com/oncepay/oncepay/money"
)

// Command is something to be done to the ledger. It is decided in a book that
// holds the rows it needs.
type Command interface {
	// Needs names the rows that the command reads or writes. It is called again
	// after the rows it named were loaded, since rows name rows (a hold its
	// accounts); two calls must be enough.
	Needs(b *Book)

	// Decide does it, or returns a *Refusal and changes nothing.
	Decide(b *Book, m Moment) (Result, error)
}

// Result is what a command made or changed: a copy of the resource as it is
// after the command. One of them is set.
type Result struct {
	Account  *Account
	Transfer *Transfer
	Noted    string // id of what is kept elsewhere
}

// ID is the id of the resource.
func (r Result) ID() string {
	switch {
	case r.Account != nil:
		return r.Account.ID
	case r.Noted != "":
		return r.Noted
	}
	return r.Transfer.ID
}

func accountResult(a *Account) Result {
	c := *a
	return Result{Account: &c}
}

func transferResult(t *Transfer) Result {
	c := *t
	return Result{Transfer: &c}
}

// Code says why a command was refused, in words that are part of the API.
type Code string

// The codes of refusals.
const (
	Invalid           Code = "invalid"             // the request can be mended
	NotFound          Code = "not_found"           // there is no such resource
	AlreadyExists     Code = "already_exists"      // the account's id is taken
	InsufficientFunds Code = "insufficient_funds"  // the debit would go below the floor
	CurrencyMismatch  Code = "currency_mismatch"   // accounts and amount differ in currency
	AccountClosed     Code = "account_closed"      // a closed account takes part in nothing
	StateConflict     Code = "state_conflict"      // the resource is past that
	ExceedsHold       Code = "amount_exceeds_hold" // more is to be posted than is held
	BalanceOverflow   Code = "balance_overflow"    // the balance would leave 64 bits
	InProgress        Code = "in_progress"         // something else is at work on the resource
	Unavailable       Code = "gateway_unavailable" // whoever must be asked takes nothing just now
)

// Final says whether the refusal is an answer that is kept under the key: the
// command was understood, and the ledger's state says no. Otherwise nothing
// began, and the request may come again mended.
func (c Code) Final() bool {
	return c != Invalid && c != NotFound && c != InProgress && c != Unavailable
}

// Refusal says why a command changed nothing. It is an answer, not a fault.
type Refusal struct {
	Code   Code
	Field  string // JSON pointer into the request, or ""
	Detail string // for the client: says what to do, shows nothing of others
}

func (r *Refusal) Error() string { return fmt.Sprintf("ledger: %s: %s", r.Code, r.Detail) }

// Refuse makes a refusal; the rooms above have some of their own.
func Refuse(c Code, field, format string, args ...any) *Refusal {
	return &Refusal{Code: c, Field: field, Detail: fmt.Sprintf(format, args...)}
}

func refuse(c Code, field, format string, args ...any) *Refusal {
	return Refuse(c, field, format, args...)
}

// Refused is a command that was found wanting before it reached the ledger: it
// needs nothing and is always refused. Its key is looked up first all the same.
func Refused(err error) Command { return refused{err} }

type refused struct{ err error }

func (refused) Needs(*Book)                            {}
func (r refused) Decide(*Book, Moment) (Result, error) { return Result{}, r.err }

// Noted is a command whose work is done already, elsewhere and in such a way that doing it
// again changes nothing: its key gets its answer, and the ledger stays as it is.
type Noted struct{ ID string }

// Needs names nothing.
func (Noted) Needs(*Book) {}

// Decide does nothing.
func (n Noted) Decide(*Book, Moment) (Result, error) { return Result{Noted: n.ID}, nil }

// OpenAccount opens an account.
type OpenAccount struct {
	Ref      // ID "" has one made
	Currency money.Currency
	Floor    Floor
	Metadata map[string]string
}

// Needs names the account itself, which should be absent.
func (c OpenAccount) Needs(b *Book) {
	if c.ID != "" {
		b.WantAccount(c.Ref)
	}
}

// Decide refuses with AlreadyExists, or with Invalid where the name says that it
// is of another currency.
func (c OpenAccount) Decide(b *Book, m Moment) (Result, error) {
	if of, reserved := reservedCurrency(c.ID); reserved && of != c.Currency {
		return Result{}, refuse(Invalid, "/currency", "payments in %s are booked on this account; open it in that currency, or choose another id", of)
	}
	if c.ID == "" {
		c.ID = m.IDs.New("acc_", m.Now)
	}
	if b.accounts.Get(c.Ref) != nil {
		return Result{}, refuse(AlreadyExists, "/id", "there is an account with this id already; read it, or choose another id")
	}
	a := &Account{Ref: c.Ref, Currency: c.Currency, Floor: c.Floor, Metadata: c.Metadata, CreatedAt: m.Now}
	b.accounts.Write(a)
	b.Emit(m, a.Tenant, "account.opened", a.ID, a.AppendJSON(make([]byte, 0, usualJSON)))
	return accountResult(a), nil
}

// UpdateAccount sets what may be set. It is idempotent by itself: an update that
// changes nothing writes nothing.
type UpdateAccount struct {
	Ref
	Floor    *Floor            // nil leaves it
	Metadata map[string]string // nil leaves it
}

// Needs names the account.
func (c UpdateAccount) Needs(b *Book) { b.WantAccount(c.Ref) }

// Decide refuses with NotFound or AccountClosed.
func (c UpdateAccount) Decide(b *Book, m Moment) (Result, error) {
	a := b.accounts.Get(c.Ref)
	if a == nil {
		return Result{}, noAccount()
	}
	floor, metadata := a.Floor, a.Metadata
	if c.Floor != nil {
		floor = *c.Floor
	}
	if c.Metadata != nil {
		metadata = c.Metadata
	}
	if floor == a.Floor && maps.Equal(metadata, a.Metadata) {
		return accountResult(a), nil
	}
	if a.Closed {
		return Result{}, closedAccount("", a.ID)
	}
	b.accounts.Write(a)
	a.Floor, a.Metadata = floor, metadata
	b.Emit(m, a.Tenant, "account.updated", a.ID, a.AppendJSON(make([]byte, 0, usualJSON)))
	return accountResult(a), nil
}

// CloseAccount closes an account that is empty. It takes part in nothing any
// more; its entries stay.
type CloseAccount struct{ Ref }

// Needs names the account.
func (c CloseAccount) Needs(b *Book) { b.WantAccount(c.Ref) }

// Decide refuses with NotFound or StateConflict.
func (c CloseAccount) Decide(b *Book, m Moment) (Result, error) {
	a := b.accounts.Get(c.Ref)
	switch {
	case a == nil:
		return Result{}, noAccount()
	case a.Closed:
		return Result{}, refuse(StateConflict, "", "the account is closed already")
	case IsReserved(a.ID):
		return Result{}, refuse(StateConflict, "", "payments are booked on this account, so it stays open")
	case a.Balance != Balance{}:
		return Result{}, refuse(StateConflict, "",
			"an account is closed when it is empty: this one has %d posted and holds of %d out and %d in; move or settle them first",
			a.Balance.Posted, a.Balance.Outgoing, a.Balance.Incoming)
	}
	b.accounts.Write(a)
	a.Closed = true
	b.Emit(m, a.Tenant, "account.closed", a.ID, a.AppendJSON(make([]byte, 0, usualJSON)))
	return accountResult(a), nil
}

func noAccount() *Refusal {
	return refuse(NotFound, "", "there is no such account")
}

func closedAccount(field, account string) *Refusal {
	return refuse(AccountClosed, field, "account %s is closed; use an open one", account)
}

// CreateTransfer moves money, or holds it if Pending.
type CreateTransfer struct {
	Tenant    string
	From, To  string
	Amount    int64 // minor units, > 0
	Currency  money.Currency
	Reference string
	Pending   bool
	ExpiresAt time.Time // of a hold; zero: never
	Metadata  map[string]string
}

func (c CreateTransfer) refs() (from, to Ref) {
	return Ref{c.Tenant, c.From}, Ref{c.Tenant, c.To}
}

// Needs names both accounts.
func (c CreateTransfer) Needs(b *Book) {
	from, to := c.refs()
	b.WantAccount(from)
	b.WantAccount(to)
}

// Decide refuses with Invalid, AccountClosed, CurrencyMismatch,
// InsufficientFunds or BalanceOverflow.
func (c CreateTransfer) Decide(b *Book, m Moment) (Result, error) {
	if err := c.check(m.Now); err != nil {
		return Result{}, err
	}
	fromRef, toRef := c.refs()
	from, to := b.accounts.Get(fromRef), b.accounts.Get(toRef)
	t := c.transfer(m)
	mv := move{kind: Move, transfer: t, posted: c.Amount}
	if c.Pending {
		mv = move{kind: Hold, transfer: t, held: c.Amount}
	}
	debit, credit, err := c.plan(mv, from, to)
	if err != nil {
		return Result{}, err
	}
	b.transfers.Write(t)
	b.apply(mv, from, to, debit, credit, m.Now)
	b.emitTransfer(m, t)
	return transferResult(t), nil
}

// check refuses what is wrong whatever the accounts are.
func (c CreateTransfer) check(now time.Time) error {
	switch {
	case c.Amount <= 0:
		return refuse(Invalid, "/amount", "an amount is at least 1 minor unit")
	case c.From == c.To:
		return refuse(Invalid, "/to", "a transfer needs two different accounts")
	case !c.ExpiresAt.IsZero() && !c.Pending:
		return refuse(Invalid, "/expires_at", "only a pending transfer expires; set pending, or leave expires_at out")
	case !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(now):
		return refuse(Invalid, "/expires_at", "a hold expires in the future")
	}
	return nil
}

// plan says where both accounts stand after mv, or refuses it. It changes
// nothing.
func (c CreateTransfer) plan(mv move, from, to *Account) (debit, credit Balance, err error) {
	if err := c.checkAccounts(from, to); err != nil {
		return debit, credit, err
	}
	if debit, credit, err = mv.plan(from, to); err != nil {
		return debit, credit, err
	}
	return debit, credit, checkFunds(from, debit)
}

func (c CreateTransfer) checkAccounts(from, to *Account) error {
	switch {
	case from == nil:
		return refuse(Invalid, "/from", "there is no account %s; open it first", c.From)
	case to == nil:
		return refuse(Invalid, "/to", "there is no account %s; open it first", c.To)
	case from.Closed:
		return closedAccount("/from", from.ID)
	case to.Closed:
		return closedAccount("/to", to.ID)
	case from.Currency != c.Currency:
		return refuse(CurrencyMismatch, "/currency", "account %s holds %s, not %s", from.ID, from.Currency, c.Currency)
	case to.Currency != c.Currency:
		return refuse(CurrencyMismatch, "/currency", "account %s holds %s, not %s", to.ID, to.Currency, c.Currency)
	}
	return nil
}

func (c CreateTransfer) transfer(m Moment) *Transfer {
	t := &Transfer{
		Ref: Ref{c.Tenant, m.IDs.New("tr_", m.Now)}, Status: Posted, From: c.From, To: c.To,
		Amount: c.Amount, AmountPosted: c.Amount, Currency: c.Currency, Reference: c.Reference,
		ExpiresAt: c.ExpiresAt, Metadata: c.Metadata, CreatedAt: m.Now,
	}
	if c.Pending {
		t.Status, t.AmountPosted = Pending, 0
	}
	return t
}

// checkFunds refuses a debit that would leave less than the account's floor.
func checkFunds(a *Account, after Balance) error {
	if a.Floor.None || after.Available() >= a.Floor.Minor {
		return nil
	}
	return refuse(InsufficientFunds, "/amount", "account %s has %d available, in minor units of %s, and may not go below %d",
		a.ID, a.Balance.Available(), a.Currency, a.Floor.Minor)
}

// emitTransfer writes the event of a transfer's new status.
func (b *Book) emitTransfer(m Moment, t *Transfer) {
	b.Emit(m, t.Tenant, "transfer."+t.Status.String(), t.ID, t.AppendJSON(make([]byte, 0, usualJSON)))
}
