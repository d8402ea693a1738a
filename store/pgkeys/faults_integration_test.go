//go:build integration

package pgkeys_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
)

// A transaction with a key takes the round trips that it takes without.
func TestAKeyTakesNoRoundTrip(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			var trips atomic.Int64
			s := newShop(t, openPool(t, pgtest.Proxy(t, pgtest.Database(t), func(m pgtest.Message) bool {
				if !m.Answer && (m.Kind == 'S' || m.Kind == 'Q') { // Sync, Query: these are waited for
					trips.Add(1)
				}
				return true
			}), func(c *pgxpool.Config) { c.MaxConns, c.ConnConfig.DefaultQueryExecMode = 1, mode }), pgkeys.Config{})
			took := func(do func() error) int64 {
				before := trips.Load()
				if err := do(); err != nil {
					t.Fatal(err)
				}
				return trips.Load() - before
			}
			without := func() error {
				return pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
					_, err := order(t.Context(), tx, "without")
					return err
				})
			}
			n := 0
			with := func() error {
				n++
				_, err := s.buy(t.Context(), fmt.Sprint("k", n), "with", nil)
				return err
			}
			took(without) // whatever is prepared first
			took(with)
			if a, b := took(without), took(with); a != 3 || b != a {
				t.Errorf("without a key it takes %d round trips, with one %d", a, b)
			}
		})
	}
}

// Wherever a connection is cut, before a message has left or before its answer has
// arrived, the COMMIT's among them: the caller is told what has happened, once.
func TestACutConnectionAtEveryMessage(t *testing.T) {
	for _, answers := range []bool{false, true} {
		t.Run(map[bool]string{false: "of the client", true: "of the server"}[answers], func(t *testing.T) {
			url := pgtest.Database(t)
			watcher := newShop(t, openPool(t, url), pgkeys.Config{})
			cuts, retried := 0, 0
			for n := 1; ; n++ {
				cut, err := cutAt(t, watcher, url, answers, n)
				if !cut {
					break
				}
				cuts++
				if err != nil {
					retried++
				}
			}
			if cuts < 15 || retried == cuts {
				t.Errorf("%d cuts, of which %d came to an error", cuts, retried)
			}
			t.Logf("%d cuts, %d of them came to an error", cuts, retried)
		})
	}
}

// cutAt cuts the connection at the nth message after it was made ready, and says whether
// it came to that, and what the caller was told.
func cutAt(t *testing.T, watcher *shop, url string, answers bool, n int) (cut bool, told error) {
	t.Helper()
	var armed, isCut atomic.Bool
	seen := 0
	s := newShop(t, openPool(t, pgtest.Proxy(t, url, func(m pgtest.Message) bool {
		if isCut.Load() || !armed.Load() || m.Answer != answers {
			return true
		}
		seen++
		isCut.Store(seen == n)
		return seen != n
	}), func(c *pgxpool.Config) { c.MaxConns = 1 }), pgkeys.Config{})
	item := fmt.Sprintf("tea-%t-%d", answers, n)
	if _, err := s.buy(t.Context(), "warm-"+item, "warm", nil); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	number, told := s.buy(t.Context(), item, item, nil)
	armed.Store(false)
	if told == nil && watcher.sold(t, item) != 1 {
		t.Fatalf("cut at %d: %d were sold when it was told", n, watcher.sold(t, item))
	}
	if got := watcher.wantSold(t, item, item); told == nil && got != number {
		t.Errorf("cut at %d: it was told %d, and then %d", n, number, got)
	}
	return isCut.Load(), told
}

// While nobody knows whether a transaction will still be committed, its key is busy; when
// it has ended, that is what holds.
func TestATransactionThatHangsHoldsItsKey(t *testing.T) {
	url := pgtest.Database(t)
	s := newShop(t, openPool(t, url), pgkeys.Config{})
	next := newShop(t, openPool(t, url), pgkeys.Config{Wait: 300 * time.Millisecond})
	runs := 0
	_, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		n, err := order(ctx, tx, "tea")
		if runs++; runs > 1 {
			return n, err
		}
		if _, err := next.buy(ctx, "k", "tea", nil); !errors.Is(err, once.ErrBusy) {
			t.Errorf("it is told %v", err)
		}
		next.exec(t, "SELECT pg_terminate_backend($1)", tx.Conn().PgConn().PID())
		return n, err
	})
	if err != nil { // it was undone with its connection, and run again
		t.Errorf("it came to %v", err)
	}
	s.wantSold(t, "k", "tea")
}

