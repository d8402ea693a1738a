package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

func TestCommitIsFenced(t *testing.T) {
	ref := ledger.Ref{Tenant: "acme", ID: accountName(0)}
	for name, stale := range map[string]func(*teller) *engine.Changes{
		"a key that is there fails the whole commit": func(tl *teller) *engine.Changes {
			c := tl.decide(t, transfer(0, 1, 1))
			mustCommit(t, tl.s, c)
			again := tl.decide(t, transfer(1, 2, 7))
			again.Keys[0].Key = c.Keys[0].Key
			return again
		},
		"an account that was written since it was loaded": func(tl *teller) *engine.Changes {
			c := tl.decide(t, transfer(0, 1, 1))
			mustCommit(t, tl.s, tl.decide(t, transfer(0, 2, 1)))
			return c
		},
		"an account that was opened since": func(tl *teller) *engine.Changes {
			open := ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: "new"}, Currency: "EUR"}
			c := tl.decide(t, open)
			mustCommit(t, tl.s, tl.decide(t, open))
			return c
		},
		"an account that is not there": func(tl *teller) *engine.Changes {
			c := tl.decide(t, ledger.UpdateAccount{Ref: ref, Floor: &ledger.Floor{Minor: -1}})
			c.Ledger.Accounts[0].ID = "nobody"
			return c
		},
		"a change of an account that was changed since": func(tl *teller) *engine.Changes {
			c := tl.decide(t, ledger.UpdateAccount{Ref: ref, Floor: &ledger.Floor{Minor: -1}})
			mustCommit(t, tl.s, tl.decide(t, ledger.UpdateAccount{Ref: ref, Floor: &ledger.Floor{Minor: -2}}))
			return c
		},
		"a hold that was settled since": func(tl *teller) *engine.Changes {
			hold := transfer(0, 1, 5)
			hold.Pending = true
			made := tl.decide(t, hold)
			mustCommit(t, tl.s, made)
			void := ledger.VoidTransfer{Ref: made.Ledger.Transfers[0].Ref}
			c := tl.decide(t, void)
			mustCommit(t, tl.s, tl.decide(t, void))
			c.Ledger.Accounts = nil // leaves the transfer alone to fail
			c.Ledger.Entries = nil
			return c
		},
		"a transfer whose id is taken": func(tl *teller) *engine.Changes {
			made := tl.decide(t, transfer(0, 1, 5))
			mustCommit(t, tl.s, made)
			c := tl.decide(t, transfer(0, 1, 5))
			c.Ledger.Transfers[0].ID = made.Ledger.Transfers[0].ID
			for i := range c.Ledger.Entries {
				c.Ledger.Entries[i].Transfer = made.Ledger.Transfers[0].ID
			}
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "once.db"))
			tl := newTeller(s)
			tl.openAccounts(t, 3)
			c := stale(tl)
			before := account(t, s, 1)
			if err := s.Commit(t.Context(), c); err != engine.ErrConflict {
				t.Fatalf("the commit ended with %v", err)
			}
			if after := account(t, s, 1); after.Version != before.Version {
				t.Errorf("part of it was written: %+v", after)
			}
			mustCommit(t, s, tl.decide(t, transfer(0, 1, 1), transfer(1, 2, 1))) // and the store goes on
			checkAudit(t, s)
		})
	}
}

func TestCommitRefusesWhatIsWrongByItself(t *testing.T) {
	for name, spoil := range map[string]func(*engine.Changes){
		"entries that do not cancel":           func(c *engine.Changes) { c.Ledger.Entries[0].Delta.Posted-- },
		"an entry that was never reserved":     func(c *engine.Changes) { c.Ledger.Entries[1].Seq += 1 << 40 },
		"a header that would not be read back": func(c *engine.Changes) { c.Keys[0].Answer.Header[0].Value = "a\nb: c" },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "once.db"))
			tl := newTeller(s)
			tl.openAccounts(t, 2)
			c := tl.decide(t, transfer(0, 1, 1))
			spoil(c)
			if err := s.Commit(t.Context(), c); !errors.Is(err, engine.ErrNotCommitted) || err == engine.ErrConflict {
				t.Errorf("the commit ended with %v", err)
			}
			if a := account(t, s, 0); a.Entries != 0 {
				t.Errorf("part of it was written: %+v", a)
			}
		})
	}
}

func TestCommitOfACallerWhoHasGoneIsNotBegun(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(ctx, tl.decide(t, transfer(0, 1, 1))); !errors.Is(err, engine.ErrNotCommitted) {
		t.Errorf("the commit ended with %v", err)
	}
}

