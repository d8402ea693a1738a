// Package engine executes requests: load → decide → commit, in batches.
//
// There are few types. A [Job] is one request: a key, a fingerprint and a
// command for the ledger or a payment. A [Store] loads rows and commits changes. [Step] is
// the executor without its goroutines: a pure machine that is told what arrived
// and answers with effects. [Executor] is the thin driver around it that does
// them. [Memory] is a store that keeps everything in memory.
//
// # What is promised
//
// Requests that arrive while a commit is on its way form the next batch. A
// batch is decided command by command on rows in memory, then the keys, the
// transfers, the balances and the events of all of them are one commit; no
// answer leaves before that commit is durable. A caller that goes away changes
// nothing. The queue, each tenant's part of it and the waiters of a key are
// bounded, and what is over a bound is refused before anything began.
//
// # What is not promised
//
// Durability and isolation are the store's. Commands that come without a key
// must be idempotent by themselves: after a commit whose outcome is unknown
// they are decided again.
package engine

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// Job is one request to be executed.
type Job struct {
	Tenant  string         // whose fair share it takes
	Request once.Request   // a zero Key: the command is idempotent by itself
	Command ledger.Command // what is to be done to the ledger
	Payment pay.Command    // or to a payment; one of the two is set

	// Reply renders the answer of Command: of the result, or of a *ledger.Refusal.
	// It runs inside the decision, so it is pure, and its answer is what is stored.
	// The answer of Payment is rendered by Config.Render.
	Reply func(ledger.Result, *ledger.Refusal) once.Answer

	RequestID string // for Config.Render

	// NoWait has a duplicate answered at once if the first is still at work.
	NoWait bool

	caller *call // the Executor's: where the outcome goes
	began  bool  // the Executor's: it began work that goes on, so the answer to that is the first
}

func (j *Job) keyed() bool { return j.Request.Key != once.Key{} }

// Outcome is what became of a job. Without an Err there is an answer.
type Outcome struct {
	Answer    once.Answer
	Interim   bool            // there is no final answer yet: Answer is how it is now, and is not kept
	Resource  ledger.Ref      // Interim: the payment that is at work
	Changed   <-chan struct{} // Interim: closed when it has changed, so that the job may be sent again
	Outdated  bool            // Interim: it has changed since, by another job of the same commit
	Began     bool            // Interim: it was this job that began the work
	Replayed  bool
	Stored    bool      // the answer is kept under the key
	ExpiresAt time.Time // keyed jobs: when the key's window is over
	writes    int       // Interim: pay.Book.Writes when it was decided
	version   int64     // Interim: of the payment, as it was told
	Err       error     // once.ErrMismatch, once.ErrExpired, or one of the errors below
}

// Why a job has no answer. Nothing began, and the same request may succeed
// later; but for ErrInProgress, where the first request is still at work.
var (
	// ErrInProgress means that another request with the key is still at work.
	ErrInProgress = errors.New("engine: a request with this key is in progress")

	// ErrOverloaded means that the queue, or the tenant's part of it, is full.
	ErrOverloaded = errors.New("engine: the queue is full")

	// ErrUnavailable means that the store could not load or commit.
	ErrUnavailable = errors.New("engine: the store is not available")

	// ErrInternal means that deciding the job failed: a defect. It alone is
	// refused, and retrying it is no use.
	ErrInternal = errors.New("engine: a defect")

	// ErrClosed means that the executor is shutting down.
	ErrClosed = errors.New("engine: shutting down")
)

// Store loads rows and commits changes. contract.TestEngineStore holds every
// implementation to this.
type Store interface {
	// Load returns the named rows that exist, as of one moment that is not before
	// the last commit that was reported. What it shows is durable, and it settles
	// commits whose outcome is unknown: one that it does not show is never made.
	// It reserves need.Entries sequence numbers that no entry has and no other
	// Load is given. Where several processes share the store they are reserved after
	// that moment: each is greater than that of any entry which the rows tell of.
	Load(ctx context.Context, need Need) (Rows, error)

	// Commit writes c as a whole or not at all, and returns nil when it is
	// durable. Every row is fenced: one that is not at its Version minus one (a
	// new one is at 0) fails the whole commit.
	//
	// Errors that are an ErrNotCommitted certainly wrote nothing. After any
	// other error the outcome is unknown.
	Commit(ctx context.Context, c *Changes) error
}

// Lineage is what a store offers that can lose commits which it has reported: a
// standby that lagged took over, or somebody restored a backup and said so. It is
// safe for concurrent use.
type Lineage interface {
	// Forgot returns the time, by the store's clock, before which commits may be
	// missing: not before that of the last one that any process made in the past that
	// was lost. It is zero if none can be, or if an operator has since said that the
	// store and the gateways agree. It is durable, and the same for every process, for as
	// long as the store is open: a store that was opened in one past loads and commits
	// nothing in another, with an ErrNotCommitted. Its process has to open it anew, since
	// requests that it has taken in were told of the old past.
	Forgot(ctx context.Context) (time.Time, error)
}

// ErrNotCommitted means that a commit certainly wrote nothing.
var ErrNotCommitted = errors.New("engine: not committed")

// ErrConflict is an ErrNotCommitted that lost a race: what was loaded is no
// longer current. Loading and deciding again is the answer.
var ErrConflict = &conflict{}

type conflict struct{}

func (*conflict) Error() string        { return "engine: not committed: a row has changed" }
func (*conflict) Is(target error) bool { return target == ErrNotCommitted }

