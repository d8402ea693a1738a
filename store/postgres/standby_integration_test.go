//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/pgtest"
)

// pair is a server and its standby.
func pair(t *testing.T) (primary, standby *pgtest.Server) {
	t.Helper()
	primary = pgtest.Start(t, "wal_level=replica")
	return primary, primary.Clone(t, []string{"-R", "-X", "stream"})
}

// A commit whose wait for the standby was cancelled is not reported, though the server says
// that all is well; and no load tells of it before it is on the standby.
func TestACommitThatIsNotReplicatedIsNotReported(t *testing.T) {
	primary, standby := pair(t)
	url := migrateAt(t, primary.URL("postgres"))
	s := openAt(t, url)
	openAccounts(t, s.Store, 2)
	teller := newTeller(s.Store, "k")
	c, err := teller.decide(move(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	primary.SQL(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
	primary.SQL(t, "postgres", "SELECT pg_reload_conf()")
	waitFor(t, url, "SELECT (current_setting('synchronous_standby_names') = '*')::int", 1)
	standby.Stop()
	told := make(chan error)
	go func() { told <- s.Commit(context.Background(), c) }()
	const waiting = " FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
	waitFor(t, url, "SELECT count(*)"+waiting, 1)
	run(t, url, "SELECT pg_cancel_backend(pid)"+waiting)
	if err := <-told; err == nil || errors.Is(err, engine.ErrNotCommitted) {
		t.Fatalf("it is %v, want an unknown one", err)
	}
	for range 2 { // nor does a load end the doubt whose own wait is cancelled
		go func() {
			_, err := s.Load(context.Background(), engine.Need{Keys: keysOf(c)})
			told <- err
		}()
		waitFor(t, url, "SELECT count(*)"+waiting, 1)
		run(t, url, "SELECT pg_cancel_backend(pid)"+waiting)
		if err := <-told; err == nil {
			t.Fatal("a load tells of it, and it is not on the standby")
		}
	}
	standby.Restart(t)
	if !isThere(t, s, c) {
		t.Fatal("it is not there")
	}
	primary.Crash()
	standby.Promote(t)
	standby.SQL(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = ''")
	standby.SQL(t, "postgres", "SELECT pg_reload_conf()")
	if !isThere(t, openAt(t, standby.URL("postgres")), c) {
		t.Error("a load told of it, and the standby does not have it")
	}
}
