package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/store/sqlite"
)

// However much is written, the log stays short.
func TestLogStaysShort(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "once.db")
	tl := newTeller(open(t, path))
	tl.openAccounts(t, 1000)
	for range 7 {
		tl.run(t, 500)
		tl.fill(t, 10)
	}
	if log, file := sizeMiB(t, path+"-wal"), sizeMiB(t, path); log > 24 || file < 50 {
		t.Errorf("after more than 70 MiB the log has %.1f MiB, the file %.1f MiB", log, file)
	}
}

// A power cut can leave any part of what was not synced, and of a commit that
// was being written. Whatever the end of the log looks like, the store opens
// and holds all commits up to some point, in order, and none in part.
func TestTornLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "once.db")
	tl := newTeller(open(t, path))
	tl.openAccounts(t, 2)
	const commits = 30
	for range commits {
		mustCommit(t, tl.s, tl.decide(t, transfer(0, 1, 1)))
	}
	file, log := read(t, path), read(t, path+"-wal")
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[int64]bool{}
	for i := range 60 {
		torn := append([]byte(nil), log...)
		what := spoil(r, &torn)
		t.Run(fmt.Sprint(i, ": ", what), func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "once.db"), file)
			write(t, filepath.Join(dir, "once.db-wal"), torn)
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "once.db")})
			if errors.Is(err, sqlite.ErrDamaged) && strings.HasPrefix(what, "garbage") {
				return // no crash does that in the middle
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			a := account(t, s, 1)
			if a == nil { // even the accounts are gone
				return
			}
			seen[a.Entries] = true
			if a.Balance.Posted != a.Entries || a.Entries > commits {
				t.Errorf("account: %+v", a)
			}
			checkAudit(t, s)
			if s.Since().After(tl.now) {
				t.Errorf("the clock is at %v", s.Since())
			}
		})
	}
	if len(seen) < 5 {
		t.Errorf("the cuts left only %d different histories", len(seen))
	}
}

// What was reported and cannot be read is never passed over: a bit that flips in
// the middle of the log has the store refuse to open. In the last commit it may
// be taken for what a crash left of it.
func TestFlippedBitsInTheLogAreFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "once.db")
	tl := newTeller(open(t, path))
	tl.openAccounts(t, 2)
	commits := make([]int64, 12) // where each ended
	for i := range commits {
		mustCommit(t, tl.s, tl.decide(t, transfer(0, 1, 1)))
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		commits[i] = info.Size()
	}
	file, log := read(t, path), read(t, path+"-wal")
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		flipped := append([]byte(nil), log...)
		at := r.Int64N(commits[11])
		if r.IntN(20) == 0 {
			at = r.Int64N(32) // the header
		}
		flipped[at] ^= 1 << r.IntN(8)
		os.Remove(filepath.Join(dir, "once.db-shm"))
		write(t, filepath.Join(dir, "once.db"), file)
		write(t, filepath.Join(dir, "once.db-wal"), flipped)
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "once.db")})
		if err == nil {
			mustClose(t, s)
		}
		if damaged := errors.Is(err, sqlite.ErrDamaged); !damaged && at < commits[9] || damaged && at >= commits[10] {
			t.Errorf("a bit at %d; the last three commits are from %d, %d and %d on: open says %v", at, commits[8], commits[9], commits[10], err)
		}
	}
}

// spoil does to the log what a crash may do to it: the end is missing, or
// garbage, or zero.
func spoil(r *rand.Rand, log *[]byte) string {
	b := *log
	at := len(b)/4 + r.IntN(len(b)*3/4)
	switch r.IntN(3) {
	case 0:
		*log = b[:at]
		return fmt.Sprint("cut at ", at)
	case 1:
		for i := at; i < min(len(b), at+4096); i++ {
			b[i] = byte(r.Uint32())
		}
		return fmt.Sprint("garbage at ", at)
	default:
		clear(b[at:])
		return fmt.Sprint("zero from ", at)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A reader that needs the log as it is keeps it from beginning anew, and
// nothing else: commits go on, and it is short again after the reader has gone.
func TestLogGrowsWhileItIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	r, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tl.run(t, 500)
	tl.fill(t, 24)
	entries := 0
	if err := r.Entries(t.Context(), func(ledger.Entry) error { entries++; return nil }); err != nil || entries != 0 {
		t.Errorf("a reader of an earlier moment sees %d entries, %v", entries, err)
	}
	auditOf(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if log := sizeMiB(t, path+"-wal"); log < 24 {
		t.Errorf("with a reader that needs all of it the log has %.1f MiB", log)
	}
	tl.fill(t, 48)
	before := sizeMiB(t, path+"-wal")
	tl.run(t, 500)
	tl.fill(t, 24)
	if after := sizeMiB(t, path+"-wal"); after > before+8 {
		t.Errorf("the log still grows without a reader: from %.1f to %.1f MiB", before, after)
	}
	checkAudit(t, s)
}

// The loader and the readers never keep the log from beginning anew: nothing is
// left open by a page that ended early.
func TestReadsLeaveTheLogAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	tl.run(t, 300)
	for range 6 { // on every connection
		l, err := s.Transfers(context.Background(), "acme", engine.TransferFilter{}, engine.Page{Limit: 1})
		if err != nil || l.Next == "" {
			t.Fatal(l, err)
		}
	}
	tl.run(t, 300)
	tl.fill(t, 48)
	if log := sizeMiB(t, path+"-wal"); log > 24 {
		t.Errorf("the log has %.1f MiB", log)
	}
}

// The header is synced before any page is written: if it is gone and pages are
// there, what was reported would be. Where nothing was written nothing is lost.
func TestLogWithoutItsHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	tl := newTeller(open(t, path))
	tl.openAccounts(t, 2)
	file, log := read(t, path), read(t, path+"-wal")
	clear(log[:32])
	for name, row := range map[string]struct {
		log  []byte
		want error
	}{
		"pages follow":      {log, sqlite.ErrDamaged},
		"zeros follow":      {make([]byte, len(log)), nil},
		"nothing follows":   {log[:32], nil},
		"it is not all":     {log[:10], nil},
		"the log has begun": {append(make([]byte, len(log)), 1), sqlite.ErrDamaged},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "once.db"), file)
		write(t, filepath.Join(dir, "once.db-wal"), row.log)
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "once.db")})
		if err == nil {
			mustClose(t, s)
		}
		if !errors.Is(err, row.want) {
			t.Errorf("%s: open says %v", name, err)
		}
	}
}
