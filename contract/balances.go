package contract

import (
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

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

// Three in every microsecond, so that moments lie anywhere among whatever marks
// or blocks a store keeps.
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
			c.Ledger.Entries[i].At = b.now.Add(time.Duration(i/6) * time.Microsecond)
		}
		b.must(b.Commit(b.ctx, c))
		b.wait(20 * time.Microsecond)
	}
	for i := range int64(400) {
		at := start.Add(time.Duration(i) * time.Microsecond)
		b.same(at.String(), &ledger.Balance{Posted: 3 * (i + 1)}, b.at("b", at))
		if i%7 == 0 {
			last5 := engine.Page{After: at.Add(-5 * time.Microsecond), Before: at.Add(time.Microsecond)}
			b.same(at.String(), 3*min(5, int(i)+1), len(allEntries(b, "b", last5)))
		}
	}
}
