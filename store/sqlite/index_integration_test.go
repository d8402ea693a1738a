//go:build integration

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlite"
)

// SQLite writes and syncs a commit before it makes room for it in the index of
// the log. If the disk has no room for the index, the commit is refused in this
// process, and the next one would find it in the log. So it has to be undone on
// disk before anybody is told that nothing was written.
//
// The index takes more room after some 4,062 pages; the log only gets there
// while a reader keeps it from beginning anew.
func TestCommitRefusedForItsIndexNeverComesBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "once.db")
	mustClose(t, open(t, path))
	lines := underStrace(t, path, fault{inject: "pwrite64:error=ENOSPC:when=9+", file: path + "-shm", pinned: true})
	acked, refused := 0, 0
	for i, line := range lines {
		switch {
		case line == "acked":
			acked++
		case line == "refused":
			refused++
		case strings.HasPrefix(line, "fatal") && i == len(lines)-1:
		default:
			t.Fatalf("line %d of %d: %s", i+1, len(lines), line)
		}
	}
	t.Logf("%d commits were reported, %d refused; the last line is %q", acked, refused, lines[len(lines)-1])
	if refused == 0 {
		t.Error("no commit was refused")
	}
	s := open(t, path)
	if a := account(t, s, 1); a == nil || a.Entries != int64(acked) {
		t.Errorf("%d commits were reported; after a restart the account is %+v", acked, a)
	}
	checkAudit(t, s)
}

const pinnedEnv = "ONCEPAY_TEST_PINNED"

// commitPinned commits while a reader keeps the log from beginning anew, and
// ends without closing anything soon after a commit was refused.
func commitPinned(t *testing.T, s *sqlite.Store) {
	if _, err := s.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	tl := newTeller(s)
	tl.openAccounts(t, 2)
	for refused := 0; refused < 3; {
		c := tl.decide(t, transfer(0, 1, 1))
		c.Keys[0].Answer.Body = make([]byte, 200<<10) // some fifty pages
		switch err := s.Commit(context.Background(), c); {
		case err == nil:
			fmt.Println("acked")
			refused = 0
		case errors.Is(err, sqlite.ErrDiskFull) && errors.Is(err, engine.ErrNotCommitted):
			fmt.Println("refused")
			refused++
			rows, err := s.Load(context.Background(), engine.Need{Keys: []once.Key{c.Keys[0].Key}})
			if err != nil || len(rows.Keys) != 0 {
				fmt.Println("loaded what was refused:", rows, err)
				os.Exit(4)
			}
		default:
			fmt.Println("failed:", err)
			os.Exit(4)
		}
	}
	os.Exit(5)
}

// A quota that is used up is a full disk: what could not be written is refused.
func TestUsedUpQuota(t *testing.T) {
	t.Parallel()
	for log, when := range map[string]string{"-wal": "1500+", "-shm": "9+"} {
		path := filepath.Join(t.TempDir(), "once.db")
		mustClose(t, open(t, path))
		lines := underStrace(t, path, fault{inject: "pwrite64:error=EDQUOT:when=" + when, file: path + log, pinned: true})
		acked := 0
		for _, line := range lines {
			if line == "acked" {
				acked++
			}
		}
		if last := lines[len(lines)-1]; last != "refused" {
			t.Errorf("%s: it ended with %s", log, last)
		}
		s := open(t, path)
		if a := account(t, s, 1); a == nil || a.Entries != int64(acked) {
			t.Errorf("%s: %d commits were reported; after a restart the account is %+v", log, acked, a)
		}
		checkAudit(t, s)
	}
}
