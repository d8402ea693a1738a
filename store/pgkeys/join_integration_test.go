//go:build integration

package pgkeys_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
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

// A refusal takes back what was written before it, the recovery points too.
func TestARefusalAfterAStepIsKept(t *testing.T) {
	s := openShop(t)
	do := func() error {
		_, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx pgx.Tx, a *once.Attempt) (int64, error) {
			if _, err := once.Step(ctx, a, "order", func(ctx context.Context) (int64, error) { return order(ctx, tx, "tea") }); err != nil {
				return 0, err
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

// A function that finds out by a failed statement may refuse: what failed is taken back.
func TestAFailedStatementCanBeRefused(t *testing.T) {
	s := openShop(t)
	s.exec(t, "CREATE UNIQUE INDEX ON orders (item)")
	for i := range 3 {
		_, err := s.orders.Do(t.Context(), fmt.Sprint("k", i/2), "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
			n, err := order(ctx, tx, "tea")
			if e := (*pgconn.PgError)(nil); errors.As(err, &e) && e.Code == "23505" {
				err = &once.Refusal{Code: "ordered"}
			}
			return n, err
		})
		if got := (*once.Refusal)(nil); errors.As(err, &got) != (i == 2) || s.sold(t, "tea") != 1 {
			t.Errorf("order %d came to %v", i, err)
		}
	}
}

func TestAPanicLeavesNothing(t *testing.T) {
	s := openShop(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it was swallowed")
			}
		}()
		s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
			order(ctx, tx, "tea")
			panic("oops")
		})
	}()
	s.wantSold(t, "k", "tea")
	if n := s.pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are not given back", n)
	}
}

// A caller whose context ends before the commit has ordered nothing.
func TestAnEndedContextLeavesNothing(t *testing.T) {
	s := openShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.orders.Do(ctx, "k", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		n, err := order(ctx, tx, "tea")
		cancel()
		return n, err
	})
	if err == nil || s.sold(t, "tea") != 0 {
		t.Fatalf("it came to %v, and %d were sold", err, s.sold(t, "tea"))
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

// What the database finds out at COMMIT undoes everything, and is an error.
func TestWhatFailsAtCommitLeavesNothing(t *testing.T) {
	s := openShop(t)
	s.exec(t, "ALTER TABLE orders ADD UNIQUE (item) DEFERRABLE INITIALLY DEFERRED")
	s.wantSold(t, "first", "tea")
	runs := 0
	_, err := s.orders.Do(t.Context(), "second", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		runs++
		return order(ctx, tx, "tea")
	})
	if e := (*pgconn.PgError)(nil); !errors.As(err, &e) || e.Code != "23505" || runs != 1 || s.sold(t, "tea") != 1 {
		t.Fatalf("after %d runs it came to %v, and %d were sold", runs, err, s.sold(t, "tea"))
	}
	if _, err := s.buy(t.Context(), "second", "tea", &once.Refusal{Code: "ordered"}); !errors.As(err, new(*once.Refusal)) {
		t.Errorf("the key is not free: %v", err)
	}
}

// A function that deletes its own key cannot commit without it.
func TestAKeyThatIsLostInItsTransactionTakesItsOrderWithIt(t *testing.T) {
	s := openShop(t)
	_, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		n, err := order(ctx, tx, "tea")
		if err == nil {
			_, err = tx.Exec(ctx, "DELETE FROM once_keys")
		}
		return n, err
	})
	if err == nil || s.sold(t, "tea") != 0 {
		t.Errorf("it came to %v, and %d were sold", err, s.sold(t, "tea"))
	}
}

func TestAFunctionCannotEndItsTransaction(t *testing.T) {
	s := openShop(t)
	n, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		if err := tx.Commit(ctx); !errors.Is(err, pgkeys.ErrLent) {
			t.Errorf("COMMIT comes to %v", err)
		}
		if err := tx.Rollback(ctx); !errors.Is(err, pgkeys.ErrLent) {
			t.Errorf("ROLLBACK comes to %v", err)
		}
		return order(ctx, tx, "tea")
	})
	if again := s.wantSold(t, "k", "tea"); err != nil || again != n {
		t.Errorf("it came to %d %v, and then to %d", n, err, again)
	}
}

