//go:build integration

package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlite"
)

// These tests need root, strace and mkfs.ext4.

// A full disk refuses commits and loses none; reads go on, and so do commits
// when there is room again.
func TestFullDisk(t *testing.T) {
	for name, mount := range map[string]func(*testing.T, string){"tmpfs": mountTmpfs, "ext4": mountExt4} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mount(t, dir)
			fillAndFree(t, dir)
		})
	}
}

func fillAndFree(t *testing.T, dir string) {
	s := open(t, filepath.Join(dir, "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 200)
	made, full := 0, 0
	for round := range 6 {
		ballast := filepath.Join(dir, "ballast")
		fill(t, ballast, 40*(round+1))
		for failed := 0; failed < 5; {
			c := tl.decide(t, transfer(0, 1, 1), transfer(2, 3, 1), transfer(4, 5, 1))
			switch err := s.Commit(t.Context(), c); {
			case err == nil:
				made++
			case errors.Is(err, sqlite.ErrDiskFull) && errors.Is(err, engine.ErrNotCommitted):
				failed++
				full++
				checkNothingCame(t, s, c, made)
			default:
				t.Fatalf("a commit on a full disk: %v", err)
			}
		}
		checkAudit(t, s)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			mustCommit(t, s, tl.decide(t, transfer(0, 1, 1)))
			made++
		}
	}
	t.Logf("%d commits were made, %d found the disk full", made, full)
	if a := account(t, s, 1); a.Entries != int64(made) {
		t.Errorf("%d commits were reported, %d are there", made, a.Entries)
	}
	mustClose(t, s)
	if a := account(t, open(t, filepath.Join(dir, "once.db")), 1); a.Entries != int64(made) {
		t.Errorf("%d commits were reported, %d are there after opening again", made, a.Entries)
	}
}

// checkNothingCame reads, and looks that a commit that was refused left
// nothing.
func checkNothingCame(t *testing.T, s *sqlite.Store, c *engine.Changes, made int) {
	t.Helper()
	if a := account(t, s, 1); a.Entries != int64(made) {
		t.Fatalf("%d commits were reported, %d are there", made, a.Entries)
	}
	rows, err := s.Load(t.Context(), engine.Need{Keys: []once.Key{c.Keys[0].Key}, Rows: ledger.Rows{Accounts: []ledger.Ref{c.Ledger.Accounts[0].Ref}}})
	if err != nil || len(rows.Keys) != 0 || len(rows.Accounts) != 1 {
		t.Fatalf("a load on a full disk: %+v, %v", rows, err)
	}
}

// fill takes all the room that is left, but for some KiB.
func fill(t *testing.T, path string, leave int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(max(0, info.Size()-int64(leave)<<10)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func mountTmpfs(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=20m"); err != nil {
		t.Fatal(err)
	}
	unmount(t, dir)
}

func mountExt4(t *testing.T, dir string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	run(t, "truncate", "-s", "24M", image)
	run(t, "mkfs.ext4", "-q", "-m", "0", image)
	run(t, "mount", "-o", "loop", image, dir)
	unmount(t, dir)
}

func unmount(t *testing.T, dir string) {
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// When a sync fails, nobody can say what is on the disk: the process ends, and
// nothing is reported after that. What was reported before is there.
func TestFailedSync(t *testing.T) {
	var fatal atomic.Int64
	t.Cleanup(func() {
		if fatal.Load() < 5 {
			t.Errorf("only %d syncs failed in a commit or a checkpoint", fatal.Load())
		}
	})
	for when := 1; when <= 60; when += 1 + when/8 {
		t.Run(fmt.Sprint("sync ", when), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "once.db")
			lines := underStrace(t, path, fault{inject: fmt.Sprintf("fsync,fdatasync:error=EIO:when=%d", when)})
			acked, word := said(t, lines)
			if strings.HasPrefix(word, "fatal") {
				fatal.Add(1)
				t.Log(word)
			} else if !strings.HasPrefix(word, "not opened") {
				t.Fatalf("it ended with %s", word)
			}
			if acked == helperCommits {
				t.Fatal("no sync failed")
			}
			checkAcked(t, path, acked)
		})
	}
}

// said is how many commits a helper has reported, and its last word. The checkpointer
// stops the store from a goroutine of its own: the commit that was just synced may be
// reported beside that, and none that comes after it.
func said(t *testing.T, lines []string) (acked int, word string) {
	t.Helper()
	late := 0
	for i, line := range lines {
		switch {
		case line != "acked" && word == "":
			word = line
		case line != "acked":
			t.Fatalf("line %d of %d: %s", i+1, len(lines), line)
		case word != "":
			late++
			fallthrough
		default:
			acked++
		}
	}
	if late > 1 {
		t.Errorf("%d commits were reported after: %s", late, word)
	}
	return acked, word
}

func checkAcked(t *testing.T, path string, acked int) {
	t.Helper()
	s := open(t, path)
	a := account(t, s, 1)
	if acked > 0 && a == nil || a != nil && (a.Entries < int64(acked) || a.Entries > int64(acked)+1) {
		t.Errorf("%d commits were reported; the account is %+v", acked, a)
	}
	checkAudit(t, s)
}

// A checkpoint's sync is as good as a commit's: the log begins anew after it.
func TestFailedSyncOfACheckpoint(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "once.db")
	mustClose(t, open(t, path))
	lines := underStrace(t, path, fault{inject: "fsync,fdatasync:error=EIO:when=1", file: path})
	acked, word := said(t, lines)
	if !strings.HasPrefix(word, "fatal") || !strings.Contains(word, "checkpoint") {
		t.Errorf("it ended with %s", word)
	}
	checkAcked(t, path, acked)
}

