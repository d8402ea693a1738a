//go:build integration

package stdkeys_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
	"github.com/oncepay/oncepay/store/pgkeys/stdkeys"
)

func TestAnOrderAndItsKeyAreOneCommit(t *testing.T) {
	s := openShop(t)
	refused := &once.Refusal{Code: "sold_out", Message: "There is none left."}
	for _, row := range []struct {
		key  string
		then error
		sold int
		kept bool
	}{
		{"it succeeds", nil, 1, true},
		{"it is refused", refused, 0, true},
		{"it fails", errors.New("no connection"), 0, false},
		{"it says that nothing happened", once.NothingHappened(errors.New("no stock service")), 0, false},
	} {
		t.Run(row.key, func(t *testing.T) {
			s.events()
			key := strings.ReplaceAll(row.key, " ", "-")
			first, err := s.buy(t.Context(), key, row.key, row.then)
			if (err == nil) != (row.then == nil) || s.sold(t, row.key) != row.sold {
				t.Fatalf("it came to %v, and %d were sold", err, s.sold(t, row.key))
			}
			if told := s.events(); row.kept && told != "[claimed completed]" || !row.kept && told != "[]" {
				t.Errorf("it told of %s", told)
			}
			again, err := s.buy(t.Context(), key, row.key, nil)
			switch {
			case row.kept && row.then != nil:
				if got := (*once.Refusal)(nil); !errors.As(err, &got) || *got != *refused || s.sold(t, row.key) != 0 {
					t.Errorf("a repeat is told %v", err)
				}
			case row.kept:
				if err != nil || again != first || s.sold(t, row.key) != 1 {
					t.Errorf("a repeat gets %d %v, the first got %d", again, err, first)
				}
			default: // nothing of the first is left, so it runs
				if err != nil || s.sold(t, row.key) != 1 {
					t.Errorf("a retry gets %v, and %d were sold", err, s.sold(t, row.key))
				}
			}
			if told := s.events(); row.kept && told != "[replayed]" {
				t.Errorf("the repeat told of %s", told)
			}
		})
	}
}

// A refusal takes back what was written before it, the recovery points too, also where a
// statement has failed.
func TestARefusalAfterAStepIsKept(t *testing.T) {
	s := openShop(t)
	s.exec(t, "CREATE UNIQUE INDEX ON orders (item)")
	do := func() error {
		_, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx *sql.Tx, a *once.Attempt) (int64, error) {
			if _, err := once.Step(ctx, a, "order", func(ctx context.Context) (int64, error) { return order(ctx, tx, "tea") }); err != nil {
				return 0, err
			}
			if _, err := order(ctx, tx, "tea"); err == nil {
				t.Error("two are taken")
			}
			return 0, &once.Refusal{Code: "too_late"}
		})
		return err
	}
	for range 2 {
		if got := (*once.Refusal)(nil); !errors.As(do(), &got) || got.Code != "too_late" || s.sold(t, "tea") != 0 {
			t.Errorf("it came to %v, and %d were sold", got, s.sold(t, "tea"))
		}
	}
}

// A panic leaves nothing behind, and the connection is not lost for it.
func TestAPanicLeavesNothing(t *testing.T) {
	s := openShop(t)
	s.db.SetMaxOpenConns(1)
	session := s.count(t, "SELECT pg_backend_pid()")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it was swallowed")
			}
		}()
		s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
			order(ctx, tx, "tea")
			panic("oops")
		})
	}()
	s.wantSold(t, "k", "tea")
	if now := s.count(t, "SELECT pg_backend_pid()"); now != session {
		t.Errorf("session %d was given up for %d", session, now)
	}
}

// A caller whose context ends before the commit has ordered nothing, whether a statement
// finds out or not; nor has one whose context had ended before.
func TestAnEndedContextLeavesNothing(t *testing.T) {
	s := openShop(t)
	for _, item := range []string{"found out by a statement", "found out by the commit", "before"} {
		ctx, cancel := context.WithCancel(t.Context())
		if item == "before" {
			cancel()
		}
		_, err := s.orders.Do(ctx, "k", item, func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
			n, err := order(ctx, tx, item)
			cancel()
			if item == "found out by a statement" {
				_, err = order(ctx, tx, item)
			}
			return n, err
		})
		if !errors.Is(err, context.Canceled) || s.sold(t, item) != 0 {
			t.Fatalf("%s: it came to %v, and %d were sold", item, err, s.sold(t, item))
		}
	}
	s.wantSold(t, "k", "tea")
}

