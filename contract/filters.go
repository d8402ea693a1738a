package contract

import (
	"errors"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

func boundsAreOpen(b *bank) {
	at := map[string]time.Time{}
	for _, name := range []string{"a", "b", "c", "d"} {
		b.do(open(name))
		at[name] = b.now
		b.wait(time.Microsecond)
	}
	var moments []time.Time
	for range 4 {
		b.do(move("a", "b", 1))
		moments = append(moments, b.now)
		b.wait(time.Microsecond)
	}
	middle := engine.Page{After: at["a"], Before: at["d"]}
	b.same("accounts", []string{"c", "b"}, names(allAccounts(b, middle)))
	b.same("accounts, in pages", []string{"c", "b"}, names(allAccounts(b, engine.Page{After: at["a"], Before: at["d"], Limit: 1})))
	b.same("accounts after", []string{"d", "c"}, names(allAccounts(b, engine.Page{After: at["b"]})))
	b.same("accounts before", []string{"b", "a"}, names(allAccounts(b, engine.Page{Before: at["c"]})))
	b.same("accounts of no time", 0, len(allAccounts(b, engine.Page{After: at["b"], Before: at["c"]})))
	for _, limit := range []int{1, 100} {
		p := engine.Page{After: moments[0], Before: moments[3], Limit: limit}
		b.same("transfers", 2, len(allTransfers(b, engine.TransferFilter{}, p)))
		b.same("transfers of an account", 2, len(allTransfers(b, engine.TransferFilter{Account: "a"}, p)))
		b.same("entries", 2, len(allEntries(b, "a", p)))
		b.same("events", 2, len(allEvents(b, engine.EventFilter{}, p)))
	}
}

func transfersAreFiltered(b *bank) {
	b.do(open("a"), open("b"), open("c"))
	var made []*ledger.Transfer
	for _, m := range []struct{ from, to, reference string }{
		{"a", "b", "1"}, {"b", "a", ""}, {"b", "c", "1"}, {"c", "a", "2"}, {"a", "b", "ü '%"}, {"c", "b", "1 "},
	} {
		c := move(m.from, m.to, 5)
		c.Reference = m.reference
		made = append(made, b.do(c).Ledger.Transfers...)
		b.wait(time.Millisecond)
	}
	for _, row := range []struct {
		filter engine.TransferFilter
		want   []int // indexes of made, newest first
	}{
		{engine.TransferFilter{}, []int{5, 4, 3, 2, 1, 0}},
		{engine.TransferFilter{Account: "a"}, []int{4, 3, 1, 0}},
		{engine.TransferFilter{Account: "c"}, []int{5, 3, 2}},
		{engine.TransferFilter{Account: "nobody"}, nil},
		{engine.TransferFilter{Reference: "1"}, []int{2, 0}},
		{engine.TransferFilter{Reference: "1 "}, []int{5}},
		{engine.TransferFilter{Reference: "ü '%"}, []int{4}},
		{engine.TransferFilter{Reference: "%"}, nil},
		{engine.TransferFilter{Account: "b", Reference: "1"}, []int{2, 0}},
		{engine.TransferFilter{Account: "c", Reference: "1"}, []int{2}},
	} {
		var want []string
		for _, i := range row.want {
			want = append(want, made[i].ID)
		}
		for _, limit := range []int{1, 100} {
			b.same(fmt.Sprintf("%+v", row.filter), want, ids(allTransfers(b, row.filter, engine.Page{Limit: limit})))
		}
	}
}

func eventsAreFiltered(b *bank) {
	b.do(open("a"), open("b"))
	held := b.do(b.hold("a", "b", 5, 0)).Ledger.Transfers[0]
	b.do(move("a", "b", 5))
	b.do(ledger.PostTransfer{Ref: held.Ref})
	for _, row := range []struct {
		filter engine.EventFilter
		want   []string
	}{
		{engine.EventFilter{}, []string{"transfer.posted", "transfer.posted", "transfer.pending", "account.opened", "account.opened"}},
		{engine.EventFilter{Subject: held.ID}, []string{"transfer.posted", "transfer.pending"}},
		{engine.EventFilter{Subject: held.ID, Type: "transfer.pending"}, []string{"transfer.pending"}},
		{engine.EventFilter{Type: "account.opened"}, []string{"account.opened", "account.opened"}},
		{engine.EventFilter{Type: "account"}, nil},
		{engine.EventFilter{Subject: "a", Type: "transfer.posted"}, nil},
	} {
		for _, limit := range []int{1, 100} {
			var got []string
			for _, e := range allEvents(b, row.filter, engine.Page{Limit: limit}) {
				got = append(got, e.Type)
			}
			b.same(fmt.Sprintf("%+v", row.filter), row.want, got)
		}
	}
}

func badCursors(b *bank) {
	b.busy()
	accounts, err := b.accounts(engine.Page{Limit: 1})
	b.must(err)
	entries, err := b.entries("00")(engine.Page{Limit: 1})
	b.must(err)
	refused := func(what string, err error) {
		b.Helper()
		if !errors.Is(err, engine.ErrBadCursor) {
			b.Errorf("%s: got %v, want an ErrBadCursor", what, err)
		}
	}
	for _, cursor := range []string{
		"x", "0", "-1", " ", "99999999999999999999", "AAAA", "'; DROP TABLE accounts", "\x00", accounts.Next + "x", "x" + accounts.Next,
	} {
		_, err := b.accounts(engine.Page{Limit: 1, Cursor: cursor})
		refused(fmt.Sprintf("accounts at %q", cursor), err)
		_, err = b.transfers(engine.TransferFilter{})(engine.Page{Limit: 1, Cursor: cursor})
		refused(fmt.Sprintf("transfers at %q", cursor), err)
	}
	_, err = b.entries("00")(engine.Page{Limit: 1, Cursor: accounts.Next})
	refused("entries at a cursor of accounts", err)
	_, err = b.events(engine.EventFilter{})(engine.Page{Limit: 1, Cursor: entries.Next})
	refused("events at a cursor of entries", err)
	_, err = b.entries("01")(engine.Page{Limit: 1, Cursor: entries.Next})
	refused("entries at a cursor of another account", err)
	_, err = b.Accounts(b.ctx, "other", engine.Page{Limit: 1, Cursor: accounts.Next})
	refused("accounts at a cursor of another tenant", err)
}

func listsAreOfOneTenant(b *bank) {
	b.busy()
	for _, p := range []engine.Page{{Limit: 1}, {Limit: 100}} {
		accounts, err := b.Accounts(b.ctx, "other", p)
		b.must(err)
		entries, err := b.Entries(b.ctx, ledger.Ref{Tenant: "other", ID: "00"}, p)
		b.must(err)
		transfers, err := b.Transfers(b.ctx, "other", engine.TransferFilter{Account: "00"}, p)
		b.must(err)
		events, err := b.Events(b.ctx, "other", engine.EventFilter{Subject: "00"}, p)
		b.must(err)
		b.same("what another tenant sees", []int{0, 0, 0, 0},
			[]int{len(accounts.Items), len(entries.Items), len(transfers.Items), len(events.Items)})
	}
}
