//go:build integration

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/redis"
)

// An attempt whose claim was flushed cannot complete as if nothing had happened.
func TestFlushAllUnderAnAttempt(t *testing.T) {
	server := startServer(t)
	s := open(t, []string{server.addr})
	for _, row := range []struct {
		ends string
		err  error
	}{
		{"with a result", nil},
		{"saying that nothing happened", once.NothingHappened(errors.New("no"))},
		{"not knowing", errors.New("timeout")},
	} {
		t.Run(row.ends, func(t *testing.T) {
			n := newTill(t, s, once.Rerun)
			got, err := n.Do(t.Context(), "order-42", "request", func(context.Context, *once.Attempt) (string, error) {
				server.do(t, "FLUSHALL")
				return "the lost one", row.err
			})
			if !errors.Is(err, once.ErrFenced) || row.err == nil && got != "the lost one" || n.times(once.HasFenced) != 1 {
				t.Errorf("it is told %q %v, and fenced %d times", got, err, n.times(once.HasFenced))
			}
			if r := load(t, s, once.Key{Tenant: "default", ID: "order-42"}); r.State != once.Absent {
				t.Errorf("the key is %s", r.State)
			}
		})
	}
}

// An attempt that works for long is told that its claim is gone when it is renewed.
func TestFlushAllUnderALongAttempt(t *testing.T) {
	server := startServer(t)
	n := newTill(t, open(t, []string{server.addr}), once.Rerun, func(c *once.Config) { c.Lease = 300 * time.Millisecond })
	_, err := n.Do(t.Context(), "order-42", "request", func(ctx context.Context, _ *once.Attempt) (string, error) {
		server.do(t, "FLUSHALL")
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, once.ErrFenced) {
			t.Errorf("it is told %v", cause)
		}
		return "", ctx.Err()
	})
	if !errors.Is(err, once.ErrFenced) {
		t.Errorf("it ends with %v", err)
	}
}

// If somebody claims what was flushed it runs twice, which no store can prevent that
// loses what it acknowledged. There is one answer all the same.
func TestFlushAllAndAnotherClaim(t *testing.T) {
	server := startServer(t)
	s := open(t, []string{server.addr})
	first, second := newTill(t, s, once.Rerun), newTill(t, s, once.Rerun)
	var theirs string
	mine, err := first.Do(t.Context(), "order-42", "the same request", func(context.Context, *once.Attempt) (string, error) {
		server.do(t, "FLUSHALL")
		var err error
		if theirs, err = second.charge(t.Context(), "order-42"); err != nil {
			t.Error(err)
		}
		return "the lost one", nil
	})
	if err != nil || mine != theirs || second.runs.Load() != 1 {
		t.Errorf("who lost the key is told %q %v, and who has it %q", mine, err, theirs)
	}
	for _, n := range []*till{first, second} {
		if again, err := n.charge(t.Context(), "order-42"); err != nil || again != theirs || n.runs.Load() > 1 {
			t.Errorf("a repeat is told %q %v", again, err)
		}
	}
}