// An answer that cannot be written takes the order with it.
func TestAnAnswerThatIsNotKeptTakesItsOrderWithIt(t *testing.T) {
	s := openShop(t)
	s.exec(t, `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$`)
	s.exec(t, `CREATE TRIGGER no BEFORE UPDATE ON once_keys FOR EACH ROW EXECUTE FUNCTION no()`)
	if _, err := s.buy(t.Context(), "k", "tea", nil); !errors.Is(err, once.ErrUnavailable) || s.sold(t, "tea") != 0 {
		t.Fatalf("it came to %v, and %d were sold", err, s.sold(t, "tea"))
	}
	s.exec(t, "DROP TRIGGER no ON once_keys")
	s.wantSold(t, "k", "tea")
}

// What the database finds out at COMMIT undoes everything, is an error, and is not tried
// again.
func TestWhatFailsAtCommitLeavesNothing(t *testing.T) {
	s := openShop(t)
	s.exec(t, "ALTER TABLE orders ADD UNIQUE (item) DEFERRABLE INITIALLY DEFERRED")
	s.wantSold(t, "first", "tea")
	s.events()
	runs := 0
	_, err := s.orders.Do(t.Context(), "second", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
		runs++
		return order(ctx, tx, "tea")
	})
	if e := (interface{ SQLState() string })(nil); !errors.As(err, &e) || e.SQLState() != "23505" || runs != 1 || s.sold(t, "tea") != 1 {
		t.Fatalf("after %d runs it came to %v, and %d were sold", runs, err, s.sold(t, "tea"))
	}
	if told := s.events(); told != "[]" {
		t.Errorf("it told of %s", told)
	}
	if _, err := s.buy(t.Context(), "second", "tea", &once.Refusal{Code: "ordered"}); !errors.As(err, new(*once.Refusal)) {
		t.Errorf("the key is not free: %v", err)
	}
}

// A function that deletes its own key cannot commit without it, and one that goes on after
// a statement has failed commits nothing.
func TestAFunctionCannotCommitWithoutItsKey(t *testing.T) {
	s := openShop(t)
	for _, harm := range []string{"DELETE FROM once_keys", "SELECT 1/0"} {
		_, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
			n, err := order(ctx, tx, "tea")
			tx.ExecContext(ctx, harm)
			return n, err
		})
		if !errors.Is(err, once.ErrUnavailable) || s.sold(t, "tea") != 0 {
			t.Errorf("%s: it came to %v, and %d were sold", harm, err, s.sold(t, "tea"))
		}
	}
}

// A function that ends its transaction is told so. What it has committed is not done
// again: the key is held, as if its process had died. What it has undone is.
func TestAFunctionThatEndsItsTransaction(t *testing.T) {
	s := openShop(t)
	for item, end := range map[string]func(*sql.Tx) error{"committed": (*sql.Tx).Commit, "undone": (*sql.Tx).Rollback} {
		runs := 0
		_, err := s.orders.Do(t.Context(), item, item, func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
			runs++
			n, err := order(ctx, tx, item)
			return n, errors.Join(err, end(tx))
		})
		if !errors.Is(err, stdkeys.ErrEnded) || runs != 1 {
			t.Errorf("%s: after %d runs it came to %v", item, runs, err)
		}
	}
	if _, err := s.buy(t.Context(), "committed", "committed", nil); !errors.Is(err, once.ErrBusy) || s.sold(t, "committed") != 1 {
		t.Errorf("a retry is told %v, and %d were sold", err, s.sold(t, "committed"))
	}
	s.wantSold(t, "undone", "undone")
}