// Of a thousand callers in two processes one orders; the others take no connections from
// those who have another key.
func TestAThousandCallersAreOneOrder(t *testing.T) {
	url := pgtest.Database(t)
	shops := []*shop{newShop(t, openPool(t, url), pgkeys.Config{}), newShop(t, openPool(t, url), pgkeys.Config{})}
	var runs atomic.Int64
	begun, others := make(chan struct{}), make(chan struct{})
	results := make([]int64, 1_000)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			var err error
			results[i], err = shops[i%2].orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
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
		if s.wantSold(t, "another", "coffee"); s.pool.Stat().AcquiredConns() > 1 {
			t.Errorf("%d connections are held for one key", s.pool.Stat().AcquiredConns())
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
	s, impatient := newShop(t, openPool(t, url), pgkeys.Config{}), newShop(t, openPool(t, url), pgkeys.Config{Wait: 300 * time.Millisecond})
	n, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		_, err := impatient.buy(ctx, "k", "tea", nil) // of another process
		if b := (*once.BusyError)(nil); !errors.As(err, &b) || b.RetryAfter <= 0 {
			t.Errorf("it is told %v", err)
		}
		return order(ctx, tx, "tea")
	})
	if again := s.wantSold(t, "k", "tea"); err != nil || again != n {
		t.Errorf("it came to %d %v, and then to %d", n, err, again)
	}
	_, err = impatient.orders.Do(t.Context(), "in-itself", "tea", func(ctx context.Context, _ pgx.Tx, _ *once.Attempt) (int64, error) {
		return impatient.buy(ctx, "in-itself", "tea", nil)
	})
	if !errors.Is(err, once.ErrBusy) {
		t.Errorf("in itself it is told %v", err)
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

// Whoever comes back too late, its lease being over and the key somebody else's, changes
// nothing.
func TestALateOwnerIsFenced(t *testing.T) {
	s := openShop(t)
	claim := func(owner string, attempt, version int64) once.Record {
		now := time.Now().UTC().Truncate(time.Microsecond)
		return once.Record{
			Key: once.Key{ID: "k"}, State: once.Claimed, Operation: "order", Attempt: attempt, Owner: owner, Version: version,
			LeaseUntil: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour), ForgetAt: now.Add(time.Hour),
		}
	}
	for _, r := range []once.Record{claim("late", 1, 1), claim("next", 2, 2)} {
		if seen, err := s.keys.Swap(t.Context(), r); err != nil || !seen.Won {
			t.Fatal(seen, err)
		}
	}
	late, _ := claim("late", 1, 1).Complete(1, "", once.Answer{Status: 200, Body: []byte("1")})
	late.Version++
	if seen, err := s.keys.Swap(t.Context(), late); err != nil || seen.Won || seen.Record.Owner != "next" {
		t.Errorf("it wrote %+v %v", seen, err)
	}
}

// Transactions that the database undoes because of others are run again, as a whole.
func TestSerializationFailuresRunAgain(t *testing.T) {
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			s := openShop(t)
			s.orders.Tx.IsoLevel = level
			s.exec(t, "CREATE TABLE stock (item text, n int)")
			s.exec(t, "INSERT INTO stock VALUES ('tea', 0)")
			var runs atomic.Int64
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					_, err := s.orders.Do(t.Context(), fmt.Sprint("k", i), "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
						runs.Add(1)
						if _, err := tx.Exec(ctx, "UPDATE stock SET n = n + 1"); err != nil {
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
			var taken int
			if err := s.pool.QueryRow(t.Context(), "SELECT n FROM stock").Scan(&taken); err != nil || taken != 4 || s.sold(t, "tea") != 4 {
				t.Errorf("in %d runs %d were taken, and %d sold: %v", runs.Load(), taken, s.sold(t, "tea"), err)
			}
		})
	}
}

// Of those who came with one key at once, at the levels at which a transaction sees
// nothing that is committed later, one commits: the others begin again, and find it. One
// that is SERIALIZABLE may be undone because of what has another key, and run again.
func TestDuplicatesAtEveryIsolationLevelAreOneOrder(t *testing.T) {
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			url := pgtest.Database(t)
			var wg sync.WaitGroup
			var runs [20]atomic.Int64
			for range 5 {
				s := newShop(t, openPool(t, url, func(c *pgxpool.Config) { c.MaxConns = 4 }), pgkeys.Config{})
				s.orders.Tx.IsoLevel = level
				for i := range runs {
					wg.Go(func() {
						_, err := s.orders.Do(t.Context(), fmt.Sprint("k", i), "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
							runs[i].Add(1)
							return order(ctx, tx, fmt.Sprint("tea ", i))
						})
						if err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			s := newShop(t, openPool(t, url), pgkeys.Config{})
			for i := range runs {
				if n := s.sold(t, fmt.Sprint("tea ", i)); n != 1 || runs[i].Load() != 1 && level != pgx.Serializable {
					t.Errorf("of %d there are %d, after %d runs", i, n, runs[i].Load())
				}
			}
		})
	}
}

// A transaction of the caller's own has the key, and loses it with its end.
func TestAnOrderJoinsTheCallersTransaction(t *testing.T) {
	s := openShop(t)
	join := func(tx pgx.Tx, key string, then error) (int64, error) {
		return s.orders.Join(t.Context(), tx, key, "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
			n, err := order(ctx, tx, "tea")
			return n, errors.Join(err, then)
		})
	}
	in := func(end string, do func(tx pgx.Tx)) {
		tx, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		do(tx)
		if _, err := tx.Exec(t.Context(), end); err != nil {
			t.Error(err)
		}
	}
	in("ROLLBACK", func(tx pgx.Tx) { join(tx, "k", nil) })
	if n := s.sold(t, "tea"); n != 0 {
		t.Fatalf("%d are left of what was rolled back", n)
	}
	var first, again int64
	in("COMMIT", func(tx pgx.Tx) {
		var err error
		if first, err = join(tx, "k", nil); err != nil {
			t.Error(err)
		}
		if _, err := join(tx, "failing", errors.New("it fails")); err == nil {
			t.Error("a failure is none")
		}
		if _, err := join(tx, "refused", &once.Refusal{Code: "no"}); !errors.As(err, new(*once.Refusal)) {
			t.Errorf("a refusal is %v", err)
		}
		if again, err = join(tx, "k", nil); err != nil || again != first {
			t.Errorf("a repeat in it gets %d %v, the first got %d", again, err, first)
		}
	})
	if got := s.wantSold(t, "k", "tea"); got != first {
		t.Errorf("a repeat gets %d, the first got %d", got, first)
	}
	if _, err := s.buy(t.Context(), "refused", "tea", nil); !errors.As(err, new(*once.Refusal)) {
		t.Errorf("the refusal was not kept: %v", err)
	}
	if _, err := s.buy(t.Context(), "failing", "tea", nil); err != nil {
		t.Errorf("what has failed has kept its key: %v", err)
	}
}
