package contract

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
)

var lists = []promise{
	{"lists are newest first", newestFirst},
	{"pages of any size make the same list", pagesMakeTheList},
	{"a page has no more than its limit", pagesAreBounded},
	{"a list stands still while rows arrive", listsStandStill},
	{"bounds in time leave out the moment itself", boundsAreOpen},
	{"transfers are filtered by account and reference", transfersAreFiltered},
	{"events are filtered by subject and type", eventsAreFiltered},
	{"accounts that were opened at the same time are listed in that order", accountsOfOneMoment},
	{"a cursor that is none of this list's is refused", badCursors},
	{"lists are of one tenant", listsAreOfOneTenant},
	{"a balance is known as it was at any time", balancesAsTheyWere},
	{"a balance is known as it was between thousands of entries", balancesAmongMany},
}

// A list reads a page of some list.
type list[T any] func(engine.Page) (engine.List[T], error)

// whole reads a list from end to end.
func whole[T any](b *bank, read list[T], p engine.Page) (items []T) {
	b.Helper()
	if p.Limit == 0 {
		p.Limit = 100
	}
	for range 100_000 {
		page, err := read(p)
		b.must(err)
		if len(page.Items) > p.Limit {
			b.Fatalf("a page of %d has %d", p.Limit, len(page.Items))
		}
		items = append(items, page.Items...)
		if p.Cursor = page.Next; p.Cursor == "" {
			return items
		}
	}
	b.Fatal("the list has no end")
	return nil
}

func (b *bank) accounts(p engine.Page) (engine.List[*ledger.Account], error) {
	return b.Accounts(b.ctx, tenant, p)
}

func (b *bank) entries(name string) list[ledger.Entry] {
	return func(p engine.Page) (engine.List[ledger.Entry], error) { return b.Entries(b.ctx, ref(name), p) }
}

func (b *bank) transfers(f engine.TransferFilter) list[*ledger.Transfer] {
	return func(p engine.Page) (engine.List[*ledger.Transfer], error) { return b.Transfers(b.ctx, tenant, f, p) }
}

func (b *bank) events(f engine.EventFilter) list[outbox.Event] {
	return func(p engine.Page) (engine.List[outbox.Event], error) { return b.Events(b.ctx, tenant, f, p) }
}

func allAccounts(b *bank, p engine.Page) []*ledger.Account { return whole(b, b.accounts, p) }

func allEntries(b *bank, name string, p engine.Page) []ledger.Entry {
	return whole(b, b.entries(name), p)
}

func allTransfers(b *bank, f engine.TransferFilter, p engine.Page) []*ledger.Transfer {
	return whole(b, b.transfers(f), p)
}

func allEvents(b *bank, f engine.EventFilter, p engine.Page) []outbox.Event {
	return whole(b, b.events(f), p)
}

// names are the ids of accounts.
func names(accounts []*ledger.Account) (names []string) {
	for _, a := range accounts {
		names = append(names, a.ID)
	}
	return names
}

func ids(transfers []*ledger.Transfer) (ids []string) {
	for _, t := range transfers {
		ids = append(ids, t.ID)
	}
	return ids
}

// busy is a bank where much has happened: 25 accounts, then 60 transfers
// between the first two, some together and some apart. It returns the ids of
// both, newest first.
func (b *bank) busy() (accounts, transfers []string) {
	for i := range 25 {
		name := fmt.Sprintf("%02d", i)
		b.do(open(name))
		accounts = append(accounts, name)
		b.wait(time.Duration(i%3) * time.Millisecond)
	}
	for i := range 30 {
		first := move("00", "01", int64(i+1))
		first.Reference = fmt.Sprint("order ", i%3)
		for _, t := range b.do(first, b.hold("01", "00", int64(i+1), 0)).Ledger.Transfers {
			transfers = append(transfers, t.ID)
		}
		b.wait(time.Duration(i%3) * time.Millisecond)
	}
	slices.Reverse(accounts)
	slices.Reverse(transfers)
	return accounts, transfers
}

func newestFirst(b *bank) {
	accounts, transfers := b.busy()
	b.same("accounts", accounts, names(allAccounts(b, engine.Page{})))
	b.same("transfers", transfers, ids(allTransfers(b, engine.TransferFilter{}, engine.Page{})))
	entries := allEntries(b, "00", engine.Page{})
	b.same("entries", 60, len(entries))
	for i, e := range entries {
		if e.Ordinal != int64(60-i) {
			b.Fatalf("entry %d of the statement is the account's %d", i, e.Ordinal)
		}
	}
	events := allEvents(b, engine.EventFilter{}, engine.Page{})
	b.same("events", 25+60, len(events))
	for i := 1; i < len(events); i++ {
		if events[i].ID >= events[i-1].ID || events[i].At.After(events[i-1].At) {
			b.Fatalf("event %s of %v comes after %s of %v", events[i].ID, events[i].At, events[i-1].ID, events[i-1].At)
		}
	}
}

func pagesMakeTheList(b *bank) {
	b.busy()
	for _, limit := range []int{1, 2, 3, 7, 24, 25, 26, 59, 60, 61} {
		p := engine.Page{Limit: limit}
		b.same("accounts", allAccounts(b, engine.Page{}), allAccounts(b, p))
		b.same("entries", allEntries(b, "00", engine.Page{}), allEntries(b, "00", p))
		b.same("transfers", allTransfers(b, engine.TransferFilter{}, engine.Page{}), allTransfers(b, engine.TransferFilter{}, p))
		of := engine.TransferFilter{Account: "01", Reference: "order 1"}
		b.same("transfers of an order", allTransfers(b, of, engine.Page{}), allTransfers(b, of, p))
		b.same("events", allEvents(b, engine.EventFilter{}, engine.Page{}), allEvents(b, engine.EventFilter{}, p))
	}
}

