package sim

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// The promises, in the words of a failure.
const (
	oneAnswer    = "one answer per key"
	oneEffect    = "one effect per key"
	conservation = "conservation"
	durability   = "what was acknowledged stays"
	window       = "the window"
	clock        = "the store's clock never runs backwards"
)

// checker knows what was told to whom, and holds every answer, every commit and
// every crash against it. It looks at the disk and at answers, never into the
// engine.
type checker struct {
	*world
	fates   map[once.Key]*fate
	told    []*fate // those that were answered, in order
	order   []*fate
	fold    map[ledger.Ref]ledger.Balance
	acked   []ledger.Entry
	spans   map[string]*span // of operations
	spanned []*span
	swept   time.Time // keys that were over then are gone, also if a restart sets the clock back
}

// fate is what became of a key.
type fate struct {
	key   once.Key
	sent  []*request // that arrived with it, different ones
	made  int        // transfers and payments that carry it
	begun int        // operations that wait for it
	born  time.Time  // when the store first knew it
	until time.Time  // until when the store keeps its answer

	req     *request // that was executed: nil until its answer is known
	answer  once.Answer
	expires time.Time // also after the key was forgotten
	seen    bool      // a client saw the answer
}

func newChecker(w *world) *checker {
	return &checker{world: w, fates: map[once.Key]*fate{}, fold: map[ledger.Ref]ledger.Balance{}, spans: map[string]*span{}}
}

func (k *checker) fate(key once.Key) *fate {
	f := k.fates[key]
	if f == nil {
		f = &fate{key: key}
		k.fates[key] = f
		k.order = append(k.order, f)
	}
	return f
}

// arrived notes that a request reached a server.
func (k *checker) arrived(r *request) {
	if !r.keyed() {
		return
	}
	f := k.fate(r.key)
	if !slices.ContainsFunc(f.sent, r.same) {
		f.sent = append(f.sent, r)
	}
}

// answered holds an answer against what is known of its key.
func (k *checker) answered(c *call, o *engine.Outcome) {
	if !c.req.keyed() {
		if o.Err != nil {
			k.failed(c, o.Err)
		}
		return
	}
	f, count := k.fate(c.req.key), &k.answers
	switch {
	case errors.Is(o.Err, once.ErrMismatch):
		count.Mismatched++
		k.mismatch(f, c.req)
	case errors.Is(o.Err, once.ErrExpired):
		count.Expired++
		k.expired(f)
	case o.Err != nil:
		count.Failed++
		k.failed(c, o.Err)
	case o.Replayed:
		count.Replayed++
		k.replayed(f, c, o)
	case o.Stored:
		count.Executed++
		k.executed(f, c, o)
	case o.Interim:
		count.Interim++
		k.interim(f, c, o)
	default:
		count.Refused++
		k.refused(f, c, o)
	}
}

func (k *checker) mismatch(f *fate, r *request) {
	if f.req != nil && f.req.same(r) {
		k.fail(oneAnswer, "%s was answered before and is now told that it is another request", r.name())
	}
	if !slices.ContainsFunc(f.sent, func(o *request) bool { return !o.same(r) }) {
		k.fail("tenants do not meet", "%s is told that its key was used for another request, and its tenant never did", r.name())
	}
}

func (k *checker) expired(f *fate) {
	now := k.server.tick()
	if k.swept.After(now) {
		now = k.swept
	}
	switch {
	case !f.expires.IsZero() && !now.Before(f.expires), k.outdated(f.key, now), !f.until.IsZero() && !now.Before(f.until):
	default:
		k.fail(window, "%s %s is refused as expired at %v, and is not over before %v", f.key.Tenant, f.key.ID, now, f.expires)
	}
}

// outdated says whether a key says of itself that it is older than the window.
func (k *checker) outdated(key once.Key, now time.Time) bool {
	made, dated := id.UUIDTime(key.ID)
	return dated && made.Add(k.habits.window).Before(now)
}

// failed holds an answer that says to come again to its word: nothing began. And
// only who would not wait, or waited long enough, or found too many waiting, is
// sent away while another request is at work.
func (k *checker) failed(c *call, err error) {
	switch {
	case errors.Is(err, engine.ErrInProgress):
		if !c.noWait && !c.left && k.habits.maxWaiters >= manyWaiters {
			k.fail("duplicates wait", "%s would have waited and was sent away", c.req.name())
		}
		return
	case !errors.Is(err, engine.ErrOverloaded) && !errors.Is(err, engine.ErrUnavailable):
		k.fail("no defect", "%s was told %q", c.req.name(), err)
	}
	if rec, there := k.disk.kept.keys[c.req.key]; there && !c.known && !rec.CreatedAt.Before(c.came) {
		k.fail("nothing began", "%s was told %q, and is in the store", c.req.name(), err)
	}
}

func (k *checker) refused(f *fate, c *call, o *engine.Outcome) {
	if f.req != nil {
		k.fail(oneAnswer, "%s was answered before and is refused anew: %s", c.req.name(), text(o))
	}
}

