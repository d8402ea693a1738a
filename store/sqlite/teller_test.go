package sqlite_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlite"
)

func open(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// teller makes batches as the executor does, one after another.
type teller struct {
	s     engine.Store
	ids   *id.Source
	now   time.Time
	seq   int64
	left  int64
	n     int
	keyed func(n int) string

	lenient bool // what is refused has no part in a batch
}

func newTeller(s engine.Store) *teller {
	t := &teller{s: s, ids: id.NewSource(id.Seed()), now: time.Now().UTC().Truncate(time.Microsecond)}
	t.keyed = t.timeOrderedKey
	return t
}

// timeOrderedKey looks like a UUIDv7.
func (t *teller) timeOrderedKey(int) string {
	var b [8]byte
	rand.Read(b[:])
	return fmt.Sprintf("%016x-7%s", uint64(t.now.UnixNano())+uint64(t.n), hex.EncodeToString(b[:]))
}

func randomKey(int) string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:4]) + "-" + hex.EncodeToString(b[4:])
}

// decide loads what commands need and decides them: the changes of one batch.
func (t *teller) decide(tb testing.TB, commands ...ledger.Command) *engine.Changes {
	tb.Helper()
	t.now = t.now.Add(2 * time.Millisecond)
	c, err := t.try(commands...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (t *teller) try(commands ...ledger.Command) (*engine.Changes, error) {
	book := ledger.NewBook()
	var keys []once.Key
	for _, c := range commands {
		c.Needs(book)
		t.n++
		keys = append(keys, once.Key{Tenant: "acme", ID: t.keyed(t.n)})
	}
	if err := t.load(book, engine.Need{Keys: keys, Rows: book.Wanted(), Entries: t.reserve(len(commands))}); err != nil {
		return nil, err
	}
	for _, c := range commands { // now that they see their rows, they may name more
		c.Needs(book)
	}
	if err := t.load(book, engine.Need{Rows: book.Wanted()}); err != nil {
		return nil, err
	}
	book.Reserve(t.seq)
	changes := &engine.Changes{At: t.now}
	for i, c := range commands {
		result, err := c.Decide(book, ledger.Moment{Now: t.now, IDs: t.ids})
		if _, refused := err.(*ledger.Refusal); refused && t.lenient {
			continue
		}
		if err != nil {
			return nil, err
		}
		changes.Keys = append(changes.Keys, t.record(keys[i], operation(c), result))
	}
	t.left -= book.NextEntry() - t.seq
	t.seq = book.NextEntry()
	written, err := book.Changes()
	changes.Ledger = written
	return changes, err
}

// reserve is how many numbers to ask for, so that n commands have enough.
func (t *teller) reserve(n int) int64 {
	if t.left >= int64(n*ledger.EntriesPerCommand) {
		return 0
	}
	t.left = 8192
	return t.left
}

func (t *teller) load(book *ledger.Book, need engine.Need) error {
	rows, err := t.s.Load(context.Background(), need)
	for _, a := range rows.Accounts {
		book.PutAccount(a)
	}
	for _, x := range rows.Transfers {
		book.PutTransfer(x)
	}
	if need.Entries > 0 {
		t.seq = rows.FirstEntry
	}
	return err
}

func operation(c ledger.Command) string {
	switch c.(type) {
	case ledger.OpenAccount:
		return "POST /v1/accounts"
	case ledger.CreateTransfer:
		return "POST /v1/transfers"
	case ledger.ReverseTransfer:
		return "POST /v1/transfers/{id}/reverse"
	}
	return "POST /v1/else"
}

// record is a key with its answer, of the sizes that the API has.
func (t *teller) record(key once.Key, operation string, r ledger.Result) once.Record {
	var body []byte
	if r.Transfer != nil {
		body = r.Transfer.AppendJSON(nil)
	} else {
		body = r.Account.AppendJSON(nil)
	}
	rec := once.Record{
		Key: key, State: once.Done, Operation: operation, Resource: r.ID(), Attempt: 1, Version: 1,
		CreatedAt: t.now, ExpiresAt: t.now.Add(24 * time.Hour),
		Answer: once.Answer{
			Status: 201, Body: body,
			Header: []once.Field{{Name: "Content-Type", Value: "application/json"}, {Name: "Location", Value: "/v1/transfers/" + r.ID()}},
		},
	}
	rec.Fingerprint.Scheme = once.SchemeV1
	rand.Read(rec.Fingerprint.Sum[:])
	return rec
}

// fill writes so many MiB of answers, in commits like those of an executor: it is
// how much is written that counts, not what.
func (t *teller) fill(tb testing.TB, mib int) {
	tb.Helper()
	for range mib * 4 {
		t.now = t.now.Add(2 * time.Millisecond)
		c := &engine.Changes{At: t.now, Ledger: &ledger.Changes{}}
		for range 8 {
			t.n++
			c.Keys = append(c.Keys, once.Record{
				Key: once.Key{Tenant: "acme", ID: t.keyed(t.n)}, State: once.Done, Attempt: 1, Version: 1,
				CreatedAt: t.now, ExpiresAt: t.now.Add(24 * time.Hour), Answer: once.Answer{Status: 200, Body: make([]byte, 32<<10)},
			})
		}
		mustCommit(tb, t.s, c)
	}
}

func accountName(i int) string { return fmt.Sprintf("customer-%06d", i) }

func (t *teller) openAccounts(tb testing.TB, n int) {
	tb.Helper()
	for from := 0; from < n; from += 500 {
		var cs []ledger.Command
		for i := from; i < min(n, from+500); i++ {
			cs = append(cs, ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: accountName(i)}, Currency: "EUR", Floor: ledger.Floor{None: true}})
		}
		if err := t.s.Commit(context.Background(), t.decide(tb, cs...)); err != nil {
			tb.Fatal(err)
		}
	}
}

func transfer(from, to int, amount int64) ledger.CreateTransfer {
	return ledger.CreateTransfer{Tenant: "acme", From: accountName(from), To: accountName(to), Amount: amount, Currency: "EUR"}
}

func mustCommit(tb testing.TB, s engine.Store, c *engine.Changes) {
	tb.Helper()
	if err := s.Commit(context.Background(), c); err != nil {
		tb.Fatal(err)
	}
}
