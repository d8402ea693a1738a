package contract

import (
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
)

var keys = []promise{
	{"a key is claimed, and answered later", keysAreAnsweredLater},
	{"a released key is claimed again", releasedKeysAreClaimed},
	{"every change of a key is kept", keyChangesAreKept},
	{"a key is fenced by its version, whatever its attempt", keysAreFenced},
	{"of many commits that claim one key, one wins", oneClaims},
	{"of many commits that answer one claim, one wins", oneCompletes},
	{"a key that was answered late is kept for its whole window", lateAnswersAreKept},
	{"a key that was claimed long ago is dropped once it is answered and over", lateAnswersAreDropped},
}

// claim is the record of a key whose work leaves the house.
func (b *bank) claim(name string) once.Record {
	r := b.record(name)
	r.State, r.Operation, r.Resource, r.Answer = once.Claimed, "POST /v1/payments", "pay_"+name, once.Answer{}
	r.LeaseUntil = b.now.Add(30 * time.Second)
	return r
}

// done is a claim with its answer.
func (b *bank) done(claim once.Record) once.Record {
	b.Helper()
	r, err := claim.Complete(claim.Attempt, claim.Resource, b.record(claim.Key.ID).Answer)
	b.must(err)
	r.Version++
	return r
}

// wantKey holds that a key is loaded, and read, as it should be.
func (b *bank) wantKey(want once.Record) {
	b.Helper()
	b.same("loaded "+want.Key.ID, []once.Record{want}, b.load(want.Key.ID))
	want.Answer = once.Answer{Status: want.Answer.Status}
	b.same("read "+want.Key.ID, want, b.known(want.Key.ID))
}

func keysAreAnsweredLater(b *bank) {
	claim := b.claim("k")
	b.must(b.Commit(b.ctx, b.keys(claim)))
	b.wantKey(claim)
	b.wait(time.Hour)
	done := b.done(claim)
	b.must(b.Commit(b.ctx, b.keys(done)))
	b.wantKey(done)
	b.same("keys", 1, len(b.all().Keys))
}

func releasedKeysAreClaimed(b *bank) {
	claim := b.claim("k")
	b.must(b.Commit(b.ctx, b.keys(claim)))
	released, err := claim.Release(1)
	b.must(err)
	released.Version = 2
	b.must(b.Commit(b.ctx, b.keys(released)))
	b.wantKey(released)
	b.wait(time.Hour)
	again := b.claim("k")
	again.Attempt, again.Version = 2, 3
	b.must(b.Commit(b.ctx, b.keys(again)))
	b.wantKey(again)
	done := b.done(again)
	b.must(b.Commit(b.ctx, b.keys(done)))
	b.wantKey(done)
}

// Each extreme record becomes the next one, so that every column changes.
func keyChangesAreKept(b *bank) {
	r := b.record("changing")
	b.must(b.Commit(b.ctx, b.keys(r)))
	for range 2 {
		for _, next := range b.extremeRecords() {
			next.Key, next.Version = r.Key, r.Version+1
			r = next
			b.must(b.Commit(b.ctx, b.keys(r)))
			b.wantKey(r)
		}
	}
	b.same("keys", 1, len(b.all().Keys))
}

func keysAreFenced(b *bank) {
	claim := b.claim("k")
	b.must(b.Commit(b.ctx, b.keys(claim)))
	done := b.done(claim)
	refused := func(version, attempt int64) {
		b.Helper()
		r := done
		r.Version, r.Attempt = version, attempt
		before := b.all()
		b.wantConflict(b.Commit(b.ctx, b.keys(b.claim("other"), r)))
		b.same("the store", before, b.all())
	}
	refused(1, 1)
	refused(1, 2)
	refused(3, 1)
	refused(3, 2)
	b.must(b.Commit(b.ctx, b.keys(done)))
	refused(1, 1)
	refused(2, 1)
	refused(2, 2)
	refused(4, 1)
	never := b.claim("never")
	never.Version = 2
	b.wantConflict(b.Commit(b.ctx, b.keys(never)))
	b.same("a key that was never there", 0, len(b.load("never")))
}

func oneClaims(b *bank) {
	var commits []*engine.Changes
	for i := range racers {
		c := b.decide(open(fmt.Sprint(i)))
		claim := b.claim("k")
		claim.Resource = fmt.Sprint(i)
		c.Keys = append(c.Keys, claim)
		commits = append(commits, c)
	}
	b.same("winners", int64(1), b.race(commits))
	b.same("accounts", []string{b.known("k").Resource}, names(allAccounts(b, engine.Page{})))
}

func oneCompletes(b *bank) {
	claim := b.claim("k")
	b.must(b.Commit(b.ctx, b.keys(claim)))
	var commits []*engine.Changes
	for i := range racers {
		c := b.decide(open(fmt.Sprint(i)))
		done := b.done(claim)
		done.Resource = fmt.Sprint(i)
		c.Keys = append(c.Keys, done)
		commits = append(commits, c)
	}
	b.same("winners", int64(1), b.race(commits))
	b.same("accounts", []string{b.known("k").Resource}, names(allAccounts(b, engine.Page{})))
}

// late is a key that was claimed, and answered when its first window was long
// over: it has a whole one from then on.
func (b *bank) late() once.Record {
	b.Helper()
	claim := b.claim("late")
	b.must(b.Commit(b.ctx, b.keys(claim)))
	b.wait(72 * time.Hour)
	b.sweep(b.now, claim.CreatedAt.Add(time.Hour))
	done := b.done(claim)
	done.ExpiresAt = b.now.Add(24 * time.Hour)
	b.must(b.Commit(b.ctx, b.keys(done)))
	return done
}

func lateAnswersAreKept(b *bank) {
	done := b.late()
	b.sweep(done.ExpiresAt.Add(-time.Microsecond), done.CreatedAt.Add(time.Hour))
	b.wantKey(done)
}

func lateAnswersAreDropped(b *bank) {
	done := b.late()
	b.sweep(done.ExpiresAt, done.CreatedAt)
	done.State, done.Answer = once.Tombstone, once.Answer{}
	b.wantKey(done)
	b.sweep(done.ExpiresAt, done.CreatedAt.Add(time.Microsecond))
	b.same("the key, when it is forgotten", 0, len(b.load("late")))
}