// interim holds an answer to its word that there is no final one yet.
func (k *checker) interim(f *fate, c *call, o *engine.Outcome) {
	switch {
	case f.req != nil:
		k.fail(oneAnswer, "%s was answered before, and is now told %s", c.req.name(), text(o))
	case o.Answer.Status != 202:
		k.fail(oneAnswer, "%s is told %s for the time being", c.req.name(), text(o))
	}
}

func (k *checker) executed(f *fate, c *call, o *engine.Outcome) {
	switch {
	case f.req != nil:
		k.fail(oneAnswer, "%s was answered before and is executed again: %s", c.req.name(), text(o))
	case !storable(&o.Answer):
		k.fail("what never began is not stored", "%s has %s under its key", c.req.name(), text(o))
	case o.ExpiresAt.Before(c.came.Add(k.habits.window)) || o.ExpiresAt.After(k.server.tick().Add(k.habits.window)):
		k.fail(window, "%s came at %v and is to be over at %v", c.req.name(), c.came, o.ExpiresAt)
	case k.outdated(f.key, c.came):
		k.fail(window, "%s says of itself that it is too old, and is executed", c.req.name())
	default:
		k.learn(f, c, o)
	}
}

// storable says whether an answer may be kept: nothing may that says that nothing
// began, or that there is no answer yet.
func storable(a *once.Answer) bool {
	return a.Status != 404 && a.Status != 202 && a.Status != 503 &&
		!bytes.Contains(a.Body, []byte(`"code":"invalid"`)) && !bytes.Contains(a.Body, []byte(`"code":"in_progress"`))
}

func (k *checker) replayed(f *fate, c *call, o *engine.Outcome) {
	switch {
	case f.req == nil: // the first answer was lost with its server
		k.learn(f, c, o)
	case !f.req.same(c.req):
		k.fail(oneAnswer, "%s gets the answer to %s", c.req.name(), f.req.name())
	case !sameAnswer(&f.answer, &o.Answer):
		k.fail(oneAnswer, "%s was told %s, and now %s", c.req.name(), f.answer.Body, o.Answer.Body)
	case !c.came.Before(f.expires):
		k.fail(window, "%s is answered at %v, and was over at %v", c.req.name(), c.came, f.expires)
	}
}

func (k *checker) learn(f *fate, c *call, o *engine.Outcome) {
	f.req, f.answer, f.expires = c.req, o.Answer, o.ExpiresAt
	k.told = append(k.told, f)
}

func sameAnswer(a, b *once.Answer) bool {
	return a.Status == b.Status && bytes.Equal(a.Body, b.Body) && slices.Equal(a.Header, b.Header)
}

// seen is told when an answer reaches its client. From now on its effect must
// be there, once.
func (k *checker) seen(c *call, o *engine.Outcome) {
	if !c.req.keyed() || o.Err != nil || !o.Stored && !o.Replayed {
		return
	}
	if f := k.fate(c.req.key); f.req != nil && !f.seen {
		f.seen = true
		k.effect(f)
	}
}

// effect holds the store against an answer that somebody saw.
func (k *checker) effect(f *fate) {
	if least, most := f.makes(); f.made < least || f.made > most {
		k.fail(oneEffect, "%s was told %s, and the store has %d of it", f.req.name(), f.answer.Body, f.made)
	}
	if f.answer.Status < 300 && !k.done(f) {
		k.fail(oneEffect, "%s was told %s, and it is not so in the store", f.req.name(), f.answer.Body)
	}
}

// makes says how many resources the store has of a key, at least and at most,
// given its answer. A payment that was declined may be that of another key: who
// buys what is being bought already gets that answer.
func (f *fate) makes() (least, most int) {
	switch {
	case !f.req.creates():
		return 0, 0
	case f.answer.Status == 201:
		return 1, 1
	case f.answer.Status == 402:
		return 0, 1
	}
	return 0, 0
}

// done says whether the store has what the answer tells of.
func (k *checker) done(f *fate) bool {
	disk, tenant := &k.disk.kept, f.key.Tenant
	made := disk.transfers[ledger.Ref{Tenant: tenant, ID: idOf(f.answer.Body)}]
	about := disk.transfers[ledger.Ref{Tenant: tenant, ID: f.req.target}]
	account := disk.accounts[ledger.Ref{Tenant: tenant, ID: f.req.target}]
	switch want := f.req.want; f.req.kind {
	case buy, capture, cancel, refund:
		return k.paidAsTold(f)
	case open:
		return account != nil
	case shut:
		return account != nil && account.Closed
	case create:
		return made != nil && made.From == want.From && made.To == want.To && made.Amount == want.Amount && made.Reference == f.key.ID
	case post:
		return about != nil && about.Status == ledger.Posted && about.AmountPosted == f.req.posts(about)
	case void:
		return about != nil && about.Status == ledger.Voided
	case reverse:
		return about != nil && made != nil && about.ReversedBy == made.ID && made.Reverses == about.ID
	}
	return true
}

