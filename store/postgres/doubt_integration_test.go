//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/pgtest"
)

// addrOf is where the server of a URL is.
func addrOf(url string) string {
	_, rest, _ := strings.Cut(url, "@")
	addr, _, _ := strings.Cut(rest, "/")
	return addr
}

// doubt is a store behind a proxy, and the same one seen without.
type doubt struct {
	*testing.T
	*proxy
	url    string
	s      place // through the proxy
	plain  place
	teller *teller
}

func newDoubt(t *testing.T) *doubt {
	t.Helper()
	url := apart(t).migrated(t)
	p, through := before(t, url, addrOf(url))
	d := &doubt{T: t, proxy: p, url: url, s: openAt(t, through), plain: openAt(t, url)}
	openAccounts(t, d.s.Store, 2)
	d.teller = newTeller(d.s.Store, "doubt")
	return d
}

// A connection is cut at every message of a commit, in both directions: what the store says of
// it then is so, and what a load says of it stays so.
func TestWhatIsSaidOfACutCommitIsSo(t *testing.T) {
	for _, server := range []bool{false, true} {
		t.Run(fmt.Sprint("server=", server), func(t *testing.T) {
			d, seen := newDoubt(t), map[string]int{}
			for after := 0; ; after++ {
				c, err := d.teller.decide(move(0, 1))
				if err != nil {
					t.Fatal(err)
				}
				d.arm(&cut{server: server, after: after})
				err = d.s.Commit(context.Background(), c)
				cut := d.disarm()
				there := isThere(t, d.s, c)
				seen[d.judge(after, err, there)]++
				if isThere(t, d.plain, c) != there {
					t.Fatalf("cut after %d: a load said that it is there: %v, and that is not so", after, there)
				}
				if !cut {
					break
				}
			}
			inOrder(t, d.plain.Store)
			if seen["unknown, not there"] < 10 || server && seen["unknown, there"] == 0 {
				t.Errorf("the commits were cut in few ways: %v", seen)
			}
		})
	}
}

// judge says what became of a commit, and fails if the store said something else.
func (d *doubt) judge(after int, err error, there bool) string {
	d.Helper()
	switch {
	case err == nil && there:
		return "done"
	case err == nil:
		d.Fatalf("cut after %d: it was reported and is not there", after)
	case errors.Is(err, engine.ErrNotCommitted) && there:
		d.Fatalf("cut after %d: it is there, and was said to be certainly not: %v", after, err)
	case errors.Is(err, engine.ErrNotCommitted):
		return "certainly not"
	case there:
		return "unknown, there"
	}
	return "unknown, not there"
}

// A commit that reaches the server after a load has said that it is not there is refused.
func TestACommitThatIsLateIsRefused(t *testing.T) {
	d := newDoubt(t)
	c, err := d.teller.decide(move(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	held := d.arm(&cut{hold: make(chan struct{}), of: binds})
	if err := d.s.Commit(t.Context(), c); err == nil || errors.Is(err, engine.ErrNotCommitted) {
		t.Fatalf("a commit that is on its way is %v, want an unknown one", err)
	}
	if isThere(t, d.s, c) {
		t.Fatal("it is there, and never reached the server")
	}
	close(held.hold)
	waitFor(t, d.url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%fence_epoch%' AND state = 'idle'", 1)
	if isThere(t, d.s, c) || isThere(t, d.plain, c) {
		t.Error("it is there, after a load said that it is not")
	}
	d.teller.mustDo(t, move(0, 1))
}

// A load waits for a commit that the server is still at.
func TestALoadWaitsForACommitInDoubt(t *testing.T) {
	d := newDoubt(t)
	c, err := d.teller.decide(move(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	held := d.arm(&cut{hold: make(chan struct{}), of: syncs})
	if err := d.s.Commit(t.Context(), c); err == nil || errors.Is(err, engine.ErrNotCommitted) {
		t.Fatalf("a commit that is on its way is %v, want an unknown one", err)
	}
	d.executed()
	there := make(chan bool)
	go func() { there <- isThere(t, d.s, c) }()
	waitFor(t, d.url, "SELECT count(*) FROM pg_locks WHERE NOT granted", 1)
	close(held.hold)
	if !<-there {
		t.Error("it was committed while the load waited, and the load does not show it")
	}
}

// executed waits until the server has executed a commit whose end is held, as far as its keys,
// which come after all that it waits for: who comes then finds it at work.
func (d *doubt) executed() {
	d.Helper()
	waitFor(d.T, d.url, "SELECT count(DISTINCT pid) FROM pg_locks WHERE relation = 'keys'::regclass AND mode = 'RowExclusiveLock' AND granted", 1)
}

// waitFor waits until a query says a number.
func waitFor(t *testing.T, url, sql string, want int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); query(t, url, sql) != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it is %d, want %d", sql, query(t, url, sql), want)
		}
	}
}

// A backend that an administrator ends in the middle of commits leaves no answer that is not
// so.
func TestEndedBackends(t *testing.T) {
	d := newDoubt(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := pgx.Connect(context.Background(), d.url)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close(context.Background())
		for ctx.Err() == nil {
			c.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%entries%' AND state = 'active'`)
		}
	}()
	seen := map[string]int{}
	for i := range 60 {
		c, err := d.teller.decide(move(0, 1), move(1, 0))
		if err != nil {
			continue // the load's was ended
		}
		err = d.s.Commit(context.Background(), c)
		need := engine.Need{}
		need.Keys = append(need.Keys, c.Keys[0].Key)
		rows, failed := d.s.Load(context.Background(), need)
		for range 100 {
			if failed == nil {
				break
			}
			rows, failed = d.s.Load(context.Background(), need)
		}
		if failed != nil {
			t.Fatal(failed)
		}
		seen[d.judge(i, err, len(rows.Keys) == 1)]++
	}
	stop()
	<-ended
	t.Log(seen)
	inOrder(t, d.plain.Store)
}

// What was acknowledged is there after the server crashed under load.
func TestACrashLosesNothing(t *testing.T) {
	server := pgtest.Start(t)
	s := openAt(t, migrateAt(t, server.URL("postgres")))
	openAccounts(t, s.Store, 2)
	teller := newTeller(s.Store, "crash")
	var acknowledged []*engine.Changes
	crashed := make(chan struct{})
	for {
		c, err := teller.do(move(0, 1))
		if err != nil {
			break
		}
		if acknowledged = append(acknowledged, c); len(acknowledged) == 50 {
			go func() { server.Crash(); close(crashed) }()
		}
	}
	<-crashed
	server.Restart(t)
	for i, c := range acknowledged {
		if !isThere(t, s, c) {
			t.Fatalf("commit %d of %d is lost", i, len(acknowledged))
		}
	}
	teller.mustDo(t, move(0, 1))
	inOrder(t, s.Store)
}
