package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// bank is a store and somebody who works on it as an executor does: he loads
// what commands need, decides them in a book, and commits what is written.
type bank struct {
	*testing.T
	Store
	fixture Fixture
	ctx     context.Context
	now     time.Time
	ids     *id.Source
}

// opening is when every bank opens. It has microseconds, for them to be lost.
var opening = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func newBank(t *testing.T, f Fixture) *bank {
	return &bank{T: t, Store: f.Open(t), fixture: f, ctx: t.Context(), now: opening, ids: id.NewSource([32]byte{1})}
}

// Load is the store's; what it says of the time is compared elsewhere.
func (b *bank) Load(ctx context.Context, need engine.Need) (engine.Rows, error) {
	rows, err := b.Store.Load(ctx, need)
	rows.Seen, rows.Now = time.Time{}, time.Time{}
	return rows, err
}

const tenant = "acme"

func ref(name string) ledger.Ref { return ledger.Ref{Tenant: tenant, ID: name} }

func key(name string) once.Key { return once.Key{Tenant: tenant, ID: name} }

// must fails the test if something did not work that has to.
func (b *bank) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// same compares what a store has with what it should have. Nothing and a list of
// nothing are the same.
func (b *bank) same(what string, want, got any) {
	b.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), bytewise); diff != "" {
		b.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// bytewise compares bodies at once: a mebibyte is much, one byte at a time.
var bytewise = cmp.FilterValues(func(a, b []byte) bool { return len(a) > 0 && len(b) > 0 }, cmp.Comparer(bytes.Equal))

// decide loads what commands need and decides them: the changes are not
// committed yet. No command may be refused.
func (b *bank) decide(commands ...ledger.Command) *engine.Changes {
	b.Helper()
	book := pay.NewBook()
	for range 2 {
		for _, c := range commands {
			c.Needs(book.Book)
		}
		b.fill(book)
	}
	book.Reserve(b.reserve(int64(len(commands)) * ledger.EntriesPerCommand))
	for _, c := range commands {
		if _, err := c.Decide(book.Book, ledger.Moment{Now: b.now, IDs: b.ids}); err != nil {
			b.Fatalf("%+v: %v", c, err)
		}
	}
	written, err := book.Changes()
	b.must(err)
	return &engine.Changes{At: b.now, Ledger: written}
}

// reserve reserves numbers for entries, and returns the first.
func (b *bank) reserve(n int64) int64 {
	b.Helper()
	rows, err := b.Load(b.ctx, engine.Need{Entries: max(n, 1)})
	b.must(err)
	return rows.FirstEntry
}

// do decides and commits commands, and returns what was written.
func (b *bank) do(commands ...ledger.Command) *engine.Changes {
	b.Helper()
	c := b.decide(commands...)
	b.must(b.Commit(b.ctx, c))
	return c
}

// answer commits the answer of a key, and returns its record.
func (b *bank) answer(name string) once.Record {
	b.Helper()
	r := b.record(name)
	b.must(b.Commit(b.ctx, b.keys(r)))
	return r
}

// record is the record of a key that was answered now, for a day.
func (b *bank) record(name string) once.Record {
	return once.Record{
		Key: key(name), State: once.Done, Fingerprint: fingerprint(name), Operation: "POST /v1/transfers",
		Resource: "tr_" + name, Attempt: 1, Version: 1, CreatedAt: b.now, ExpiresAt: b.now.Add(24 * time.Hour),
		Answer: once.Answer{
			Status: 201, Header: []once.Field{{Name: "Content-Type", Value: "application/json"}}, Body: []byte(`{"id":"` + name + `"}`),
		},
	}
}

func fingerprint(request string) once.Fingerprint {
	return once.NewHasher([]byte("secret"), tenant).Request("POST", "/v1/transfers", []byte(request))
}

// keys are changes that write nothing but records.
func (b *bank) keys(records ...once.Record) *engine.Changes {
	return &engine.Changes{At: b.now, Keys: records, Ledger: &ledger.Changes{}}
}

// wait lets time pass.
func (b *bank) wait(d time.Duration) { b.now = b.now.Add(d) }

func open(name string) ledger.OpenAccount {
	return ledger.OpenAccount{Ref: ref(name), Currency: "EUR", Floor: ledger.Floor{None: true}}
}

func move(from, to string, amount int64) ledger.CreateTransfer {
	return ledger.CreateTransfer{Tenant: tenant, From: from, To: to, Amount: amount, Currency: "EUR"}
}

func (b *bank) hold(from, to string, amount int64, d time.Duration) ledger.CreateTransfer {
	c := move(from, to, amount)
	c.Pending = true
	if d > 0 {
		c.ExpiresAt = b.now.Add(d)
	}
	return c
}

// account returns an account that is there.
func (b *bank) account(name string) *ledger.Account {
	b.Helper()
	a, err := b.Account(b.ctx, ref(name))
	b.must(err)
	if a == nil {
		b.Fatalf("there is no account %s", name)
	}
	return a
}

// wantConflict says whether a commit lost its race, and certainly wrote nothing.
func (b *bank) wantConflict(err error) {
	b.Helper()
	if !errors.Is(err, engine.ErrConflict) || !errors.Is(err, engine.ErrNotCommitted) {
		b.Fatalf("got %v, want an ErrConflict", err)
	}
}

// everything is all that a store holds, to be compared.
type everything struct {
	Accounts   map[ledger.Ref]ledger.Account
	Entries    []ledger.Entry
	Transfers  map[ledger.Ref]ledger.Transfer
	Keys       map[once.Key]once.Record
	Events     map[string]outbox.Event
	Payments   map[pay.Ref]pay.Payment
	References map[pay.ReferenceID]pay.Reference
	Lines      map[pay.Ref][]pay.Line
	Since      time.Time
}

func nothing() everything {
	return everything{
		Accounts: map[ledger.Ref]ledger.Account{}, Transfers: map[ledger.Ref]ledger.Transfer{},
		Keys: map[once.Key]once.Record{}, Events: map[string]outbox.Event{},
		Payments: map[pay.Ref]pay.Payment{}, References: map[pay.ReferenceID]pay.Reference{}, Lines: map[pay.Ref][]pay.Line{},
	}
}

// all reads a store from end to end, with the answers of its keys.
func (b *bank) all() everything {
	b.Helper()
	e, src := nothing(), b.snapshot()
	b.must(src.Accounts(b.ctx, func(a *ledger.Account) error { return put(e.Accounts, a.Ref, *a) }))
	b.must(src.Entries(b.ctx, func(n ledger.Entry) error { e.Entries = append(e.Entries, n); return nil }))
	b.must(src.Transfers(b.ctx, func(t *ledger.Transfer) error { return put(e.Transfers, t.Ref, *t) }))
	b.must(src.Events(b.ctx, func(v outbox.Event) error { return put(e.Events, v.ID, v) }))
	b.must(src.Keys(b.ctx, func(r once.Record) error { return put(e.Keys, r.Key, r) }))
	b.answers(e.Keys)
	b.allPayments(e, src)
	var err error
	e.Since, err = src.KeysSince(b.ctx)
	b.must(err)
	return e
}

// answers loads the answers of keys that were audited: an audit reads none.
func (b *bank) answers(audited map[once.Key]once.Record) {
	b.Helper()
	rows, err := b.Load(b.ctx, engine.Need{Keys: slices.Collect(maps.Keys(audited))})
	b.must(err)
	b.same("keys that are loaded, of those that are audited", len(audited), len(rows.Keys))
	for _, r := range rows.Keys {
		blank := r
		blank.Answer = once.Answer{}
		b.same("audited "+r.Key.ID, blank, audited[r.Key])
		audited[r.Key] = r
	}
}

// put keeps a row, of which there must be one.
func put[K comparable, V any](rows map[K]V, k K, v V) error {
	if _, twice := rows[k]; twice {
		return fmt.Errorf("%v is there twice", k)
	}
	rows[k] = v
	return nil
}