// raced is told of a commit that came too late. A server that is alone and was
// never left in doubt knows what it wrote.
func (k *checker) raced(c *engine.Changes) {
	if !k.disk.doubt {
		k.fail("the last batch is known to the next", "a commit of %v was decided on rows that had changed", c.At)
	}
}

// busy returns a key that is in progress, if there is one.
func (k *checker) busy() *once.Key {
	for _, f := range k.order {
		if k.server.step.InProgress(f.key) {
			return &f.key
		}
	}
	return nil
}

// acknowledged notes that a commit was taken for durable.
func (k *checker) acknowledged(c *engine.Changes) {
	k.acked = append(k.acked, c.Ledger.Entries...)
}

// durable checks a commit that becomes durable, before it is on the disk.
func (k *checker) durable(c *engine.Changes) {
	disk := &k.disk.kept
	if c.At.Before(disk.at) {
		k.fail(clock, "a commit of %v comes after one of %v", c.At, disk.at)
	}
	for i := range c.Ledger.Entries {
		k.entry(&c.Ledger.Entries[i], disk.lastEntry+int64(i))
	}
	for i := 1; i < len(c.Ledger.Entries); i += 2 {
		a, b := c.Ledger.Entries[i-1].Delta, c.Ledger.Entries[i].Delta
		if a.Posted+b.Posted != 0 || a.Outgoing != b.Incoming || a.Incoming != b.Outgoing {
			k.fail(conservation, "entries %+v and %+v do not cancel", c.Ledger.Entries[i-1], c.Ledger.Entries[i])
		}
	}
	for _, a := range c.Ledger.Accounts {
		switch {
		case k.fold[a.Ref] != a.Balance:
			k.fail(conservation, "account %v stands at %+v, its entries add up to %+v", a.Ref, a.Balance, k.fold[a.Ref])
		case !a.Floor.None && a.Balance.Posted-a.Balance.Outgoing < a.Floor.Minor:
			k.fail(conservation, "account %v stands at %+v, below its floor of %d", a.Ref, a.Balance, a.Floor.Minor)
		}
	}
	for _, r := range c.Keys {
		f := k.fate(r.Key)
		if f.born = r.CreatedAt; r.State == once.Done {
			f.until = r.ExpiresAt
		}
		if r.State == once.Done && !storable(&r.Answer) {
			k.fail("what never began is not stored", "%v has %d %s under its key", r.Key, r.Answer.Status, r.Answer.Body)
		}
	}
	for _, t := range c.Ledger.Transfers {
		k.transfer(t)
	}
	k.paid(c)
}

func (k *checker) entry(e *ledger.Entry, after int64) {
	if e.Seq <= after {
		k.fail(durability, "entry %d is written again: %d are there", e.Seq, after)
	}
	b := k.fold[e.Account]
	b = ledger.Balance{Posted: b.Posted + e.Delta.Posted, Outgoing: b.Outgoing + e.Delta.Outgoing, Incoming: b.Incoming + e.Delta.Incoming}
	if k.fold[e.Account] = b; b != e.After {
		k.fail(conservation, "entry %d of %v leaves %+v, all entries add up to %+v", e.Seq, e.Account, e.After, b)
	}
}

// transfer counts the transfers that a key made.
func (k *checker) transfer(t *ledger.Transfer) {
	if t.Version != 1 || t.Reverses != "" || strings.HasPrefix(t.Reference, "pay_") {
		return
	}
	f := k.fate(once.Key{Tenant: t.Tenant, ID: t.Reference})
	if f.made++; f.made > 1 {
		k.fail(oneEffect, "%s %s made %d transfers", t.Tenant, t.Reference, f.made)
	}
}

// kept checks that nothing is gone that somebody was told of.
func (k *checker) kept() {
	disk, at := k.disk.kept.entries, 0
	for _, e := range k.acked {
		for at < len(disk) && disk[at].Seq < e.Seq {
			at++
		}
		if at == len(disk) || disk[at] != e {
			k.fail(durability, "entry %d was acknowledged and is gone, or is another", e.Seq)
			return
		}
	}
	for _, f := range k.told {
		if f.seen {
			k.effect(f)
		}
	}
}

// forget is told of a sweep. It lets go of keys whose tombstones are over:
// nothing is promised of them any more.
func (k *checker) forget(now, before time.Time) {
	if now.After(k.swept) {
		k.swept = now
	}
	for _, f := range k.order {
		if _, there := k.disk.kept.keys[f.key]; !there && !f.born.IsZero() && f.born.Before(before) {
			f.made, f.begun, f.born, f.req, f.seen = 0, 0, time.Time{}, nil, false
		}
	}
	k.told = slices.DeleteFunc(k.told, func(f *fate) bool { return f.req == nil })
}
