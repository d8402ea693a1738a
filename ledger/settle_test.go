package ledger_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/ledger"
)

// inState makes a transfer of 300 from alice to bob and leads it into a state.
// The hold expires in an hour.
func inState(t *testing.T, w *world, state string) ledger.Ref {
	t.Helper()
	if state == "absent" {
		return ref("tr_nobody")
	}
	c := hold("alice", "bob", 300)
	c.ExpiresAt = w.now.Add(time.Hour)
	if state == "posted at once" || state == "reversed" {
		c = move("alice", "bob", 300)
	}
	r := w.do(t, c).Transfer.Ref
	switch state {
	case "posted in part":
		part := int64(100)
		w.do(t, ledger.PostTransfer{Ref: r, Amount: &part})
	case "posted in full":
		w.do(t, ledger.PostTransfer{Ref: r})
	case "voided":
		w.do(t, ledger.VoidTransfer{Ref: r})
	case "due":
		w.now = w.now.Add(time.Hour)
	case "expired":
		w.now = w.now.Add(time.Hour)
		w.do(t, ledger.ExpireTransfer{Ref: r})
	case "reversed":
		w.do(t, ledger.ReverseTransfer{Ref: r})
	}
	return r
}

// settling is what may become of a transfer: for each state what post, void,
// expire and reverse do.
var settling = []struct {
	state                      string
	post, void, expire, revers string
}{
	{"absent", "not_found", "not_found", "not_found", "not_found"},
	{"pending", "posted", "voided", "untouched", "state_conflict"},
	{"due", "state_conflict", "state_conflict", "expired", "state_conflict"},
	{"posted at once", "state_conflict", "state_conflict", "untouched", "a new transfer"},
	{"posted in full", "state_conflict", "state_conflict", "untouched", "a new transfer"},
	{"posted in part", "state_conflict", "state_conflict", "untouched", "a new transfer"},
	{"voided", "state_conflict", "state_conflict", "untouched", "state_conflict"},
	{"expired", "state_conflict", "state_conflict", "untouched", "state_conflict"},
	{"reversed", "state_conflict", "state_conflict", "untouched", "state_conflict"},
}

func TestWhatMayBecomeOfATransfer(t *testing.T) {
	for _, row := range settling {
		for verb, c := range map[string]struct {
			command func(ledger.Ref) ledger.Command
			want    string
		}{
			"post":    {func(r ledger.Ref) ledger.Command { return ledger.PostTransfer{Ref: r} }, row.post},
			"void":    {func(r ledger.Ref) ledger.Command { return ledger.VoidTransfer{Ref: r} }, row.void},
			"expire":  {func(r ledger.Ref) ledger.Command { return ledger.ExpireTransfer{Ref: r} }, row.expire},
			"reverse": {func(r ledger.Ref) ledger.Command { return ledger.ReverseTransfer{Ref: r} }, row.revers},
		} {
			t.Run(verb+" what is "+row.state, func(t *testing.T) {
				w := transfersWorld(t)
				r := inState(t, w, row.state)
				checkSettled(t, w, r, c.command(r), c.want)
			})
		}
	}
}

func checkSettled(t *testing.T, w *world, r ledger.Ref, c ledger.Command, want string) {
	t.Helper()
	before, entries := w.transfers[r], len(w.entries)
	switch want {
	case "not_found", "state_conflict":
		w.refuse(t, c, ledger.Code(want), "")
	case "untouched":
		w.do(t, c)
		if diff := cmp.Diff(before, w.transfers[r]); diff != "" || len(w.entries) != entries {
			t.Errorf("it was touched (-want +got):\n%s", diff)
		}
	case "a new transfer":
		undo := w.do(t, c).Transfer
		if undo.Reverses != r.ID || w.transfers[r].ReversedBy != undo.ID || undo.Status != ledger.Posted {
			t.Errorf("%s reverses %q, and %s is reversed by %q", undo.ID, undo.Reverses, r.ID, w.transfers[r].ReversedBy)
		}
	default:
		got := w.do(t, c).Transfer
		if got.Status.String() != want || w.transfers[r].Status.String() != want || w.transfers[r].Version != before.Version+1 {
			t.Errorf("it is %v at version %d, want %s", got.Status, w.transfers[r].Version, want)
		}
	}
}

