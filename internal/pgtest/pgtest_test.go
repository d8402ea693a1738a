//go:build integration

package pgtest_test

import (
	"testing"

	"github.com/oncepay/oncepay/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// What was committed is there after a crash, and on a standby that is promoted.
func TestServersKeepWhatIsCommitted(t *testing.T) {
	s := pgtest.Start(t, "wal_level=replica")
	s.SQL(t, "postgres", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
	s.Crash()
	s.Restart(t)
	standby := s.Clone(t, []string{"-R", "-X", "stream"})
	s.Stop()
	standby.Promote(t)
	if got := standby.SQL(t, "postgres", "INSERT INTO kept VALUES (43) RETURNING (SELECT sum(n) FROM kept)"); got != "42" {
		t.Errorf("it has kept %q", got)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	if a, b := pgtest.Database(t), pgtest.Database(t); a == b {
		t.Errorf("both are %s", a)
	}
}