// Need names what a batch has to know.
type Need struct {
	Keys     []once.Key
	Rows     ledger.Rows
	Payments pay.Rows
	Entries  int64 // how many sequence numbers to reserve

	// Hold says that the batch has lost races for these rows. Where several processes
	// share the store, and it can, it keeps others from changing them until this
	// process commits, or for a quarter of a second. Nothing rests on it: every commit
	// is fenced all the same.
	Hold bool
}

// empty says whether there is nothing to ask the store for.
func (n *Need) empty() bool {
	return len(n.Keys) == 0 && n.Rows.Empty() && n.Payments.Empty() && n.Entries == 0
}

// Rows is what was found of a Need. The caller owns it.
type Rows struct {
	Keys       []once.Record
	Accounts   []*ledger.Account
	Transfers  []*ledger.Transfer
	Payments   []*pay.Payment // the holders of References are among them
	References []*pay.Reference
	Notices    []*pay.Notice
	FirstEntry int64 // the first of the reserved sequence numbers, 0 if none was asked for

	// Where several processes share the store they must agree on the time. Seen is the
	// latest Changes.At of the commits that wrote what was found, or later: whoever
	// changes it again does so no earlier. Now is the clock of the store itself, zero
	// if it has none: a machine whose clock is far from it is not relied on.
	Seen, Now time.Time
}

// Wanted is what a book names that was not asked for yet.
func Wanted(b *pay.Book) Need {
	return Need{Keys: b.WantedKeys(), Rows: b.Wanted(), Payments: b.WantedRows()}
}

// PutInto puts what was found into a book.
func (r *Rows) PutInto(b *pay.Book) {
	for _, k := range r.Keys {
		b.PutKey(k)
	}
	for _, a := range r.Accounts {
		b.PutAccount(a)
	}
	for _, t := range r.Transfers {
		b.PutTransfer(t)
	}
	for _, p := range r.Payments {
		b.PutPayment(p)
	}
	for _, f := range r.References {
		b.PutReference(f)
	}
	for _, n := range r.Notices {
		b.PutNotice(n)
	}
}

// Changes is what a batch writes.
type Changes struct {
	At       time.Time // the store's clock: never before that of an earlier commit
	Keys     []once.Record
	Ledger   *ledger.Changes
	Payments *pay.Changes // nil is none
}

func (c *Changes) empty() bool { return len(c.Keys) == 0 && c.Ledger.Empty() && c.Payments.Empty() }

// Config is what an executor is set to. Its zero value works.
type Config struct {
	// Rules are the rules of a tenant's keys.
	//
	// Defaults to a window of 24 hours and a lease of 30 seconds for everyone.
	Rules func(tenant string) once.Rules

	// Since is the time of the store's last commit: the clock starts there if the
	// machine's is behind.
	Since time.Time

	// Seed is the luck that new ids come from. It must differ every time.
	Seed [32]byte

	// MaxBatch is how many requests one commit carries at most: it bounds what
	// the first of them waits for.
	//
	// Defaults to 512; at most 1,024.
	MaxBatch int

	// MaxQueue is how many requests wait to be loaded at most; more are refused
	// with ErrOverloaded. It bounds memory and the time that a request waits.
	//
	// Defaults to 16,384.
	MaxQueue int

	// MaxTenantQueue is how many of them one tenant may have, so that one
	// tenant's burst leaves room for the others.
	//
	// Defaults to half of MaxQueue.
	MaxTenantQueue int

	// MaxWaiters is how many duplicates wait for one key at most; more are told
	// ErrInProgress.
	//
	// Defaults to 10,000.
	MaxWaiters int

	// Render renders the answers of Job.Payment, and of the keys that wait for one:
	// it is pure. It must be set where there are payments.
	Render func(pay.Reply) once.Answer

	// Act carries out what payments want done, once that is durable. It is called
	// by the goroutine that answers, so it must not wait.
	Act func(*pay.Order)

	// OnCommit, if set, is told when a batch goes to the store and when it came
	// back, by the goroutine that commits.
	OnCommit func(Phase)

	// MaxTries is how often a batch is decided that keeps losing races
	// (ErrConflict), before its callers are told ErrUnavailable.
	//
	// Defaults to 3, and to 10 if Shared.
	MaxTries int

	// Shared says that other processes change the store as well. Then numbers of
	// entries are not kept from one batch to the next, and what is waited for is
	// looked for in the store now and then: the process that brings it about may be
	// another one.
	Shared bool
}

// Phase is where a batch is.
type Phase uint8

// The phases that OnCommit is told.
const (
	Committing Phase = iota + 1 // loaded and decided; the store is writing it
	Ended                       // the store is done with it, well or not
)

func (c Config) withDefaults() Config {
	if c.Rules == nil {
		c.Rules = func(string) once.Rules { return once.Rules{Window: 24 * time.Hour, Lease: 30 * time.Second} }
	}
	if c.Act == nil {
		c.Act = func(*pay.Order) {}
	}
	if c.OnCommit == nil {
		c.OnCommit = func(Phase) {}
	}
	c.MaxBatch = min(cmp.Or(c.MaxBatch, 512), entryBlock/ledger.EntriesPerCommand)
	c.MaxQueue = cmp.Or(c.MaxQueue, 16384)
	c.MaxTenantQueue = cmp.Or(c.MaxTenantQueue, max(1, c.MaxQueue/2))
	c.MaxWaiters = cmp.Or(c.MaxWaiters, 10000)
	tries := 3 // only a defect, or a look-up after an unknown commit, makes more of them
	if c.Shared {
		tries = 10 // every lost race is one that somebody else won; who holds the rows after two loses no more
	}
	c.MaxTries = cmp.Or(c.MaxTries, tries)
	return c
}
