package contract

import (
	"context"
	"sync"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

var loading = []promise{
	{"what is not there is not found", missingIsMissing},
	{"what belongs to another tenant is not found", tenantsAreApart},
	{"what exists is found among what does not", someAreFound},
	{"to need nothing is no error", needingNothing},
	{"what is loaded is of one moment", loadsAreOfOneMoment},
	{"what is loaded is the caller's", loadedIsTheCallers},
}

func missingIsMissing(b *bank) {
	rows, err := b.Load(b.ctx, engine.Need{
		Keys: []once.Key{key("k")}, Rows: ledger.Rows{Accounts: []ledger.Ref{ref("a")}, Transfers: []ledger.Ref{ref("tr_1")}},
	})
	b.must(err)
	b.same("loaded", engine.Rows{}, rows)
	b.readsNothing()
}

// readsNothing holds that every read finds nothing, and that this is no error.
func (b *bank) readsNothing() {
	b.Helper()
	a, err := b.Account(b.ctx, ref("a"))
	b.must(err)
	at, err := b.AccountAt(b.ctx, ref("a"), b.now.Add(time.Hour))
	b.must(err)
	t, err := b.Transfer(b.ctx, ref("tr_1"))
	b.must(err)
	if a != nil || at != nil || t != nil {
		b.Fatalf("found %v, %v and %v", a, at, t)
	}
	k, err := b.Key(b.ctx, key("k"))
	b.must(err)
	b.same("the key", once.Record{}, k)
	b.same("accounts", 0, len(allAccounts(b, engine.Page{})))
	b.same("entries", 0, len(allEntries(b, "a", engine.Page{})))
	b.same("transfers", 0, len(allTransfers(b, engine.TransferFilter{}, engine.Page{})))
	b.same("events", 0, len(allEvents(b, engine.EventFilter{}, engine.Page{})))
}

func tenantsAreApart(b *bank) {
	foreign := once.Key{Tenant: "other", ID: "k"}
	r := b.record("k")
	r.Key = foreign
	c := b.decide(
		ledger.OpenAccount{Ref: ledger.Ref{Tenant: "other", ID: "a"}, Currency: "EUR", Floor: ledger.Floor{None: true}},
		ledger.OpenAccount{Ref: ledger.Ref{Tenant: "other", ID: "b"}, Currency: "EUR"},
		ledger.CreateTransfer{Tenant: "other", From: "a", To: "b", Amount: 5, Currency: "EUR"},
	)
	c.Keys = []once.Record{r}
	b.must(b.Commit(b.ctx, c))
	b.readsNothing()
	made := c.Ledger.Transfers[0].ID
	rows, err := b.Load(b.ctx, engine.Need{
		Keys: []once.Key{key("k")}, Rows: ledger.Rows{Accounts: []ledger.Ref{ref("a")}, Transfers: []ledger.Ref{ref(made)}},
	})
	b.must(err)
	b.same("loaded", engine.Rows{}, rows)
	if t, err := b.Transfer(b.ctx, ref(made)); t != nil || err != nil {
		b.Fatalf("the transfer of another tenant: %v, %v", t, err)
	}
	b.same("events of it", 0, len(allEvents(b, engine.EventFilter{Subject: made}, engine.Page{})))

	b.do(open("a")) // the same names are free here
	b.answer("k")
}

func someAreFound(b *bank) {
	c := b.do(open("a"), open("b"), move("a", "b", 5))
	made := c.Ledger.Transfers[0].Ref
	r := b.answer("k")
	rows, err := b.Load(b.ctx, engine.Need{
		Keys: []once.Key{key("k0"), key("k"), key("k1")},
		Rows: ledger.Rows{
			Accounts:  []ledger.Ref{ref("nobody"), ref("b"), ref("c"), ref("a")},
			Transfers: []ledger.Ref{ref("tr_0"), made},
		},
	})
	b.must(err)
	b.same("keys", []once.Record{r}, rows.Keys)
	b.same("transfers", c.Ledger.Transfers, rows.Transfers)
	found := map[string]bool{}
	for _, a := range rows.Accounts {
		found[a.ID] = true
	}
	b.same("accounts", map[string]bool{"a": true, "b": true}, found)
	b.same("accounts", 2, len(rows.Accounts))
}

func needingNothing(b *bank) {
	rows, err := b.Load(b.ctx, engine.Need{})
	b.must(err)
	b.same("loaded", engine.Rows{}, rows)
}

// Money goes to and fro between two accounts while both are loaded: together
// they always have nothing.
func loadsAreOfOneMoment(b *bank) {
	b.do(open("a"), open("b"))
	ctx, stop := context.WithCancel(b.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				rows, err := b.Load(b.ctx, engine.Need{Rows: ledger.Rows{Accounts: []ledger.Ref{ref("a"), ref("b")}}})
				if err != nil || len(rows.Accounts) != 2 {
					b.Errorf("loaded %d accounts: %v", len(rows.Accounts), err)
					return
				}
				if one, two := rows.Accounts[0], rows.Accounts[1]; one.Balance.Posted+two.Balance.Posted != 0 || one.Version != two.Version {
					b.Errorf("of two moments: %+v and %+v", one, two)
					return
				}
			}
		})
	}
	for i := range int64(100) {
		b.do(move("a", "b", i+1))
		if got := b.account("a").Version; got != i+2 {
			b.Fatalf("after commit %d was reported version %d is read", i+2, got)
		}
	}
}

// Whoever changes what it was given changes nothing in the store.
func loadedIsTheCallers(b *bank) {
	opened := open("a")
	opened.Metadata = map[string]string{"k": "v"}
	t := move("a", "b", 5)
	t.Metadata = map[string]string{"k": "v"}
	c := b.do(opened, open("b"), t)
	before := b.all()
	need := engine.Need{Rows: ledger.Rows{
		Accounts: []ledger.Ref{ref("a")}, Transfers: []ledger.Ref{c.Ledger.Transfers[0].Ref},
	}}
	for range 3 { // the second time it may come from a cache
		rows, err := b.Load(b.ctx, need)
		b.must(err)
		a := rows.Accounts[0]
		b.same("what is loaded", before.Accounts[a.Ref], *a)
		b.same("what is loaded", before.Transfers[need.Rows.Transfers[0]], *rows.Transfers[0])
		a.Balance.Posted, a.Version, a.Metadata["k"] = 99, 99, "changed"
		rows.Transfers[0].Status, rows.Transfers[0].Metadata["k"] = ledger.Voided, "changed"
		read := b.account("a")
		read.Balance.Posted, read.Metadata["k"] = 99, "changed"
	}
	b.same("the store", before, b.all())
	b.do(ledger.UpdateAccount{Ref: ref("a"), Metadata: map[string]string{"k": "changed"}})
	b.same("what was changed", map[string]string{"k": "changed"}, b.account("a").Metadata)
}