// A record is read back as it was, whatever is in it.
func TestRecordsComeBackAsTheyWere(t *testing.T) {
	at := time.Date(2026, 11, 21, 1, 2, 3, 4000, time.UTC)
	records := []once.Record{
		{Key: once.Key{Tenant: "a", ID: "done"}, State: once.Done, Operation: "POST /x", Resource: "tr_1", Attempt: 3, Version: 1, CreatedAt: at, ExpiresAt: at.Add(time.Hour), Replays: 2,
			Fingerprint: once.Fingerprint{Scheme: 1, Sum: [32]byte{1, 2, 31: 9}},
			Answer:      once.Answer{Status: 201, Header: []once.Field{{Name: "A", Value: "b: c"}, {Name: "Empty", Value: ""}}, Body: []byte("\x00\xff body")}},
		{Key: once.Key{Tenant: "b", ID: "done"}, State: once.Done, Operation: "POST /x", Attempt: 1, Version: 1, CreatedAt: at, ExpiresAt: at, Answer: once.Answer{Status: 422}},
		{Key: once.Key{Tenant: "b", ID: "claimed"}, State: once.Claimed, Operation: "POST /x", Attempt: 1, Version: 1, LeaseUntil: at.Add(time.Second), CreatedAt: at, ExpiresAt: at},
		{Key: once.Key{Tenant: "b", ID: "unknown"}, State: once.Unknown, Attempt: 1, Version: 1, CreatedAt: at, ExpiresAt: at},
	}
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	mustCommit(t, s, &engine.Changes{At: at, Keys: records, Ledger: &ledger.Changes{}})
	var need engine.Need
	for _, r := range records {
		need.Keys = append(need.Keys, r.Key)
	}
	got, err := s.Load(t.Context(), need)
	same(t, "load", got.Keys, records, err, nil)
}

// What a load returns is of one moment, also while commits come and accounts
// are kept in memory.
func TestLoadsAreOfOneMoment(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 3)
	need := engine.Need{Rows: ledger.Rows{Accounts: []ledger.Ref{
		{Tenant: "acme", ID: accountName(0)}, {Tenant: "acme", ID: accountName(1)}, {Tenant: "acme", ID: accountName(2)},
	}}}
	ctx, stop := context.WithCancel(t.Context())
	var loads sync.WaitGroup
	for range 3 {
		loads.Go(func() {
			var last int64
			for ctx.Err() == nil {
				rows, err := s.Load(context.Background(), need)
				if err != nil {
					t.Error(err)
					return
				}
				var sum, versions int64
				for _, a := range rows.Accounts {
					sum += a.Balance.Posted
					versions += a.Version
				}
				if sum != 0 || versions < last {
					t.Errorf("accounts add up to %d, their versions to %d after %d", sum, versions, last)
					return
				}
				last = versions
			}
		})
	}
	for i := range 300 {
		c := tl.decide(t, transfer(i%3, (i+1)%3, int64(i)+1))
		mustCommit(t, s, c)
		rows, err := s.Load(t.Context(), need)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range rows.Accounts { // no older than the commit that was reported
			for _, b := range c.Ledger.Accounts {
				if a.Ref == b.Ref && a.Version < b.Version {
					t.Fatalf("a load after a commit has version %d of an account, not %d", a.Version, b.Version)
				}
			}
		}
	}
	stop()
	loads.Wait()
}

// Numbers that a load reserved are given to nobody else, also by the next
// owner.
func TestNumbersAreReservedOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	given := make(chan int64, 800)
	var loads sync.WaitGroup
	for range 8 {
		loads.Go(func() {
			for range 100 {
				rows, err := s.Load(context.Background(), engine.Need{Entries: 10})
				if err != nil {
					t.Error(err)
				}
				given <- rows.FirstEntry
			}
		})
	}
	loads.Wait()
	close(given)
	seen := map[int64]bool{}
	for first := range given {
		if first < 1 || first%10 != 1 || seen[first] {
			t.Errorf("numbers from %d on were given twice, or to two", first)
		}
		seen[first] = true
	}
}

func TestEventsWithoutTheirTransferAreKept(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	e := outbox.Event{ID: "evt_1", Tenant: "acme", Type: "x.y", Subject: "z", At: time.UnixMicro(1e15).UTC(), Data: []byte(`{"a":1}`)}
	mustCommit(t, s, &engine.Changes{At: e.At, Ledger: &ledger.Changes{Events: []outbox.Event{e}}})
	l, err := s.Events(t.Context(), "acme", engine.EventFilter{}, engine.Page{Limit: 10})
	same(t, "events", l.Items, []outbox.Event{e}, err, nil)
}
