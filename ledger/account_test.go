package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
)

// accountsWorld has an account in each state that a command can meet.
func accountsWorld(t *testing.T) *world {
	w := newWorld()
	w.do(t, ledger.OpenAccount{Ref: ref("empty"), Currency: "EUR", Metadata: map[string]string{"a": "1"}})
	w.do(t, ledger.OpenAccount{Ref: ref("closed"), Currency: "EUR"})
	w.do(t, ledger.CloseAccount{Ref: ref("closed")})
	w.open(t, "rich", 1000)
	w.open(t, "poor", -1000)
	w.open(t, "holds out", 0)
	w.open(t, "holds in", 0)
	w.do(t, hold("holds out", "holds in", 10))
	return w
}

func TestAccountCommandsThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		sentence string
		command  ledger.Command
		code     ledger.Code
		field    string
	}{
		{"an id that is taken", ledger.OpenAccount{Ref: ref("empty"), Currency: "EUR"}, ledger.AlreadyExists, "/id"},
		{"an id that is taken, by an account of another currency", ledger.OpenAccount{Ref: ref("empty"), Currency: "JPY"}, ledger.AlreadyExists, "/id"},
		{"the id of a closed account stays taken", ledger.OpenAccount{Ref: ref("closed"), Currency: "EUR"}, ledger.AlreadyExists, "/id"},
		{"an update of no account", ledger.UpdateAccount{Ref: ref("nobody")}, ledger.NotFound, ""},
		{"an update of another tenant's account", ledger.UpdateAccount{Ref: ledger.Ref{Tenant: "other", ID: "empty"}}, ledger.NotFound, ""},
		{"an update that changes a closed account", ledger.UpdateAccount{Ref: ref("closed"), Floor: &ledger.Floor{Minor: 1}}, ledger.AccountClosed, ""},
		{"closing no account", ledger.CloseAccount{Ref: ref("nobody")}, ledger.NotFound, ""},
		{"closing another tenant's account", ledger.CloseAccount{Ref: ledger.Ref{Tenant: "other", ID: "empty"}}, ledger.NotFound, ""},
		{"closing twice", ledger.CloseAccount{Ref: ref("closed")}, ledger.StateConflict, ""},
		{"closing an account with money on it", ledger.CloseAccount{Ref: ref("rich")}, ledger.StateConflict, ""},
		{"closing an account that owes", ledger.CloseAccount{Ref: ref("poor")}, ledger.StateConflict, ""},
		{"closing an account that money is held on", ledger.CloseAccount{Ref: ref("holds out")}, ledger.StateConflict, ""},
		{"closing an account that money may come to", ledger.CloseAccount{Ref: ref("holds in")}, ledger.StateConflict, ""},
	} {
		t.Run(row.sentence, func(t *testing.T) { accountsWorld(t).refuse(t, row.command, row.code, row.field) })
	}
}

