package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/once"
)

// TestStore holds a store of keys to every promise of once.Store, and to those of
// once.Lister and once.Sweeper if it is one. open makes an empty store, and cleans
// up with the test.
func TestStore(t *testing.T, open func(testing.TB) once.Store) {
	for _, p := range storePromises {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.keep(&drawer{TB: t, ctx: t.Context(), Store: open(t)})
		})
	}
}

// storePromises are what a store of keys promises.
var storePromises = []struct {
	name string
	keep func(*drawer)
}{
	{"a key that was never written is absent", neverWrittenIsAbsent},
	{"what was written is all there", everyFieldIsKept},
	{"every change is kept", changesAreReplaced},
	{"a write at another version loses, and shows what is there", versionsFence},
	{"a record can be 1 MiB", largeIsKept},
	{"keys and tenants never meet", keysAreApart},
	{"what the caller changes later is not the store's", callersOwnWhatTheyHave},
	{"of many claims of one key, one wins", oneClaimWins},
	{"of many writes at one version, one wins", oneWriteWins},
	{"nothing that was read is ever older", readsGrow},
	{"the store's time does not run backwards", timeGrows},
	{"a context that has ended writes nothing unseen", endedContext},
	{"what is unfinished is listed, page by page", unfinishedIsListed},
	{"a list goes on at no place that somebody has made up", cursorsAreChecked},
	{"what is over is swept, and what is unfinished stays", overIsSwept},
	{"an engine runs once for each key on it", enginesRunOnce},
	{"engines that lose answers run once for each key on it", enginesSurviveLosses},
}

// drawer is a store of keys under test.
type drawer struct {
	testing.TB
	once.Store
	ctx context.Context
}

func (d *drawer) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// put writes a record that must win.
func (d *drawer) put(r once.Record) {
	d.Helper()
	seen, err := d.Swap(d.ctx, r)
	d.must(err)
	if !seen.Won {
		d.Fatalf("version %d of %v lost to %+v", r.Version, r.Key, seen.Record)
	}
	d.same("what won", r, seen.Record)
}

// want holds that a key is read as it should be.
func (d *drawer) want(r once.Record) {
	d.Helper()
	seen, err := d.Load(d.ctx, r.Key)
	d.must(err)
	d.same("loaded", r, seen.Record)
}

