package sandbox_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

func TestTheBooksSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sandbox.db")
	h := open(t, sandbox.Config{Books: path})
	first := h.send("att_1", charge("pm_ok"))
	action := h.send("att_2", charge("pm_requires_action"))
	h.check("att_1")
	h.Close()

	h = open(t, sandbox.Config{Books: path})
	if again := h.send("att_1", charge("pm_ok")); again.GatewayID != first.GatewayID {
		t.Errorf("a repeat after a restart: got %q, want %q", again.GatewayID, first.GatewayID)
	}
	if s, c := h.Sends("att_1"), h.Checks("att_1"); s != 2 || c != 1 {
		t.Errorf("%d sends and %d checks were counted, want 2 and 1", s, c)
	}
	if a := h.decide("/sandbox/actions/"+action.GatewayID, "approved"); a.status != 200 {
		t.Errorf("an action after a restart: got %d", a.status)
	}
	h.wantCharges(2)
}

// A kill leaves the files as they are at some moment. What was answered by then
// is in them.
func TestTheBooksSurviveAKill(t *testing.T) {
	for sentence, files := range map[string][]string{
		"with all files":                {"", "-wal", "-shm"},
		"without the index of the log":  {"", "-wal"},
		"with the lock that was left":   {"", "-wal", "-shm", ".lock"},
		"whose log is as of the moment": {"-wal", "", "-shm"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			h := open(t, sandbox.Config{})
			h.send("att_1", charge("pm_ok"))
			h.sendAndLeave("att_2", charge("pm_timeout_after_charge"))
			killed := filepath.Join(t.TempDir(), "killed.db")
			for _, f := range files {
				content, err := os.ReadFile(h.path + f)
				if err == nil {
					err = os.WriteFile(killed+f, content, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			open(t, sandbox.Config{Books: killed}).wantCharges(2)
		})
	}
}

// Answered means durable: every commit is synced, and the log is a log.
func TestTheBooksAreSynced(t *testing.T) {
	h := open(t, sandbox.Config{})
	var mode string
	h.query("PRAGMA journal_mode", &mode)
	if mode != "wal" {
		t.Errorf("the journal is %s, want wal", mode)
	}
}

func TestOpenRefusesWhatAreNotBooks(t *testing.T) {
	for _, row := range []struct {
		sentence string
		make     func(path string)
		want     error
	}{
		{"a text", func(path string) { write(path, strings.Repeat("This is not a database.\n", 100)) }, sandbox.ErrForeign},
		{"another program's database", func(path string) { script(path, "CREATE TABLE t (x)") }, sandbox.ErrForeign},
		{"a store of ours", func(path string) { script(path, "PRAGMA application_id = 0x6f6e6365; CREATE TABLE meta (x)") }, sandbox.ErrForeign},
		{"books of a later version", func(path string) {
			script(path, "PRAGMA application_id = 0x73616e64; PRAGMA user_version = 2; CREATE TABLE t (x)")
		}, sandbox.ErrNewer},
		{"an empty file is none yet", func(path string) { write(path, "") }, nil},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "books.db")
			row.make(path)
			before, _ := os.ReadFile(path)
			s, err := sandbox.Open(sandbox.Config{Books: path})
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not name the file: %v", err)
			}
			if after, _ := os.ReadFile(path); row.want != nil && string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func write(path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
}

func script(path, text string) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		panic(err)
	}
}

func TestOneProcessOwnsTheBooks(t *testing.T) {
	h := open(t, sandbox.Config{})
	if _, err := sandbox.Open(sandbox.Config{Books: h.path}); !errors.Is(err, sandbox.ErrOwned) {
		t.Errorf("got %v", err)
	}
	h.Close()
	open(t, sandbox.Config{Books: h.path})
}

func TestBooksAreForTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a new directory", "100% of ?mode=memory#.db")
	h := open(t, sandbox.Config{Books: path})
	h.send("att_1", charge("pm_ok"))
	for _, f := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: %v, %v", f, info, err)
		}
	}
	if _, err := sandbox.Open(sandbox.Config{}); err == nil {
		t.Error("books without a path were opened")
	}
}

func TestAClosedServerSaysSo(t *testing.T) {
	h := open(t, sandbox.Config{})
	hung := make(chan answer)
	go func() { hung <- h.send("att_1", charge("pm_timeout_after_charge")) }()
	eventually(t, func() bool { return h.Sends("att_1") == 1 })
	began := time.Now()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if a := <-hung; a.err == nil || time.Since(began) > waiting/2 {
		t.Errorf("what hung was answered %d after %v", a.status, time.Since(began))
	}
	for sentence, a := range map[string]answer{"a send": h.send("att_2", charge("pm_ok")), "a check": h.check("att_1")} {
		if a.status != 503 {
			t.Errorf("%s: got %d %v", sentence, a.status, a.err)
		}
	}
	if err := h.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
