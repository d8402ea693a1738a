package contract

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

var upkeep = []promise{
	{"holds are due as they end, the longest due first", dueHolds},
	{"a hold that was settled is not due any more", settledHoldsAreNotDue},
	{"replays add up", replaysAddUp},
	{"replays of keys that are not there are passed over", strangeReplays},
	{"an answer is dropped when its window is over, and not before", answersAreDropped},
	{"a key is forgotten when its time is over, and not before", keysAreForgotten},
	{"a key whose window is not over is never forgotten", unexpiredKeysStay},
	{"a key whose work is unfinished is never swept", unfinishedKeysStay},
	{"a sweep comes to an end, however many keys there are", sweepsEnd},
	{"a sweep beside commits and loads disturbs none", sweepsDisturbNobody},
}

func dueHolds(b *bank) {
	b.do(open("a"), open("b"))
	now := b.now
	due := map[string]string{}
	for name, d := range map[string]time.Duration{"hour": time.Hour, "minute": time.Minute, "microsecond": time.Microsecond, "never": 0} {
		due[b.do(b.hold("a", "b", 1, d)).Ledger.Transfers[0].ID] = name
	}
	due[b.do(move("a", "b", 1)).Ledger.Transfers[0].ID] = "no hold"
	for _, row := range []struct {
		now   time.Time
		limit int
		want  []string
	}{
		{now, 10, nil},
		{now.Add(time.Microsecond), 10, []string{"microsecond"}},
		{now.Add(time.Minute - time.Microsecond), 10, []string{"microsecond"}},
		{now.Add(time.Minute), 10, []string{"microsecond", "minute"}},
		{now.Add(time.Hour), 10, []string{"microsecond", "minute", "hour"}},
		{now.Add(time.Hour), 2, []string{"microsecond", "minute"}},
		{now.Add(time.Hour), 1, []string{"microsecond"}},
	} {
		refs, err := b.DueHolds(b.ctx, row.now, row.limit)
		b.must(err)
		var got []string
		for _, r := range refs {
			b.same("whose it is", tenant, r.Tenant)
			got = append(got, due[r.ID])
		}
		b.same(fmt.Sprintf("%d that are due at %v", row.limit, row.now.Sub(now)), row.want, got)
	}
}

func settledHoldsAreNotDue(b *bank) {
	b.do(open("a"), open("b"))
	var held []ledger.Ref
	for range 4 {
		held = append(held, b.do(b.hold("a", "b", 1, time.Hour)).Ledger.Transfers[0].Ref)
	}
	b.do(ledger.PostTransfer{Ref: held[0]}, ledger.VoidTransfer{Ref: held[1]})
	b.wait(time.Hour)
	b.do(ledger.ExpireTransfer{Ref: held[2]})
	due, err := b.DueHolds(b.ctx, b.now, 10)
	b.must(err)
	b.same("due", held[3:], due)
}

// known is what is known of a key.
func (b *bank) known(name string) once.Record {
	b.Helper()
	r, err := b.Key(b.ctx, key(name))
	b.must(err)
	return r
}

func replaysAddUp(b *bank) {
	want := b.answer("k")
	b.answer("l")
	b.must(b.CountReplays(b.ctx, map[once.Key]int64{key("k"): 3}))
	b.must(b.CountReplays(b.ctx, map[once.Key]int64{key("k"): 4, key("l"): 1}))
	want.Replays = 7
	rows, err := b.Load(b.ctx, engine.Need{Keys: []once.Key{key("k")}})
	b.must(err)
	b.same("the key", []once.Record{want}, rows.Keys)
	b.same("the other's replays", int64(1), b.known("l").Replays)
}

func strangeReplays(b *bank) {
	b.answer("k")
	b.must(b.CountReplays(b.ctx, nil))
	b.must(b.CountReplays(b.ctx, map[once.Key]int64{key("k"): 1, key("nobody"): 5, {Tenant: "other", ID: "k"}: 5}))
	b.same("replays", int64(1), b.known("k").Replays)
	b.same("a key that was never seen", once.Record{}, b.known("nobody"))
}

// sweep sweeps until there is no more.
func (b *bank) sweep(now, forget time.Time) {
	b.Helper()
	b.must(b.sweepAll(now, forget))
}

func (b *bank) sweepAll(now, forget time.Time) error {
	for range 10_000 {
		if more, err := b.Sweep(b.ctx, now, forget); err != nil || !more {
			return err
		}
	}
	return errors.New("the sweep has no end")
}

// never is before anything was made.
var never = opening.Add(-1000 * 24 * time.Hour)

