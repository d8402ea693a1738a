// Package contract holds every implementation to what its interface promises: a store
// of keys to once.Store ([TestStore]), a store that can hold money to engine.Store,
// engine.Upkeep and the lists ([TestEngineStore]), and a gateway's connector to
// pay.Gateway ([TestGateway]). It is public, so that others can hold their own to it.
//
// A store of keys is a function that makes an empty one:
//
//	func TestContract(t *testing.T) { contract.TestStore(t, func(testing.TB) once.Store { return once.NewMemory() }) }
//
// The test of a store that can hold money is a [Fixture] and two calls:
//
//	func TestContract(t *testing.T)  { contract.TestEngineStore(t, fixture()) }
//	func TestHistories(t *testing.T) { contract.TestHistories(t, contract.Memory(), fixture()) }
//
// and a third one, [TestSharedStore], where several processes may share it.
//
// # What is promised
//
// There is a test for each promise, named by it; a store that passes may stand under
// an engine, or under an executor and a face. [TestHistories] runs the same seeded
// histories of commands on several stores through the executor's Step: what
// they answer and what is read from them must be the same, byte for byte.
// [TestGateway] stands between a connector and its other side, counts requests on
// the wire, and lets everything happen to them that a network can do.
//
// # What is not promised
//
// Durability is not tested: a process that lives cannot tell whether its store
// has synced. Each store has crash tests of its own for that.
package contract

import (
	"context"
	"testing"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// Store is a store that can hold money: an executor commits to it, it is kept
// tidy, and a face reads it. Its methods are safe for concurrent use. What they
// return is the caller's, and what they are given they do not keep.
type Store interface {
	engine.Store
	engine.Upkeep
	Accounts
	Transfers
	Payments
	Recovery
	Past
}

// Accounts reads accounts. Lists are newest first, of what was made at the same
// time the later first; they may end a page short of its limit without being at
// their end: that is where Next is empty. They fail with an engine.ErrBadCursor.
type Accounts interface {
	// Account returns an account, or nil if there is none.
	Account(ctx context.Context, ref ledger.Ref) (*ledger.Account, error)

	// AccountAt returns an account with the balance that it had at a time, the
	// entries of that very moment counted, or nil if it was not open yet. What is
	// no balance is as it is now.
	AccountAt(ctx context.Context, ref ledger.Ref, at time.Time) (*ledger.Account, error)

	// Accounts lists the accounts of a tenant.
	Accounts(ctx context.Context, tenant string, p engine.Page) (engine.List[*ledger.Account], error)

	// Entries lists the entries of an account; none if there is no such account.
	Entries(ctx context.Context, ref ledger.Ref, p engine.Page) (engine.List[ledger.Entry], error)
}

// Transfers reads transfers. Its list is like those of Accounts.
type Transfers interface {
	// Transfer returns a transfer, or nil if there is none.
	Transfer(ctx context.Context, ref ledger.Ref) (*ledger.Transfer, error)

	// Transfers lists the transfers of a tenant that a filter leaves.
	Transfers(ctx context.Context, tenant string, f engine.TransferFilter, p engine.Page) (engine.List[*ledger.Transfer], error)
}

// Payments reads payments. Its lists are like those of Accounts. A payment's
// status changes: a page has those that meet its filter when it is read.
type Payments interface {
	// Payment returns a payment with its operations, or nil if there is none.
	Payment(ctx context.Context, ref pay.Ref) (*pay.Payment, error)

	// PaymentOf returns the payment that has the operation with this id, or nil
	// if there is none.
	PaymentOf(ctx context.Context, operation pay.Ref) (*pay.Payment, error)

	// Payments lists the payments of a tenant that a filter leaves.
	Payments(ctx context.Context, tenant string, f engine.PaymentFilter, p engine.Page) (engine.List[*pay.Payment], error)

	// Doubtful lists the payments that are in doubt, of every tenant: for
	// operators, never for clients.
	Doubtful(ctx context.Context, p engine.Page) (engine.List[*pay.Payment], error)

	// CountDoubts counts what is in doubt and what needs a review, each up to most:
	// for operators, so often that it must cost little.
	CountDoubts(ctx context.Context, most int) (engine.Doubts, error)

	// Lines returns a payment's timeline in the order in which it was written: of
	// more than engine.MaxLines lines the first half of so many and the last half.
	// None if there is no such payment.
	Lines(ctx context.Context, ref pay.Ref) ([]pay.Line, error)
}

// Recovery reads what there is to do about payments, of every tenant.
type Recovery interface {
	// DueOperations returns up to limit operations of a gateway whose DueAt is not
	// after now, the longest due first.
	DueOperations(ctx context.Context, gateway string, now time.Time, limit int) ([]pay.Due, error)

	// LongestDue returns of each gateway the operation that has been due longest, if
	// there is one whose DueAt is not after now, in the order of the gateways' names.
	LongestDue(ctx context.Context, now time.Time) ([]pay.Due, error)

	// Matchable returns up to limit notices of a gateway that were not matched and
	// now can be, the oldest first: a payment of the tenant at that gateway has the
	// operation that the notice names, or, where it names none, one with its
	// GatewayID. If it names a payment, it is that one. Payment and Operation are
	// filled in; of several operations it is the one that was made first.
	Matchable(ctx context.Context, gateway string, limit int) ([]pay.Notice, error)
}

// Past reads what has happened. Its list is like those of Accounts.
type Past interface {
	// Key returns what is known of a key, and of its answer the status alone: a
	// whole one can be large. It returns the zero Record if nothing is known.
	Key(ctx context.Context, k once.Key) (once.Record, error)

	// Events lists the events of a tenant that a filter leaves.
	Events(ctx context.Context, tenant string, f engine.EventFilter, p engine.Page) (engine.List[outbox.Event], error)
}

// Fixture says how the stores of a kind are made. Its functions fail the test
// themselves, and clean up with it.
type Fixture struct {
	// Name is what the kind is called in transcripts' differences.
	Name string

	// Open makes a new, empty store.
	Open func(testing.TB) Store

	// Reopen closes a store and opens what it has kept. Leave it nil where a store
	// forgets everything with its process: nothing is asked about that then.
	Reopen func(testing.TB, Store) Store

	// Snapshot returns all that a store holds now.
	Snapshot func(testing.TB, Store) audit.Source
}

// Memory is the fixture of the store in memory, with which others are compared.
func Memory() Fixture {
	return Fixture{
		Name:     "memory",
		Open:     func(testing.TB) Store { return engine.NewMemory() },
		Snapshot: func(_ testing.TB, s Store) audit.Source { return s.(*engine.Memory).Snapshot() },
	}
}

// promise is something that a store promises, as a sentence, and its test.
type promise struct {
	name string
	keep func(*bank)
}

// TestEngineStore holds a store that can hold money to every promise.
func TestEngineStore(t *testing.T, f Fixture) {
	for _, group := range []struct {
		name     string
		promises []promise
	}{
		{"load", loading}, {"commit", committing}, {"rows", keeping}, {"numbers", numbers}, {"keys", keys},
		{"payments", payments}, {"payment rows", keepingPayments}, {"payment lists", paymentLists}, {"payment upkeep", paymentUpkeep},
		{"lists", lists}, {"upkeep", upkeep}, {"audit", auditing}, {"reopen", reopening},
	} {
		if group.name == "reopen" && f.Reopen == nil {
			continue
		}
		t.Run(group.name, func(t *testing.T) {
			for _, p := range group.promises {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					p.keep(newBank(t, f))
				})
			}
		})
	}
}
