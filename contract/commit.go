package contract

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

var committing = []promise{
	{"a commit is there when it is reported", commitsAreThere},
	{"a commit whose last fence is broken writes nothing", allOrNothing},
	{"a commit after a lost race is a commit like any other", afterALostRace},
	{"what was committed is not the committer's any more", committedIsTheStores},
	{"of many commits that open one account, one wins", oneOpens},
	{"of many commits that change one account, one wins", oneChangesAnAccount},
	{"of many commits that settle one transfer, one wins", oneSettles},
	{"of many commits that answer one key, one wins", oneAnswers},
	{"commits of different rows all win", strangersAllWin},
	{"an entry whose number is taken is not written", numbersAreTaken},
	{"a commit of thousands of rows is one", largeCommits},
}

func commitsAreThere(b *bank) {
	c := b.decide(open("a"), open("b"), move("a", "b", 5), b.hold("a", "b", 7, 0))
	c.Keys = []once.Record{b.record("k1"), b.record("k2")}
	b.must(b.Commit(b.ctx, c))
	b.same("the store", b.expected(c), b.all())
}

// expected is all that a store holds which was given these changes, and nothing
// else.
func (b *bank) expected(commits ...*engine.Changes) everything {
	b.Helper()
	e := nothing()
	for _, c := range commits {
		for _, a := range c.Ledger.Accounts {
			e.Accounts[a.Ref] = *a
		}
		for _, t := range c.Ledger.Transfers {
			e.Transfers[t.Ref] = *t
		}
		for _, r := range c.Keys {
			e.Keys[r.Key] = r
		}
		e.Entries = append(e.Entries, c.Ledger.Entries...)
		for _, v := range c.Ledger.Events {
			v.Data = nil // an audit reads events without it
			e.Events[v.ID] = v
		}
		e.add(c.Payments)
	}
	return e
}

// fences are the ways in which a commit finds a row not as it expects it. Each
// makes changes of which only the last row of its sort is fenced off.
var fences = map[string]func(b *bank) *engine.Changes{
	"a key that is there": func(b *bank) *engine.Changes {
		c := b.decide(move("a", "b", 1))
		c.Keys = []once.Record{b.record("new"), b.record("taken")}
		return c
	},
	"a key that is there, and released": func(b *bank) *engine.Changes {
		c := b.decide(move("a", "b", 1))
		c.Keys = []once.Record{b.record("new"), b.record("released")}
		return c
	},
	"an account that was opened meanwhile": func(b *bank) *engine.Changes {
		c := b.decide(move("a", "b", 1), open("new"), open("opened"))
		b.do(open("opened"))
		return c
	},
	"an account that was changed meanwhile": func(b *bank) *engine.Changes {
		c := b.decide(move("a", "b", 1), ledger.UpdateAccount{Ref: ref("changed"), Metadata: map[string]string{"by": "me"}})
		b.do(ledger.UpdateAccount{Ref: ref("changed"), Metadata: map[string]string{"by": "you"}})
		return c
	},
	"an account whose balance changed meanwhile": func(b *bank) *engine.Changes {
		c := b.decide(open("new"), move("a", "b", 1))
		b.do(move("b", "changed", 1))
		return c
	},
	"an account that is not there": func(b *bank) *engine.Changes {
		c := b.decide(move("a", "b", 1))
		c.Ledger.Accounts = append(c.Ledger.Accounts, &ledger.Account{Ref: ref("nobody"), Currency: "EUR", CreatedAt: b.now, Version: 2})
		return c
	},
	"a version that was never reached": func(b *bank) *engine.Changes {
		c := b.decide(move("a", "b", 1))
		c.Ledger.Accounts[1].Version++
		return c
	},
	"a transfer that was settled meanwhile": func(b *bank) *engine.Changes {
		held := b.do(b.hold("a", "b", 9, 0)).Ledger.Transfers[0]
		c := b.decide(move("a", "b", 1))
		settled := *held
		settled.Status, settled.Version = ledger.Voided, 2
		c.Ledger.Transfers = append(c.Ledger.Transfers, &settled)
		other := *held
		other.Status, other.AmountPosted, other.Version = ledger.Posted, 9, 2
		b.must(b.Commit(b.ctx, &engine.Changes{At: b.now, Ledger: &ledger.Changes{Transfers: []*ledger.Transfer{&other}}}))
		return c
	},
	"a transfer that is there": func(b *bank) *engine.Changes {
		held := *b.do(b.hold("a", "b", 9, 0)).Ledger.Transfers[0]
		c := b.decide(move("a", "b", 1))
		c.Ledger.Transfers = append(c.Ledger.Transfers, &held)
		return c
	},
	"a transfer that is not there": func(b *bank) *engine.Changes {
		c := b.decide(move("a", "b", 1))
		unborn := *c.Ledger.Transfers[0]
		unborn.ID, unborn.Version = b.ids.New("tr_", b.now), 2
		c.Ledger.Transfers = append(c.Ledger.Transfers, &unborn)
		return c
	},
}

