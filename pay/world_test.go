package pay_test

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

const tenant = "acme"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// prompt is a gateway that can be asked and does things once; its times are short,
// so that the numbers in tests are.
var prompt = pay.Contract{
	Window: 24 * time.Hour, Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second,
	PartialCapture: true, ManyCaptures: true,
}

// blind is prompt, but cannot be asked: its notices are all that is heard of it.
var blind = func() pay.Contract {
	c := prompt
	c.Lookup = false
	return c
}()

// world is payments with everything around them: rows that batches are loaded from
// and committed to, as a store would, and keys that are claimed and answered, as
// the executor would.
type world struct {
	now   time.Time
	ids   *id.Source
	house pay.House

	payments   map[pay.Ref]*pay.Payment
	references map[pay.ReferenceID]pay.Reference
	notices    map[pay.NoticeID]pay.Notice
	lines      []pay.Line
	events     []outbox.Event
	accounts   map[ledger.Ref]ledger.Account
	entries    []ledger.Entry
	transfers  []*ledger.Transfer
	keys       map[once.Key]once.Record
	answered   map[once.Key]int // how often each key was completed
	orders     []*pay.Order     // that nobody has carried out
	reviews    []string         // that were called for

	commits   int                  // of anything
	committed committed            // last
	moves     map[edge]bool        // of operations, from state to state
	defaults  []func(*pay.Payment) // of what create makes
}

func newWorld(c pay.Contract) *world {
	return &world{
		now: noon, ids: id.NewSource([32]byte{1}),
		house:    pay.House{Process: "p1", Gateways: map[string]pay.Terms{"g": {Contract: c}}},
		payments: map[pay.Ref]*pay.Payment{}, references: map[pay.ReferenceID]pay.Reference{}, notices: map[pay.NoticeID]pay.Notice{},
		accounts: map[ledger.Ref]ledger.Account{}, keys: map[once.Key]once.Record{}, answered: map[once.Key]int{},
		moves: map[edge]bool{},
	}
}

// shut has the gateway take nothing new, or again.
func (w *world) shut(why string) {
	g := w.house.Gateways["g"]
	g.Closed = why
	w.house.Gateways = map[string]pay.Terms{"g": g}
}

// committed is what a book wrote.
type committed struct {
	money    *ledger.Changes
	payments *pay.Changes
}

// outcome is what one command of a batch ended with.
type outcome struct {
	pay.Result
	refusal *ledger.Refusal
}

// load fills a book with what commands need, and nothing else, in two rounds.
func (w *world) load(commands ...pay.Command) *pay.Book {
	b := pay.NewBook()
	w.loadInto(b, commands...)
	return b
}

func (w *world) loadInto(b *pay.Book, commands ...pay.Command) {
	for range 2 {
		for _, c := range commands {
			c.Needs(b)
		}
		w.fill(b)
	}
}

// fill puts what a book wants into it.
func (w *world) fill(b *pay.Book) {
	for _, k := range b.WantedKeys() {
		if r, ok := w.keys[k]; ok {
			b.PutKey(r)
		}
	}
	for _, r := range b.Wanted().Accounts {
		if a, ok := w.accounts[r]; ok {
			b.PutAccount(&a)
		}
	}
	want := b.WantedRows()
	for _, id := range want.References {
		if f, ok := w.references[id]; ok {
			b.PutReference(&f)
			want.Payments = append(want.Payments, pay.Ref{Tenant: f.Tenant, ID: f.Payment})
		}
	}
	for _, r := range want.Payments {
		if p, ok := w.payments[r]; ok {
			b.PutPayment(p.Clone())
		}
	}
	for _, id := range want.Notices {
		if n, ok := w.notices[id]; ok {
			b.PutNotice(&n)
		}
	}
}

// batch decides commands together, and commits them.
func (w *world) batch(t fataler, commands ...pay.Command) []outcome {
	t.Helper()
	return w.finish(t, w.load(commands...), commands...)
}

// finish decides commands in a book that is loaded, and commits it.
func (w *world) finish(t fataler, b *pay.Book, commands ...pay.Command) []outcome {
	t.Helper()
	b.Reserve(int64(len(w.entries)) + 1)
	outcomes := make([]outcome, len(commands))
	for i, c := range commands {
		outcomes[i] = w.decide(t, b, c)
	}
	money, err := b.Changes()
	if err != nil {
		t.Fatalf("the book does not balance: %v", err)
	}
	if most := len(commands) * ledger.EntriesPerCommand; len(money.Entries) > most {
		t.Fatalf("%d entries by %d commands, at most %d", len(money.Entries), len(commands), most)
	}
	changes, err := b.PaymentChanges()
	if err != nil {
		t.Fatalf("a payment is not what it should be: %v", err)
	}
	w.commit(t, money, changes)
	for _, o := range outcomes {
		w.settleKeys(t, o)
	}
	return outcomes
}

func (w *world) decide(t fataler, b *pay.Book, c pay.Command) outcome {
	t.Helper()
	r, err := c.Decide(b, ledger.Moment{Now: w.now, IDs: w.ids})
	if err != nil {
		var refusal *ledger.Refusal
		if !errors.As(err, &refusal) {
			t.Fatalf("%T failed with no refusal: %v", c, err)
		}
		return outcome{refusal: refusal}
	}
	if r.Review != "" {
		w.reviews = append(w.reviews, r.Review)
	}
	if r.Payment != nil {
		r.Payment = r.Payment.Clone() // as it is after this command
	}
	return outcome{Result: r}
}