func (d *drawer) same(what string, want, got once.Record) {
	d.Helper()
	// No body and an empty one are the same answer.
	if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
		d.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// now is in microseconds: stores keep no more.
func (d *drawer) now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func keyNamed(id string) once.Key { return once.Key{Tenant: "acme", ID: id} }

// claimed is a first claim of a key.
func (d *drawer) claimed(id string) once.Record {
	now := d.now()
	return once.Record{
		Key: keyNamed(id), State: once.Claimed, Fingerprint: once.Fingerprint{Scheme: once.SchemeV1, Sum: [32]byte{1, 2, 3}},
		Operation: "charge", Attempt: 1, Owner: "me.1", LeaseUntil: now.Add(30 * time.Second), CreatedAt: now,
		ExpiresAt: now.Add(24 * time.Hour), ForgetAt: now.Add(400 * 24 * time.Hour), Version: 1,
	}
}

// answered is a claim that has its answer.
func (d *drawer) answered(claim once.Record, body string) once.Record {
	done, err := claim.Complete(claim.Attempt, "", once.Answer{Status: 201, Body: []byte(body)})
	d.must(err)
	done.Version++
	return done
}

func neverWrittenIsAbsent(d *drawer) {
	d.want(once.Record{Key: keyNamed("k")})
	seen, err := d.Swap(d.ctx, func() once.Record { r := d.claimed("k"); r.Version = 2; return r }())
	d.must(err)
	if seen.Won {
		d.Fatal("a second version is written where there is no first")
	}
	d.same("what it lost to", once.Record{Key: keyNamed("k")}, seen.Record)
	d.want(once.Record{Key: keyNamed("k")})
}

// extremes are records with everything in its extremes.
func (d *drawer) extremes() (all []once.Record) {
	add := func(change func(*once.Record)) {
		r := d.claimed(fmt.Sprint("extreme-", len(all)))
		change(&r)
		all = append(all, r)
	}
	answered := func(change func(*once.Answer)) {
		add(func(r *once.Record) {
			r.State, r.LeaseUntil, r.Answer = once.Done, time.Time{}, once.Answer{Status: 200}
			change(&r.Answer)
		})
	}
	for _, id := range []string{"!", "~", strings.Repeat("~", 255), `"quoted"`, "%s", "{hash}tag", "a:b:c", "*", "KEY", "0"} {
		add(func(r *once.Record) { r.Key.ID = id })
	}
	for _, tenant := range []string{"", "a", "A", "tenant with spaces", "a:b", "{x}", "ünï✓", strings.Repeat("t", 255)} {
		add(func(r *once.Record) { r.Key.Tenant = tenant })
	}
	for _, body := range [][]byte{nil, {0}, []byte("{}"), {0, 1, 254, 255, '\r', '\n'}, []byte("ünï✓ ' \" \\"), bytes.Repeat([]byte{0, 255}, 5_000)} {
		answered(func(a *once.Answer) { a.Body = body })
	}
	for _, header := range [][]once.Field{
		{{Name: "Set-Cookie", Value: "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"}, {Name: "Set-Cookie", Value: "b=2"}},
		{{Name: "B", Value: "second"}, {Name: "A", Value: "first"}, {Name: "B", Value: "again"}}, {{Name: "Empty", Value: ""}},
		{{Name: "Latin-1", Value: "caf\xe9"}, {Name: "Bytes", Value: "\x01\xff"}}, // a header's value need not be UTF-8 (RFC 9110, section 5.5)
	} {
		answered(func(a *once.Answer) { a.Header = header })
	}
	answered(func(a *once.Answer) { a.Status, a.Dropped, a.Seal = 599, true, "2026" })
	for _, state := range []once.State{once.Released, once.Unknown, once.Tombstone} {
		add(func(r *once.Record) { r.State, r.LeaseUntil = state, time.Time{} })
	}
	add(func(r *once.Record) { r.Attempt, r.Replays = math.MaxInt64, math.MaxInt64 })
	add(func(r *once.Record) { r.Fingerprint = once.Fingerprint{Scheme: 255} })
	add(func(r *once.Record) {
		r.Operation, r.Resource, r.Owner, r.Note = "POST /ü✓", "or_1", "öwner", "why\nnot"
	})
	add(func(r *once.Record) { r.Progress = bytes.Repeat([]byte{0, 1, '"'}, 1_000) })
	add(func(r *once.Record) { r.ForgetAt = time.Time{} })
	add(func(r *once.Record) { r.CreatedAt = time.Date(1999, 12, 31, 23, 59, 59, 999_999_000, time.UTC) })
	return all
}

func everyFieldIsKept(d *drawer) {
	all := d.extremes()
	for _, r := range all {
		d.put(r)
	}
	for _, r := range all {
		d.want(r)
	}
}

func changesAreReplaced(d *drawer) {
	r := d.claimed("changing")
	d.put(r)
	for _, next := range slices.Concat(d.extremes(), d.extremes()) {
		next.Key, next.Version = r.Key, r.Version+1
		r = next
		d.put(r)
		d.want(r)
	}
}

func versionsFence(d *drawer) {
	claim := d.claimed("k")
	d.put(claim)
	done := d.answered(claim, "mine")
	loses := func(now once.Record, versions ...int64) {
		d.Helper()
		for _, v := range versions {
			r := d.answered(claim, "another's")
			r.Version, r.Owner = v, "another"
			seen, err := d.Swap(d.ctx, r)
			d.must(err)
			if seen.Won {
				d.Fatalf("version %d is written over version %d", v, now.Version)
			}
			d.same(fmt.Sprint("what version ", v, " lost to"), now, seen.Record)
			d.want(now)
		}
	}
	loses(claim, 1, 3, math.MaxInt64)
	d.put(done)
	loses(done, 1, 2, 4)
}

func largeIsKept(d *drawer) {
	r := d.answered(d.claimed("large"), strings.Repeat("x", 1<<20))
	r.Version = 1
	d.put(r)
	d.want(r)
}

func keysAreApart(d *drawer) {
	var all []once.Record
	for i, k := range []once.Key{
		{Tenant: "a", ID: "bc"}, {Tenant: "ab", ID: "c"}, {Tenant: "", ID: "abc"}, {Tenant: "a:b", ID: "c"}, {Tenant: "a", ID: "b:c"},
		{Tenant: "A", ID: "bc"}, {Tenant: "a", ID: "BC"}, {Tenant: "a/b", ID: "c"}, {Tenant: "a", ID: "b/c"}, {Tenant: "a\x00b", ID: "c"},
	} {
		r := d.claimed("")
		r.Key, r.Operation = k, fmt.Sprint("operation ", i)
		d.put(r)
		all = append(all, r)
	}
	for _, r := range all {
		d.want(r)
	}
}

func callersOwnWhatTheyHave(d *drawer) {
	r := d.answered(d.claimed("k"), "mine")
	r.Version, r.Progress = 1, []byte("progress")
	r.Answer.Header = []once.Field{{Name: "A", Value: "1"}}
	kept := r
	kept.Answer.Body, kept.Progress, kept.Answer.Header = bytes.Clone(r.Answer.Body), bytes.Clone(r.Progress), slices.Clone(r.Answer.Header)
	d.put(r)
	r.Answer.Body[0], r.Progress[0], r.Answer.Header[0].Value = 'X', 'X', "X"
	d.want(kept)
}

const writers = 32

// race has many write at once, and returns how many won.
func (d *drawer) race(record func(i int) once.Record) int64 {
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			r := record(i)
			seen, err := d.Swap(d.ctx, r)
			switch {
			case err != nil:
				d.Error(err)
			case seen.Won:
				won.Add(1)
			case seen.Record.Version < r.Version:
				d.Errorf("version %d lost to version %d", r.Version, seen.Record.Version)
			}
		})
	}
	wg.Wait()
	return won.Load()
}

