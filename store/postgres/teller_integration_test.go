//go:build integration

package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/postgres"
)

// teller makes batches as the executor does, one after another.
type teller struct {
	s    *postgres.Store
	name string // of its keys
	ids  *id.Source
	now  time.Time
	n    int
	hold bool // it has the rows held that it loads
}

func newTeller(s *postgres.Store, name string) *teller {
	return &teller{s: s, name: name, ids: id.NewSource(id.Seed()), now: time.Now().UTC().Truncate(time.Microsecond)}
}

// decide loads what commands need and decides them: the changes of one batch, each with a
// key.
func (t *teller) decide(commands ...ledger.Command) (*engine.Changes, error) {
	book := ledger.NewBook()
	need := engine.Need{Entries: int64(len(commands)) * ledger.EntriesPerCommand, Hold: t.hold}
	for range commands {
		t.n++
		need.Keys = append(need.Keys, key(fmt.Sprint(t.name, "-", t.n)))
	}
	for _, c := range commands {
		c.Needs(book)
	}
	need.Rows = book.Wanted()
	rows, err := t.s.Load(context.Background(), need)
	if err != nil {
		return nil, err
	}
	for _, a := range rows.Accounts {
		book.PutAccount(a)
	}
	t.now = t.now.Add(time.Millisecond)
	if rows.Seen.After(t.now) {
		t.now = rows.Seen
	}
	book.Reserve(rows.FirstEntry)
	return t.write(book, need.Keys, commands)
}

func (t *teller) write(book *ledger.Book, keys []once.Key, commands []ledger.Command) (*engine.Changes, error) {
	c := &engine.Changes{At: t.now}
	for i, command := range commands {
		r, err := command.Decide(book, ledger.Moment{Now: t.now, IDs: t.ids})
		if err != nil {
			return nil, err
		}
		rec := answered(keys[i], t.now, r)
		if _, opens := command.(ledger.OpenAccount); opens {
			rec.Operation, rec.Resource = "POST /v1/accounts", r.ID()
		}
		c.Keys = append(c.Keys, rec)
	}
	written, err := book.Changes()
	c.Ledger = written
	return c, err
}

func key(name string) once.Key { return once.Key{Tenant: "acme", ID: name} }

// answered is a key with its answer, of the sizes that the API has.
func answered(k once.Key, at time.Time, r ledger.Result) once.Record {
	rec := once.Record{
		Key: k, State: once.Done, Operation: "POST /v1/transfers", Attempt: 1, Version: 1,
		CreatedAt: at, ExpiresAt: at.Add(24 * time.Hour),
		Answer: once.Answer{Status: 201, Header: []once.Field{{Name: "Content-Type", Value: "application/json"}, {Name: "Location", Value: "/v1/transfers/tr_1"}}},
	}
	if r.Transfer != nil {
		rec.Resource = r.ID()
		rec.Answer.Body = r.Transfer.AppendJSON(nil)
	}
	rec.Fingerprint.Scheme = once.SchemeV1
	rand.Read(rec.Fingerprint.Sum[:])
	return rec
}

// do decides and commits, anew if it lost a race.
func (t *teller) do(commands ...ledger.Command) (*engine.Changes, error) {
	for {
		c, err := t.decide(commands...)
		if err == nil {
			err = t.s.Commit(context.Background(), c)
		}
		if !errors.Is(err, engine.ErrConflict) {
			return c, err
		}
	}
}

func (t *teller) mustDo(tb testing.TB, commands ...ledger.Command) *engine.Changes {
	tb.Helper()
	c, err := t.do(commands...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func accountName(i int) string { return fmt.Sprintf("customer-%06d", i) }

func openAccounts(tb testing.TB, s *postgres.Store, n int) {
	tb.Helper()
	openMore(tb, s, 0, n)
}

// openMore opens those from first to n.
func openMore(tb testing.TB, s *postgres.Store, first, n int) {
	tb.Helper()
	t := newTeller(s, fmt.Sprint("open", first))
	for from := first; from < n; from += 500 {
		var commands []ledger.Command
		for i := from; i < min(n, from+500); i++ {
			commands = append(commands, ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: accountName(i)}, Currency: "EUR", Floor: ledger.Floor{None: true}})
		}
		t.mustDo(tb, commands...)
	}
}

func move(from, to int) ledger.Command {
	return ledger.CreateTransfer{Tenant: "acme", From: accountName(from), To: accountName(to), Amount: 1, Currency: "EUR"}
}

// isThere says whether a load shows what a batch with these changes wrote.
func isThere(tb testing.TB, s engine.Store, c *engine.Changes) bool {
	tb.Helper()
	need := engine.Need{Keys: []once.Key{c.Keys[0].Key}, Rows: ledger.Rows{Transfers: []ledger.Ref{c.Ledger.Transfers[0].Ref}}}
	rows, err := s.Load(tb.Context(), need)
	if err != nil {
		tb.Fatal(err)
	}
	if len(rows.Keys) != len(rows.Transfers) {
		tb.Fatalf("half of a commit is there: %d keys and %d transfers", len(rows.Keys), len(rows.Transfers))
	}
	return len(rows.Keys) == 1
}

// inOrder audits a store.
func inOrder(tb testing.TB, s *postgres.Store) audit.Report {
	tb.Helper()
	r, err := s.Snapshot(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	report, err := audit.Run(tb.Context(), r, audit.Config{})
	if err != nil || !report.OK() {
		tb.Fatalf("the store is not in order: %v, %v", report.Findings, err)
	}
	return report
}

func keysOf(c *engine.Changes) (keys []once.Key) {
	for _, r := range c.Keys {
		keys = append(keys, r.Key)
	}
	return keys
}
