package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	lib "github.com/cockroachdb/pebble/v2"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

// aTime is now, as a record keeps it.
func aTime() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func quiet(path string) pebble.Config {
	return pebble.Config{Path: path, CacheBytes: 8 << 20, Log: slog.New(slog.DiscardHandler)}
}

func reopen(tb testing.TB, s *pebble.Store, path string) *pebble.Store {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	return mustOpen(tb, func() (*pebble.Store, error) { return pebble.Open(context.Background(), quiet(path)) })
}

func want(tb testing.TB, s *pebble.Store, wanted once.Record) {
	tb.Helper()
	if got := load(tb, s, wanted.Key); !equal(got, wanted) {
		tb.Errorf("it is %+v\nwant  %+v", got, wanted)
	}
}

func TestWhatIsClosedIsThereAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "by need")
	s := mustOpen(t, func() (*pebble.Store, error) { return pebble.Open(context.Background(), quiet(path)) })
	work, ended := claimed("at work", aTime()), claimed("ended", aTime())
	released := claimed("released", aTime())
	free, _ := released.Release(released.Attempt)
	free.Version++
	answered := done(t, ended)
	for _, r := range []once.Record{work, ended, answered, released, free} {
		put(t, s, r)
	}
	for range 3 {
		s = reopen(t, s, path)
		for _, r := range []once.Record{work, answered, free} {
			want(t, s, r)
		}
		list, next, err := s.Unfinished(t.Context(), "", 10)
		if err != nil || len(list) != 1 || !equal(list[0], work) || next != "" {
			t.Errorf("listed: %+v, %q, %v", list, next, err)
		}
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	wantErr(t, "a read of a closed store", loadErr(s, work.Key), pebble.ErrClosed)
	wantErr(t, "a write to it", swapErr(s, work), pebble.ErrClosed)
	_, err := s.Sweep(t.Context(), time.Now())
	wantErr(t, "a sweep of it", err, pebble.ErrClosed)
	_, _, err = s.Unfinished(t.Context(), "", 1)
	wantErr(t, "a list of it", err, pebble.ErrClosed)
}

func TestTheDirectoryIsForItsUserOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}

const (
	helperEnv = "ONCEPAY_TEST_HELPER" // what a process of its own does
	pathEnv   = "ONCEPAY_TEST_PATH"   // to which store
)

// helper is a process of its own that does something to a store.
func helper(t *testing.T, what, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$")
	cmd.Env = append(os.Environ(), helperEnv+"="+what, pathEnv+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestHelperProcess is a part of other tests, which start it.
func TestHelperProcess(t *testing.T) {
	switch os.Getenv(helperEnv) {
	case "open":
		_, err := pebble.Open(context.Background(), quiet(os.Getenv(pathEnv)))
		fmt.Printf("owned: %v, %v\n", errors.Is(err, pebble.ErrOwned), err)
		os.Exit(0)
	case "race":
		raceUntilKilled(os.Getenv(pathEnv))
	}
}

func TestAStoreHasOneOwner(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	_, err := pebble.Open(context.Background(), quiet(path))
	wantErr(t, "a second store of this process", err, pebble.ErrOwned)
	out, err := helper(t, "open", path).Output()
	if err != nil || !bytes.HasPrefix(out, []byte("owned: true")) {
		t.Errorf("another process: %s, %v", out, err)
	}
	put(t, s, claimed("k", aTime())) // it is still ours
	out, err = helper(t, "open", path).Output()
	if err != nil || !bytes.HasPrefix(out, []byte("owned: true")) {
		t.Errorf("another process, later: %s, %v", out, err)
	}
}

func TestWhatIsNoStoreIsLeftAlone(t *testing.T) {
	t.Run("something else's", func(t *testing.T) {
		path := t.TempDir()
		db, err := lib.Open(path, &lib.Options{Logger: silent{}})
		if err == nil {
			err = errors.Join(db.Set([]byte("a"), []byte("b"), lib.Sync), db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		refused(t, path, pebble.ErrForeign)
	})
	t.Run("a later version's", func(t *testing.T) {
		path := t.TempDir()
		if err := open(t, path).Close(); err != nil {
			t.Fatal(err)
		}
		marks, err := filepath.Glob(filepath.Join(path, "marker.oncepay-keys.*"))
		if err != nil || len(marks) != 1 {
			t.Fatal(marks, err)
		}
		if err := os.Rename(marks[0], filepath.Join(path, "marker.oncepay-keys.000999.2.and something else")); err != nil {
			t.Fatal(err)
		}
		refused(t, path, pebble.ErrNewer)
	})
	t.Run("a store without its manifest", func(t *testing.T) {
		path := t.TempDir()
		if err := open(t, path).Close(); err != nil {
			t.Fatal(err)
		}
		marks, err := filepath.Glob(filepath.Join(path, "marker.manifest.*"))
		if err != nil || len(marks) != 1 {
			t.Fatal(marks, err)
		}
		if err := os.Remove(marks[0]); err != nil {
			t.Fatal(err)
		}
		refused(t, path, pebble.ErrDamaged)
	})
}

// refused holds that a directory is not opened, nor changed but for the lock.
func refused(t *testing.T, path string, why error) {
	t.Helper()
	before := names(t, path)
	_, err := pebble.Open(context.Background(), quiet(path))
	wantErr(t, "open", err, why)
	if after := names(t, path); after != before {
		t.Errorf("there was %s\nand is %s", before, after)
	}
}

func names(t *testing.T, path string) (all string) {
	t.Helper()
	list, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		if entry.Name() != "LOCK" {
			all += entry.Name() + " "
		}
	}
	return all
}

func TestARecordIsAsLargeAsTheLimit(t *testing.T) {
	s := open(t, t.TempDir())
	r := claimed("large", aTime())
	put(t, s, r)
	large := done(t, r)
	large.Answer.Body = make([]byte, pebble.MaxRecord)
	wantErr(t, "one that is larger", swapErr(s, large), once.ErrTooLarge)
	want(t, s, r)
	large.Answer.Body = make([]byte, pebble.MaxRecord-1_000)
	put(t, s, large)
	want(t, s, large)
}

// A context that ends is heeded, and then it is not known whether the record was
// written; what is there is one or the other.
func TestAContextEnds(t *testing.T) {
	d := newDisk()
	s := mustOpen(t, func() (*pebble.Store, error) { return d.open(nil) })
	reached, release := d.holdSync()
	r := claimed("k", aTime())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	if _, err := s.Swap(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := s.Load(ctx, r.Key); !errors.Is(err, context.Canceled) {
		t.Errorf("a read of what is on its way ended with %v", err)
	}
	close(release)
	want(t, s, r) // it waits until that is settled
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