// Of a thousand callers in two processes one orders; the others take no connections from
// those who have another key.
func TestAThousandCallersAreOneOrder(t *testing.T) {
	url := pgtest.Database(t)
	shops := []*shop{newShop(t, url, stdkeys.Config{}), newShop(t, url, stdkeys.Config{})}
	var runs atomic.Int64
	begun, others := make(chan struct{}), make(chan struct{})
	results := make([]int64, 1_000)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			var err error
			results[i], err = shops[i%2].orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
				if runs.Add(1) == 1 {
					close(begun)
				}
				<-others
				return order(ctx, tx, "tea")
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	<-begun
	until(t, "the other process waits", func() bool { return shops[0].waiting(t) == 1 })
	for _, s := range shops {
		if s.wantSold(t, "another", "coffee"); s.db.Stats().InUse > 1 {
			t.Errorf("%d connections are held for one key", s.db.Stats().InUse)
		}
	}
	close(others)
	wg.Wait()
	for _, n := range results {
		if n != results[0] {
			t.Fatalf("they got %v", results)
		}
	}
	if n := shops[0].sold(t, "tea"); n != 1 || runs.Load() != 1 {
		t.Errorf("%d were sold in %d runs", n, runs.Load())
	}
}

// Two tenants use the same key, and never meet.
func TestTheKeyOfAnotherTenantIsAnother(t *testing.T) {
	s := openShop(t)
	numbers := map[int64]bool{}
	for _, name := range []string{"acme", "globex", "acme", "globex"} {
		n, err := s.buy(context.WithValue(t.Context(), tenant{}, name), "k", "tea", nil)
		if err != nil {
			t.Fatal(err)
		}
		numbers[n] = true
	}
	if len(numbers) != 2 || s.sold(t, "tea") != 2 {
		t.Errorf("they got %v", numbers)
	}
}

// A duplicate does not wait for ever for a transaction that does not end, and takes
// nothing from it.
func TestADuplicateWaitsNoLongerThanItShould(t *testing.T) {
	url := pgtest.Database(t)
	s, impatient := newShop(t, url, stdkeys.Config{}), newShop(t, url, stdkeys.Config{Wait: 300 * time.Millisecond})
	n, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
		_, err := impatient.buy(ctx, "k", "tea", nil) // of another process
		if b := (*once.BusyError)(nil); !errors.As(err, &b) || b.RetryAfter <= 0 {
			t.Errorf("it is told %v", err)
		}
		return order(ctx, tx, "tea")
	})
	if again := s.wantSold(t, "k", "tea"); err != nil || again != n {
		t.Errorf("it came to %d %v, and then to %d", n, err, again)
	}
}

// A key that an attempt outside of a transaction holds is busy, and is the operation's
// when that has completed.
func TestAnAttemptOutsideIsRespected(t *testing.T) {
	s := openShop(t)
	outside := once.Operation[int64]{Engine: s.orders.Engine, Name: "order"}
	n, err := outside.Do(t.Context(), "k", "tea", func(ctx context.Context, _ *once.Attempt) (int64, error) {
		if _, err := s.buy(ctx, "k", "tea", nil); !errors.Is(err, once.ErrBusy) {
			t.Errorf("it is told %v", err)
		}
		return 42, nil
	})
	if got, again := s.buy(t.Context(), "k", "tea", nil); err != nil || n != 42 || got != 42 || again != nil || s.sold(t, "tea") != 0 {
		t.Errorf("it came to %d %v, and then to %d %v", n, err, got, again)
	}
}

