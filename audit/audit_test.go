package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

var _ audit.Source = (*engine.Snapshot)(nil)

func TestAStoreInOrderHasNoFinding(t *testing.T) {
	for seed := range uint64(20) {
		s := healthy(t, seed, 300)
		// few buckets, so that many resources share one
		r, err := audit.Run(t.Context(), s, audit.Config{Buckets: 1 + int(seed)})
		if err != nil || !r.OK() {
			t.Fatalf("seed %d: %v, %v", seed, err, r.Findings)
		}
		want := audit.Rows{
			Accounts: int64(len(s.accounts)), Entries: int64(len(s.entries)), Transfers: int64(len(s.transfers)),
			Keys: int64(len(s.keys)), Events: int64(len(s.events)), Payments: int64(len(s.payments)), References: int64(len(s.orders)),
		}
		if r.Rows != want {
			t.Errorf("seed %d: read %+v of %+v", seed, r.Rows, want)
		}
		for _, total := range r.Totals {
			if total.Debits.Sign() <= 0 || total.Debits.Cmp(total.Credits) != 0 {
				t.Errorf("seed %d: totals are %+v", seed, r.Totals)
			}
		}
	}
}

func TestAStoreWithNothingInItIsInOrder(t *testing.T) {
	r, err := audit.Run(t.Context(), &tables{}, audit.Config{})
	if err != nil || !r.OK() {
		t.Fatal(err, r.Findings)
	}
}

// What was made before keys were forgotten needs no key, and what was made
// since does.
func TestKeysThatWereSweptAreNotMissed(t *testing.T) {
	s := healthy(t, 1, 300)
	s.since = s.transfers[len(s.transfers)/2].CreatedAt
	s.keys = slices.DeleteFunc(s.keys, func(r once.Record) bool { return r.State == once.Done && r.CreatedAt.Before(s.since) })
	r, err := audit.Run(t.Context(), s, audit.Config{})
	if err != nil || !r.OK() {
		t.Fatal(err, r.Findings)
	}
	s.keys = nil
	if r, err = audit.Run(t.Context(), s, audit.Config{}); err != nil || r.OK() {
		t.Fatal("all keys were lost and nobody missed them")
	}
}

// A history is in order however the rows come: only entries have an order.
func TestTheOrderOfRowsDoesNotMatter(t *testing.T) {
	s, luck := healthy(t, 2, 300), rand.New(rand.NewPCG(2, 2))
	luck.Shuffle(len(s.accounts), func(i, j int) { s.accounts[i], s.accounts[j] = s.accounts[j], s.accounts[i] })
	luck.Shuffle(len(s.transfers), func(i, j int) { s.transfers[i], s.transfers[j] = s.transfers[j], s.transfers[i] })
	luck.Shuffle(len(s.keys), func(i, j int) { s.keys[i], s.keys[j] = s.keys[j], s.keys[i] })
	luck.Shuffle(len(s.events), func(i, j int) { s.events[i], s.events[j] = s.events[j], s.events[i] })
	luck.Shuffle(len(s.payments), func(i, j int) { s.payments[i], s.payments[j] = s.payments[j], s.payments[i] })
	luck.Shuffle(len(s.orders), func(i, j int) { s.orders[i], s.orders[j] = s.orders[j], s.orders[i] })
	r, err := audit.Run(t.Context(), s, audit.Config{})
	if err != nil || !r.OK() {
		t.Fatal(err, r.Findings)
	}
}

func TestFindingsOverTheLimitAreCounted(t *testing.T) {
	s := healthy(t, 3, 300)
	for _, a := range s.accounts {
		a.Balance.Posted++
		a.Entries = max(a.Entries, 1)
	}
	r, err := audit.Run(t.Context(), s, audit.Config{MaxFindings: 3})
	if err != nil || len(r.Findings) != 3 || r.More < int64(len(s.accounts)-3) {
		t.Fatalf("%v; %d findings and %d more for %d forged balances", err, len(r.Findings), r.More, len(s.accounts))
	}
}

