package contract

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

var keeping = []promise{
	{"every account is loaded as it was committed", accountsAreKept},
	{"every change of an account is kept", accountChangesAreKept},
	{"every transfer is loaded as it was committed", transfersAreKept},
	{"every change of a transfer is kept", transferChangesAreKept},
	{"every key is loaded as it was committed", keysAreKept},
	{"every entry is read as it was committed", entriesAreKept},
	{"every event is read as it was committed", eventsAreKept},
}

// Text that somebody somewhere cuts, folds, quotes or ends.
var texts = []string{
	"plain", "with space", "Ünïcödé ✓ 漢字", "🧾 beyond sixteen bits", `"quotes" and \backslashes\`, "'; DROP TABLE transfers; --",
	"line\nbreak\r\nand\ttab", "\u2028 and \u2029", "nul\x00inside", "%d %s {} ${x}", "CASE", "case", strings.Repeat("long ", 100),
}

// Times at the microsecond, and far away from now.
var times = []time.Time{
	time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC),
	time.Date(2026, 3, 1, 12, 0, 0, 999_999_000, time.UTC),
	time.Date(1970, 1, 1, 0, 0, 0, 1000, time.UTC),
	time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
}

var metadatas = []map[string]string{
	nil, {}, {"k": "v"}, {"": ""}, {"a": texts[0], "b": texts[2], "c": texts[3], "d": texts[4], "e": texts[6], "f": texts[7], "g": texts[8]},
	manyPairs(),
}

// manyPairs is the most metadata that a request may carry, in the longest
// characters.
func manyPairs() map[string]string {
	m := map[string]string{}
	for i := range 50 {
		m[fmt.Sprintf("%02d%s", i, strings.Repeat("ü", 38))] = strings.Repeat("🧾", 500)
	}
	return m
}

// extremeAccounts are valid rows with everything in its extremes.
func extremeAccounts() (all []*ledger.Account) {
	add := func(a ledger.Account) {
		a.Ref = ref(fmt.Sprintf("account-%d", len(all)))
		a.Version = 1
		a.Currency = "EUR"
		if a.CreatedAt.IsZero() {
			a.CreatedAt = opening
		}
		all = append(all, &a)
	}
	for _, f := range []ledger.Floor{{}, {None: true}, {Minor: -1}, {Minor: 1}, {Minor: math.MaxInt64}, {Minor: math.MinInt64}} {
		add(ledger.Account{Floor: f})
	}
	for _, v := range []ledger.Balance{
		{Posted: math.MaxInt64}, {Posted: math.MinInt64}, {Posted: -1, Outgoing: math.MaxInt64}, {Incoming: math.MaxInt64},
		{Posted: 1<<53 + 1, Outgoing: 1<<53 + 1, Incoming: 1<<53 + 1},
	} {
		add(ledger.Account{Balance: v, Entries: math.MaxInt64, LastEntry: math.MaxInt64})
	}
	for _, m := range metadatas {
		add(ledger.Account{Metadata: m})
	}
	for _, at := range times {
		add(ledger.Account{CreatedAt: at})
	}
	add(ledger.Account{Closed: true, Entries: 4, LastEntry: 1 << 40})
	return all
}

func accountsAreKept(b *bank) {
	accounts := append(extremeAccounts(),
		&ledger.Account{Ref: ref("A.z_0:9-"), Currency: "JPY", CreatedAt: opening, Version: 1},
		&ledger.Account{Ref: ref(strings.Repeat("x", 64)), Currency: "CLF", CreatedAt: opening, Version: 1},
		&ledger.Account{Ref: ref("case"), Currency: "EUR", CreatedAt: opening, Version: 1},
		&ledger.Account{Ref: ref("CASE"), Currency: "EUR", CreatedAt: opening, Version: 1},
		&ledger.Account{Ref: ref("1"), Currency: "EUR", CreatedAt: opening, Version: 1},
		&ledger.Account{Ref: ref("01"), Currency: "EUR", CreatedAt: opening, Version: 1},
		&ledger.Account{Ref: ref("1e0"), Currency: "EUR", CreatedAt: opening, Version: 1},
		&ledger.Account{Ref: ledger.Ref{Tenant: strings.Repeat("t", 64), ID: "1"}, Currency: "EUR", CreatedAt: opening, Version: 1},
	)
	b.must(b.Commit(b.ctx, &engine.Changes{At: opening, Ledger: &ledger.Changes{Accounts: accounts}}))
	b.wantAccounts(accounts)
}

// wantAccounts holds that accounts are loaded, and read, as they should be.
func (b *bank) wantAccounts(accounts []*ledger.Account) {
	b.Helper()
	for _, want := range accounts {
		rows, err := b.Load(b.ctx, engine.Need{Rows: ledger.Rows{Accounts: []ledger.Ref{want.Ref}}})
		b.must(err)
		b.same("loaded "+want.ID, []*ledger.Account{want}, rows.Accounts)
		read, err := b.Account(b.ctx, want.Ref)
		b.must(err)
		b.same("read "+want.ID, want, read)
	}
}

// Each extreme row becomes the next one, so that every column changes.
func accountChangesAreKept(b *bank) {
	extremes := extremeAccounts()
	a := *extremes[0]
	a.Ref = ref("changing")
	b.must(b.Commit(b.ctx, &engine.Changes{At: opening, Ledger: &ledger.Changes{Accounts: []*ledger.Account{&a}}}))
	for range 2 {
		for _, next := range extremes {
			a.Version++
			a.Floor, a.Balance, a.Closed, a.Metadata = next.Floor, next.Balance, next.Closed, next.Metadata
			a.Entries, a.LastEntry = next.Entries, next.LastEntry
			b.must(b.Commit(b.ctx, &engine.Changes{At: opening, Ledger: &ledger.Changes{Accounts: []*ledger.Account{&a}}}))
			b.wantAccounts([]*ledger.Account{&a})
		}
	}
}

// extremeTransfers are valid rows with everything in its extremes.
func (b *bank) extremeTransfers() (all []*ledger.Transfer) {
	add := func(t ledger.Transfer) {
		t.Ref = ref(b.ids.New("tr_", b.now))
		t.From, t.To, t.Currency, t.Version = "a", "b", "EUR", 1
		if t.Status == 0 {
			t.Status = ledger.Pending
		}
		if t.Amount == 0 {
			t.Amount = 5
		}
		if t.CreatedAt.IsZero() {
			t.CreatedAt = b.now
		}
		all = append(all, &t)
	}
	for _, amount := range []int64{1, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64} {
		add(ledger.Transfer{Amount: amount})
		add(ledger.Transfer{Status: ledger.Posted, Amount: amount, AmountPosted: amount})
		add(ledger.Transfer{Status: ledger.Posted, Amount: amount, AmountPosted: 1})
	}
	for _, text := range texts {
		add(ledger.Transfer{Reference: text})
	}
	for _, m := range metadatas {
		add(ledger.Transfer{Metadata: m})
	}
	for _, at := range times {
		add(ledger.Transfer{ExpiresAt: at})
	}
	add(ledger.Transfer{Status: ledger.Voided})
	add(ledger.Transfer{Status: ledger.Expired, ExpiresAt: times[1]})
	add(ledger.Transfer{Status: ledger.Posted, AmountPosted: 5, Reverses: "tr_1", ReversedBy: "tr_2", Reference: "undone"})
	return all
}

func transfersAreKept(b *bank) {
	b.do(open("a"), open("b"))
	transfers := b.extremeTransfers()
	b.must(b.Commit(b.ctx, &engine.Changes{At: b.now, Ledger: &ledger.Changes{Transfers: transfers}}))
	b.wantTransfers(transfers)
}

func (b *bank) wantTransfers(transfers []*ledger.Transfer) {
	b.Helper()
	for _, want := range transfers {
		rows, err := b.Load(b.ctx, engine.Need{Rows: ledger.Rows{Transfers: []ledger.Ref{want.Ref}}})
		b.must(err)
		b.same("loaded "+want.ID, []*ledger.Transfer{want}, rows.Transfers)
		read, err := b.Transfer(b.ctx, want.Ref)
		b.must(err)
		b.same("read "+want.ID, want, read)
	}
}

// Of a transfer only what became of it changes.
func transferChangesAreKept(b *bank) {
	b.do(open("a"), open("b"))
	b.wait(time.Second)
	t := *b.do(b.hold("a", "b", 100, time.Hour)).Ledger.Transfers[0]
	for _, next := range []ledger.Transfer{
		{Status: ledger.Posted, AmountPosted: 40},
		{Status: ledger.Posted, AmountPosted: 40, ReversedBy: "tr_2"},
		{Status: ledger.Voided},
		{Status: ledger.Expired},
		{Status: ledger.Pending},
	} {
		t.Version++
		t.Status, t.AmountPosted, t.ReversedBy = next.Status, next.AmountPosted, next.ReversedBy
		b.must(b.Commit(b.ctx, &engine.Changes{At: b.now, Ledger: &ledger.Changes{Transfers: []*ledger.Transfer{&t}}}))
		b.wantTransfers([]*ledger.Transfer{&t})
	}
}

// extremeRecords are records in every state, with everything in its extremes.
func (b *bank) extremeRecords() (all []once.Record) {
	add := func(change func(*once.Record)) {
		r := b.record(fmt.Sprint("key-", len(all)))
		change(&r)
		all = append(all, r)
	}
	for _, id := range []string{"!", "~", strings.Repeat("~", 255), `"quoted"`, "%s", "key", "KEY", "1", "01"} {
		add(func(r *once.Record) { r.Key.ID = id })
	}
	for _, body := range [][]byte{nil, {}, []byte("{}"), {0, 1, 254, 255}, []byte(texts[3]), bytes.Repeat([]byte("x"), 1<<20)} {
		add(func(r *once.Record) { r.Answer.Body = body })
	}
	for _, header := range [][]once.Field{
		nil, {{Name: "Location", Value: "/v1/transfers/tr_1"}, {Name: "Content-Type", Value: "application/json"}},
		{{Name: "B", Value: "second"}, {Name: "A", Value: "first"}, {Name: "B", Value: "again"}},
		{{Name: "Empty", Value: ""}, {Name: "Colons", Value: "a: b: c"}, {Name: "Text", Value: texts[3]}},
	} {
		add(func(r *once.Record) { r.Answer.Header = header })
	}
	for _, at := range times {
		add(func(r *once.Record) { r.CreatedAt, r.ExpiresAt = at, at.Add(time.Hour) })
	}
	add(func(r *once.Record) { r.Attempt, r.Replays = math.MaxInt64, math.MaxInt64 })
	add(func(r *once.Record) { r.Resource, r.Operation = "", texts[2] })
	add(func(r *once.Record) { r.Answer.Status = 499 })
	add(func(r *once.Record) { r.Fingerprint = once.Fingerprint{Scheme: 255} })
	add(func(r *once.Record) { r.State, r.Answer, r.LeaseUntil = once.Claimed, once.Answer{}, times[1] })
	add(func(r *once.Record) { r.State, r.Answer = once.Unknown, once.Answer{} })
	add(func(r *once.Record) { r.State, r.Answer = once.Tombstone, once.Answer{} })
	add(func(r *once.Record) { *r = once.Record{Key: r.Key, State: once.Released, Attempt: 3, Version: 1} })
	return all
}

func keysAreKept(b *bank) {
	records := b.extremeRecords()
	b.must(b.Commit(b.ctx, b.keys(records...)))
	for _, want := range records {
		rows, err := b.Load(b.ctx, engine.Need{Keys: []once.Key{want.Key}})
		b.must(err)
		b.same("loaded "+want.Key.ID, []once.Record{want}, rows.Keys)
		read, err := b.Key(b.ctx, want.Key)
		b.must(err)
		want.Answer = once.Answer{Status: want.Answer.Status}
		b.same("read "+want.Key.ID, want, read)
	}
}

func entriesAreKept(b *bank) {
	opened := b.do(open("a"), open("b"), open("full"), open("empty"))
	held := b.decide(b.hold("a", "b", 1<<53+1, 0), b.hold("a", "b", 7, time.Hour), move("empty", "full", math.MaxInt64))
	b.must(b.Commit(b.ctx, held))
	b.wait(time.Microsecond)
	part := int64(5)
	settled := b.do(
		ledger.PostTransfer{Ref: held.Ledger.Transfers[0].Ref, Amount: &part},
		ledger.VoidTransfer{Ref: held.Ledger.Transfers[1].Ref}, move("b", "a", 2),
	)
	b.same("the store", b.expected(opened, held, settled), b.all())
	var want []ledger.Entry
	for _, e := range append(held.Ledger.Entries, settled.Ledger.Entries...) {
		if e.Account == ref("a") {
			want = append([]ledger.Entry{e}, want...)
		}
	}
	b.same("the statement", want, allEntries(b, "a", engine.Page{}))
}

func eventsAreKept(b *bank) {
	c := b.decide(open("a"), open("b"), move("a", "b", 5))
	for i, text := range texts {
		v := c.Ledger.Events[0]
		v.ID, v.Subject, v.At = b.ids.New("evt_", b.now), text, b.now.Add(time.Duration(i)*time.Microsecond)
		v.Data = fmt.Appendf(nil, "{%q:%q}", "text", "ü 🧾 \u2028")
		c.Ledger.Events = append(c.Ledger.Events, v)
	}
	b.must(b.Commit(b.ctx, c))
	got := allEvents(b, engine.EventFilter{}, engine.Page{})
	slices.Reverse(got)
	b.same("events", c.Ledger.Events, got)
}
