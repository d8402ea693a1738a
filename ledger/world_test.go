package ledger_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
)

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

const tenant = "acme"

func ref(id string) ledger.Ref { return ledger.Ref{Tenant: tenant, ID: id} }

// world is a ledger with everything in it: rows that batches are loaded from and
// committed to, as a store would.
type world struct {
	now       time.Time
	ids       *id.Source
	nextSeq   int64
	accounts  map[ledger.Ref]ledger.Account
	transfers map[ledger.Ref]ledger.Transfer
	entries   []ledger.Entry
	events    []outbox.Event
}

func newWorld() *world {
	return &world{
		now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), ids: id.NewSource([32]byte{1}), nextSeq: 1,
		accounts: map[ledger.Ref]ledger.Account{}, transfers: map[ledger.Ref]ledger.Transfer{},
	}
}

// outcome is what one command of a batch ended with.
type outcome struct {
	result  ledger.Result
	refusal *ledger.Refusal
}

// batch decides commands together and commits them: two rounds of loading, one
// commit.
func (w *world) batch(t fataler, commands ...ledger.Command) []outcome {
	t.Helper()
	b := w.load(commands...)
	b.Reserve(w.nextSeq)
	outcomes := make([]outcome, len(commands))
	for i, c := range commands {
		outcomes[i] = w.decide(t, b, c)
	}
	changes, err := b.Changes()
	if err != nil {
		t.Fatalf("the book does not balance: %v", err)
	}
	if next := w.nextSeq + int64(len(changes.Entries)); b.NextEntry() != next {
		t.Fatalf("the next entry is %d after %d entries from %d", b.NextEntry(), len(changes.Entries), w.nextSeq)
	}
	w.commit(t, changes)
	return outcomes
}

// load fills a book with what the commands need, and nothing else.
func (w *world) load(commands ...ledger.Command) *ledger.Book {
	b := ledger.NewBook()
	for range 2 {
		for _, c := range commands {
			c.Needs(b)
		}
		want := b.Wanted()
		for _, r := range want.Accounts {
			if a, ok := w.accounts[r]; ok {
				b.PutAccount(&a)
			}
		}
		for _, r := range want.Transfers {
			if tr, ok := w.transfers[r]; ok {
				b.PutTransfer(&tr)
			}
		}
	}
	return b
}

func (w *world) decide(t fataler, b *ledger.Book, c ledger.Command) outcome {
	t.Helper()
	result, err := c.Decide(b, ledger.Moment{Now: w.now, IDs: w.ids})
	if err == nil {
		return outcome{result: result}
	}
	var refusal *ledger.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("%T failed with no refusal: %v", c, err)
	}
	return outcome{refusal: refusal}
}

// commit takes changes in, fenced by version like a store's.
func (w *world) commit(t fataler, c *ledger.Changes) {
	t.Helper()
	for _, a := range c.Accounts {
		if have := w.accounts[a.Ref].Version; a.Version != have+1 {
			t.Fatalf("account %s goes from version %d to %d", a.ID, have, a.Version)
		}
		w.accounts[a.Ref] = *a
	}
	for _, tr := range c.Transfers {
		if have := w.transfers[tr.Ref].Version; tr.Version != have+1 {
			t.Fatalf("transfer %s goes from version %d to %d", tr.ID, have, tr.Version)
		}
		w.transfers[tr.Ref] = *tr
	}
	w.entries = append(w.entries, c.Entries...)
	w.events = append(w.events, c.Events...)
	w.nextSeq += int64(len(c.Entries))
}

// do executes one command that must succeed.
func (w *world) do(t fataler, c ledger.Command) ledger.Result {
	t.Helper()
	o := w.batch(t, c)[0]
	if o.refusal != nil {
		t.Fatalf("%T was refused: %v", c, o.refusal)
	}
	return o.result
}

// refuse executes one command that must be refused, and must have left no trace.
func (w *world) refuse(t fataler, c ledger.Command, code ledger.Code, field string) {
	t.Helper()
	accounts, transfers := maps.Clone(w.accounts), maps.Clone(w.transfers)
	entries, events := len(w.entries), len(w.events)
	o := w.batch(t, c)[0]
	switch {
	case o.refusal == nil:
		t.Fatalf("%T succeeded, want it refused with %s", c, code)
	case o.refusal.Code != code || o.refusal.Field != field:
		t.Fatalf("refused with %s at %q (%s), want %s at %q", o.refusal.Code, o.refusal.Field, o.refusal.Detail, code, field)
	case o.refusal.Detail == "":
		t.Fatalf("a refusal without a word: %+v", o.refusal)
	case !cmp.Equal(accounts, w.accounts) || !cmp.Equal(transfers, w.transfers) || entries != len(w.entries) || events != len(w.events):
		t.Fatalf("%T was refused and changed something", c)
	}
}

// open opens an account that may go below nothing, and puts a balance on it.
func (w *world) open(t fataler, name string, balance int64) {
	t.Helper()
	w.do(t, ledger.OpenAccount{Ref: ref(name), Currency: "EUR", Floor: ledger.Floor{None: true}})
	w.fund(t, name, balance)
}

// fund moves a balance, of either sign, from an outside world that is the
// account's own, so that the ends of the range can be reached.
func (w *world) fund(t fataler, name string, balance int64) {
	t.Helper()
	outside := name + ".outside"
	if _, there := w.accounts[ref(outside)]; !there {
		w.do(t, ledger.OpenAccount{Ref: ref(outside), Currency: "EUR", Floor: ledger.Floor{None: true}})
	}
	switch {
	case balance > 0:
		w.do(t, move(outside, name, balance))
	case balance < 0:
		w.do(t, move(name, outside, -balance))
	}
}

func move(from, to string, amount int64) ledger.CreateTransfer {
	return ledger.CreateTransfer{Tenant: tenant, From: from, To: to, Amount: amount, Currency: "EUR"}
}

func hold(from, to string, amount int64) ledger.CreateTransfer {
	c := move(from, to, amount)
	c.Pending = true
	return c
}

func (w *world) balance(name string) ledger.Balance { return w.accounts[ref(name)].Balance }

func wantBalance(t *testing.T, w *world, name string, want ledger.Balance) {
	t.Helper()
	if got := w.balance(name); got != want {
		t.Errorf("%s stands at %+v, want %+v", name, got, want)
	}
}

// eventTypes are the types of the events since the first n.
func (w *world) eventTypes(n int) []string {
	var types []string
	for _, e := range w.events[n:] {
		types = append(types, e.Type)
	}
	return types
}