func allOrNothing(b *bank) {
	released := once.Record{Key: key("released"), State: once.Released, Attempt: 1, Version: 1}
	for name, broken := range fences {
		b.Run(name, func(t *testing.T) {
			b := newBank(t, b.fixture)
			b.do(open("a"), open("b"), open("changed"))
			b.answer("taken")
			b.must(b.Commit(b.ctx, b.keys(released)))
			c := broken(b)
			before := b.all()
			b.wantConflict(b.Commit(b.ctx, c))
			b.same("the store", before, b.all())
			b.wantConflict(b.Commit(b.ctx, c)) // it does not wear off
			b.same("the store", before, b.all())
		})
	}
}

func afterALostRace(b *bank) {
	b.do(open("a"), open("b"))
	stale := b.decide(move("a", "b", 1), ledger.UpdateAccount{Ref: ref("a"), Metadata: map[string]string{"by": "me"}})
	b.do(move("b", "a", 5), ledger.UpdateAccount{Ref: ref("a"), Metadata: map[string]string{"by": "you"}})
	b.wantConflict(b.Commit(b.ctx, stale))
	b.do(move("a", "b", 1))
	a := b.account("a")
	b.same("what a has", int64(4), a.Balance.Posted)
	b.same("what is said of a", map[string]string{"by": "you"}, a.Metadata)
}

func committedIsTheStores(b *bank) {
	opened := open("a")
	opened.Metadata = map[string]string{"k": "v"}
	t := move("a", "b", 5)
	t.Metadata = map[string]string{"k": "v"}
	c := b.decide(opened, open("b"), t)
	c.Keys = []once.Record{b.record("k")}
	b.must(b.Commit(b.ctx, c))
	before := b.all()
	for _, a := range c.Ledger.Accounts {
		a.Balance.Posted, a.Version = 99, 99
	}
	c.Ledger.Accounts[0].Metadata["k"], c.Ledger.Transfers[0].Metadata["k"] = "changed", "changed"
	c.Ledger.Transfers[0].Status, c.Ledger.Entries[0].After.Posted = ledger.Voided, 99
	c.Ledger.Events[0].Data[0], c.Keys[0].Resource = 'X', "changed"
	b.same("the store", before, b.all())
	rows, err := b.Load(b.ctx, engine.Need{Rows: ledger.Rows{Accounts: []ledger.Ref{ref("a")}}})
	b.must(err)
	b.same("what is loaded", before.Accounts[ref("a")], *rows.Accounts[0])
	b.do(ledger.UpdateAccount{Ref: ref("a"), Metadata: map[string]string{"k": "changed"}}) // nor is the next commit compared with it
	b.same("what was changed", map[string]string{"k": "changed"}, b.account("a").Metadata)
}

