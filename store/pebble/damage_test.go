package pebble_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

var flips = flag.Int("flips", 60, "how many bits a test flips")

// files are a store's.
type files map[string][]byte

func filesOf(tb testing.TB, disk vfs.FS) files {
	names, err := disk.List("keys")
	if err != nil {
		tb.Fatal(err)
	}
	all := files{}
	for _, name := range names {
		f, err := disk.Open(disk.PathJoin("keys", name))
		if err != nil {
			tb.Fatal(err)
		}
		if all[name], err = io.ReadAll(f); err != nil {
			tb.Fatal(err)
		}
		f.Close()
	}
	return all
}

func (f files) disk(tb testing.TB) vfs.FS {
	disk := vfs.NewMem()
	f.write(tb, disk)
	return disk
}

func (f files) write(tb testing.TB, disk vfs.FS) {
	if err := disk.MkdirAll("keys", 0o700); err != nil {
		tb.Fatal(err)
	}
	for name, data := range f {
		to, err := disk.Create(disk.PathJoin("keys", name), vfs.WriteCategoryUnspecified)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := to.Write(bytes.Clone(data)); err != nil {
			tb.Fatal(err)
		}
		to.Close()
	}
}

// flip flips a bit of a file.
func (f files) flip(name string, at, bit int) files {
	flipped := maps.Clone(f)
	flipped[name] = bytes.Clone(f[name])
	flipped[name][at] ^= 1 << bit
	return flipped
}

// named are the names of files that end with something, or begin with it.
func (f files) named(part string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if len(f[name]) > 0 && (strings.HasPrefix(name, part) || strings.HasSuffix(name, part)) {
			names = append(names, name)
		}
	}
	return names
}

func openMem(disk vfs.FS) (*pebble.Store, error) {
	return pebble.OpenOn(context.Background(), disk, pebble.Config{Path: "keys", CacheBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
}

// kept is a store, and what it has.
type kept struct {
	files   files
	records map[once.Key]once.Record
	lost    map[once.Key]once.Record // what may be there instead: the last commit undone
}

// fill puts keys into a store until there are so many, or until stop says so.
func (k *kept) fill(tb testing.TB, s *pebble.Store, n int, stop func() bool) {
	for i := 0; i < n && !stop(); i++ {
		r := claimed(fmt.Sprint("key ", len(k.records)), time.Now().UTC().Truncate(time.Microsecond))
		put(tb, s, r)
		k.records[r.Key], k.lost = r, map[once.Key]once.Record{r.Key: {Key: r.Key}}
		if i%5 > 0 {
			next := done(tb, r)
			next.Answer.Body = make([]byte, 2_000)
			crand.Read(next.Answer.Body)
			put(tb, s, next)
			k.records[r.Key], k.lost = next, map[once.Key]once.Record{r.Key: r}
		}
	}
}

func (k *kept) kill(tb testing.TB, disk *vfs.MemFS) kept {
	rnd := rand.New(rand.NewPCG(1, 1))
	return kept{filesOf(tb, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rnd})), maps.Clone(k.records), k.lost}
}

func never() bool { return false }

// keptFor makes a store of about a MiB, as it is when it was closed and as it is when
// it was killed, in the last of some lives.
func keptFor(tb testing.TB, lives, keys int) (closed, killed kept) {
	disk := vfs.NewCrashableMem()
	closed.records = map[once.Key]once.Record{}
	for range lives {
		s := mustOpen(tb, func() (*pebble.Store, error) { return openMem(disk) })
		closed.fill(tb, s, keys, never)
		killed = closed.kill(tb, disk)
		if err := s.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	closed.files, closed.lost = filesOf(tb, disk), nil
	return closed, killed
}

// hold holds that a flipped bit is found, or does not matter.
func (k *kept) hold(t *testing.T, name string, at, bit int, found, others map[string]int) {
	flipped := k.files.flip(name, at, bit)
	err := k.wrong(flipped.disk(t))
	switch {
	case errors.As(err, new(*wrongAnswer)):
		t.Errorf("%s: bit %d of byte %d of %d: %v", name, bit, at, len(flipped[name]), err)
	case errors.Is(err, pebble.ErrDamaged):
		found[name]++
	case err != nil:
		others[err.Error()]++
	}
}

// A bit that flips is found, or does not matter: no key is shown as it is not. If the
// store was killed, what was written last may be as if the kill had come before it.
func TestFlippedBits(t *testing.T) {
	closed, killed := keptFor(t, 3, 100)
	for state, k := range map[string]kept{"closed": closed, "killed": killed} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(*flips), 2))
			found, others := map[string]int{}, map[string]int{}
			names := k.files.named("")
			for range *flips {
				name := names[rnd.IntN(len(names))]
				k.hold(t, name, rnd.IntN(len(k.files[name])), rnd.IntN(8), found, others)
			}
			t.Logf("of %d flipped bits so many were found: %v; others: %v", *flips, found, others)
			if len(found) < 3 { // tables, logs and the manifest
				t.Error("too few were found")
			}
		})
	}
}

