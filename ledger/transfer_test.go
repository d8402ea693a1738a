package ledger_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
)

// transfersWorld: alice has 1000 and may not go below nothing, bob has nothing.
func transfersWorld(t *testing.T) *world {
	w := newWorld()
	w.do(t, ledger.OpenAccount{Ref: ref("alice"), Currency: "EUR"})
	w.do(t, ledger.OpenAccount{Ref: ref("bob"), Currency: "EUR"})
	w.do(t, ledger.OpenAccount{Ref: ref("yen"), Currency: "JPY"})
	w.do(t, ledger.OpenAccount{Ref: ref("closed"), Currency: "EUR"})
	w.do(t, ledger.CloseAccount{Ref: ref("closed")})
	w.fund(t, "alice", 1000)
	return w
}

func TestTransfersThatAreRefused(t *testing.T) {
	with := func(c ledger.CreateTransfer, change func(*ledger.CreateTransfer)) ledger.CreateTransfer {
		change(&c)
		return c
	}
	in := func(d time.Duration) func(*ledger.CreateTransfer) {
		return func(c *ledger.CreateTransfer) { c.ExpiresAt = newWorld().now.Add(d) }
	}
	for _, row := range []struct {
		sentence string
		command  ledger.CreateTransfer
		code     ledger.Code
		field    string
	}{
		{"nothing is no amount", move("alice", "bob", 0), ledger.Invalid, "/amount"},
		{"a negative amount would be a debit of the other", move("alice", "bob", -1), ledger.Invalid, "/amount"},
		{"the most negative amount has no opposite", move("alice", "bob", math.MinInt64), ledger.Invalid, "/amount"},
		{"from an account to itself", move("alice", "alice", 1), ledger.Invalid, "/to"},
		{"from an account to itself, which is not there", move("nobody", "nobody", 1), ledger.Invalid, "/to"},
		{"from no account", move("nobody", "bob", 1), ledger.Invalid, "/from"},
		{"to no account", move("alice", "nobody", 1), ledger.Invalid, "/to"},
		{"to another tenant's account", with(move("alice", "bob", 1), func(c *ledger.CreateTransfer) { c.Tenant = "other" }), ledger.Invalid, "/from"},
		{"an expiry without a hold", with(move("alice", "bob", 1), in(time.Hour)), ledger.Invalid, "/expires_at"},
		{"a hold that expired before it began", with(hold("alice", "bob", 1), in(-time.Hour)), ledger.Invalid, "/expires_at"},
		{"a hold that expires as it begins", with(hold("alice", "bob", 1), in(0)), ledger.Invalid, "/expires_at"},
		{"from a closed account", move("closed", "bob", 1), ledger.AccountClosed, "/from"},
		{"to a closed account", move("alice", "closed", 1), ledger.AccountClosed, "/to"},
		{"a hold to a closed account", hold("alice", "closed", 1), ledger.AccountClosed, "/to"},
		{"from an account of another currency", move("yen", "bob", 1), ledger.CurrencyMismatch, "/currency"},
		{"to an account of another currency", move("alice", "yen", 1), ledger.CurrencyMismatch, "/currency"},
		{"in a currency that neither holds", with(move("alice", "bob", 1), func(c *ledger.CreateTransfer) { c.Currency = "USD" }), ledger.CurrencyMismatch, "/currency"},
		{"one more than is there", move("alice", "bob", 1001), ledger.InsufficientFunds, "/amount"},
		{"a hold of one more than is there", hold("alice", "bob", 1001), ledger.InsufficientFunds, "/amount"},
		{"anything from an empty account", move("bob", "alice", 1), ledger.InsufficientFunds, "/amount"},
		{"the largest amount there is", move("alice", "bob", math.MaxInt64), ledger.InsufficientFunds, "/amount"},
	} {
		t.Run(row.sentence, func(t *testing.T) { transfersWorld(t).refuse(t, row.command, row.code, row.field) })
	}
}

