//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Replicas work on the same accounts, which their batches name in all orders. Whoever
// loses a race is told so at once: a deadlock would be told of after a second.
func TestReplicasDoNotDeadlock(t *testing.T) {
	url := apart(t).migrated(t)
	const accounts, tellers, batches, size = 12, 5, 20, 8
	var stores []place // one each: a store's own commits wait for each other
	for range tellers {
		stores = append(stores, openAt(t, url))
	}
	openAccounts(t, stores[0].Store, accounts)
	var wg sync.WaitGroup
	for i := range tellers {
		wg.Go(func() {
			teller, luck := newTeller(stores[i].Store, fmt.Sprint("teller ", i)), rand.New(rand.NewPCG(uint64(i), 1))
			for range batches {
				var commands []ledger.Command
				for range size {
					from := luck.IntN(accounts)
					commands = append(commands, move(from, (from+1+luck.IntN(accounts-1))%accounts))
				}
				if _, err := teller.do(commands...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if report := inOrder(t, stores[1].Store); report.Rows.Transfers != tellers*batches*size {
		t.Errorf("there are %d transfers, want %d", report.Rows.Transfers, tellers*batches*size)
	}
	for _, s := range stores { // sessions that end tell what they saw
		mustClose(t, s)
	}
	if n := query(t, url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n != 0 {
		t.Errorf("there were %d deadlocks", n)
	}
}

// made is a commit of one key, made at a time.
func made(name string, at time.Time) *engine.Changes {
	return &engine.Changes{At: at, Ledger: &ledger.Changes{}, Keys: []once.Record{answered(key(name), at, ledger.Result{})}}
}

// A key that two replicas make at once, one before midnight by its clock and one after it, is
// made once; and so with clocks that are years apart.
func TestKeysAreMadeOnceAroundMidnight(t *testing.T) {
	url := apart(t).migrated(t)
	one, other := openAt(t, url), openAt(t, url)
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	for _, apart := range []struct{ one, other time.Duration }{
		{-time.Millisecond, 0}, {-time.Millisecond, 24 * time.Hour}, {-48 * time.Hour, time.Hour}, {-time.Hour, 4 * 24 * time.Hour}, {-8 * 24 * time.Hour, 365 * 24 * time.Hour},
	} {
		const tries = 30
		for i := range tries {
			name := fmt.Sprint(apart, i)
			errs := make([]error, 2)
			var wg sync.WaitGroup
			wg.Go(func() { errs[0] = one.Commit(context.Background(), made(name, midnight.Add(apart.one))) })
			wg.Go(func() { errs[1] = other.Commit(context.Background(), made(name, midnight.Add(apart.other))) })
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), engine.ErrConflict) {
				t.Fatalf("%v: one was told %v, the other %v", apart, errs[0], errs[1])
			}
		}
	}
	inOrder(t, one.Store)
	if n := query(t, url, "SELECT count(*) FROM keys"); n != 5*30 {
		t.Errorf("there are %d keys, want %d", n, 5*30)
	}
}

// While a key is being made on one side of midnight, who makes it on the other waits, and
// who makes another on the same side does not.
func TestMidnightIsWaitedFor(t *testing.T) {
	d := newDoubt(t)
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	held := d.arm(&cut{hold: make(chan struct{}), of: syncs})
	if err := d.s.Commit(t.Context(), made("k", midnight.Add(-1))); err == nil || errors.Is(err, engine.ErrNotCommitted) {
		t.Fatalf("a commit that is on its way is %v, want an unknown one", err)
	}
	d.executed()
	if err := d.plain.Commit(t.Context(), made("l", midnight.Add(-2))); err != nil {
		t.Fatalf("another key of the day: %v", err)
	}
	told := make(chan error)
	go func() { told <- d.plain.Commit(context.Background(), made("k", midnight)) }()
	waitFor(t, d.url, "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())", 1)
	close(held.hold)
	if err := <-told; !errors.Is(err, engine.ErrConflict) {
		t.Errorf("the key of the other day is made: %v", err)
	}
}

// What a replica committed is there when another loads after that.
func TestReplicasSeeEachOther(t *testing.T) {
	url := apart(t).migrated(t)
	one, other := openAt(t, url), openAt(t, url)
	openAccounts(t, one.Store, 2)
	c := newTeller(other.Store, "k").mustDo(t, move(0, 1))
	if !isThere(t, one, c) {
		t.Error("it is not there")
	}
	clock, err := one.Clock(t.Context())
	if err != nil || clock.Before(c.At) {
		t.Errorf("the clock is at %v (%v), and there was a commit at %v", clock, err, c.At)
	}
	mustClose(t, other)
	if again := openAt(t, url); again.Since().Before(c.At) {
		t.Errorf("the store begins at %v, and there was a commit at %v", again.Since(), c.At)
	}
}

// Accounts that another replica opened and changed are known by what they are now.
func TestReplicasChangeWhatTheOtherKnows(t *testing.T) {
	url := apart(t).migrated(t)
	one, other := openAt(t, url), openAt(t, url)
	openAccounts(t, one.Store, 2)
	a, b := newTeller(one.Store, "a"), newTeller(other.Store, "b")
	for i := range 4 {
		teller := []*teller{a, b}[i%2]
		teller.mustDo(t, ledger.UpdateAccount{Ref: ledger.Ref{Tenant: "acme", ID: accountName(0)}, Metadata: map[string]string{"by": fmt.Sprint(i)}})
		teller.mustDo(t, move(0, 1))
		got, err := other.Account(t.Context(), ledger.Ref{Tenant: "acme", ID: accountName(0)})
		if err != nil || got.Metadata["by"] != fmt.Sprint(i) {
			t.Fatalf("after update %d it is %v (%v)", i, got.Metadata, err)
		}
	}
	inOrder(t, one.Store)
}