func answersAreDropped(b *bank) {
	r := b.answer("k")
	b.wait(time.Hour)
	later := b.answer("later")
	b.sweep(r.ExpiresAt.Add(-time.Microsecond), never)
	b.same("the key, just before the end", []once.Record{r}, b.load("k"))
	b.sweep(r.ExpiresAt, never)
	r.State, r.Answer = once.Tombstone, once.Answer{}
	b.same("the key, at the end", []once.Record{r}, b.load("k"))
	b.same("the key, as it is read", r, b.known("k"))
	b.same("the later key", []once.Record{later}, b.load("later"))
	b.wantConflict(b.Commit(b.ctx, b.keys(b.record("k")))) // it stays taken
	b.must(b.CountReplays(b.ctx, map[once.Key]int64{key("k"): 1}))
}

func (b *bank) load(name string) []once.Record {
	b.Helper()
	rows, err := b.Load(b.ctx, engine.Need{Keys: []once.Key{key(name)}})
	b.must(err)
	return rows.Keys
}

func keysAreForgotten(b *bank) {
	r := b.answer("k")
	over := r.ExpiresAt.Add(time.Hour)
	b.sweep(over, r.CreatedAt)
	b.same("made as what is forgotten begins", once.Tombstone, b.known("k").State)
	b.sweep(over, r.CreatedAt.Add(time.Microsecond))
	b.same("made before", once.Record{}, b.known("k"))
	b.same("loaded", 0, len(b.load("k")))
	b.now = over
	again := b.answer("k") // it is free
	b.same("answered anew", []once.Record{again}, b.load("k"))
}

// A sweep that forgets more than it should is a mistake of whoever asks for it;
// what it must not become is a second execution.
func unexpiredKeysStay(b *bank) {
	r := b.answer("k")
	b.sweep(r.ExpiresAt.Add(-time.Microsecond), r.ExpiresAt)
	b.same("the key", []once.Record{r}, b.load("k"))
}

func unfinishedKeysStay(b *bank) {
	var records []once.Record
	for _, s := range []once.State{once.Claimed, once.Released, once.Unknown} {
		r := b.record(s.String())
		r.State, r.Answer = s, once.Answer{}
		if s == once.Claimed {
			r.LeaseUntil = b.now.Add(time.Minute)
		}
		records = append(records, r)
	}
	neighbour := b.record("answered")
	b.must(b.Commit(b.ctx, b.keys(append(records, neighbour)...)))
	b.sweep(b.now.AddDate(10, 0, 0), b.now.AddDate(9, 0, 0))
	b.same("an answered key beside them", 0, len(b.load("answered")))
	for _, r := range records {
		b.same(r.Key.ID, []once.Record{r}, b.load(r.Key.ID))
	}
}

// Of thousands of keys, made over hours, all that are over are dropped and all
// that are too old forgotten; the others are as they were.
func sweepsEnd(b *bank) {
	const keys = 3000
	var all []once.Record
	for i := range keys {
		all = append(all, b.record(fmt.Sprint(i)))
		b.wait(time.Minute)
		if len(all)%250 == 0 {
			b.must(b.Commit(b.ctx, b.keys(all[len(all)-250:]...)))
		}
	}
	forget, over := all[keys/3].CreatedAt, all[2*keys/3].ExpiresAt
	b.sweep(over, forget)
	got := b.all().Keys
	for i, r := range all {
		have, ok := got[r.Key]
		switch {
		case i < keys/3:
			if ok {
				b.Fatalf("key %d is not forgotten", i)
			}
			continue
		case i <= 2*keys/3:
			r.State, r.Answer = once.Tombstone, once.Answer{}
		}
		b.same(r.Key.ID, r, have)
	}
	b.sweep(all[keys-1].ExpiresAt, all[keys-1].CreatedAt.Add(1000*time.Hour))
	b.same("keys in the end", 0, len(b.all().Keys))
}

func sweepsDisturbNobody(b *bank) {
	b.do(open("a"), open("b"))
	for i := range 600 {
		b.answer(fmt.Sprint("old ", i))
	}
	var wg sync.WaitGroup
	over := b.now.Add(24 * time.Hour)
	wg.Go(func() {
		if err := b.sweepAll(over, over); err != nil {
			b.Error(err)
		}
	})
	b.wait(48 * time.Hour)
	var made []ledger.Ref
	for i := range 50 {
		c := b.decide(move("a", "b", 1))
		c.Keys = []once.Record{b.record(fmt.Sprint(i))}
		b.must(b.Commit(b.ctx, c))
		made = append(made, c.Ledger.Transfers[0].Ref)
		b.same("the key", c.Keys, b.load(fmt.Sprint(i)))
	}
	wg.Wait()
	b.sweep(over, over)
	all := b.all()
	b.same("keys", 50, len(all.Keys))
	for _, r := range slices.Backward(made) {
		if _, ok := all.Transfers[r]; !ok {
			b.Fatalf("transfer %s is gone", r.ID)
		}
	}
}