// What was acknowledged is not taken for what a crash cut off, wherever in the log the
// bit is.
func TestFlippedBitsOfALog(t *testing.T) {
	_, killed := keptFor(t, 1, 40)
	found, others := map[string]int{}, map[string]int{}
	log := killed.files.named(".log")[0]
	rnd := rand.New(rand.NewPCG(3, 3))
	for range *flips / 2 {
		killed.hold(t, log, rnd.IntN(len(killed.files[log])), rnd.IntN(8), found, others)
	}
	if found[log] < *flips/3 || len(others) > 0 {
		t.Errorf("of %d flipped bits %d were found; others: %v", *flips/2, found[log], others)
	}
}

// The end of a manifest is not taken for what a crash cut off once the log is gone
// that it made unnecessary.
func TestFlippedBitsOfAManifest(t *testing.T) {
	for name, k := range map[string]kept{"a log was used again": reused(t), "a log was removed": removed(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names := k.files.named("MANIFEST-")
			manifest := names[len(names)-1]
			found, others := map[string]int{}, map[string]int{}
			size := len(k.files[manifest])
			for at := max(0, size-120); at < size; at += 3 {
				k.hold(t, manifest, at, at%8, found, others)
			}
			if found[manifest] == 0 || len(others) > 0 {
				t.Errorf("%d flipped bits were found; others: %v", found[manifest], others)
			}
		})
	}
}

// reused is a store that was killed when a log was used again: what was in it is in a
// table, and nothing has happened since.
func reused(t *testing.T) kept {
	disk := vfs.NewCrashableMem()
	again, flushed, release := atomic.Bool{}, atomic.Bool{}, make(chan struct{})
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch {
		case op.Kind == errorfs.OpReuseForWrite:
			again.Store(true)
		case op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") && again.Load():
			flushed.Store(true)
			<-release // the next log has to wait for its table
		}
		return nil
	}))
	s := mustOpen(t, func() (*pebble.Store, error) { return openMem(fs) })
	k := kept{records: map[once.Key]once.Record{}}
	k.fill(t, s, 5_000, flushed.Load)
	killed := k.kill(t, disk)
	close(release)
	if err := s.Close(); err != nil || !flushed.Load() {
		t.Fatalf("no log was used again: %v", err)
	}
	return killed
}

// removed is a store that was killed, and opened again, and killed when the log of the
// first time was gone.
func removed(t *testing.T) kept {
	_, first := keptFor(t, 1, 40)
	disk := vfs.NewCrashableMem()
	first.files.write(t, disk)
	s := mustOpen(t, func() (*pebble.Store, error) { return openMem(disk) })
	log := first.files.named(".log")[0]
	for gone := false; !gone; {
		_, err := disk.Stat(disk.PathJoin("keys", log))
		gone = err != nil
	}
	dir, err := disk.OpenDir("keys")
	if err == nil {
		err = dir.Sync() // otherwise it may come back
	}
	killed := first.kill(t, disk)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return killed
}

// wrongAnswer is a key that is shown as it is not.
type wrongAnswer struct{ want, got once.Record }

func (w *wrongAnswer) Error() string {
	return fmt.Sprintf("%s is %s at version %d, want %s at version %d", w.want.Key.ID, w.got.State, w.got.Version, w.want.State, w.want.Version)
}

// wrong opens a store and looks at all keys. It fails with a wrongAnswer, or with what
// the store has found.
func (k *kept) wrong(disk vfs.FS) error {
	s, err := openMem(disk)
	if err != nil {
		return err
	}
	defer s.Close()
	for key, want := range k.records {
		seen, loadErr := s.Load(context.Background(), key)
		if loadErr != nil {
			err = loadErr
			continue
		}
		if got := seen.Record; !equal(got, want) && !equal(got, k.lost[key]) {
			return &wrongAnswer{want, got}
		}
	}
	return err
}
