//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Three processes debit one account, each as fast as it can. Nobody is turned away, and
// nobody waits for long.
func TestProcessesShareAHotAccount(t *testing.T) {
	const processes, clients, each = 3, 8, 25
	url := apart(t).migrated(t)
	openAccounts(t, openAt(t, url).Store, clients+1)
	var wg sync.WaitGroup
	var slowest atomic.Int64
	for p := range processes {
		store := openAt(t, url)
		e := engine.New(store, engine.Config{Shared: true, Since: store.Since(), Seed: id.Seed(), MaxBatch: 16})
		t.Cleanup(func() { e.Close(context.Background()) })
		for c := range clients {
			wg.Go(func() {
				for i := range each {
					began := time.Now()
					o := e.Do(t.Context(), debit(fmt.Sprintf("%d-%d-%d", p, c, i), c+1))
					if o.Err != nil || o.Answer.Status != 201 {
						t.Errorf("process %d, client %d, request %d: %+v", p, c, i, o)
						return
					}
					for took := int64(time.Since(began)); took > slowest.Load(); {
						slowest.Store(took)
					}
				}
			})
		}
	}
	wg.Wait()
	t.Logf("the slowest of %d took %v", processes*clients*each, time.Duration(slowest.Load()))
	inOrder(t, openAt(t, url).Store)
	if n := query(t, url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n != 0 {
		t.Errorf("there were %d deadlocks", n)
	}
}

// debit is a request that takes one from the hot account.
func debit(name string, to int) *engine.Job {
	return &engine.Job{
		Tenant: "acme", Request: once.Request{Key: key(name), Operation: "POST /v1/transfers"},
		Command: move(0, to),
		Reply: func(r ledger.Result, no *ledger.Refusal) once.Answer {
			if no != nil {
				return once.Answer{Status: 422, Body: []byte(no.Error())}
			}
			return once.Answer{Status: 201, Body: r.Transfer.AppendJSON(nil)}
		},
	}
}

// decided is a batch whose rows were loaded, held or not.
func (t *teller) decided(tb testing.TB, hold bool, commands ...ledger.Command) *engine.Changes {
	tb.Helper()
	t.hold = hold
	c, err := t.decide(commands...)
	t.hold = false
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

const idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"

// Who holds rows commits before whoever wants them, and who does not commit in time has
// held them for nothing. Loads of the same process go on meanwhile.
func TestHeldRowsAreKeptForACommit(t *testing.T) {
	url := apart(t).migrated(t)
	holder, other := openAt(t, url), openAt(t, url)
	openAccounts(t, holder.Store, 3)
	mine, theirs := newTeller(holder.Store, "mine"), newTeller(other.Store, "theirs")

	waiting := theirs.decided(t, false, move(0, 1))
	held := mine.decided(t, true, move(0, 1))
	told := make(chan error, 1)
	go func() { told <- other.Commit(context.Background(), waiting) }()
	waitFor(t, url, "SELECT count(*) FROM pg_locks WHERE NOT granted", 1)
	mine.decided(t, false, move(1, 2))
	if err := holder.Commit(t.Context(), held); err != nil {
		t.Errorf("who holds the rows is told %v", err)
	}
	if err := <-told; !errors.Is(err, engine.ErrConflict) {
		t.Errorf("who waited for them is told %v", err)
	}

	late := mine.decided(t, true, move(0, 1))
	theirs.mustDo(t, move(0, 1)) // it waits until they are free
	if err := holder.Commit(t.Context(), late); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("who held them for too long is told %v", err)
	}
	for _, hold := range []bool{true, true} { // the second round of a batch
		late = mine.decided(t, hold, move(0, 1))
	}
	waitFor(t, url, idle, 0)
	if err := holder.Commit(t.Context(), late); err != nil {
		t.Errorf("nobody wanted them, and it is told %v", err)
	}
	inOrder(t, other.Store)
}

// A commit that holds rows and wants others, which their holder does not let go of while it
// wants the first, gives up before the server finds a deadlock.
func TestHeldRowsMakeNoDeadlock(t *testing.T) {
	url := apart(t).migrated(t)
	holder, other := openAt(t, url), openAt(t, url)
	openAccounts(t, holder.Store, 4)
	mine, theirs := newTeller(holder.Store, "mine"), newTeller(other.Store, "theirs")
	crossed, crossing := theirs.decided(t, false, move(0, 3)), mine.decided(t, false, move(0, 3))
	mine.decided(t, true, move(3, 2)) // it holds 3 and 2, and commits what changes 0 and 3
	told := make(chan error, 1)
	go func() { told <- other.Commit(context.Background(), crossed) }() // it has 0, and waits for 3
	waitFor(t, url, "SELECT count(*) FROM pg_locks WHERE NOT granted", 1)
	err := holder.Commit(t.Context(), crossing)
	if !errors.Is(err, engine.ErrConflict) {
		t.Errorf("who holds one and wants the other is told %v", err)
	}
	if err := <-told; err != nil {
		t.Errorf("who was in order is told %v", err)
	}
	mustClose(t, holder)
	mustClose(t, other)
	if n := query(t, url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n != 0 {
		t.Errorf("there were %d deadlocks", n)
	}
}