// A context that ends while COMMIT is on its way takes nothing back, and hides nothing.
func TestAContextThatEndsDuringCommit(t *testing.T) {
	var armed, cancelled atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	syncs := 0
	s := newShop(t, openPool(t, pgtest.Proxy(t, pgtest.Database(t), func(m pgtest.Message) bool {
		if armed.Load() && !m.Answer && m.Kind == 'S' {
			if syncs++; syncs == 2 { // that of the order, and then the answer's
				cancel()
				cancelled.Store(true)
			}
		}
		return true
	})), pgkeys.Config{})
	if _, err := s.buy(t.Context(), "warm", "warm", nil); err != nil {
		t.Fatal(err)
	}
	n, err := s.orders.Do(ctx, "k", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		n, err := order(ctx, tx, "tea")
		syncs = 1
		armed.Store(true)
		return n, err
	})
	armed.Store(false)
	if got := s.wantSold(t, "k", "tea"); err != nil || got != n || !cancelled.Load() {
		t.Errorf("it came to %d %v, and then to %d", n, err, got)
	}
}

// A server that crashes keeps orders with their keys, or neither.
func TestACrashedServerLeavesOrdersWithTheirKeys(t *testing.T) {
	server := pgtest.Start(t)
	s := newShop(t, openPool(t, server.URL("postgres")), pgkeys.Config{Wait: 2 * time.Second})
	var mu sync.Mutex
	told := map[string]int64{}
	for life := range 3 {
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for c := range 4 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					key := fmt.Sprint("order-", life, "-", c, "-", n)
					if number, err := s.buy(ctx, key, key, nil); err == nil {
						mu.Lock()
						told[key] = number
						mu.Unlock()
					}
				}
			})
		}
		until(t, "orders are told of", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > 40*(life+1) })
		server.Crash()
		stop()
		wg.Wait()
		server.Restart(t)
	}
	s.wantAllOnce(t, told)
}

// wantAllOnce holds that whoever asks again gets what was told before, and that every
// order is there once.
func (s *shop) wantAllOnce(t *testing.T, told map[string]int64) {
	t.Helper()
	for key, number := range told {
		if n, err := s.buy(t.Context(), key, key, nil); err != nil || n != number {
			t.Errorf("%s was told %d, is now told %d %v", key, number, n, err)
		}
	}
	var orders, items int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*), count(DISTINCT item) FROM orders").Scan(&orders, &items); err != nil || orders != items {
		t.Errorf("%d orders of %d items: %v", orders, items, err)
	}
	t.Logf("%d orders told of, %d made", len(told), orders)
}

// A process that is killed, between the effect and its record as anywhere, leaves orders
// with their keys, or neither.
func TestAKilledProcessLeavesOrdersWithTheirKeys(t *testing.T) {
	if url := os.Getenv("PGKEYS_CHILD"); url != "" {
		sellForEver(t, url)
	}
	url := pgtest.Database(t)
	s := newShop(t, openPool(t, url), pgkeys.Config{})
	luck := rand.New(rand.NewPCG(1, 2))
	told := map[string]int64{}
	for life := 0; life < 8 || life < 80 && len(told) < 50; life++ { // on a busy machine a life tells of few
		for key, number := range sellUntilKilled(t, url, life, time.Duration(20+luck.IntN(60))*time.Millisecond) {
			told[key] = number
		}
	}
	if len(told) < 50 {
		t.Fatalf("only %d orders were told of: the test does not test what it is for", len(told))
	}
	s.wantAllOnce(t, told)
}

// sellForEver is what the process does that is killed.
func sellForEver(t *testing.T, url string) {
	s := newShop(t, openPool(t, url), pgkeys.Config{})
	for n := 0; ; n++ {
		key := fmt.Sprint("order-", os.Getenv("PGKEYS_LIFE"), "-", n)
		number, err := s.buy(t.Context(), key, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("told", key, number)
	}
}

// sellUntilKilled runs that process, kills it, and returns what it told of.
func sellUntilKilled(t *testing.T, url string, life int, after time.Duration) map[string]int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAKilledProcessLeavesOrdersWithTheirKeys$")
	cmd.Env = append(os.Environ(), "PGKEYS_CHILD="+url, fmt.Sprint("PGKEYS_LIFE=", life))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := map[string]int64{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var key string
		var number int64
		if n, _ := fmt.Sscanf(strings.TrimSpace(lines.Text()), "told %s %d", &key, &number); n != 2 {
			continue
		}
		if told[key] = number; len(told) == 1 {
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it ended by itself")
	}
	return told
}