// The connection ends after the server has written, and before that is told: the store
// says that it does not know, and the engine finds its own write.
func TestAnAnswerThatIsLost(t *testing.T) {
	server := startServer(t)
	p := startProxy(t, server.addr, 0)
	s := open(t, []string{p.addr})
	claim := claimed("by hand")
	p.lose.Store(new("by hand"))
	if seen, err := s.Swap(t.Context(), claim); err == nil {
		t.Errorf("of a claim whose answer was lost it is told %+v", seen)
	}
	if r := load(t, s, claim.Key); r.Owner != claim.Owner {
		t.Fatalf("it was not written: %+v", r)
	}
	p.lose.Store(new("by hand"))
	if seen, err := s.Swap(t.Context(), answered(t, claim, "answer")); err == nil {
		t.Errorf("of an end whose answer was lost it is told %+v", seen)
	}
	if r := load(t, s, claim.Key); r.State != once.Done {
		t.Fatalf("it was not written: %+v", r)
	}
	if seen, err := s.Swap(t.Context(), answered(t, claim, "answer")); err != nil || seen.Won || string(seen.Record.Answer.Body) != "answer" {
		t.Errorf("tried again it is told %+v %v", seen, err)
	}

	n := newTill(t, s, once.Park)
	p.lose.Store(new("order-42"))
	if _, err := n.charge(t.Context(), "order-42"); !errors.Is(err, once.ErrUnavailable) || n.runs.Load() != 0 {
		t.Errorf("a claim that nobody knows of: %v, and it ran %d times", err, n.runs.Load())
	}
	got, err := n.Do(t.Context(), "order-42", "the same request", func(context.Context, *once.Attempt) (string, error) {
		p.lose.Store(new("run 1")) // the answer to the end
		return fmt.Sprint("run ", n.runs.Add(1)), nil
	})
	if err != nil || got != "run 1" || n.times(once.HasCompleted) != 1 || n.times(once.HasFenced) != 0 {
		t.Errorf("an end that nobody knows of: %q %v, after %v", got, err, n.told)
	}
	if got, err = n.charge(t.Context(), "order-42"); err != nil || got != "run 1" || n.runs.Load() != 1 {
		t.Errorf("a repeat: %q %v, and it ran %d times", got, err, n.runs.Load())
	}
}

// Nothing that fails is sent a second time behind the engine's back: what a client
// repeats by itself cannot be told from what another has written.
func TestNothingIsSentTwice(t *testing.T) {
	server := startServer(t)
	p := startProxy(t, server.addr, 0)
	s := open(t, []string{p.addr})
	claim := claimed("order-42")
	released := claim
	released.State, released.Version = once.Released, 2
	put(t, s, claim)
	for i, r := range []once.Record{claimed("another"), released} {
		before := server.calls(t, "set") + server.calls(t, "evalsha")
		p.lose.Store(new(r.Key.ID))
		if _, err := s.Swap(t.Context(), r); err == nil {
			t.Errorf("write %d: its answer was not lost", i)
		}
		for range 100 { // what is sent again was sent before these, on whichever connection
			load(t, s, claim.Key)
		}
		sent := server.calls(t, "set") + server.calls(t, "evalsha") - before
		if want := 1 + i; sent != want { // a script sets, too
			t.Errorf("write %d was %d commands, want %d", i, sent, want)
		}
	}
	p.lose.Store(new(claim.Key.ID))
	if seen, err := s.Load(t.Context(), claim.Key); err == nil {
		t.Errorf("a look whose answer was lost is told %+v", seen)
	}
}

// A server that does not answer is waited for no longer than Config.Timeout and the
// second after which it is asked whether it is there, also by who has no deadline.
func TestAServerThatDoesNotAnswer(t *testing.T) {
	server := startServer(t)
	s := open(t, []string{server.addr}, func(c *redis.Config) { c.Timeout = 500 * time.Millisecond })
	put(t, s, claimed("order-42"))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	server.cmd.Process.Signal(syscall.SIGSTOP)
	began := time.Now()
	_, swapErr := s.Swap(ctx, claimed("another"))
	_, loadErr := s.Load(ctx, claimed("order-42").Key)
	if took := time.Since(began); swapErr == nil || loadErr == nil || took > 8*time.Second {
		t.Errorf("after %v it is told %v and %v", took, swapErr, loadErr)
	}
	server.cmd.Process.Signal(syscall.SIGCONT)
	eventually(t, "it is back", func() bool { _, err := s.Load(t.Context(), claimed("order-42").Key); return err == nil })
}

