//go:build integration

package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/redis"
)

// A claim is one round trip, and so is its end; and no script is run where none is
// needed, since that takes the server twice as long. What is sent is counted between the
// store and the server.
func TestRoundTrips(t *testing.T) {
	server := startServer(t)
	p := startProxy(t, server.addr, 0)
	s := open(t, []string{p.addr})
	claim := claimed("order-42")
	done := answered(t, claim, "answer")
	late := answered(t, claim, "late")
	whole := answered(t, claimed("whole"), "answer")
	whole.Version, whole.ForgetAt = 1, whole.ExpiresAt
	swap := func(r once.Record) func() (once.Seen, error) {
		return func() (once.Seen, error) { return s.Swap(t.Context(), r) }
	}
	read := func(k once.Key) func() (once.Seen, error) {
		return func() (once.Seen, error) { return s.Load(t.Context(), k) }
	}
	for i := range 100 { // until all connections are there
		load(t, s, once.Key{ID: fmt.Sprint(i)})
	}
	for _, row := range []struct {
		what    string
		do      func() (once.Seen, error)
		trips   int64
		scripts int
		won     bool
	}{
		{"a claim", swap(claim), 1, 0, true},
		{"a claim that loses to one at work", swap(claim), 1, 0, false},
		{"a look at what is at work", read(claim.Key), 1, 0, false},
		{"the end", swap(done), 1, 1, true},
		{"an end that comes too late", swap(late), 2, 1, false},
		{"giving the answer again", swap(claim), 2, 0, false},
		{"a look at an absent key", read(once.Key{ID: "absent"}), 1, 0, false},
		{"an answer that nothing outlives", swap(whole), 1, 1, true},
		{"giving that again", swap(claimed("whole")), 1, 0, false},
	} {
		before, scripts := p.sends.Load(), server.calls(t, "evalsha")
		seen, err := row.do()
		if err != nil || seen.Won != row.won {
			t.Fatalf("%s: %+v %v", row.what, seen, err)
		}
		trips, scripts := p.sends.Load()-before, server.calls(t, "evalsha")-scripts
		if trips != row.trips || scripts != row.scripts {
			t.Errorf("%s took %d round trips and %d scripts, want %d and %d", row.what, trips, scripts, row.trips, row.scripts)
		}
	}
}

// The time is the server's, and asking for it is no command of its own for each key.
func TestTheTimeIsTheServers(t *testing.T) {
	server := startServer(t)
	s := open(t, []string{server.addr})
	told := func() time.Time {
		parts, err := server.Do(t.Context(), server.B().Time().Build()).AsIntSlice()
		if err != nil {
			t.Fatal(err)
		}
		return time.Unix(parts[0], parts[1]*1_000)
	}
	const drift = time.Millisecond // between two clocks of one machine, in a tenth of a second
	began, asked := time.Now(), 0
	for time.Since(began) < time.Second {
		before := told()
		seen, err := s.Load(t.Context(), once.Key{ID: "order-42"})
		after := told()
		if err != nil || seen.At.After(after.Add(drift)) || seen.At.Before(before.Add(-time.Second)) {
			t.Fatalf("it is %v, and the server says %v and then %v: %v", seen.At, before, after, err)
		}
		asked += 2
	}
	asked = server.calls(t, "time") - asked
	if most := int(time.Since(began)/(100*time.Millisecond)) + 2; asked < 3 || asked > most {
		t.Errorf("the store asked %d times in %v, want at most %d", asked, time.Since(began), most)
	}
}