func TestProgressReachesTheEnd(t *testing.T) {
	s := healthy(t, 4, 300)
	var stages []string
	var last audit.Progress
	_, err := audit.Run(t.Context(), s, audit.Config{Progress: func(p audit.Progress) {
		if p.Done < last.Done || p.Done > p.Rows {
			t.Errorf("progress went from %+v to %+v", last, p)
		}
		if last = p; !slices.Contains(stages, p.Stage) {
			stages = append(stages, p.Stage)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if rows, _ := s.Rows(t.Context()); last.Done != rows || last.Rows != rows {
		t.Errorf("ends at %+v of %d rows", last, rows)
	}
	if got := strings.Join(stages, ", "); got != "structure, accounts, entries, transfers, keys, events, payments, references" {
		t.Errorf("stages: %s", got)
	}
}

func TestAStoreThatCannotBeReadIsAnError(t *testing.T) {
	broken := errors.New("disk on fire")
	_, err := audit.Run(t.Context(), unreadable{healthy(t, 5, 50), broken}, audit.Config{})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "transfers") {
		t.Fatalf("got %v", err)
	}
}

type unreadable struct {
	*tables
	err error
}

func (u unreadable) Transfers(context.Context, func(*ledger.Transfer) error) error { return u.err }

func TestAnAuditEndsWithItsContext(t *testing.T) {
	s := healthy(t, 6, 50)
	for len(s.events) < 10_000 {
		s.events = append(s.events, s.events...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.Run(ctx, s, audit.Config{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// However much is off, only so much is held in memory, and the rest is counted.
func TestMoreThanCanBeNamedIsStillFound(t *testing.T) {
	s := &tables{}
	for i := range 60_000 {
		s.accounts = append(s.accounts, &ledger.Account{Ref: ledger.Ref{Tenant: "acme", ID: fmt.Sprint(i)}, Currency: "EUR"})
	}
	for _, buckets := range []int{1, 1 << 16} {
		r, err := audit.Run(t.Context(), s, audit.Config{Buckets: buckets})
		if err != nil || len(r.Findings) != 100 || r.More < 10_000 {
			t.Errorf("%d buckets: %v; %d findings and %d more for 60000 accounts that nobody opened", buckets, err, len(r.Findings), r.More)
		}
	}
}

// Where more buckets are off than can be looked into, the others are counted.
func TestBucketsThatAreNotLookedIntoAreCounted(t *testing.T) {
	s := &tables{since: time.Now()}
	for i := range 60_000 {
		a := &ledger.Account{Ref: ledger.Ref{Tenant: "acme", ID: fmt.Sprint(i)}, Currency: "EUR"}
		s.accounts = append(s.accounts, a)
		if i%60 != 0 {
			s.events = append(s.events, outbox.Event{Tenant: "acme", Type: "account.opened", Subject: a.ID, At: a.CreatedAt})
		}
	}
	r, err := audit.Run(t.Context(), s, audit.Config{Buckets: 16, MaxFindings: 2000})
	if err != nil || len(r.Findings) == 0 || len(r.Findings) == 1000 || r.More == 0 {
		t.Errorf("%v; %d findings and %d more for 1000 accounts without event", err, len(r.Findings), r.More)
	}
}

// Resources that share a bucket cannot answer for each other.
func TestAnEventOfAnotherTransferOfThatMomentDoesNotCount(t *testing.T) {
	s := healthy(t, 8, 800)
	for i := range s.events {
		for j := range s.events[:i] {
			a, b := &s.events[i], &s.events[j]
			if a.Type == "transfer.posted" && b.Type == a.Type && b.At.Equal(a.At) && b.Tenant == a.Tenant && b.Subject != a.Subject {
				a.Subject = b.Subject
				r, err := audit.Run(t.Context(), s, audit.Config{Buckets: 1})
				if err != nil || len(r.Findings) != 2 {
					t.Fatalf("%v; want a missing and an extra event, got %v", err, r.Findings)
				}
				return
			}
		}
	}
	t.Fatal("no two transfers were posted in one moment")
}

// Two reversals that changed places, with their events, still differ in what
// they gave back.
func TestReversalsCannotBeExchanged(t *testing.T) {
	for name, second := range map[string]ledger.CreateTransfer{
		"another amount":  {Tenant: "acme", From: "world", To: "a0", Amount: 8, Currency: "EUR"},
		"another account": {Tenant: "acme", From: "world", To: "a1", Amount: 7, Currency: "EUR"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, 9)
			s.keyed("acme", "POST /v1/transfers", ledger.CreateTransfer{Tenant: "acme", From: "world", To: "a0", Amount: 7, Currency: "EUR"})
			s.keyed("acme", "POST /v1/transfers", second)
			for _, ref := range s.made[:2] {
				s.keyed("acme", "POST /v1/transfers/{id}/reverse", ledger.ReverseTransfer{Ref: ref})
			}
			shop := read(t, s.store.Snapshot())
			one, two, oneBack, twoBack := shop.transfers[0], shop.transfers[1], shop.transfers[2], shop.transfers[3]
			one.ReversedBy, two.ReversedBy = two.ReversedBy, one.ReversedBy
			oneBack.Reverses, twoBack.Reverses = twoBack.Reverses, oneBack.Reverses
			r, err := audit.Run(t.Context(), shop, audit.Config{})
			if err != nil || len(r.Findings) != 2 || r.Findings[0].Kind != audit.Link {
				t.Errorf("%v; want both originals named, got %v", err, r.Findings)
			}
		})
	}
}

// What is over the limit of int64 is still summed up right.
func TestTotalsMayPass64Bits(t *testing.T) {
	s := newShop(t, 7)
	for range 4 {
		s.keyed("acme", "POST /v1/transfers", ledger.CreateTransfer{
			Tenant: "acme", From: "world", To: "a0", Amount: 1 << 62, Currency: "EUR",
		})
		s.now = s.now.Add(time.Second)
		s.keyed("acme", "POST /v1/transfers/{id}/reverse", ledger.ReverseTransfer{Ref: s.made[len(s.made)-1]})
	}
	r, err := audit.Run(t.Context(), s.store.Snapshot(), audit.Config{})
	if err != nil || !r.OK() {
		t.Fatal(err, r.Findings)
	}
	if got := fmt.Sprint(r.Totals[0].Debits); got != "36893488147419103232" { // 8 * 2^62
		t.Errorf("debits are %s", got)
	}
}