// Where nothing can be written nothing new begins, what was answered is answered again,
// and an end is written when that is possible again.
func TestAServerThatWritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshots")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	server := startServer(t, "--dir", dir, "--save", "3600 1")
	for _, row := range []struct {
		why             string
		happens, isOver func()
	}{
		{
			"its memory is full",
			func() { server.do(t, "CONFIG", "SET", "maxmemory", "1") },
			func() { server.do(t, "CONFIG", "SET", "maxmemory", "0") },
		},
		{
			"its snapshots fail",
			func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				server.do(t, "BGSAVE")
				eventually(t, "the snapshot has failed", func() bool { return server.info(t, "persistence", "rdb_last_bgsave_status") == "err" })
			},
			func() { server.do(t, "CONFIG", "SET", "stop-writes-on-bgsave-error", "no") },
		},
	} {
		t.Run(row.why, func(t *testing.T) {
			server.do(t, "FLUSHALL")
			n := newTill(t, open(t, []string{server.addr}), once.Park, func(c *once.Config) { c.Finish = 50 * time.Millisecond })
			if _, err := n.charge(t.Context(), "before"); err != nil {
				t.Fatal(err)
			}
			got, err := n.Do(t.Context(), "at-work", "the same request", func(context.Context, *once.Attempt) (string, error) {
				row.happens()
				return "done all the same", nil
			})
			if err != nil || got != "done all the same" {
				t.Errorf("what was at work: %q %v", got, err)
			}
			if _, err := n.charge(t.Context(), "new"); !errors.Is(err, once.ErrUnavailable) || n.runs.Load() != 1 {
				t.Errorf("what is new: %v, and %d ran", err, n.runs.Load())
			}
			if got, err := n.charge(t.Context(), "before"); err != nil || got != "run 1" {
				t.Errorf("what was answered: %q %v", got, err)
			}
			row.isOver()
			if got, err := n.charge(t.Context(), "at-work"); err != nil || got != "done all the same" || n.runs.Load() != 1 {
				t.Errorf("then what was at work: %q %v", got, err)
			}
		})
	}
}

// A list goes on over as many pages as there are, and begins again at a server that was
// restarted meanwhile.
func TestUnfinishedGoesOn(t *testing.T) {
	server := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, []string{server.addr})
	const open, done = 40, 3_000
	for i := range open {
		put(t, s, claimed(fmt.Sprint("open ", i)))
	}
	for i := range done {
		r := answered(t, claimed(fmt.Sprint("done ", i)), "answer")
		r.Version = 1
		put(t, s, r)
	}
	list := func(limit int, between func()) (all []string) {
		t.Helper()
		for after, pages := "", 0; ; pages++ {
			found, next, err := s.Unfinished(t.Context(), after, limit)
			if err != nil || len(found) > limit || pages > 10_000 {
				t.Fatalf("page %d at %q has %d: %v", pages, after, len(found), err)
			}
			for _, r := range found {
				all = append(all, r.Key.ID)
			}
			if after = next; after == "" {
				return all
			}
			if len(all) > 0 && between != nil {
				between()
				between = nil
			}
		}
	}
	for _, limit := range []int{1, 2, 7, 1_000} {
		found := list(limit, nil)
		slices.Sort(found)
		if unique := slices.Compact(slices.Clone(found)); len(found) != open || len(unique) != open {
			t.Errorf("by %d, %d are listed, %d of them different, want %d", limit, len(found), len(unique), open)
		}
	}
	found := list(3, func() {
		server.kill()
		if !server.start(t) {
			t.Fatal("it does not start again")
		}
		eventually(t, "it is reached again", func() bool { _, err := s.Load(t.Context(), claimed("x").Key); return err == nil })
	})
	slices.Sort(found)
	if unique := slices.Compact(slices.Clone(found)); len(unique) != open || len(found) == open {
		t.Errorf("over a restart %d are listed, %d of them different, want %d, some twice", len(found), len(unique), open)
	}
	for _, wrong := range []string{"x", "1.2", "1..2", "1.zzzz.3", "-1.0.0", strings.Repeat("1.", 9)} {
		if _, _, err := s.Unfinished(t.Context(), wrong, 1); err == nil {
			t.Errorf("a list goes on at %q", wrong)
		}
	}
}