func TestAHoldSetsMoneyAside(t *testing.T) {
	w := transfersWorld(t)
	events := len(w.events)
	got := w.do(t, hold("alice", "bob", 300)).Transfer
	if got.Status != ledger.Pending || got.Amount != 300 || got.AmountPosted != 0 {
		t.Errorf("the hold is %+v", got)
	}
	wantBalance(t, w, "alice", ledger.Balance{Posted: 1000, Outgoing: 300})
	wantBalance(t, w, "bob", ledger.Balance{Incoming: 300})
	if a, b := w.balance("alice"), w.balance("bob"); a.Available() != 700 || a.Pending() != -300 || b.Available() != 0 || b.Pending() != 300 {
		t.Errorf("available %d and %d, pending %d and %d", a.Available(), b.Available(), a.Pending(), b.Pending())
	}
	w.refuse(t, move("alice", "bob", 701), ledger.InsufficientFunds, "/amount")
	w.refuse(t, move("bob", "alice", 1), ledger.InsufficientFunds, "/amount") // what may come cannot be spent
	w.do(t, move("alice", "bob", 700))
	if diff := cmp.Diff([]string{"transfer.pending", "transfer.posted"}, w.eventTypes(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestPostingAHold(t *testing.T) {
	amount := func(n int64) *int64 { return &n }
	for _, row := range []struct {
		sentence   string
		amount     *int64
		code       ledger.Code // "" if it is posted
		alice, bob ledger.Balance
	}{
		{"all of it", nil, "", ledger.Balance{Posted: 700}, ledger.Balance{Posted: 300}},
		{"all of it, said in numbers", amount(300), "", ledger.Balance{Posted: 700}, ledger.Balance{Posted: 300}},
		{"a part, and the rest is released", amount(100), "", ledger.Balance{Posted: 900}, ledger.Balance{Posted: 100}},
		{"the smallest part", amount(1), "", ledger.Balance{Posted: 999}, ledger.Balance{Posted: 1}},
		{"one more than is held", amount(301), ledger.ExceedsHold, ledger.Balance{Posted: 1000, Outgoing: 300}, ledger.Balance{Incoming: 300}},
		{"the largest amount", amount(math.MaxInt64), ledger.ExceedsHold, ledger.Balance{Posted: 1000, Outgoing: 300}, ledger.Balance{Incoming: 300}},
		{"nothing", amount(0), ledger.Invalid, ledger.Balance{Posted: 1000, Outgoing: 300}, ledger.Balance{Incoming: 300}},
		{"less than nothing", amount(-1), ledger.Invalid, ledger.Balance{Posted: 1000, Outgoing: 300}, ledger.Balance{Incoming: 300}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := transfersWorld(t)
			r := inState(t, w, "pending")
			post := ledger.PostTransfer{Ref: r, Amount: row.amount}
			if row.code != "" {
				w.refuse(t, post, row.code, "/amount")
			} else if got := w.do(t, post).Transfer; got.AmountPosted != row.bob.Posted || got.Amount != 300 {
				t.Errorf("posted %d of %d, want %d of 300", got.AmountPosted, got.Amount, row.bob.Posted)
			}
			wantBalance(t, w, "alice", row.alice)
			wantBalance(t, w, "bob", row.bob)
		})
	}
}

func TestEndingAHoldWithoutPostingGivesItBack(t *testing.T) {
	for _, state := range []string{"voided", "expired"} {
		w := transfersWorld(t)
		r := inState(t, w, state)
		wantBalance(t, w, "alice", ledger.Balance{Posted: 1000})
		wantBalance(t, w, "bob", ledger.Balance{})
		if tr := w.transfers[r]; tr.AmountPosted != 0 {
			t.Errorf("a hold that is %s posted %d", state, tr.AmountPosted)
		}
		last := w.entries[len(w.entries)-2:]
		if last[0].Kind != ledger.Release || last[0].Delta != (ledger.Balance{Outgoing: -300}) || last[1].Delta != (ledger.Balance{Incoming: -300}) {
			t.Errorf("%s: the entries are %+v", state, last)
		}
		if got := w.events[len(w.events)-1].Type; got != "transfer."+state {
			t.Errorf("the event is %s", got)
		}
	}
}

// The money was held: whatever became of the account's limits, it is there.
func TestPostingCannotFailForFunds(t *testing.T) {
	w := transfersWorld(t)
	r := inState(t, w, "pending")
	w.do(t, move("alice", "bob", 700))
	w.do(t, ledger.UpdateAccount{Ref: ref("alice"), Floor: &ledger.Floor{Minor: 100_000}})
	w.do(t, ledger.PostTransfer{Ref: r})
	wantBalance(t, w, "alice", ledger.Balance{})
}

// A hold of time without end is never due, and one that ends is due as it ends.
func TestWhenAHoldIsDue(t *testing.T) {
	w := transfersWorld(t)
	forever := w.do(t, hold("alice", "bob", 1)).Transfer.Ref
	hour := inState(t, w, "pending")
	w.now = w.now.Add(time.Hour - time.Microsecond)
	checkSettled(t, w, hour, ledger.ExpireTransfer{Ref: hour}, "untouched")
	w.now = w.now.Add(time.Microsecond)
	checkSettled(t, w, hour, ledger.ExpireTransfer{Ref: hour}, "expired")
	w.now = w.now.Add(100 * 365 * 24 * time.Hour)
	checkSettled(t, w, forever, ledger.ExpireTransfer{Ref: forever}, "untouched")
	checkSettled(t, w, forever, ledger.PostTransfer{Ref: forever}, "posted")
}

func TestReversingMovesBackWhatWasPosted(t *testing.T) {
	for state, posted := range map[string]int64{"posted at once": 300, "posted in full": 300, "posted in part": 100} {
		t.Run(state, func(t *testing.T) {
			w := transfersWorld(t)
			r := inState(t, w, state)
			events := len(w.events)
			undo := w.do(t, ledger.ReverseTransfer{Ref: r}).Transfer
			want := ledger.Transfer{
				Ref: undo.Ref, Status: ledger.Posted, From: "bob", To: "alice", Amount: posted, AmountPosted: posted,
				Currency: "EUR", Reverses: r.ID, CreatedAt: w.now, Version: 1,
			}
			if diff := cmp.Diff(want, *undo); diff != "" {
				t.Errorf("the new transfer (-want +got):\n%s", diff)
			}
			wantBalance(t, w, "alice", ledger.Balance{Posted: 1000})
			wantBalance(t, w, "bob", ledger.Balance{})
			if diff := cmp.Diff([]string{"transfer.posted", "transfer.reversed"}, w.eventTypes(events)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// A reverse names no accounts and no amount, so its refusals point at nothing.
func TestReversesThatTheAccountsRefuse(t *testing.T) {
	for _, row := range []struct {
		sentence string
		prepare  func(t *testing.T, w *world)
		code     ledger.Code
	}{
		{"the money was spent", func(t *testing.T, w *world) { w.do(t, move("bob", "sink", 1)) }, ledger.InsufficientFunds},
		{"the receiver was closed", func(t *testing.T, w *world) {
			w.do(t, move("bob", "sink", 300))
			w.do(t, ledger.CloseAccount{Ref: ref("bob")})
		}, ledger.AccountClosed},
		{"the sender was closed", func(t *testing.T, w *world) {
			w.do(t, move("alice", "sink", 700))
			w.do(t, ledger.CloseAccount{Ref: ref("alice")})
		}, ledger.AccountClosed},
		{"the sender is full by now", func(t *testing.T, w *world) { w.do(t, move("sink", "alice", math.MaxInt64-999)) }, ledger.BalanceOverflow},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := transfersWorld(t)
			w.open(t, "sink", 0)
			r := inState(t, w, "posted at once")
			row.prepare(t, w)
			w.refuse(t, ledger.ReverseTransfer{Ref: r}, row.code, "")
		})
	}
}

func TestAReversalIsReversedLikeAnyOther(t *testing.T) {
	w := transfersWorld(t)
	r := inState(t, w, "posted at once")
	undo := w.do(t, ledger.ReverseTransfer{Ref: r}).Transfer
	w.do(t, ledger.ReverseTransfer{Ref: undo.Ref})
	wantBalance(t, w, "bob", ledger.Balance{Posted: 300})
	w.refuse(t, ledger.ReverseTransfer{Ref: undo.Ref}, ledger.StateConflict, "")
	w.refuse(t, ledger.ReverseTransfer{Ref: r}, ledger.StateConflict, "")
}

func TestAReverseKeepsTheReference(t *testing.T) {
	w := transfersWorld(t)
	c := move("alice", "bob", 300)
	c.Reference = "order 1"
	r := w.do(t, c).Transfer.Ref
	if undo := w.do(t, ledger.ReverseTransfer{Ref: r}).Transfer; undo.Reference != "order 1" {
		t.Errorf("the reversal's reference is %q", undo.Reference)
	}
}
