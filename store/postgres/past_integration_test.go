//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/store/postgres"
)

// watched is a store that counts how often it was told to be of another past.
type watched struct {
	place
	told atomic.Int64
}

func watch(t *testing.T, url string) *watched {
	t.Helper()
	w := &watched{}
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Log: quiet, Fatal: func(error) { w.told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.place = place{s, url}
	return w
}

// wantForgot holds that a store says that it has lost nothing, or what was before a time.
func wantForgot(t *testing.T, s place, anything bool) time.Time {
	t.Helper()
	until, err := s.Forgot(t.Context())
	if err != nil || until.IsZero() == anything {
		t.Fatalf("until %v it may have lost something: %v", until, err)
	}
	return until
}

// wantAstray holds that a store neither loads nor commits, and has told so once.
func (w *watched) wantAstray(t *testing.T) {
	t.Helper()
	c := made("astray", time.Now())
	_, loading := w.Load(t.Context(), engine.Need{Keys: keysOf(c)})
	for n := 0; n < 10 && !errors.Is(loading, postgres.ErrForgot); n++ { // connections that broke are found out one by one
		_, loading = w.Load(t.Context(), engine.Need{Keys: keysOf(c)})
	}
	committing := w.Commit(context.Background(), c)
	_, asking := w.Forgot(t.Context())
	for _, err := range []error{loading, committing, asking} {
		if !errors.Is(err, postgres.ErrForgot) || !errors.Is(err, engine.ErrNotCommitted) || errors.Is(err, engine.ErrConflict) {
			t.Errorf("a store of another past says %v", err)
		}
	}
	if n := w.told.Load(); n != 1 {
		t.Errorf("it was told so %d times", n)
	}
}

// both is a URL of two servers, of which one takes commits.
func both(a, b *pgtest.Server) string {
	return strings.Replace(a.URL("postgres"), a.Addr(), a.Addr()+","+b.Addr(), 1)
}

// A standby that had not got the last commits takes over. Whoever had the store open is not
// let into the other past, under whatever name it finds the server; all who open it are told
// the same, until an operator has ended it.
func TestAStandbyThatLaggedHasForgotten(t *testing.T) {
	primary, standby := pair(t)
	url := both(primary, standby)
	migrateAt(t, primary.URL("postgres"))
	run(t, primary.URL("postgres"), "CREATE ROLE ordinary LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO ordinary; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ordinary")
	s, idle := watch(t, strings.Replace(url, "postgres@", "ordinary@", 1)), watch(t, url)
	openAccounts(t, s.Store, 2)
	teller := newTeller(s.Store, "failover")
	kept := teller.mustDo(t, move(0, 1))
	waitFor(t, primary.URL("postgres"), "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()", 1)
	wantForgot(t, s.place, false)
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: standby.URL("postgres"), Log: quiet}); err == nil {
		t.Error("a standby is opened")
	}
	standby.SQL(t, "postgres", "ALTER SYSTEM SET primary_conninfo = ''")
	standby.SQL(t, "postgres", "SELECT pg_reload_conf()")
	waitFor(t, primary.URL("postgres"), "SELECT count(*) FROM pg_stat_replication", 0)
	lost := teller.mustDo(t, move(0, 1))
	primary.Crash()
	standby.Promote(t)

	s.wantAstray(t)
	again := openAt(t, url)
	until := wantForgot(t, again, true)
	if !until.After(lost.At) {
		t.Errorf("what was committed at %v is lost, and all after %v is said to be there", lost.At, until)
	}
	if !isThere(t, again, kept) || isThere(t, again, lost) {
		t.Error("the standby has not what it should have")
	}
	idle.wantAstray(t)
	if n, err := again.EndLosses(t.Context(), "what was found when it was opened", "ops"); n != 0 || err != nil {
		t.Errorf("%d losses were ended that nobody can have looked into: %v", n, err)
	}
	other := openAt(t, url)
	if same := wantForgot(t, other, true); !same.Equal(until) {
		t.Errorf("one process is told %v, another %v", until, same)
	}
	if n, err := other.EndLosses(t.Context(), "compared with the gateway's report", "ops"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	wantForgot(t, again, false)
	wantForgot(t, openAt(t, url), false)
	losses, err := again.Losses(t.Context())
	if err != nil || len(losses) != 1 || losses[0].Evidence != "compared with the gateway's report" || losses[0].Actor != "ops" || losses[0].EndedAt.IsZero() {
		t.Errorf("it is remembered as %+v, %v", losses, err)
	}
}

