//go:build integration

package pebble_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

// A disk that is full in truth, where writes end in the middle, logs and tables have no
// room, and compactions give some back: nothing that was acknowledged is lost, and
// all goes on when there is room again. It needs root.
func TestARealDiskIsFull(t *testing.T) {
	for name, mount := range map[string]func(*testing.T, string){"tmpfs": mountTmpfs, "ext4": mountExt4} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mount(t, dir)
			fillAndFree(t, dir)
		})
	}
}

func fillAndFree(t *testing.T, dir string) {
	path := filepath.Join(dir, "keys")
	s := mustOpen(t, func() (*pebble.Store, error) { return pebble.Open(t.Context(), quiet(path)) })
	acked := map[once.Key]once.Record{}
	made, full := 0, 0
	next := func() once.Record {
		made++
		return largeDone(t, made)
	}
	for round := range 3 {
		ballast := filepath.Join(dir, "ballast")
		takeAll(t, ballast, 300<<(3*round)) // KiB that are left
		for refused := 0; refused < 5; {
			r := next()
			switch seen, err := s.Swap(t.Context(), r); {
			case err == nil && seen.Won:
				acked[r.Key] = r
			case errors.Is(err, pebble.ErrDiskFull):
				refused++
				full++
			default:
				t.Fatalf("round %d: a write to a full disk: %+v, %v", round, seen, err)
			}
		}
		for k := range acked {
			want(t, s, acked[k]) // reads go on
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		last := next()
		for err := pebble.ErrDiskFull; errors.Is(err, pebble.ErrDiskFull); { // it is seen within a moment that there is room
			err = swapErr(s, last)
		}
		acked[last.Key] = last
	}
	t.Logf("%d writes were acknowledged, %d found the disk full", len(acked), full)
	s = reopen(t, s, path)
	for _, r := range acked {
		want(t, s, r)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// largeDone is a key that comes with its answer at once.
func largeDone(t *testing.T, n int) once.Record {
	r := done(t, claimed(fmt.Sprint("key ", n), aTime()))
	r.Version = 1
	r.Answer.Body = make([]byte, 20_000)
	rand.Read(r.Answer.Body)
	return r
}

// takeAll takes all the room that is left, but for some KiB.
func takeAll(t *testing.T, path string, leave int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
	info, statErr := f.Stat()
	if !errors.Is(err, syscall.ENOSPC) || statErr != nil {
		t.Fatal(err, statErr)
	}
	if err := errors.Join(f.Truncate(max(0, info.Size()-int64(leave)<<10)), f.Sync()); err != nil {
		t.Fatal(err)
	}
}

func mountTmpfs(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	unmount(t, dir)
}

func mountExt4(t *testing.T, dir string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	for _, cmd := range [][]string{{"truncate", "-s", "72M", image}, {"mkfs.ext4", "-q", "-m", "0", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	unmount(t, dir)
}

func unmount(t *testing.T, dir string) {
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