// settleKeys completes the keys that have waited, for an outcome that is known.
func (w *world) settleKeys(t fataler, o outcome) {
	t.Helper()
	if o.Order != nil {
		w.orders = append(w.orders, o.Order)
	}
	for _, a := range o.Answers {
		if a.Operation.Outcome == pay.Unknown && a.Operation.Parked == "" {
			t.Fatalf("the key %s is completed, and what it waits for is not known: %+v", a.Key.ID, a.Operation)
		}
		rec := w.keys[a.Key]
		rec.State = once.Done
		w.keys[a.Key] = rec
		w.answered[a.Key]++
	}
}

// commit takes changes in, fenced by version like a store's.
func (w *world) commit(t fataler, money *ledger.Changes, c *pay.Changes) {
	t.Helper()
	if !money.Empty() || !c.Empty() {
		w.commits++
		w.committed = committed{money, c}
	}
	for _, a := range money.Accounts {
		if have := w.accounts[a.Ref].Version; a.Version != have+1 {
			t.Fatalf("account %s goes from version %d to %d", a.ID, have, a.Version)
		}
		w.accounts[a.Ref] = *a
	}
	w.entries = append(w.entries, money.Entries...)
	w.transfers = append(w.transfers, money.Transfers...)
	w.events = append(w.events, money.Events...)
	for _, p := range c.Payments {
		var have int64
		if old := w.payments[p.Ref]; old != nil {
			have = old.Version
			w.checkSame(t, c, old, p)
		}
		w.follow(w.payments[p.Ref], p)
		if p.Version != have+1 {
			t.Fatalf("payment %s goes from version %d to %d", p.ID, have, p.Version)
		}
		w.payments[p.Ref] = p.Clone()
	}
	for _, f := range c.References {
		if have := w.references[f.ReferenceID()].Version; f.Version != have+1 {
			t.Fatalf("reference %s goes from version %d to %d", f.Reference, have, f.Version)
		}
		w.references[f.ReferenceID()] = *f
	}
	for _, n := range c.Notices {
		if have := w.notices[n.NoticeID].Version; n.Version != have+1 {
			t.Fatalf("notice %s goes from version %d to %d", n.ID, have, n.Version)
		}
		w.notices[n.NoticeID] = *n
	}
	w.lines = append(w.lines, c.Lines...)
}

// checkSame holds the book to what it says of operations that did not change.
func (w *world) checkSame(t fataler, c *pay.Changes, old, p *pay.Payment) {
	t.Helper()
	for i, o := range p.Operations {
		same := i < len(old.Operations) && *o == *old.Operations[i]
		if c.Same(o) != same {
			t.Fatalf("operation %s is the same: %v, the book says %v", o.ID, same, c.Same(o))
		}
	}
}

// do executes one command that must succeed.
func (w *world) do(t fataler, c pay.Command) pay.Result {
	t.Helper()
	o := w.batch(t, c)[0]
	if o.refusal != nil {
		t.Fatalf("%T was refused: %v", c, o.refusal)
	}
	return o.Result
}

// refuse executes one command that must be refused, and must have left no trace.
func (w *world) refuse(t fataler, c pay.Command, code ledger.Code, field string) {
	t.Helper()
	before := w.commits
	o := w.batch(t, c)[0]
	switch {
	case o.refusal == nil:
		t.Fatalf("%T succeeded, want it refused with %s", c, code)
	case o.refusal.Code != code || o.refusal.Field != field:
		t.Fatalf("refused with %s at %q (%s), want %s at %q", o.refusal.Code, o.refusal.Field, o.refusal.Detail, code, field)
	case o.refusal.Detail == "":
		t.Fatalf("a refusal without a word: %+v", o.refusal)
	case w.commits != before:
		t.Fatalf("%T was refused and changed something", c)
	}
}

// keyed does for a request with a key what the executor does: a key that is done
// is replayed, one whose work leaves the house is claimed, and anything final
// completes it.
func (w *world) keyed(t fataler, key once.Key, c pay.Command) outcome {
	t.Helper()
	rec := w.keys[key]
	rec.Key = key
	if rec.State == once.Done {
		return outcome{}
	}
	b := pay.NewBook()
	b.WantKey(key)
	w.loadInto(b, c)
	o := w.finish(t, b, c)[0]
	switch {
	case o.refusal != nil && !o.refusal.Code.Final(): // nothing began
	case o.refusal == nil && o.Interim:
		rec.State, rec.Resource = once.Claimed, o.ResourceID()
		rec.Version++
		w.keys[key] = rec
	default:
		rec.State, rec.Resource = once.Done, o.ResourceID()
		rec.Version++
		w.keys[key] = rec
		w.answered[key]++
	}
	return o
}

// clone is a world that goes its own way.
func (w *world) clone() *world {
	c := *w
	c.payments, c.references, c.notices = map[pay.Ref]*pay.Payment{}, maps.Clone(w.references), maps.Clone(w.notices)
	for r, p := range w.payments {
		c.payments[r] = p.Clone()
	}
	c.accounts, c.keys, c.answered = maps.Clone(w.accounts), maps.Clone(w.keys), maps.Clone(w.answered)
	c.moves = maps.Clone(w.moves)
	c.lines, c.events, c.entries = slices.Clip(w.lines), slices.Clip(w.events), slices.Clip(w.entries)
	c.transfers, c.orders, c.reviews = slices.Clip(w.transfers), slices.Clip(w.orders), slices.Clip(w.reviews)
	return &c
}