// A standby takes over while a commit is in doubt, whose process finds commits gone when it
// looks. It is told apart from files that were put back: an operator looks elsewhere then.
func TestADoubtIsSettledInItsOwnPast(t *testing.T) {
	primary, standby := pair(t)
	s := watch(t, migrateAt(t, both(primary, standby)))
	openAccounts(t, s.Store, 2)
	waitFor(t, primary.URL("postgres"), "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()", 1)
	standby.SQL(t, "postgres", "ALTER SYSTEM SET primary_conninfo = ''")
	standby.SQL(t, "postgres", "SELECT pg_reload_conf()")
	waitFor(t, primary.URL("postgres"), "SELECT count(*) FROM pg_stat_replication", 0)
	teller := newTeller(s.Store, "doubt")
	teller.mustDo(t, move(0, 1)) // and it is gone with the primary
	c, err := teller.decide(move(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	primary.SQL(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
	primary.SQL(t, "postgres", "SELECT pg_reload_conf()")
	waitFor(t, primary.URL("postgres"), "SELECT (current_setting('synchronous_standby_names') = '*')::int", 1)
	told := make(chan error)
	go func() { told <- s.Commit(context.Background(), c) }()
	const waiting = " FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
	waitFor(t, primary.URL("postgres"), "SELECT count(*)"+waiting, 1)
	run(t, primary.URL("postgres"), "SELECT pg_cancel_backend(pid)"+waiting)
	if err := <-told; err == nil || errors.Is(err, engine.ErrNotCommitted) {
		t.Fatalf("it is %v, want an unknown one", err)
	}
	primary.Crash()
	standby.Promote(t)
	s.wantAstray(t)
	losses, err := openAt(t, s.url).Losses(t.Context())
	if err != nil || len(losses) != 1 || !strings.Contains(losses[0].Cause, "from timeline 1 to 2") {
		t.Errorf("it is remembered as %+v, %v", losses, err)
	}
}

// A restart is no other past, nor is a standby that has all and has not taken over.
func TestARestartForgetsNothing(t *testing.T) {
	server := pgtest.Start(t)
	s := watch(t, migrateAt(t, server.URL("postgres")))
	for _, stop := range []func(){server.Stop, server.Crash} {
		stop()
		server.Restart(t)
		wantForgot(t, openAt(t, s.url), false)
	}
	for range 10 { // connections that broke are found out one by one
		if _, err := s.Load(t.Context(), engine.Need{Keys: keysOf(made("k", time.Now()))}); err == nil {
			break
		}
	}
	wantForgot(t, s.place, false)
	if s.told.Load() > 0 {
		t.Error("it is told that it has forgotten")
	}
}

// program runs one of PostgreSQL's programs against a server.
func program(t *testing.T, s *pgtest.Server, name string, args ...string) {
	t.Helper()
	args = append([]string{"-h", "127.0.0.1", "-p", s.Port, "-U", "postgres"}, args...)
	if out, err := s.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// A dump is restored, into another cluster or another database of the same.
func TestADumpThatIsRestoredHasForgotten(t *testing.T) {
	from, to := pgtest.Start(t, "fsync=off"), pgtest.Start(t, "fsync=off")
	url := migrateAt(t, from.URL("postgres"))
	openAccounts(t, openAt(t, url).Store, 2)
	dump := filepath.Join(filepath.Dir(from.Dir), "dump.sql")
	program(t, from, "pg_dump", "-f", dump, "postgres")
	from.SQL(t, "postgres", "CREATE DATABASE again")
	for server, database := range map[*pgtest.Server]string{from: "again", to: "postgres"} {
		program(t, server, "psql", "-Xqv", "ON_ERROR_STOP=1", "-f", dump, database)
		wantForgot(t, openAt(t, server.URL(database)), true)
		wantForgot(t, openAt(t, server.URL(database)), true) // and it is not another loss
		if n := query(t, server.URL(database), "SELECT count(*) FROM pasts"); n != 2 {
			t.Errorf("there are %d pasts", n)
		}
	}
	wantForgot(t, openAt(t, url), false)
}

// A copy of the server's files that is restored to a time tells another history. One that is
// simply started is not told from a restart; an operator says so, and all must open it anew.
func TestACopyThatIsRestoredHasForgotten(t *testing.T) {
	server := pgtest.Start(t)
	openAccounts(t, openAt(t, migrateAt(t, server.URL("postgres"))).Store, 2)
	restored := server.Clone(t, nil)
	s := watch(t, restored.URL("postgres"))
	wantForgot(t, s.place, false)
	if err := s.NoteLoss(t.Context(), "the backup of last night was restored"); err != nil {
		t.Fatal(err)
	}
	s.wantAstray(t)
	first := wantForgot(t, openAt(t, s.url), true)
	restored.SQL(t, "postgres", "ALTER SYSTEM SET restore_command = 'false'") // there are no files beside those that it has
	restored.Stop()
	signal := filepath.Join(restored.Dir, "recovery.signal")
	if err := os.WriteFile(signal, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	restored.Restart(t)
	waitFor(t, restored.URL("postgres"), "SELECT pg_is_in_recovery()::int", 0)
	if second := wantForgot(t, openAt(t, s.url), true); !second.After(first) {
		t.Errorf("it was restored once more: from %v to %v", first, second)
	}
}

// A copy of the server's files that was made before the last commits takes the server's
// place. Nothing tells it from a restart but who was told of those commits, or whose own row is
// gone with them.
func TestWhoWasThereRemembers(t *testing.T) {
	for name, late := range map[string]bool{"its last commit is gone": false, "it came after the copy": true} {
		t.Run(name, func(t *testing.T) {
			server := pgtest.Start(t)
			url := migrateAt(t, server.URL("postgres"))
			s, idle := watch(t, url), watch(t, url)
			openAccounts(t, s.Store, 2)
			copied := server.Clone(t, nil)
			lost := newTeller(s.Store, "lost").mustDo(t, move(0, 1))
			if late { // and nothing was acknowledged to it
				mustClose(t, s.place)
				s = watch(t, url)
			}
			teller := newTeller(s.Store, "again")
			copied.Stop()
			server.Crash()
			copied.Port = server.Port
			copied.Restart(t)
			for n := 0; n < 10 && s.told.Load() == 0; n++ { // connections that broke, and an epoch that is not there
				if c, err := teller.decide(move(0, 1)); err == nil {
					if err := s.Commit(context.Background(), c); err == nil {
						t.Fatal("it commits what it has decided in another past")
					}
				}
			}
			s.wantAstray(t)
			idle.wantAstray(t)
			if until := wantForgot(t, openAt(t, url), true); !until.After(lost.At) {
				t.Errorf("what was committed at %v is lost, and all after %v is said to be there", lost.At, until)
			}
		})
	}
}

// A user who may not call what tells a restored store from the one before is told which
// function that is, and so is who finds a server that has none of it.
func TestAServerThatDoesNotTellItsHistoryHoldsNoStore(t *testing.T) {
	database := pgtest.Database(t)
	run(t, database, "CREATE ROLE mute LOGIN; CREATE SCHEMA mute AUTHORIZATION mute")
	t.Cleanup(func() { run(t, database, "DROP OWNED BY mute; DROP ROLE mute") })
	url := strings.Replace(database, "postgres@", "mute@", 1) + "&search_path=mute"
	migrateAt(t, url)
	wantBoth := func(says string) {
		t.Helper()
		_, opening := postgres.Open(t.Context(), postgres.Config{URL: url, Log: quiet})
		for _, err := range []error{opening, postgres.Migrate(t.Context(), url)} {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("it says %v, want %q", err, says)
			}
		}
	}
	for _, function := range []string{"pg_control_system()", "pg_current_wal_insert_lsn()", "pg_walfile_name(pg_lsn)"} {
		run(t, database, "REVOKE EXECUTE ON FUNCTION "+function+" FROM PUBLIC")
		wantBoth("this user may not call " + function + ", by which a store that was restored is told from the one before: GRANT EXECUTE ON FUNCTION " + function + " TO it")
		run(t, database, "GRANT EXECUTE ON FUNCTION "+function+" TO mute")
	}
	mustClose(t, openAt(t, url))
	run(t, database, "ALTER FUNCTION pg_control_system() RENAME TO pg_control_systems")
	wantBoth("the server has no pg_control_system(), by which a store that was restored is told from the one before: it cannot hold one")
	run(t, database, `CREATE FUNCTION pg_catalog.pg_control_system(OUT system_identifier bigint) LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'wal_level must be set to logical' USING ERRCODE = '55000'; END $$`)
	wantBoth("the server does not answer pg_control_system(), by which a store that was restored is told from the one before, so it cannot hold one: wal_level must be set to logical (SQLSTATE 55000)")
}
