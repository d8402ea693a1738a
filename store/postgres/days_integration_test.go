//go:build integration

package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// sweep sweeps until there is no more.
func sweep(t *testing.T, s place, now, forget time.Time) {
	t.Helper()
	for range 100 {
		more, err := s.Sweep(t.Context(), now, forget)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
	t.Fatal("the sweep has no end")
}

func loaded(t *testing.T, s place, name string) []once.Record {
	t.Helper()
	rows, err := s.Load(t.Context(), engine.Need{Keys: []once.Key{key(name)}})
	if err != nil {
		t.Fatal(err)
	}
	return rows.Keys
}

// A day's keys go with its table: what was answered becomes tombstones, what is unfinished
// stays, and what is forgotten goes with the tombstones' table.
func TestDaysAreDropped(t *testing.T) {
	url := apart(t).migrated(t)
	s := openAt(t, url)
	at := time.Now().UTC().Truncate(time.Microsecond)
	day := at.Unix() / 86400
	c := made("k-0", at)
	const keys = 12_000 // more than become tombstones at once
	for i := range keys - 1 {
		rec := c.Keys[0]
		rec.Key = key(fmt.Sprint("k-", i+1))
		c.Keys = append(c.Keys, rec)
	}
	claim := c.Keys[0]
	claim.Key, claim.State, claim.Answer, claim.LeaseUntil = key("claim"), once.Claimed, once.Answer{}, at.Add(time.Minute)
	c.Keys = append(c.Keys, claim)
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if n := query(t, url, fmt.Sprint("SELECT count(*) FROM keys_", day)); n != keys+1 {
		t.Fatalf("the day's table has %d keys, want %d", n, keys+1)
	}
	tomb := c.Keys[1]
	tomb.State, tomb.Answer = once.Tombstone, once.Answer{}
	over := at.Add(72 * time.Hour)
	for i, steps := 0, 0; ; i++ { // at every step all is as it should be
		more, err := s.Sweep(t.Context(), over, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []once.Record{tomb, claim} {
			if diff := cmp.Diff([]once.Record{want}, loaded(t, s, want.Key.ID)); diff != "" {
				t.Fatalf("after step %d:\n%s", i, diff)
			}
		}
		if err := s.Commit(t.Context(), made("k-1", over)); !errors.Is(err, engine.ErrConflict) {
			t.Fatalf("after step %d the key is free: %v", i, err)
		}
		if r := inOrder(t, s.Store); r.Rows.Keys != keys+1 {
			t.Fatalf("after step %d there are %d keys, want %d", i, r.Rows.Keys, keys+1)
		}
		if steps++; !more {
			break
		}
	}
	if n := query(t, url, fmt.Sprintf("SELECT count(*) FROM pg_class WHERE relname = 'keys_%d'", day)); n != 0 {
		t.Error("the day's table is still there")
	}
	if n := query(t, url, "SELECT count(*) FROM tombstones"); n != keys {
		t.Errorf("there are %d tombstones, want %d", n, keys)
	}
	done, err := claim.Complete(1, "pay_1", c.Keys[0].Answer)
	if err != nil {
		t.Fatal(err)
	}
	done.Version, done.ExpiresAt = 2, over.Add(24*time.Hour)
	if err := s.Commit(t.Context(), &engine.Changes{At: over, Keys: []once.Record{done}, Ledger: &ledger.Changes{}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]once.Record{done}, loaded(t, s, "claim")); diff != "" {
		t.Errorf("what was unfinished is answered later:\n%s", diff)
	}
	sweep(t, s, over, at.Add(time.Microsecond))
	if got := loaded(t, s, "k-1"); len(got) != 0 {
		t.Errorf("a key that is forgotten is known: %+v", got)
	}
	if err := s.Commit(t.Context(), made("k-1", over)); err != nil {
		t.Errorf("a key that is forgotten is not free: %v", err)
	}
	late := at.Add(101 * 24 * time.Hour)
	sweep(t, s, late, late)
	if n := query(t, url, "SELECT count(*) FROM tombstones"); n > 2 {
		t.Errorf("%d tombstones are forgotten, and still there", n)
	}
}

// Whoever reads all tables for hours, as pg_dump does, keeps a day from being dropped, and
// commits from nothing for longer than the sweep is patient. It is dropped later.
func TestADumpHoldsUpTheSweepAlone(t *testing.T) {
	url := apart(t).migrated(t)
	s := openAt(t, url)
	at := time.Now().UTC().Truncate(time.Microsecond)
	if err := s.Commit(t.Context(), made("k", at)); err != nil {
		t.Fatal(err)
	}
	dump, err := pgx.Connect(t.Context(), url)
	if err == nil {
		_, err = dump.Exec(t.Context(), "BEGIN; LOCK TABLE keys IN ACCESS SHARE MODE")
	}
	if err != nil {
		t.Fatal(err)
	}
	swept := make(chan error)
	over := at.Add(72 * time.Hour)
	go func() {
		_, err := s.Sweep(t.Context(), over, at)
		swept <- err
	}()
	longest := time.Duration(0)
	for n := 0; err == nil; n++ {
		began := time.Now()
		if err := s.Commit(t.Context(), made(fmt.Sprint("beside-", n), at)); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(began))
		select {
		case err = <-swept:
			if err == nil {
				t.Fatal("a day is dropped under somebody who reads it")
			}
		default:
		}
	}
	if longest > 5*time.Second { // the sweep is patient for one
		t.Errorf("a commit waited for %v", longest)
	}
	if err := dump.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sweep(t, s, over, at)
	if n := query(t, url, fmt.Sprintf("SELECT count(*) FROM pg_class WHERE relname = 'keys_%d'", at.Unix()/86400)); n != 0 {
		t.Error("the day is not dropped when the dump has ended")
	}
}
