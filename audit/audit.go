// Package audit reads a store from end to end and says whether it is in order.
//
// There are few types. A [Source] is a store that can be read. [Run] reads it
// and makes a [Report]: what was read, the totals of each currency, and a
// [Finding] for everything that is off.
//
// # What is promised
//
// In memory that grows with the number of accounts and with nothing else, Run
// checks that
//
//   - the two entries of every move cancel, and per currency debits equal
//     credits;
//   - the entries of every account are an unbroken chain, each standing where
//     the one before it left off, and the account's row is their fold;
//   - time never runs backwards along the entries;
//   - every transfer and its entries tell of the same accounts, amounts and
//     state, and what was undone and what undid it point at each other;
//   - every transfer and account was made by exactly one key, as far back as
//     keys are known, and what a key made is there;
//   - every status that a transfer went through has exactly one event;
//   - every payment shows what its operations come to, and has not moved more
//     than it may, unless somebody is called to look at it or has;
//   - what every operation of a payment has booked is what the transfers that
//     name it left on each account; those, and the accounts that payments are
//     booked on, need no key;
//   - every order names a payment that is of it, and knows of all that are;
//   - every key whose work is unfinished names a payment or refund that is there,
//     and every operation that an answer waits for names such a key.
//
// A store that is in order never has a finding. One that is not has at least
// one, with a probability that is computed below.
//
// # What is not promised
//
// What nothing else in the store tells of cannot be checked: metadata,
// references of transfers, floors, the Version of a row, keys of requests that
// were refused or that changed something which was there, what a payment is for,
// how often and when its operations were sent. Of more than 50,000 keys of
// payments only some are looked at, chosen by chance. A store that was rewritten as a
// whole, by somebody who knows these rules, is in order.
//
// # How sure it is
//
// Entries, chains and balances are compared one by one. What is told in two
// tables, in whatever order, is compared by a linear sketch: every row adds
// facts or takes them away, so that they cancel if the tables agree. A fact is
// stood for by 128 bits of SHA-256 over a random key of this run and the fact's
// words; the sums are kept modulo 2^128, in as many buckets as
// [Config.Buckets] says, a resource always in the same bucket. Tables that
// agree add up to zero, always. If they do not agree, some fact is left over c
// times in its bucket, c not zero, and the bucket is zero only if the others in
// it happen to add up to the opposite: with a probability of 2^-(128-k), 2^k
// being what divides every such c. One tampered row has k = 0, or, where it is off
// by an amount of money, k < 63; with fewer than 2^48 rows it is less than 2^-80,
// or 2^-65 for such an amount. The key is drawn anew for every run, so that
// nobody can choose rows that cancel. Buckets that are not zero are read a
// second time, and resources in them summed up one by one, so that the
// findings have names.
package audit

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/oncepay/oncepay/money"
)

// Config is how an audit runs. Its zero value works.
type Config struct {
	// Progress, if set, is told where the audit stands: when a stage begins and
	// ends, and every few thousand rows.
	Progress func(Progress)

	// Now is the time of the store: a key whose window is not over must have its
	// answer. Zero does not look.
	Now time.Time

	// MaxFindings is how many findings are listed; the others are counted.
	//
	// Defaults to 100.
	MaxFindings int

	// Buckets is how many sums are kept, of 64 bytes each. More of them make the
	// second reading hold less; the probability does not depend on it.
	//
	// Defaults to 65,536.
	Buckets int
}

func (c Config) withDefaults() Config {
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	c.MaxFindings = cmp.Or(c.MaxFindings, 100)
	c.Buckets = cmp.Or(c.Buckets, 1<<16)
	return c
}

// Progress is where an audit stands.
type Progress struct {
	Stage string // what is being read, for people: "entries", "entries again"
	Done  int64  // rows read so far, in all stages
	Rows  int64  // about how many rows will be read in all; it may grow
}

// Report is what an audit found.
type Report struct {
	Rows     Rows      `json:"rows"`
	Totals   []Total   `json:"totals"` // in the order of their currencies
	Findings []Finding `json:"findings"`
	More     int64     `json:"more"` // how many findings, at least, are not listed
}

// OK says whether the store is in order.
func (r Report) OK() bool { return len(r.Findings) == 0 && r.More == 0 }

// Rows counts what was read.
type Rows struct {
	Accounts  int64 `json:"accounts"`
	Entries   int64 `json:"entries"`
	Transfers int64 `json:"transfers"`
	Keys      int64 `json:"keys"`
	Events    int64 `json:"events"`

	Payments   int64 `json:"payments"` // with their operations
	References int64 `json:"references"`
}

// Total is what was moved in a currency, in minor units. It has no limit: a sum
// over all entries can pass 64 bits.
type Total struct {
	Currency money.Currency `json:"currency"`
	Accounts int64          `json:"accounts"`
	Debits   *big.Int       `json:"debits"`
	Credits  *big.Int       `json:"credits"`
}

// Kind says which promise a finding is about.
type Kind string

// The kinds of findings.
const (
	Structure Kind = "structure" // pages or indexes are damaged: what is there may not be found
	Row       Kind = "row"       // a row contradicts itself, or is there twice
	Pair      Kind = "pair"      // two entries do not cancel, or one has no other side
	Chain     Kind = "chain"     // an account's entries do not follow each other
	Time      Kind = "time"      // an entry is older than its account's entry before it
	Balance   Kind = "balance"   // an account is not the fold of its entries
	Currency  Kind = "currency"  // debits and credits of a currency differ
	Transfer  Kind = "transfer"  // a transfer and its entries disagree
	Link      Kind = "link"      // reverses and reversed_by do not point at each other
	Key       Kind = "key"       // a resource has no key, or two; a key has no resource
	Event     Kind = "event"     // an event is missing, or there is one too many
	Payment   Kind = "payment"   // a payment and its transfers disagree, or it moved more than it may
	Reference Kind = "reference" // an order and the payment that it names disagree
)

// Finding is something that is off.
type Finding struct {
	Kind   Kind   `json:"kind"`
	Tenant string `json:"tenant,omitempty"`
	ID     string `json:"id"`     // of the account, transfer, payment, operation or key; of an entry its Seq
	Detail string `json:"detail"` // a sentence for people
}

func (f Finding) String() string {
	if f.Tenant == "" {
		return fmt.Sprintf("%s %s: %s", f.Kind, f.ID, f.Detail)
	}
	return fmt.Sprintf("%s %s/%s: %s", f.Kind, f.Tenant, f.ID, f.Detail)
}

// Run audits a store. An error means that it could not be read to the end: then
// the report tells of what was read, and says nothing of the rest.
func Run(ctx context.Context, src Source, cfg Config) (Report, error) {
	a := newAuditor(src, cfg.withDefaults())
	if err := a.begin(ctx); err != nil {
		return a.report(), fmt.Errorf("audit: %w", err)
	}
	stages := []stage{
		{"structure", a.readStructure}, {"accounts", a.readAccounts}, {"entries", a.readEntries}, {"transfers", a.readTransfers},
		{"keys", a.readKeys}, {"events", a.readEvents}, {"payments", a.readPayments}, {"references", a.readReferences},
	}
	if err := a.run(ctx, stages); err != nil {
		return a.report(), err
	}
	a.compareBalances()
	a.compareTotals()
	a.compareClaims()
	err := a.name(ctx)
	return a.report(), err
}