func oneClaimWins(d *drawer) {
	for round := range 20 {
		claim := d.claimed(fmt.Sprint("k", round))
		if won := d.race(func(i int) once.Record { r := claim; r.Owner = fmt.Sprint("owner ", i); return r }); won != 1 {
			d.Fatalf("%d claims won", won)
		}
	}
}

func oneWriteWins(d *drawer) {
	claim := d.claimed("k")
	d.put(claim)
	for version := int64(2); version < 20; version++ {
		if won := d.race(func(i int) once.Record {
			r := d.answered(claim, fmt.Sprint("by ", i))
			r.Version = version
			return r
		}); won != 1 {
			d.Fatalf("%d writes of version %d won", won, version)
		}
	}
}

func readsGrow(d *drawer) {
	r := d.claimed("k")
	d.put(r)
	var written atomic.Int64
	written.Store(1)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				least := written.Load()
				seen, err := d.Load(d.ctx, r.Key)
				if err != nil || seen.Record.Version < least {
					d.Errorf("version %d is read after version %d was written: %v", seen.Record.Version, least, err)
					return
				}
			}
		})
	}
	for range 200 {
		r.Version++
		d.put(r)
		written.Store(r.Version)
	}
	close(done)
	wg.Wait()
}

func timeGrows(d *drawer) {
	before := time.Now().Add(-time.Minute)
	last := time.Time{}
	see := func(seen once.Seen, err error) {
		d.Helper()
		d.must(err)
		if seen.At.Before(last) {
			d.Fatalf("it is %v after %v", seen.At, last)
		}
		last = seen.At
	}
	for i := range 50 {
		see(d.Load(d.ctx, keyNamed("k")))
		see(d.Swap(d.ctx, d.claimed(fmt.Sprint(i))))
		see(d.Swap(d.ctx, d.claimed(fmt.Sprint(i)))) // which loses
	}
	if last.Before(before) || last.After(time.Now().Add(time.Minute)) {
		d.Errorf("it is %v; on this machine it is %v", last, time.Now())
	}
}