func TestATransferMovesMoney(t *testing.T) {
	w := transfersWorld(t)
	entries, events := len(w.entries), len(w.events)
	c := move("alice", "bob", 300)
	c.Reference, c.Metadata = "order 1", map[string]string{"k": "v"}
	got := w.do(t, c).Transfer
	want := ledger.Transfer{
		Ref: ref(got.ID), Status: ledger.Posted, From: "alice", To: "bob", Amount: 300, AmountPosted: 300, Currency: "EUR",
		Reference: "order 1", Metadata: map[string]string{"k": "v"}, CreatedAt: w.now, Version: 1,
	}
	if diff := cmp.Diff(want, *got); diff != "" || !id.Valid(got.ID, "tr_") {
		t.Errorf("the result %q (-want +got):\n%s", got.ID, diff)
	}
	if diff := cmp.Diff(want, w.transfers[got.Ref]); diff != "" {
		t.Errorf("what was written (-want +got):\n%s", diff)
	}
	wantBalance(t, w, "alice", ledger.Balance{Posted: 700})
	wantBalance(t, w, "bob", ledger.Balance{Posted: 300})
	if diff := cmp.Diff([]string{"transfer.posted"}, w.eventTypes(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	wantEntries := []ledger.Entry{
		{
			Seq: 3, Account: ref("alice"), Ordinal: 2, Prev: 2, Transfer: got.ID, Kind: ledger.Move,
			Delta: ledger.Balance{Posted: -300}, After: ledger.Balance{Posted: 700}, Currency: "EUR", At: w.now,
		},
		{
			Seq: 4, Account: ref("bob"), Ordinal: 1, Transfer: got.ID, Kind: ledger.Move,
			Delta: ledger.Balance{Posted: 300}, After: ledger.Balance{Posted: 300}, Currency: "EUR", At: w.now,
		},
	}
	if diff := cmp.Diff(wantEntries, w.entries[entries:]); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestWhatADebitMayLeave(t *testing.T) {
	for _, row := range []struct {
		sentence string
		balance  int64
		floor    ledger.Floor
		amount   int64
		ok       bool
	}{
		{"all of it, down to nothing", 100, ledger.Floor{}, 100, true},
		{"one more than all of it", 100, ledger.Floor{}, 101, false},
		{"down to a floor above nothing", 100, ledger.Floor{Minor: 40}, 60, true},
		{"one below a floor above nothing", 100, ledger.Floor{Minor: 40}, 61, false},
		{"down to an overdraft", 100, ledger.Floor{Minor: -50}, 150, true},
		{"one below an overdraft", 100, ledger.Floor{Minor: -50}, 151, false},
		{"no floor at all", 100, ledger.Floor{None: true}, 1_000_000, true},
		{"no floor, whatever its number says", 100, ledger.Floor{None: true, Minor: 100}, 200, true},
		{"a floor raised above what is there refuses the smallest debit", 100, ledger.Floor{Minor: 500}, 1, false},
		{"the lowest floor is as far as 64 bits go", 0, ledger.Floor{Minor: math.MinInt64}, math.MaxInt64, true},
	} {
		for verb, command := range map[string]ledger.CreateTransfer{
			"move": move("account", "sink", row.amount), "hold": hold("account", "sink", row.amount),
		} {
			t.Run(verb+": "+row.sentence, func(t *testing.T) {
				w := newWorld()
				w.open(t, "account", row.balance)
				w.open(t, "sink", 0)
				w.do(t, ledger.UpdateAccount{Ref: ref("account"), Floor: &row.floor})
				if row.ok {
					w.do(t, command)
				} else {
					w.refuse(t, command, ledger.InsufficientFunds, "/amount")
				}
			})
		}
	}
}

// A floor is checked when somebody takes, not when somebody gives: an account
// below its floor must be able to get out.
func TestACreditNeedsNoFunds(t *testing.T) {
	w := transfersWorld(t)
	w.do(t, ledger.UpdateAccount{Ref: ref("bob"), Floor: &ledger.Floor{Minor: 5000}})
	w.do(t, move("alice", "bob", 10))
	wantBalance(t, w, "bob", ledger.Balance{Posted: 10})
}

func TestNoBalanceLeaves64Bits(t *testing.T) {
	for _, row := range []struct {
		sentence string
		from, to int64
		command  ledger.CreateTransfer
		ok       bool
	}{
		{"up to the largest balance", 0, math.MaxInt64 - 5, move("from", "to", 5), true},
		{"one above the largest balance", 0, math.MaxInt64 - 5, move("from", "to", 6), false},
		{"down to the smallest balance", -math.MaxInt64 + 4, 0, move("from", "to", 5), true},
		{"one below the smallest balance", -math.MaxInt64 + 4, 0, move("from", "to", 6), false},
		{"a hold up to the largest balance, were it posted", 0, math.MaxInt64 - 5, hold("from", "to", 5), true},
		{"a hold one above it", 0, math.MaxInt64 - 5, hold("from", "to", 6), false},
		{"a hold down to the smallest balance, were it posted", -math.MaxInt64 + 4, 0, hold("from", "to", 5), true},
		{"a hold one below it", -math.MaxInt64 + 4, 0, hold("from", "to", 6), false},
		{"the largest amount from nothing to nothing", 0, 0, move("from", "to", math.MaxInt64), true},
		{"the largest amount onto one", 0, 1, move("from", "to", math.MaxInt64), false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld()
			w.open(t, "from", row.from)
			w.open(t, "to", row.to)
			if row.ok {
				w.do(t, row.command)
			} else {
				w.refuse(t, row.command, ledger.BalanceOverflow, "/amount")
			}
		})
	}
}

// What is held counts as if it were posted, on either side and by either kind
// of transfer.
func TestHoldsTakeUpRange(t *testing.T) {
	for _, row := range []struct {
		sentence string
		balance  int64 // of both accounts
		before   ledger.CreateTransfer
		command  ledger.CreateTransfer
	}{
		{"a credit onto an account that much is coming to", math.MaxInt64 - 10, hold("other", "account", 8), move("another", "account", 3)},
		{"a hold onto an account that much is coming to", math.MaxInt64 - 10, hold("other", "account", 8), hold("another", "account", 3)},
		{"a debit of an account that much is held on", -math.MaxInt64 + 9, hold("account", "other", 8), move("account", "another", 3)},
		{"a hold on an account that much is held on", -math.MaxInt64 + 9, hold("account", "other", 8), hold("account", "another", 3)},
		{"more holds out than a number can count", 0, hold("account", "other", math.MaxInt64), hold("account", "another", 1)},
		{"more holds in than a number can count", 0, hold("other", "account", math.MaxInt64), hold("another", "account", 1)},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld()
			w.open(t, "account", row.balance)
			w.open(t, "other", 0)
			w.open(t, "another", 0)
			w.do(t, row.before)
			w.refuse(t, row.command, ledger.BalanceOverflow, "/amount")
		})
	}
}

