//go:build integration

package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/internal/pgtest"
)

// begun is a transaction that has an id, and that somebody ends later.
func begun(t *testing.T, url, sql string) pgx.Tx {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	tx, err := c.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), sql)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// writeEvent is what a commit does about events: it has an id before it takes a number.
func writeEvent(name string) string {
	return fmt.Sprintf("SELECT pg_current_xact_id(); INSERT INTO events (tenant, id, type, subject, at, data) VALUES ('t', '%s', 'account.opened', 's', 1, '{}')", name)
}

func (p place) ids(t *testing.T) (ids []string) {
	t.Helper()
	events, _, err := p.EventsAfter(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

// soon waits for what a store knows.
func (p place) soon(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got = p.ids(t); fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
	}
	t.Fatalf("in the end it reads %v, want %v", got, want)
}

// An event is not read while one with a smaller number may still be committed: not even when
// the other one has the greater id and no transaction has ended since it began, and not
// when somebody has looked for so long that writers are told by their locks.
func TestAnEventWaitsForSmallerNumbers(t *testing.T) {
	url := pgtest.Database(t) + "&search_path=public"
	migrateAt(t, url)
	s := openAt(t, url)
	late := begun(t, url, "SELECT pg_current_xact_id()") // the greater number, the smaller id
	first := begun(t, url, writeEvent("evt_1"))
	if _, err := late.Exec(t.Context(), writeEvent("evt_2")); err != nil {
		t.Fatal(err)
	}
	s.ids(t) // sets a pin, while both are at work and neither has ended
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got := s.ids(t); len(got) > 0 {
			t.Fatalf("it reads %v while the first event is not committed", got)
		}
	}
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.soon(t, "evt_1", "evt_2")
}

// A number that was taken and given up leaves a gap, which is passed.
func TestANumberThatWasGivenUpIsPassed(t *testing.T) {
	url := pgtest.Database(t) + "&search_path=public"
	migrateAt(t, url)
	s := openAt(t, url)
	gone := begun(t, url, writeEvent("evt_1"))
	run(t, url, writeEvent("evt_2"))
	if err := gone.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.soon(t, "evt_2")
}

// A transaction that takes long and writes no events, in whatever database, holds nothing up
// for more than a moment.
func TestALongTransactionOfOthersHoldsNothingUp(t *testing.T) {
	url := pgtest.Database(t) + "&search_path=public"
	migrateAt(t, url)
	s := openAt(t, url)
	here, elsewhere := begun(t, url, "CREATE TABLE theirs (n int)"), begun(t, pgtest.Database(t), "SELECT pg_current_xact_id()")
	defer here.Rollback(context.Background())
	defer elsewhere.Rollback(context.Background())
	run(t, url, writeEvent("evt_1"))
	s.soon(t, "evt_1")
	run(t, url, writeEvent("evt_2"))
	s.soon(t, "evt_1", "evt_2")
}