// A write that fails in the middle of a commit is as bad.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	for _, when := range []int{90, 120, 400} {
		path := filepath.Join(t.TempDir(), "once.db")
		mustClose(t, open(t, path))
		lines := underStrace(t, path, fault{inject: fmt.Sprintf("pwrite64:error=EIO:when=%d", when)})
		acked, word := said(t, lines)
		if !strings.HasPrefix(word, "fatal") {
			t.Errorf("write %d: it ended with %s", when, word)
		}
		checkAcked(t, path, acked)
	}
}

const (
	helperEnv     = "ONCEPAY_TEST_HELPER"
	helperCommits = 300
)

// fault is what goes wrong in the helper below.
type fault struct {
	inject string // which calls fail, and how
	file   string // of which file; "" is of any
	pinned bool   // while a reader keeps the log from beginning anew
}

// underStrace runs the helper below with a fault, and returns what it said.
func underStrace(t *testing.T, path string, f fault) (lines []string) {
	t.Helper()
	args := []string{"-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync,pwrite64", "-e", "inject=" + f.inject}
	if f.file != "" {
		args = append(args, "-P", f.file)
	}
	cmd := exec.Command("strace", append(args, os.Args[0], "-test.run=^TestHelperProcess$")...)
	cmd.Env = append(os.Environ(), helperEnv+"="+path)
	if f.pinned {
		cmd.Env = append(cmd.Env, pinnedEnv+"=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for scan := bufio.NewScanner(out); scan.Scan(); {
		lines = append(lines, scan.Text())
	}
	if err := cmd.Wait(); err == nil {
		t.Fatalf("it ended well: %v", lines)
	}
	return lines
}

// TestHelperProcess is a process of its own that commits, and says what was
// reported.
func TestHelperProcess(t *testing.T) {
	path := os.Getenv(helperEnv)
	if path == "" {
		return // it is a part of other tests, which start it
	}
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path, Fatal: func(err error) {
		fmt.Println("fatal:", err)
		os.Exit(3)
	}})
	if err != nil {
		fmt.Println("not opened:", err)
		os.Exit(3)
	}
	if os.Getenv(pinnedEnv) != "" {
		commitPinned(t, s)
	}
	tb := ending{t}
	tl := newTeller(s)
	tl.openAccounts(tb, 2)
	for range helperCommits {
		c := tl.decide(tb, transfer(0, 1, 1))
		c.Keys[0].Answer.Body = make([]byte, 200<<10) // some fifty pages: soon the log is moved
		if err := s.Commit(context.Background(), c); err != nil {
			tb.Fatal("failed:", err)
		}
		fmt.Println("acked")
	}
	os.Exit(0)
}

// ending leaves the last word to Fatal: what fails since the checkpointer, in
// its own goroutine, has just stopped the store, is not to end the process first.
type ending struct{ testing.TB }

func (e ending) Fatal(args ...any) {
	time.Sleep(10 * time.Second) // far longer than Fatal takes to end the process
	e.TB.Fatal(args...)
}