func TestRefusedIsAlwaysRefused(t *testing.T) {
	w := transfersWorld(t)
	refusal := &ledger.Refusal{Code: ledger.Invalid, Field: "/amount", Detail: "no number"}
	w.refuse(t, ledger.Refused(refusal), ledger.Invalid, "/amount")
	if want := w.load(ledger.Refused(refusal)).Wanted(); !want.Empty() {
		t.Errorf("it wants %+v", want)
	}
}

// A refusal that is final is stored and replayed; the others leave the key free,
// so that a mended request can use it.
func TestWhichRefusalsAreFinal(t *testing.T) {
	for code, final := range map[ledger.Code]bool{
		ledger.Invalid: false, ledger.NotFound: false,
		ledger.AlreadyExists: true, ledger.InsufficientFunds: true, ledger.CurrencyMismatch: true, ledger.AccountClosed: true,
		ledger.StateConflict: true, ledger.ExceedsHold: true, ledger.BalanceOverflow: true,
	} {
		if got := code.Final(); got != final {
			t.Errorf("%s is final: %v, want %v", code, got, final)
		}
	}
}

func TestARefusalIsAnError(t *testing.T) {
	err := error(&ledger.Refusal{Code: ledger.StateConflict, Detail: "the account is closed already"})
	if want := "ledger: state_conflict: the account is closed already"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