// A write whose context has ended fails or is made; either way what is read later is
// one or the other as a whole.
func endedContext(d *drawer) {
	ctx, cancel := context.WithCancel(d.ctx)
	cancel()
	r := d.claimed("k")
	seen, err := d.Swap(ctx, r)
	if err == nil && !seen.Won {
		d.Fatalf("it lost to nothing: %+v", seen.Record)
	}
	got, err := d.Load(d.ctx, r.Key)
	d.must(err)
	if got.Record.State != once.Absent {
		d.same("written after all", r, got.Record)
	}
}

func unfinishedIsListed(d *drawer) {
	lister, lists := d.Store.(once.Lister)
	if !lists {
		return
	}
	want := map[once.Key]once.State{}
	for i := range 25 {
		r := d.claimed(fmt.Sprint("k", i))
		r.Key.Tenant = fmt.Sprint("tenant", i%3)
		switch i % 5 {
		case 0:
			r.State, r.LeaseUntil, r.Note = once.Unknown, time.Time{}, "nobody knows"
			want[r.Key] = once.Unknown
		case 1, 2:
			want[r.Key] = once.Claimed
		case 3:
			r.State, r.LeaseUntil = once.Done, time.Time{}
		case 4:
			r.State, r.LeaseUntil = once.Released, time.Time{}
		}
		d.put(r)
	}
	settled := d.claimed("settled")
	d.put(settled)
	d.put(d.answered(settled, "it is finished"))
	got := map[once.Key]once.State{}
	for after, pages := "", 0; ; pages++ {
		found, next, err := lister.Unfinished(d.ctx, after, 4)
		d.must(err)
		if len(found) > 4 || pages > 1_000 {
			d.Fatalf("page %d has %d records", pages, len(found))
		}
		for _, r := range found {
			if got[r.Key] != once.Absent {
				d.Errorf("%v is listed twice", r.Key)
			}
			got[r.Key] = r.State
			if r.State == once.Unknown && r.Note != "nobody knows" {
				d.Errorf("%v is listed without its note", r.Key)
			}
		}
		if after = next; after == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.Errorf("listed (-want +got):\n%s", diff)
	}
}

// Cursors come back from those who operate the store, and perhaps from its past: a list
// may go on anywhere, or say that it does not, and shows nothing else than it would.
func cursorsAreChecked(d *drawer) {
	lister, lists := d.Store.(once.Lister)
	if !lists {
		return
	}
	open, done := d.claimed("open"), d.claimed("done")
	for _, r := range []once.Record{open, done, d.answered(done, "it is finished")} {
		d.put(r)
	}
	for _, after := range []string{
		"x", "\x00", "\xff", "'; DROP TABLE once_keys; --", "%s%n", "*", "\r\nFLUSHALL\r\n", "-1", "1.0.0", "0.0.18446744073709551615",
		"0.99999999999.0", "e30", "W10", "WyIiLCIiXQ", "WyJhIiwiYiIsImMiXQ", "bnVsbA", "dQ", "dv8", "//", strings.Repeat("A", 1<<16), strings.Repeat("0.", 1<<14) + "0",
	} {
		found, _, err := lister.Unfinished(d.ctx, after, 10)
		if err != nil && !errors.Is(err, once.ErrCursor) {
			d.Errorf("after %.40q: %v, which is no once.ErrCursor", after, err)
		}
		for _, r := range found {
			if r.Key != open.Key {
				d.Errorf("after %.40q, %v is listed", after, r.Key)
			}
		}
	}
	d.want(open)
}

