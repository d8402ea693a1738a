package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlite"
)

// What a sweep leaves is what it leaves in memory, whatever the keys' times and
// states are, and however often it is swept.
func TestSweepLikeMemory(t *testing.T) {
	t.Parallel()
	w := newTwin(t)
	r := rand.New(rand.NewPCG(7, 7))
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	var keys []once.Key
	for n := range 6 { // more than one shelf
		c := &engine.Changes{At: start.Add(time.Duration(n) * time.Hour), Ledger: &ledger.Changes{}}
		for i := range 200 {
			made := c.At.Add(-time.Duration(r.IntN(100)) * time.Hour)
			rec := once.Record{
				Key: once.Key{Tenant: "acme", ID: fmt.Sprint(n, "-", i)}, State: once.Done, Attempt: 1, Version: 1,
				CreatedAt: made, ExpiresAt: made.Add(time.Duration(1+r.IntN(200)) * time.Hour), Answer: once.Answer{Status: 200, Body: []byte("{}")},
			}
			if r.IntN(50) == 0 {
				rec.State, rec.Answer = once.Unknown, once.Answer{}
			}
			c.Keys = append(c.Keys, rec)
			keys = append(keys, rec.Key)
		}
		if err := w.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, now := range []time.Duration{-200, 0, 1, 5, 5, 50, 100, 99, 150, 400, 500} {
		now := start.Add(now * time.Hour)
		forget := now.Add(-120 * time.Hour)
		if _, err := w.plain.Sweep(t.Context(), now, forget); err != nil {
			t.Fatal(err)
		}
		calls := sweepAll(t, w, now, forget)
		for _, k := range keys {
			got, err := w.s.Key(t.Context(), k)
			want, err2 := w.plain.Key(t.Context(), k)
			same(t, fmt.Sprintf("key %s swept at %v in %d calls", k.ID, now, calls), got, want, err, err2)
			rows, err := w.Load(t.Context(), engine.Need{Keys: []once.Key{k}}) // with the answer
			if err != nil {
				t.Fatal(rows, err)
			}
		}
		compareSince(t, w)
	}
}

func sweepAll(t *testing.T, w *twin, now, forget time.Time) (calls int) {
	t.Helper()
	for more := true; more; calls++ {
		var err error
		if more, err = w.s.Sweep(t.Context(), now, forget); err != nil || calls > 200 {
			t.Fatalf("sweep, call %d: %v", calls, err)
		}
	}
	return calls
}

func compareSince(t *testing.T, w *twin) {
	t.Helper()
	r, err := w.s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := r.KeysSince(t.Context())
	want, err2 := w.plain.Snapshot().KeysSince(t.Context())
	if !got.Equal(want) || err != nil || err2 != nil {
		t.Errorf("keys are known since %v, %v; in memory since %v, %v", got, err, want, err2)
	}
}

// Keys that come to a shelf after it was swept are swept in their turn.
func TestShelvesAreSweptAgain(t *testing.T) {
	w := newTwin(t)
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for n := range 5 {
		at = at.Add(time.Hour)
		rec := once.Record{
			Key: once.Key{Tenant: "acme", ID: fmt.Sprint(n)}, State: once.Done, Attempt: 1, Version: 1,
			CreatedAt: at, ExpiresAt: at.Add(30 * time.Minute), Answer: once.Answer{Status: 200},
		}
		if err := w.Commit(t.Context(), &engine.Changes{At: at, Keys: []once.Record{rec}, Ledger: &ledger.Changes{}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.plain.Sweep(t.Context(), rec.ExpiresAt, time.Time{}); err != nil {
			t.Fatal(err)
		}
		sweepAll(t, w, rec.ExpiresAt, time.Time{})
		for m := range n + 1 {
			k := once.Key{Tenant: "acme", ID: fmt.Sprint(m)}
			got, err := w.s.Key(t.Context(), k)
			want, err2 := w.plain.Key(t.Context(), k)
			same(t, fmt.Sprintf("key %d after sweep %d", m, n), got, want, err, err2)
		}
	}
}

// A key that was claimed long before it is answered is swept from the shelf that
// it stands on, though nothing else there is over.
func TestLateAnswersAreSwept(t *testing.T) {
	w := newTwin(t)
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	claims := &engine.Changes{At: at, Ledger: &ledger.Changes{}}
	for i := range 1500 { // more than one shelf
		claims.Keys = append(claims.Keys, once.Record{
			Key: once.Key{Tenant: "acme", ID: fmt.Sprint(i)}, State: once.Claimed, Attempt: 1, Version: 1,
			LeaseUntil: at.Add(time.Minute), CreatedAt: at, ExpiresAt: at.Add(time.Hour),
		})
	}
	if err := w.Commit(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	late, err := claims.Keys[0].Complete(1, "pay_1", once.Answer{Status: 200, Body: []byte("late")})
	if err != nil {
		t.Fatal(err)
	}
	late.Version++
	if err := w.Commit(t.Context(), &engine.Changes{At: at.Add(30 * time.Minute), Keys: []once.Record{late}, Ledger: &ledger.Changes{}}); err != nil {
		t.Fatal(err)
	}
	for _, now := range []time.Duration{59 * time.Minute, time.Hour, 200 * time.Hour} {
		now := at.Add(now)
		if _, err := w.plain.Sweep(t.Context(), now, now.Add(-100*time.Hour)); err != nil {
			t.Fatal(err)
		}
		sweepAll(t, w, now, now.Add(-100*time.Hour))
		for _, r := range claims.Keys[:2] {
			got, err := w.s.Key(t.Context(), r.Key)
			want, err2 := w.plain.Key(t.Context(), r.Key)
			same(t, fmt.Sprintf("key %s at %v", r.Key.ID, now), got, want, err, err2)
		}
	}
}

// Numbers of keys are not used again after the keys are forgotten, and what is
// left of shelves does not grow.
func TestForgottenKeysLeaveNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	tl.run(t, 3000)
	later := tl.now.Add(1000 * time.Hour)
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), later, later); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	db := raw(t, path)
	defer db.Close()
	for _, table := range []string{"keys", "answers", "key_shelves"} {
		var n int
		if err := db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s has %d rows, %v", table, n, err)
		}
	}
}

