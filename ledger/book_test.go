package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/ledger"
)

func TestACommandSeesWhatTheOneBeforeDid(t *testing.T) {
	w := newWorld()
	w.open(t, "bank", 1000)
	outcomes := w.batch(t,
		move("bank", "new", 10), // not open yet
		ledger.OpenAccount{Ref: ref("new"), Currency: "EUR"},
		ledger.OpenAccount{Ref: ref("new"), Currency: "EUR"}, // taken, since a moment ago
		move("bank", "new", 10),
		move("new", "bank", 11), // one more than it has
		move("new", "bank", 10),
		ledger.CloseAccount{Ref: ref("new")},
		move("bank", "new", 1), // closed, since a moment ago
	)
	var got []ledger.Code
	for _, o := range outcomes {
		got = append(got, codeOf(o))
	}
	want := []ledger.Code{ledger.Invalid, "", ledger.AlreadyExists, "", ledger.InsufficientFunds, "", "", ledger.AccountClosed}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

func codeOf(o outcome) ledger.Code {
	if o.refusal == nil {
		return ""
	}
	return o.refusal.Code
}

func TestVersionsCountCommits(t *testing.T) {
	w := newWorld()
	w.open(t, "a", 1000)
	w.open(t, "b", 0)
	version := w.accounts[ref("a")].Version
	r := w.batch(t, move("a", "b", 1), hold("a", "b", 2), move("a", "b", 3))[1].result.Transfer.Ref
	if got := w.accounts[ref("a")].Version; got != version+1 {
		t.Errorf("three moves in one commit lead from version %d to %d", version, got)
	}
	part := int64(1)
	w.batch(t, ledger.PostTransfer{Ref: r, Amount: &part}, ledger.ReverseTransfer{Ref: r})
	if got := w.transfers[r].Version; got != 2 {
		t.Errorf("made in one commit, posted and reversed in another: version %d, want 2", got)
	}
}

func TestOpenedAndUsedInOneCommitIsVersionOne(t *testing.T) {
	w := newWorld()
	w.open(t, "bank", 1000)
	w.batch(t, ledger.OpenAccount{Ref: ref("new"), Currency: "EUR"}, move("bank", "new", 10))
	if got := w.accounts[ref("new")].Version; got != 1 {
		t.Errorf("version %d, want 1", got)
	}
}

// A result is of its own moment: what the batch does later does not show in it.
func TestAResultIsACopy(t *testing.T) {
	w := newWorld()
	w.open(t, "bank", 1000)
	opened := w.batch(t, ledger.OpenAccount{Ref: ref("new"), Currency: "EUR"}, move("bank", "new", 10))[0].result.Account
	if opened.Balance != (ledger.Balance{}) {
		t.Errorf("the account was opened with %+v", opened.Balance)
	}
	r := w.do(t, hold("bank", "new", 5)).Transfer.Ref
	posted := w.batch(t, ledger.PostTransfer{Ref: r}, ledger.ReverseTransfer{Ref: r})[0].result.Transfer
	if posted.ReversedBy != "" {
		t.Error("the transfer was posted as reversed")
	}
}

func TestEntriesOfAnAccountAreAChain(t *testing.T) {
	w := newWorld()
	w.open(t, "a", 1000)
	w.open(t, "b", 0)
	w.nextSeq += 1000 // numbers are skipped, but never repeated
	r := w.batch(t, move("a", "b", 1), hold("a", "b", 2), move("b", "a", 1))[1].result.Transfer.Ref
	w.do(t, ledger.VoidTransfer{Ref: r})
	checkChains(t, w)
}

// checkChains holds that each account's entries follow each other without a
// gap, and fold to its balance.
func checkChains(t fataler, w *world) {
	t.Helper()
	at := map[ledger.Ref]ledger.Account{}
	var seq int64
	for _, e := range w.entries {
		a := at[e.Account]
		sum := ledger.Balance{
			Posted: a.Balance.Posted + e.Delta.Posted, Outgoing: a.Balance.Outgoing + e.Delta.Outgoing, Incoming: a.Balance.Incoming + e.Delta.Incoming,
		}
		if e.Ordinal != a.Entries+1 || e.Prev != a.LastEntry || e.Seq <= seq || e.After != sum {
			t.Fatalf("entry %+v follows %+v", e, a)
		}
		seq = e.Seq
		at[e.Account] = ledger.Account{Balance: e.After, Entries: e.Ordinal, LastEntry: e.Seq}
	}
	for r, a := range w.accounts {
		if f := at[r]; a.Balance != f.Balance || a.Entries != f.Entries || a.LastEntry != f.LastEntry {
			t.Fatalf("account %+v, and its entries fold to %+v", a, f)
		}
	}
}

// While a book's rows are loading, another batch commits: the book takes over
// what it changed, but nothing older than what was loaded.
func TestCatchUp(t *testing.T) {
	w := newWorld()
	w.open(t, "a", 1000)
	w.open(t, "b", 0)
	old, stale := w.accounts[ref("a")], w.load(move("a", "b", 1))
	changes := w.changes(t, move("a", "b", 1000), ledger.OpenAccount{Ref: ref("c"), Currency: "EUR"})

	stale.CatchUp(changes)
	if o := w.decide(t, stale, move("a", "b", 1)); codeOf(o) != "" {
		t.Errorf("refused: %v", o.refusal) // a has no floor
	}
	got, err := stale.Changes()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range got.Accounts {
		if a.ID == "a" && (a.Balance.Posted != -1 || a.Version != old.Version+2) {
			t.Errorf("a stands at %+v in version %d", a.Balance, a.Version)
		}
	}
	if changes.Accounts[0].Version != old.Version+1 {
		t.Error("the book works on the rows of the other batch")
	}
}

func TestCatchUpBringsWhatBecameOfATransfer(t *testing.T) {
	w := newWorld()
	w.open(t, "a", 1000)
	w.open(t, "b", 0)
	r := w.do(t, hold("a", "b", 5)).Transfer.Ref
	stale := w.load(ledger.PostTransfer{Ref: r})
	changes := w.changes(t, ledger.PostTransfer{Ref: r})
	stale.CatchUp(changes)
	if o := w.decide(t, stale, ledger.VoidTransfer{Ref: r}); codeOf(o) != ledger.StateConflict {
		t.Errorf("a hold that was posted is voided: %+v", o)
	}
	if o := w.decide(t, stale, ledger.ReverseTransfer{Ref: r}); o.refusal != nil {
		t.Errorf("refused: %v", o.refusal)
	}
	if changes.Transfers[0].ReversedBy != "" {
		t.Error("the book works on the rows of the other batch")
	}
}

func TestCatchUpBringsNothingOlder(t *testing.T) {
	w := newWorld()
	w.open(t, "a", 1000)
	w.open(t, "b", 0)
	older := w.changes(t, move("a", "b", 1))
	w.do(t, move("a", "b", 999))
	fresh := w.load(ledger.UpdateAccount{Ref: ref("a")})
	fresh.CatchUp(older)
	if o := w.decide(t, fresh, ledger.UpdateAccount{Ref: ref("a")}); o.result.Account.Balance.Posted != 0 {
		t.Errorf("the book is back at %+v", o.result.Account.Balance)
	}
}

func TestCatchUpBringsWhatWasAbsent(t *testing.T) {
	w := newWorld()
	w.open(t, "a", 1000)
	stale := w.load(move("a", "new", 1))
	stale.CatchUp(w.changes(t, ledger.OpenAccount{Ref: ref("new"), Currency: "EUR"}))
	if o := w.decide(t, stale, move("a", "new", 1)); o.refusal != nil {
		t.Errorf("refused: %v", o.refusal)
	}
}

// A transfer that was absent when its rows were loaded could not name its
// accounts. What made it wrote them, too.
func TestCatchUpBringsATransferWithItsAccounts(t *testing.T) {
	world := func() *world {
		w := newWorld()
		w.open(t, "a", 1000)
		w.open(t, "b", 0)
		return w
	}
	unborn := world().do(t, hold("a", "b", 5)).Transfer.Ref // the same luck makes the same id again

	w := world()
	stale := w.load(ledger.PostTransfer{Ref: unborn})
	stale.CatchUp(w.changes(t, hold("a", "b", 5)))
	stale.Reserve(w.nextSeq)
	o := w.decide(t, stale, ledger.PostTransfer{Ref: unborn})
	if o.refusal != nil {
		t.Fatalf("refused: %v", o.refusal)
	}
	changes, err := stale.Changes()
	if err != nil {
		t.Fatal(err)
	}
	w.commit(t, changes)
	checkChains(t, w)
	wantBalance(t, w, "b", ledger.Balance{Posted: 5})
}

// changes decides and commits commands, and returns what they wrote.
func (w *world) changes(t *testing.T, commands ...ledger.Command) *ledger.Changes {
	t.Helper()
	b := w.load(commands...)
	b.Reserve(w.nextSeq)
	for _, c := range commands {
		if o := w.decide(t, b, c); o.refusal != nil {
			t.Fatalf("%T was refused: %v", c, o.refusal)
		}
	}
	changes, err := b.Changes()
	if err != nil {
		t.Fatal(err)
	}
	w.commit(t, changes)
	return changes
}

func TestABookTakesOnlyWhatItWants(t *testing.T) {
	b := ledger.NewBook()
	b.PutAccount(&ledger.Account{Ref: ref("a"), Version: 1})
	if _, err := (ledger.CloseAccount{Ref: ref("a")}).Decide(b, ledger.Moment{}); err == nil {
		t.Error("a row that nobody named was used")
	}
}

func TestARowIsWantedOnce(t *testing.T) {
	b := ledger.NewBook()
	for range 2 {
		b.WantAccount(ref("a"))
		b.WantTransfer(ref("t"))
	}
	want := ledger.Rows{Accounts: []ledger.Ref{ref("a")}, Transfers: []ledger.Ref{ref("t")}}
	if diff := cmp.Diff(want, b.Wanted()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.WantAccount(ref("a"))
	if again := b.Wanted(); !again.Empty() {
		t.Errorf("it is wanted again: %+v", again)
	}
}

func TestAnEventTellsOfItsResource(t *testing.T) {
	w := newWorld()
	w.open(t, "a", 1000)
	w.open(t, "b", 0)
	w.now = w.now.Add(time.Minute)
	tr := w.do(t, move("a", "b", 5)).Transfer
	e := w.events[len(w.events)-1]
	if e.Tenant != tenant || e.Subject != tr.ID || !e.At.Equal(w.now) || e.Type != "transfer.posted" {
		t.Errorf("the event is %+v", e)
	}
	if got, want := string(e.Data), string(tr.AppendJSON(nil)); got != want {
		t.Errorf("it carries\n%s, want\n%s", got, want)
	}
}