func overIsSwept(d *drawer) {
	sweeper, sweeps := d.Store.(once.Sweeper)
	if !sweeps {
		return
	}
	sweep := func(now time.Time) {
		d.Helper()
		for pieces := 0; ; pieces++ {
			more, err := sweeper.Sweep(d.ctx, now)
			d.must(err)
			if !more {
				return
			}
			if pieces > 100_000 {
				d.Fatal("it never ends")
			}
		}
	}
	claim := d.claimed("at work")
	unknown := d.claimed("unknown")
	unknown.State, unknown.LeaseUntil = once.Unknown, time.Time{}
	done := d.answered(d.claimed("done"), "answer")
	done.Version = 1
	late := d.answered(d.claimed("late"), "late answer")
	late.Version, late.ExpiresAt = 1, late.ForgetAt.Add(time.Hour) // it took so long
	for _, r := range []once.Record{claim, unknown, done, late} {
		d.put(r)
	}
	sweep(done.ExpiresAt.Add(-time.Second))
	d.want(done)
	sweep(done.ExpiresAt.Add(48 * time.Hour))
	seen, err := d.Load(d.ctx, done.Key)
	d.must(err)
	if r := seen.Record; !r.Expired(done.ExpiresAt) || r.Fingerprint != done.Fingerprint || len(r.Answer.Body) > 0 {
		d.Errorf("after its window it is %+v", r)
	}
	d.want(late)
	sweep(done.ForgetAt.Add(-time.Second))
	if seen, err := d.Load(d.ctx, done.Key); err != nil || seen.Record.State == once.Absent {
		d.Errorf("its tombstone is gone before its time: %+v %v", seen.Record, err)
	}
	sweep(done.ForgetAt.Add(100 * 24 * time.Hour))
	d.want(once.Record{Key: done.Key})
	for _, r := range []once.Record{claim, unknown} {
		d.want(r)
	}
	d.want(once.Record{Key: late.Key})
	d.put(d.answered(claim, "in the end"))
	d.put(d.claimed("done")) // it is as if it had never been
}

// engines runs operations on several engines that share the store, and counts them.
func (d *drawer) engines(store func() once.Store, keys, callers int) {
	runs := make([]atomic.Int64, keys)
	var wg sync.WaitGroup
	for range 3 {
		eng, err := once.New(store(), once.Config{
			Scope: once.SingleTenant, Secret: []byte("0123456789abcdef"), Wait: time.Minute,
		})
		d.must(err)
		op := once.Operation[string]{Engine: eng, Name: "count", Vanished: once.Park}
		for i := range keys * callers {
			wg.Go(func() {
				n, err := i%keys, error(nil)
				for range 20 {
					var got string
					got, err = op.Do(d.ctx, fmt.Sprint("k", n), n, func(context.Context, *once.Attempt) (string, error) {
						runs[n].Add(1)
						return fmt.Sprint("result ", n), nil
					})
					if err == nil {
						if got != fmt.Sprint("result ", n) {
							d.Errorf("key %d gets %q", n, got)
						}
						return
					}
				}
				d.Errorf("key %d has no answer: %v", n, err)
			})
		}
	}
	wg.Wait()
	for n := range runs {
		if got := runs[n].Load(); got != 1 {
			d.Errorf("key %d ran %d times", n, got)
		}
	}
}

func enginesRunOnce(d *drawer) { d.engines(func() once.Store { return d.Store }, 20, 5) }

func enginesSurviveLosses(d *drawer) {
	d.engines(func() once.Store { return &losing{Store: d.Store} }, 20, 3)
}

// losing is a store whose answer is lost now and then, after it was written.
type losing struct {
	once.Store
	n atomic.Int64
}

var errAnswerLost = fmt.Errorf("the store's answer was lost")

func (l *losing) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	seen, err := l.Store.Swap(ctx, next)
	if l.n.Add(1)%5 == 0 {
		return once.Seen{}, errAnswerLost
	}
	return seen, err
}