// A sweep that goes on beside commits changes nothing of them.
func TestSweepBesideCommits(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	tl.run(t, 2000)
	over, forget := tl.now.Add(24*time.Hour+time.Second), tl.now.Add(-time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	swept := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			if _, err := s.Sweep(context.Background(), over, forget); err != nil {
				t.Error(err)
			}
			n++
		}
		swept <- n
	}()
	tl.now = over
	tl.run(t, 2000)
	stop()
	if n := <-swept; n == 0 {
		t.Error("nothing was swept")
	}
	if r := checkAudit(t, s); r.Rows.Keys != 5000 {
		t.Errorf("%d keys", r.Rows.Keys)
	}
}

func TestReplaysAreCounted(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	counts := map[once.Key]int64{{Tenant: "acme", ID: "nobody knows it"}: 4}
	c := tl.decide(t, transfer(0, 1, 1))
	mustCommit(t, s, c)
	many := tl.need(700).Keys // more than are counted at once
	for _, k := range many {
		counts[k] = 1
	}
	counts[c.Keys[0].Key] = 3
	for range 2 {
		if err := s.CountReplays(t.Context(), counts); err != nil {
			t.Fatal(err)
		}
	}
	rec, err := s.Key(t.Context(), c.Keys[0].Key)
	if err != nil || rec.Replays != 6 {
		t.Errorf("6 replays were counted as %d, %v", rec.Replays, err)
	}
}

func TestDueHolds(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 2)
	var holds []ledger.Ref
	for _, in := range []time.Duration{3, 1, 2, 0} { // 0: never
		hold := transfer(0, 1, 1)
		hold.Pending = true
		if in > 0 {
			hold.ExpiresAt = tl.now.Add(in * time.Hour)
		}
		c := tl.decide(t, hold)
		mustCommit(t, s, c)
		holds = append(holds, c.Ledger.Transfers[0].Ref)
	}
	at := tl.now
	mustCommit(t, s, tl.decide(t, ledger.VoidTransfer{Ref: holds[1]}))
	due := func(now time.Time, limit int) []ledger.Ref {
		refs, err := s.DueHolds(t.Context(), now, limit)
		if err != nil {
			t.Fatal(err)
		}
		return refs
	}
	same(t, "nothing is due yet", due(at, 9), []ledger.Ref(nil), nil, nil)
	same(t, "a hold that was voided is not due", due(at.Add(4*time.Hour), 9), []ledger.Ref{holds[2], holds[0]}, nil, nil)
	same(t, "the longest due first", due(at.Add(4*time.Hour), 1), []ledger.Ref{holds[2]}, nil, nil)
}

func TestUpkeepOfAClosedStore(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	mustClose(t, s)
	if _, err := s.Sweep(t.Context(), time.Now(), time.Now()); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("sweep: %v", err)
	}
	if err := s.CountReplays(t.Context(), map[once.Key]int64{{Tenant: "a", ID: "b"}: 1}); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("count replays: %v", err)
	}
}
