package contract

import (
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
	for _, limit := range []int{1, 10, 25, 60, 85, 100} {
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

func accountsOfOneMoment(b *bank) {
	b.do(open("m"), open("z"))
	b.do(open("a"), open("n"))
	want := []string{"n", "a", "z", "m"}
	b.same("accounts", want, names(allAccounts(b, engine.Page{})))
	b.same("accounts, in pages", want, names(allAccounts(b, engine.Page{Limit: 1})))
}