// Scripts are dropped again and again while many use them: nothing is lost, and nothing
// is told to anybody.
func TestScriptFlush(t *testing.T) {
	s := startServer(t)
	n := newTill(t, open(t, []string{s.addr}), once.Park)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				s.try(t.Context(), "SCRIPT", "FLUSH")
			}
		}
	}()
	const keys, callers = 2_000, 3
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range keys {
				if _, err := n.charge(t.Context(), fmt.Sprint("order-", (i+c)%keys)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	<-stopped
	if n.runs.Load() != keys || n.times(once.HasFailed) != 0 {
		t.Errorf("%d keys ran %d times, and the store failed %d times", keys, n.runs.Load(), n.times(once.HasFailed))
	}
	if whole := s.calls(t, "eval"); whole == 0 {
		t.Error("no script was ever missing: this proves nothing")
	}
}

// What is over goes by itself, each when its time has come, and what is unfinished stays.
func TestWhatExpires(t *testing.T) {
	server := startServer(t)
	s := open(t, []string{server.addr})
	record := func(change func(*once.Record)) once.Record {
		r := claimed("order-42")
		change(&r)
		return r
	}
	const day = 24 * time.Hour
	for what, row := range map[string]struct {
		r              once.Record
		record, answer time.Duration // until they expire; 0: never; negative: there is none
	}{
		"at work":                               {record(func(r *once.Record) {}), 0, -1},
		"in doubt":                              {record(func(r *once.Record) { r.State = once.Unknown }), 0, -1},
		"done":                                  {record(func(r *once.Record) { r.State = once.Done }), 400 * day, day},
		"done, and nothing is known for longer": {record(func(r *once.Record) { r.State, r.ForgetAt = once.Done, r.ExpiresAt }), day, -1},
		"done late":                             {record(func(r *once.Record) { r.State, r.ForgetAt = once.Done, r.ExpiresAt.Add(-time.Hour) }), day, -1},
		"done, and never forgotten":             {record(func(r *once.Record) { r.State, r.ForgetAt = once.Done, time.Time{} }), 0, day},
		"released":                              {record(func(r *once.Record) { r.State = once.Released }), 400 * day, -1},
		"a tombstone":                           {record(func(r *once.Record) { r.State = once.Tombstone }), 400 * day, -1},
	} {
		t.Run(what, func(t *testing.T) {
			server.do(t, "FLUSHALL")
			put(t, s, row.r)
			for name, want := range map[string]time.Duration{s.Name(row.r.Key): row.record, s.Name(row.r.Key) + "a": row.answer} {
				var ms int64
				fmt.Sscan(server.do(t, "PTTL", name), &ms)
				got := time.Duration(ms) * time.Millisecond
				switch {
				case want > 0 && (got > want+time.Millisecond || got < want-time.Minute), want == 0 && ms != -1, want < 0 && ms != -2:
					t.Errorf("%s expires after %v (%d), want %v", name, got, ms, want)
				}
			}
		})
	}
	t.Run("what is claimed again does not expire any more", func(t *testing.T) {
		server.do(t, "FLUSHALL")
		released := record(func(r *once.Record) { r.State = once.Released })
		put(t, s, released)
		again := claimed("order-42")
		again.Version, again.Attempt = 2, 2
		put(t, s, again)
		if ttl := server.do(t, "PTTL", s.Name(again.Key)); ttl != "-1" {
			t.Errorf("it expires after %s ms", ttl)
		}
	})
}

// After its window a key is refused, without its answer; after its tombstone it is as if
// it had never been.
func TestTheWindow(t *testing.T) {
	s := open(t, []string{startServer(t).addr})
	claim := claimed("order-42")
	claim.ExpiresAt = claim.CreatedAt.Add(300 * time.Millisecond)
	claim.ForgetAt = claim.CreatedAt.Add(900 * time.Millisecond)
	put(t, s, claim)
	done := answered(t, claim, "answer")
	put(t, s, done)
	if diff := cmp.Diff(done, load(t, s, claim.Key)); diff != "" {
		t.Errorf("within its window (-want +got):\n%s", diff)
	}
	eventually(t, "its answer goes", func() bool { return load(t, s, claim.Key).State != once.Done })
	seen, err := s.Swap(t.Context(), claim)
	if err != nil || seen.Won {
		t.Fatalf("a claim after the window: %+v %v", seen, err)
	}
	want := done
	want.State, want.Answer, want.Owner = once.Tombstone, once.Answer{}, ""
	if diff := cmp.Diff(want, seen.Record); diff != "" {
		t.Errorf("after its window (-want +got):\n%s", diff)
	}
	if seen.At.Before(done.ExpiresAt) {
		t.Errorf("the answer was gone at %v, and its window ends at %v", seen.At, done.ExpiresAt)
	}
	v := once.Decide(seen.Record, once.Request{Key: claim.Key, Fingerprint: claim.Fingerprint}, seen.At, once.Rules{})
	if v.Action != once.Refuse || !errors.Is(v.Err, once.ErrExpired) {
		t.Errorf("a retry is told to %v: %v", v.Action, v.Err)
	}
	eventually(t, "its tombstone goes", func() bool { return load(t, s, claim.Key).State == once.Absent })
	put(t, s, claim)
}

// What a key was in an earlier life is no answer of what it is now.
func TestAnAnswerOfEarlierTimes(t *testing.T) {
	server := startServer(t)
	s := open(t, []string{server.addr})
	claim := claimed("order-42")
	put(t, s, claim)
	put(t, s, answered(t, claim, "of earlier times"))
	server.do(t, "DEL", s.Name(claim.Key)) // as an eviction would
	if got := load(t, s, claim.Key); got.State != once.Absent {
		t.Errorf("an answer without its record is %+v", got)
	}
	again := claim
	again.Owner = "another.1"
	put(t, s, again)
	buried := again
	buried.State, buried.Version = once.Tombstone, 2
	released := again
	released.State, released.Version = once.Released, 2
	put(t, s, released)
	if diff := cmp.Diff(released, load(t, s, claim.Key)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	buried.Version = 3
	put(t, s, buried)
	if diff := cmp.Diff(buried, load(t, s, claim.Key)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Something that is not ours under the name of a key is an error, and stays as it is.
func TestForeignValues(t *testing.T) {
	server := startServer(t)
	var log bytes.Buffer
	s := open(t, []string{server.addr}, func(c *redis.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	name := s.Name(claimed("order-42").Key)
	put(t, s, claimed("another"))
	ours := server.do(t, "GET", s.Name(claimed("another").Key))
	for what, words := range map[string][]string{
		"a hash":                           {"HSET", name, "field", "value"},
		"an empty string":                  {"SET", name, ""},
		"garbage":                          {"SET", name, "\x00garbage"},
		"a mark with nothing behind":       {"SET", name, "v1 "},
		"a mark with garbage behind":       {"SET", name, "v1 1garbage"},
		"a record that is cut off":         {"SET", name, ours[:len(ours)-1]},
		"a record of another version":      {"SET", name, "v2" + ours[2:]},
		"a record of another state":        {"SET", name, "v1 2" + ours[4:]},
		"a record without its mark":        {"SET", name, ours[4:]},
		"a state that there is not":        {"SET", name, "v1 9" + ours[4:]},
		"a version in more than one way":   {"SET", name, "v01" + ours[2:]},
		"a version that is no number":      {"SET", name, "vx" + ours[2:]},
		"a number that is larger than any": {"SET", name, "v99999999999999999999999 1" + ours[4:]},
	} {
		t.Run(what, func(t *testing.T) {
			server.do(t, "DEL", name)
			server.do(t, words...)
			before := server.do(t, "DUMP", name)
			for i := range 2 {
				r := claimed("order-42")
				r.Version += int64(4 * i)
				if seen, err := s.Swap(t.Context(), r); err == nil {
					t.Errorf("version %d: %+v", r.Version, seen)
				} else if words[0] == "SET" && !errors.Is(err, redis.ErrForeign) {
					t.Errorf("version %d fails with %v", r.Version, err)
				}
			}
			if seen, err := s.Load(t.Context(), claimed("order-42").Key); err == nil {
				t.Errorf("it is read as %+v", seen)
			}
			log.Reset()
			found, next, err := s.Unfinished(t.Context(), "", 100)
			if err != nil || next != "" || len(found) != 1 || found[0].Key.ID != "another" {
				t.Errorf("listed are %+v %q %v", found, next, err)
			}
			if (what == "a hash" || what == "garbage") && !strings.Contains(log.String(), name) {
				t.Errorf("it logs %q", log.String())
			}
			if server.do(t, "DUMP", name) != before {
				t.Error("it was written to")
			}
		})
	}
}

// What is too large is certainly not written, and the engine goes on without the body.
func TestTooLarge(t *testing.T) {
	s := open(t, []string{startServer(t).addr})
	r := claimed("order-42")
	r.Progress = make([]byte, redis.MaxRecord)
	if _, err := s.Swap(t.Context(), r); !errors.Is(err, once.ErrTooLarge) {
		t.Errorf("it is told %v", err)
	}
	if got := load(t, s, r.Key); got.State != once.Absent {
		t.Errorf("it was written: %s", got.State)
	}
	n := newTill(t, s, once.Park, func(c *once.Config) { c.MaxAnswer = 2 * redis.MaxRecord })
	for range 2 {
		_, err := n.Do(t.Context(), "large", "request", func(context.Context, *once.Attempt) (string, error) {
			n.runs.Add(1)
			return strings.Repeat("x", redis.MaxRecord), nil
		})
		if n.runs.Load() != 1 || err != nil && !errors.Is(err, once.ErrNotKept) {
			t.Errorf("it ran %d times: %v", n.runs.Load(), err)
		}
	}
}

// Keys of the largest size, with answers of the largest that an engine keeps, under
// tenants of any bytes.
func TestLargeKeysAndAnswers(t *testing.T) {
	s := open(t, []string{startServer(t).addr})
	for i, tenant := range []string{"", "\x00\xff}{", "}", "{}", strings.Repeat("\xfe", 255), "3:a", "ünï✓"} {
		claim := claimed(strings.Repeat("}{~", 85))
		claim.Key.Tenant = tenant
		put(t, s, claim)
		done := answered(t, claim, strings.Repeat(fmt.Sprint(i), 1<<20))
		put(t, s, done)
		if diff := cmp.Diff(done, load(t, s, claim.Key), cmp.Comparer(bytes.Equal)); diff != "" {
			t.Errorf("tenant %q (-want +got):\n%.500s", tenant, diff)
		}
	}
}
