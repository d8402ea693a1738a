package pay_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// ask is who asks: a request with that key, or without one.
func (w *world) ask(key string) pay.Ask {
	a := pay.Ask{RequestID: "req_1", House: w.house}
	if key != "" {
		a.Key = keyOf(key)
	}
	return a
}

func keyOf(key string) once.Key { return once.Key{Tenant: tenant, ID: key} }

// order4711 is a payment of 100.
func order4711() pay.Payment {
	return pay.Payment{Ref: pay.Ref{Tenant: tenant}, Amount: 100, Currency: "EUR", Gateway: "g", Method: "pm_ok"}
}

// create makes a payment, and leaves it at that.
func (w *world) create(t fataler, set ...func(*pay.Payment)) *pay.Payment {
	t.Helper()
	p := order4711()
	for _, f := range slices.Concat(w.defaults, set) {
		f(&p)
	}
	return w.do(t, pay.CreatePayment{Ask: w.ask(""), Payment: p}).Payment
}

// confirmed makes a payment and confirms it: its charge is at work.
func (w *world) confirmed(t fataler, set ...func(*pay.Payment)) *pay.Payment {
	t.Helper()
	return w.do(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: w.create(t, set...).Ref}).Payment
}

func manual(p *pay.Payment) { p.Manual = true }

func reference(name string) func(*pay.Payment) {
	return func(p *pay.Payment) { p.Reference = name }
}

// at is the payment as it is in the store.
func (w *world) at(p *pay.Payment) *pay.Payment { return w.payments[p.Ref].Clone() }

// last is the payment's operation that was made last.
func (w *world) last(p *pay.Payment) *pay.Operation {
	all := w.payments[p.Ref].Operations
	return all[len(all)-1]
}

// done is what a gateway says when it did what it was asked.
func done(amount int64) pay.Finding {
	return pay.Finding{Outcome: pay.Done, Amount: amount, Currency: "EUR", GatewayID: "ch_1"}
}

var (
	declined = pay.Finding{Outcome: pay.Declined, Failure: pay.Failure{Code: "card_declined", DeclineCode: "insufficient_funds"}}
	action   = pay.Finding{Outcome: pay.ActionRequired, Amount: 100, Currency: "EUR", GatewayID: "ch_1", ActionURL: "https://bank.example"}
	silence  = pay.Finding{Detail: "no answer in 3s"}
	absent   = pay.Finding{Absent: true}
	unsent   = pay.Finding{Reach: pay.NeverLeft}
	refusedF = pay.Finding{Reach: pay.Refused, Failure: pay.Failure{Code: "gateway_rejected"}}
)

// answer is what the last send of the payment's last operation was answered.
func (w *world) answer(t fataler, p *pay.Payment, f pay.Finding) pay.Result {
	t.Helper()
	o := w.last(p)
	return w.do(t, pay.Record{Ref: p.Ref, Operation: o.ID, House: w.house, Finding: &f, Attempt: o.Attempt})
}

// check is what a check of an operation found that began now; "" is the last one.
func (w *world) check(t fataler, p *pay.Payment, operation string, f pay.Finding) pay.Result {
	t.Helper()
	if operation == "" {
		operation = w.last(p).ID
	}
	return w.do(t, pay.Record{Ref: p.Ref, Operation: operation, House: w.house, Finding: &f, Began: w.now})
}

// look is recovery that finds something due, and asks nobody.
func (w *world) look(t fataler, p *pay.Payment) pay.Result {
	t.Helper()
	return w.do(t, pay.Record{Ref: p.Ref, Operation: w.last(p).ID, House: w.house})
}

// resolve is a human's decision about the first thing that is in doubt.
func (w *world) resolve(p *pay.Payment, happened bool) pay.ResolvePayment {
	return pay.ResolvePayment{Ask: w.ask(""), Ref: p.Ref, Happened: happened, Evidence: "the gateway's report", Actor: "ann"}
}

func (w *world) capture(p *pay.Payment, amount int64, more bool) pay.CapturePayment {
	return pay.CapturePayment{Ask: w.ask(""), Ref: p.Ref, Amount: &amount, More: more}
}

func (w *world) cancel(p *pay.Payment) pay.CancelPayment {
	return pay.CancelPayment{Ask: w.ask(""), Ref: p.Ref}
}

func (w *world) refund(p *pay.Payment, amount int64) pay.RefundPayment {
	return pay.RefundPayment{Ask: w.ask(""), Ref: p.Ref, Amount: &amount}
}

// posted is the balance of an account, 0 if there is none.
func (w *world) posted(account string) int64 {
	return w.accounts[ledger.Ref{Tenant: tenant, ID: account}].Balance.Posted
}

// books is where the money of payments is: what the merchant has, and what is in
// suspense.
type books struct{ Merchant, Suspense int64 }

func (w *world) books() books { return books{w.posted("merchant:default"), w.posted("suspense")} }

// view is what a payment shows.
type view struct {
	Status             pay.Status
	InDoubt            bool
	Captured, Refunded int64
}

func shown(p *pay.Payment) view { return view{p.Status, p.InDoubt, p.Captured, p.Refunded} }

func (w *world) want(t *testing.T, p *pay.Payment, want view, money books) {
	t.Helper()
	if diff := cmp.Diff(want, shown(w.at(p))); diff != "" {
		t.Errorf("the payment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(money, w.books()); diff != "" {
		t.Errorf("the books (-want +got):\n%s", diff)
	}
}

// eventTypes are the types of the events since the first n, but for those of
// accounts and transfers.
func (w *world) eventTypes(n int) (types []string) {
	for _, e := range w.events[n:] {
		if e.Type[0] == 'p' || e.Type[0] == 'r' {
			types = append(types, e.Type)
		}
	}
	return types
}

// timeline is a payment's lines, without their times.
func (w *world) timeline(p *pay.Payment) (lines []string) {
	for _, l := range w.lines {
		if l.Payment == p.ID {
			lines = append(lines, fmt.Sprintf("%s %s", l.Type, l.Detail))
		}
	}
	return lines
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
	c.transfers, c.orders = slices.Clip(w.transfers), slices.Clip(w.orders)
	return &c
}

func wantStrings(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the %s (-want +got):\n%s", what, diff)
	}
}