// Transactions that the database undoes because of others are run again, as a whole, and
// duplicates among them are one order.
func TestSerializationFailuresRunAgain(t *testing.T) {
	for _, level := range []sql.IsolationLevel{sql.LevelRepeatableRead, sql.LevelSerializable} {
		t.Run(level.String(), func(t *testing.T) {
			url := pgtest.Database(t)
			shops := []*shop{newShop(t, url, stdkeys.Config{}), newShop(t, url, stdkeys.Config{})}
			for _, s := range shops {
				s.orders.Tx.Isolation = level
			}
			shops[0].exec(t, "CREATE TABLE stock (item text, n int)")
			shops[0].exec(t, "INSERT INTO stock VALUES ('tea', 0)")
			var runs, met atomic.Int64
			together := make(chan struct{})
			var wg sync.WaitGroup
			for i := range 6 { // three keys, each in two processes
				s := shops[i%2]
				wg.Go(func() {
					_, err := s.orders.Do(t.Context(), fmt.Sprint("k", i/2), "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
						runs.Add(1)
						var taken int
						if err := tx.QueryRowContext(ctx, "SELECT n FROM stock").Scan(&taken); err != nil {
							return 0, err
						}
						if met.Add(1) == 3 { // all have seen the same: all but one will be undone
							close(together)
						}
						<-together
						if _, err := tx.ExecContext(ctx, "UPDATE stock SET n = $1", taken+1); err != nil {
							return 0, fmt.Errorf("take one: %w", err)
						}
						return order(ctx, tx, "tea")
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			taken, sold := shops[0].count(t, "SELECT n FROM stock"), shops[0].sold(t, "tea")
			if taken != 3 || sold != 3 || runs.Load() < 5 {
				t.Errorf("in %d runs %d were taken, and %d sold", runs.Load(), taken, sold)
			}
		})
	}
}

// A transaction of the caller's own has the key, and loses it with its end. What fails
// within leaves the rest as it was.
func TestAnOrderJoinsTheCallersTransaction(t *testing.T) {
	s := openShop(t)
	join := func(tx *sql.Tx, key, item string, then error) (int64, error) {
		return s.orders.Join(t.Context(), tx, key, item, func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
			n, err := order(ctx, tx, item)
			return n, errors.Join(err, then)
		})
	}
	in := func(end func(*sql.Tx) error, do func(tx *sql.Tx)) {
		tx, err := s.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		do(tx)
		if err := end(tx); err != nil {
			t.Error(err)
		}
	}
	in((*sql.Tx).Rollback, func(tx *sql.Tx) {
		if _, err := join(tx, "k", "tea", nil); err != nil {
			t.Error(err)
		}
	})
	if n := s.sold(t, "tea"); n != 0 {
		t.Fatalf("%d are left of what was rolled back", n)
	}
	var first int64
	in((*sql.Tx).Commit, func(tx *sql.Tx) {
		var err error
		if first, err = join(tx, "k", "tea", nil); err != nil {
			t.Error(err)
		}
		if _, err := join(tx, "failing", "coffee", errors.New("it fails")); err == nil {
			t.Error("a failure is none")
		}
		if _, err := join(tx, "refused", "coffee", &once.Refusal{Code: "no"}); !errors.As(err, new(*once.Refusal)) {
			t.Errorf("a refusal is %v", err)
		}
		func() {
			defer func() { recover() }()
			s.orders.Join(t.Context(), tx, "panicking", "coffee", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
				order(ctx, tx, "coffee")
				panic("oops")
			})
		}()
		if again, err := join(tx, "k", "tea", nil); err != nil || again != first {
			t.Errorf("a repeat in it gets %d %v, the first got %d", again, err, first)
		}
	})
	if n := s.sold(t, "coffee"); n != 0 {
		t.Errorf("%d are left of what came to nothing", n)
	}
	if got := s.wantSold(t, "k", "tea"); got != first {
		t.Errorf("a repeat gets %d, the first got %d", got, first)
	}
	if _, err := s.buy(t.Context(), "refused", "coffee", nil); !errors.As(err, new(*once.Refusal)) {
		t.Errorf("the refusal was not kept: %v", err)
	}
	for _, key := range []string{"failing", "panicking"} {
		if _, err := s.buy(t.Context(), key, "coffee", nil); err != nil {
			t.Errorf("%s has kept its key: %v", key, err)
		}
	}
}

// A service on pgx and one on database/sql share keys.
func TestKeysAreThoseOfPgkeys(t *testing.T) {
	url := pgtest.Database(t)
	s := newShop(t, url, stdkeys.Config{})
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	keys, err := pgkeys.New(pool, pgkeys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	eng, err := once.New(keys, once.Config{Scope: tenantOf, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	outside := once.Operation[int64]{Engine: eng, Name: "order"}
	no := func(context.Context, *once.Attempt) (int64, error) { return 0, errors.New("it runs again") }
	first := s.wantSold(t, "k", "tea")
	if n, err := outside.Do(t.Context(), "k", "tea", no); err != nil || n != first {
		t.Errorf("through pgx a repeat gets %d %v, the first got %d", n, err, first)
	}
}