func TestOpenAccount(t *testing.T) {
	w := newWorld()
	got := w.do(t, ledger.OpenAccount{
		Ref: ref("alice"), Currency: "JPY", Floor: ledger.Floor{Minor: -500}, Metadata: map[string]string{"k": "v"},
	})
	want := ledger.Account{
		Ref: ref("alice"), Currency: "JPY", Floor: ledger.Floor{Minor: -500},
		Metadata: map[string]string{"k": "v"}, CreatedAt: w.now, Version: 1,
	}
	if diff := cmp.Diff(want, w.accounts[ref("alice")]); diff != "" {
		t.Errorf("what was written (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, *got.Account); diff != "" || got.ID() != "alice" {
		t.Errorf("the result %q (-want +got):\n%s", got.ID(), diff)
	}
	if diff := cmp.Diff([]string{"account.opened"}, w.eventTypes(0)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAnAccountWithoutAnIDGetsOne(t *testing.T) {
	w := newWorld()
	open := ledger.OpenAccount{Ref: ledger.Ref{Tenant: tenant}, Currency: "EUR"}
	outcomes := w.batch(t, open, open)
	one, two := outcomes[0].result.Account, outcomes[1].result.Account
	if one.ID == two.ID || !id.Valid(one.ID, "acc_") || !id.Valid(two.ID, "acc_") {
		t.Errorf("got the ids %q and %q", one.ID, two.ID)
	}
	if len(w.accounts) != 2 {
		t.Errorf("%d accounts, want 2", len(w.accounts))
	}
}

func TestTenantsMayUseTheSameID(t *testing.T) {
	w := newWorld()
	w.do(t, ledger.OpenAccount{Ref: ref("main"), Currency: "EUR"})
	w.do(t, ledger.OpenAccount{Ref: ledger.Ref{Tenant: "other", ID: "main"}, Currency: "JPY"})
	if got := w.accounts[ref("main")].Currency; got != "EUR" {
		t.Errorf("the first tenant's account holds %s now", got)
	}
}

func TestUpdateAccount(t *testing.T) {
	none, five := ledger.Floor{None: true}, ledger.Floor{Minor: 5}
	for _, row := range []struct {
		sentence string
		command  ledger.UpdateAccount
		floor    ledger.Floor
		metadata map[string]string
		writes   bool
	}{
		{"nothing asked, nothing written", ledger.UpdateAccount{}, ledger.Floor{}, map[string]string{"a": "1"}, false},
		{"the floor alone", ledger.UpdateAccount{Floor: &five}, five, map[string]string{"a": "1"}, true},
		{"no floor", ledger.UpdateAccount{Floor: &none}, none, map[string]string{"a": "1"}, true},
		{"the floor that it has", ledger.UpdateAccount{Floor: &ledger.Floor{}}, ledger.Floor{}, map[string]string{"a": "1"}, false},
		{"the metadata alone, as a whole", ledger.UpdateAccount{Metadata: map[string]string{"b": "2"}}, ledger.Floor{}, map[string]string{"b": "2"}, true},
		{"empty metadata empties", ledger.UpdateAccount{Metadata: map[string]string{}}, ledger.Floor{}, map[string]string{}, true},
		{"the metadata that it has", ledger.UpdateAccount{Metadata: map[string]string{"a": "1"}}, ledger.Floor{}, map[string]string{"a": "1"}, false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := accountsWorld(t)
			before, events := w.accounts[ref("empty")], len(w.events)
			row.command.Ref = ref("empty")
			got := w.do(t, row.command).Account
			want := before
			want.Floor, want.Metadata = row.floor, row.metadata
			if row.writes {
				want.Version++
			}
			if diff := cmp.Diff(want, w.accounts[ref("empty")]); diff != "" {
				t.Errorf("what was written (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("the result (-want +got):\n%s", diff)
			}
			if wrote := len(w.events) > events; wrote != row.writes {
				t.Errorf("wrote %v, want %v", wrote, row.writes)
			}
		})
	}
}

// An update that arrives twice must not tell the world twice.
func TestARepeatedUpdateIsOneUpdate(t *testing.T) {
	w := accountsWorld(t)
	events := len(w.events)
	update := ledger.UpdateAccount{Ref: ref("empty"), Metadata: map[string]string{"b": "2"}}
	w.batch(t, update, update)
	w.do(t, update)
	if diff := cmp.Diff([]string{"account.updated"}, w.eventTypes(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAClosedAccountMayBeUpdatedToWhatItIs(t *testing.T) {
	w := accountsWorld(t)
	w.do(t, ledger.UpdateAccount{Ref: ref("closed"), Floor: &ledger.Floor{}, Metadata: map[string]string{}})
}

func TestCloseAccount(t *testing.T) {
	w := accountsWorld(t)
	events := len(w.events)
	got := w.do(t, ledger.CloseAccount{Ref: ref("empty")}).Account
	if !got.Closed || !w.accounts[ref("empty")].Closed {
		t.Error("it is not closed")
	}
	if diff := cmp.Diff([]string{"account.closed"}, w.eventTypes(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAnAccountThatWasEmptiedCanBeClosed(t *testing.T) {
	w := accountsWorld(t)
	w.do(t, move("rich", "poor", 1000))
	w.do(t, ledger.CloseAccount{Ref: ref("rich")})
	w.do(t, ledger.CloseAccount{Ref: ref("poor")})
}
