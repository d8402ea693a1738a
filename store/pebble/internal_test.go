package pebble

import (
	"errors"
	"log/slog"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/once"
)

// A shelf is dropped when all on it may be forgotten, and not much later; and there
// are few of them.
func TestShelves(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		kept := time.Duration(rapid.Int64Range(1, int64(100*366*24*time.Hour)).Draw(t, "kept"))
		r := once.Record{State: once.Done, ForgetAt: now.Add(kept).Truncate(time.Microsecond)}
		if late := rapid.Bool().Draw(t, "late"); late {
			r.ExpiresAt, r.ForgetAt = r.ForgetAt, now
		}
		end := time.Unix(shelfOf(&r, now.UnixMicro()), 0)
		if over := end.Sub(now.Add(kept)); over < -time.Microsecond || over > kept/8+shortest*time.Second {
			t.Fatalf("what is kept for %v is dropped after %v", kept, end.Sub(now))
		}
	})
	for _, kept := range []time.Duration{time.Hour, 24 * time.Hour, 400 * 24 * time.Hour} {
		live := map[int64]bool{}
		for i := range 10_000 {
			at := now.Add(kept * time.Duration(i) / 10_000)
			live[shelfOf(&once.Record{ForgetAt: at.Add(kept)}, at.UnixMicro())] = true
		}
		if len(live) > 18 {
			t.Errorf("what is kept for %v is on %d shelves", kept, len(live))
		}
	}
	if end := shelfOf(&once.Record{ForgetAt: time.Unix(-5, 0)}, now.UnixMicro()); end <= 0 {
		t.Errorf("what was to be forgotten long ago is on shelf %d", end)
	}
}

func TestRowsAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		if (a < b) != (string(from(answers, a)) < string(from(answers, b))) {
			t.Fatalf("%d and %d are in another order", a, b)
		}
		if place(from(answers, a)) != a {
			t.Fatalf("%d is read as %d", a, place(from(answers, a)))
		}
	})
}

// The clock tells no time that is not on disk before. Where the machine's is behind, it
// goes on at half the speed.
func TestTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		if now, may := c.now(); may {
			t.Errorf("it tells %v, and nothing is on disk", now)
		}
		until := c.next()
		c.may(until)
		if now, may := c.now(); !may || !now.Equal(time.Now()) {
			t.Errorf("it tells %v, %v", now, may)
		}
		time.Sleep(ahead + time.Second)
		if now, may := c.now(); may || !now.Equal(until) {
			t.Errorf("it tells %v, %v, want %v at most", now, may, until)
		}
		since := time.Now().Add(time.Hour).UTC() // as it was before a crash
		c.start(since)
		c.may(since.Add(48 * time.Hour))
		for _, at := range []struct{ after, want time.Duration }{
			{0, 0}, {time.Minute, 30 * time.Second}, {time.Hour, 30 * time.Minute}, {2 * time.Hour, time.Hour}, {3 * time.Hour, 2 * time.Hour},
		} {
			time.Sleep(time.Until(since.Add(at.after - time.Hour)))
			if now, may := c.now(); !may || !now.Equal(since.Add(at.want)) {
				t.Errorf("after %v it has gone on by %v, want %v", at.after, now.Sub(since), at.want)
			}
		}
	})
}

// The store's time does not run backwards where the machine's was set back: neither
// after a kill, nor after the store was closed, when it goes on where it was.
func TestTimeGoesOnAfterARestart(t *testing.T) {
	for name, end := range map[string]func(*Store){
		"killed": (*Store).abandon,
		"closed": func(s *Store) {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			s := openForTest(t, disk)
			s.clock.start(time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)) // the machine's is set back soon
			var last time.Time
			for range 3 {
				last = at(t, s)
			}
			end(s)
			s = openForTest(t, disk)
			if again := at(t, s); again.Before(last) || again.After(last.Add(2*ahead)) {
				t.Errorf("it is %v, and was %v", again, last)
			} else if name == "closed" && again.After(last.Add(time.Second)) {
				t.Errorf("it has jumped by %v", again.Sub(last))
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func at(t *testing.T, s *Store) time.Time {
	t.Helper()
	seen, err := s.Load(t.Context(), once.Key{ID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	return seen.At
}

func openForTest(t *testing.T, disk vfs.FS) *Store {
	t.Helper()
	s, err := openOn(t.Context(), disk, Config{Path: "keys", CacheBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A key that is read at the moment is listed all the same: it does not change.
func TestWhatIsReadIsListed(t *testing.T) {
	s := openForTest(t, vfs.NewMem())
	r := once.Record{Key: once.Key{ID: "k"}, State: once.Claimed, Version: 1}
	if _, err := s.Swap(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	h, err := s.hold(t.Context(), r.Key)
	if err != nil {
		t.Fatal(err)
	}
	if list, _, err := s.Unfinished(t.Context(), "", 10); err != nil || len(list) != 1 {
		t.Errorf("listed: %+v, %v", list, err)
	}
	s.give(h)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Once a store has stopped, what Pebble still does changes nothing.
func TestAShutGateLetsNothingThrough(t *testing.T) {
	disk, stopped := vfs.NewMem(), make(chan struct{})
	g := newGate(disk, func(error) { close(stopped) })
	go g.fail(errors.New("the disk failed"))
	<-stopped
	for _, do := range []func(){
		func() { g.Create("created", vfs.WriteCategoryUnspecified) },
		func() { g.MkdirAll("made", 0o700) },
	} {
		go do()
	}
	time.Sleep(20 * time.Millisecond) // far more than they take
	if names, err := disk.List(""); err != nil || len(names) > 0 {
		t.Errorf("there is %v, %v", names, err)
	}
}

// Where commits are held up until compactions are done, and these find no room, there is
// none for commits; either alone is no reason to refuse them.
func TestAStallForLackOfRoom(t *testing.T) {
	full := error(syscall.ENOSPC)
	g := newGate(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(errorfs.Op) error { return full })), func(error) {})
	compact := func() { g.Create("a table", compaction) }
	refuses := func(want bool, when string) {
		t.Helper()
		if got := g.room.lacking(); got != want {
			t.Errorf("%s: it refuses: %v", when, got)
		}
	}
	compact()
	refuses(false, "a compaction has found no room")
	g.room.stall(true)
	refuses(true, "and commits wait for it")
	select {
	case <-g.room.out():
	default:
		t.Error("who waits already is not told")
	}
	full = nil
	compact()
	refuses(false, "a compaction has found room")
	full = syscall.ENOSPC
	compact()
	g.room.stall(false)
	refuses(false, "commits go on without it")
}

// What waits is bounded.
func TestTooManyWritesAreRefused(t *testing.T) {
	c := newCommitter(&Store{gate: newGate(vfs.NewMem(), func(error) {})})
	for range maxQueue {
		if err := c.add(&write{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.add(&write{}); !errors.Is(err, ErrOverloaded) {
		t.Errorf("one more: %v", err)
	}
}

// No group is much larger than what a caller waits for.
func TestAGroupIsBounded(t *testing.T) {
	s := openForTest(t, vfs.NewMem())
	c := newCommitter(s)
	for range 5 {
		b := s.db.NewBatch()
		must(b.Set([]byte("name"), make([]byte, maxGroup/2), nil))
		if err := c.add(&write{batch: b}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{2, 2, 1, 0} {
		if group, more := c.next(); len(group) != want || !more {
			t.Errorf("a group has %d writes, want %d", len(group), want)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