// race commits changes that cannot go together, all at once, and says how many
// won. Those that lost must have lost a race.
func (b *bank) race(commits []*engine.Changes) (won int64) {
	b.Helper()
	var wins atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, c := range commits {
		wg.Go(func() {
			<-start
			switch err := b.Commit(context.WithoutCancel(b.ctx), c); {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, engine.ErrConflict):
				b.Errorf("who lost was told %v, want an ErrConflict", err)
			}
		})
	}
	close(start)
	wg.Wait()
	return wins.Load()
}

const racers = 8

// oneWins races changes that are made one after the other, on the same rows.
func oneWins(b *bank, commands ...ledger.Command) {
	var commits []*engine.Changes
	for range racers {
		commits = append(commits, b.decide(commands...))
	}
	b.same("winners", int64(1), b.race(commits))
}

func oneOpens(b *bank) { oneWins(b, open("a")) }

func oneChangesAnAccount(b *bank) {
	b.do(open("a"), open("b"))
	oneWins(b, move("a", "b", 1))
	b.same("what b has", int64(1), b.account("b").Balance.Posted)
}

func oneSettles(b *bank) {
	held := b.do(open("a"), open("b"), b.hold("a", "b", 1, 0)).Ledger.Transfers[0].Ref
	oneWins(b, ledger.PostTransfer{Ref: held})
	b.same("what b has", int64(1), b.account("b").Balance.Posted)
}

func oneAnswers(b *bank) {
	var commits []*engine.Changes
	for i := range racers {
		r := b.record("k")
		r.Resource = fmt.Sprint(i)
		c := b.decide(open(r.Resource))
		c.Keys = []once.Record{r}
		commits = append(commits, c)
	}
	b.same("winners", int64(1), b.race(commits))
	rows, err := b.Load(b.ctx, engine.Need{Keys: []once.Key{key("k")}})
	b.must(err)
	b.same("accounts", []string{rows.Keys[0].Resource}, names(allAccounts(b, engine.Page{})))
}

func strangersAllWin(b *bank) {
	var commits []*engine.Changes
	for i := range racers {
		from, to := fmt.Sprint("from ", i), fmt.Sprint("to ", i)
		c := b.decide(open(from), open(to), move(from, to, 1))
		c.Keys = []once.Record{b.record(from)}
		commits = append(commits, c)
	}
	b.same("winners", int64(racers), b.race(commits))
	b.same("accounts", 2*racers, len(b.all().Accounts))
}

// Two executors would be given different numbers; one that repeats itself is
// broken, and is not believed.
func numbersAreTaken(b *bank) {
	first := b.do(open("a"), open("b"), move("a", "b", 5)).Ledger.Entries[0].Seq
	again := b.decide(open("c"), open("d"), move("c", "d", 5))
	for i := range again.Ledger.Entries {
		again.Ledger.Entries[i].Seq = first + int64(i)
	}
	again.Ledger.Accounts[0].LastEntry, again.Ledger.Accounts[1].LastEntry = first, first+1
	before := b.all()
	if err := b.Commit(b.ctx, again); err == nil {
		b.Fatal("it was written")
	}
	b.same("the store", before, b.all())
}

// As many as an executor commits at most.
func largeCommits(b *bank) {
	b.do(open("a"), open("b"))
	var commands []ledger.Command
	for range 1024 {
		commands = append(commands, move("a", "b", 1))
	}
	c := b.decide(commands...)
	for i := range commands {
		c.Keys = append(c.Keys, b.record(fmt.Sprint(i)))
	}
	b.must(b.Commit(b.ctx, c))
	all := b.all()
	b.same("entries", c.Ledger.Entries, all.Entries)
	b.same("keys", 1024, len(all.Keys))
	b.same("transfers", 1024, len(all.Transfers))
	b.same("what b has", int64(1024), b.account("b").Balance.Posted)
}