// That a page may be short is for lists that look at many rows to find a few;
// these are found at once.
func pagesAreBounded(b *bank) {
	b.busy()
	for limit := 1; limit <= 100; limit *= 10 {
		p := engine.Page{Limit: limit}
		accounts, err := b.accounts(p)
		b.must(err)
		entries, err := b.entries("00")(p)
		b.must(err)
		transfers, err := b.transfers(engine.TransferFilter{})(p)
		b.must(err)
		events, err := b.events(engine.EventFilter{})(p)
		b.must(err)
		b.same("accounts", min(limit, 25), len(accounts.Items))
		b.same("entries", min(limit, 60), len(entries.Items))
		b.same("transfers", min(limit, 60), len(transfers.Items))
		b.same("events", min(limit, 85), len(events.Items))
		b.same("whether there is more", []bool{limit < 25, limit < 60, limit < 60, limit < 85},
			[]bool{accounts.Next != "", entries.Next != "", transfers.Next != "", events.Next != ""})
	}
}

// standsStill reads a list page by page, while something is made after each.
func standsStill[T any](b *bank, read list[T], p engine.Page, make func()) {
	b.Helper()
	want := whole(b, read, p)
	var got []T
	for {
		page, err := read(p)
		b.must(err)
		got = append(got, page.Items...)
		if p.Cursor = page.Next; p.Cursor == "" {
			break
		}
		make()
	}
	b.same("the list", want, got)
}

func listsStandStill(b *bank) {
	b.busy()
	p := engine.Page{Limit: 4}
	n := 100
	standsStill(b, b.accounts, p, func() { n++; b.do(open(fmt.Sprint(n))) })
	standsStill(b, b.entries("00"), p, func() { b.do(move("00", "01", 1)) })
	standsStill(b, b.transfers(engine.TransferFilter{}), p, func() { b.do(move("00", "01", 1)) })
	standsStill(b, b.events(engine.EventFilter{Type: "transfer.posted"}), p, func() { b.do(move("00", "01", 1)) })
}

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

func accountsOfOneMoment(b *bank) {
	b.do(open("m"), open("z"))
	b.do(open("a"), open("n"))
	want := []string{"n", "a", "z", "m"}
	b.same("accounts", want, names(allAccounts(b, engine.Page{})))
	b.same("accounts, in pages", want, names(allAccounts(b, engine.Page{Limit: 1})))
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

// at is what an account had at a time, nil if it was not open yet.
func (b *bank) at(name string, at time.Time) *ledger.Balance {
	b.Helper()
	a, err := b.AccountAt(b.ctx, ref(name), at)
	b.must(err)
	if a == nil {
		return nil
	}
	return &a.Balance
}

func balancesAsTheyWere(b *bank) {
	start := b.now
	b.do(open("a"), open("b"))
	b.wait(time.Hour)
	held := b.do(b.hold("a", "b", 7, 0)).Ledger.Transfers[0].Ref
	b.do(move("a", "b", 1)) // in the same microsecond
	b.wait(time.Hour)
	b.do(ledger.PostTransfer{Ref: held})
	for _, row := range []struct {
		sentence string
		at       time.Time
		want     *ledger.Balance
	}{
		{"before it was opened", start.Add(-time.Microsecond), nil},
		{"as it was opened", start, &ledger.Balance{}},
		{"just before the first entries", start.Add(time.Hour - time.Microsecond), &ledger.Balance{}},
		{"with all entries of a moment", start.Add(time.Hour), &ledger.Balance{Posted: -1, Outgoing: 7}},
		{"between entries", start.Add(90 * time.Minute), &ledger.Balance{Posted: -1, Outgoing: 7}},
		{"with the last entry", start.Add(2 * time.Hour), &ledger.Balance{Posted: -8}},
		{"long after", start.Add(1000 * time.Hour), &ledger.Balance{Posted: -8}},
	} {
		b.same(row.sentence, row.want, b.at("a", row.at))
	}
	b.do(ledger.UpdateAccount{Ref: ref("a"), Metadata: map[string]string{"is": "now"}})
	then, err := b.AccountAt(b.ctx, ref("a"), start)
	b.must(err)
	want := *b.account("a")
	want.Balance = ledger.Balance{}
	b.same("all but the balance", &want, then)
}

// Three a moment, so that moments lie anywhere among whatever marks or blocks a
// store keeps.
func balancesAmongMany(b *bank) {
	b.do(open("a"), open("b"))
	b.wait(time.Second)
	start := b.now
	for range 20 {
		var commands []ledger.Command
		for range 60 {
			commands = append(commands, move("a", "b", 1))
		}
		c := b.decide(commands...)
		for i := range c.Ledger.Entries {
			c.Ledger.Entries[i].At = b.now.Add(time.Duration(i/6) * time.Second)
		}
		b.must(b.Commit(b.ctx, c))
		b.wait(20 * time.Second)
	}
	for i := int64(0); i < 400; i += 7 {
		at := start.Add(time.Duration(i) * time.Second)
		b.same(at.String(), &ledger.Balance{Posted: 3 * (i + 1)}, b.at("b", at))
		b.same(at.String(), &ledger.Balance{Posted: 3 * i}, b.at("b", at.Add(-time.Microsecond)))
		between := engine.Page{After: at.Add(-5 * time.Second), Before: at.Add(time.Microsecond)}
		b.same(at.String(), min(5, int(i)+1)*3, len(allEntries(b, "b", between)))
	}
}
