//go:build integration

package stdkeys_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys/stdkeys"
)

// A transaction with a key takes three round trips more than without: the claim, its
// savepoint and the answer.
func TestAKeyTakesThreeRoundTrips(t *testing.T) {
	var trips atomic.Int64
	s := newShop(t, pgtest.Proxy(t, pgtest.Database(t), func(m pgtest.Message) bool {
		if !m.Answer && (m.Kind == 'S' || m.Kind == 'Q') { // Sync, Query: these are waited for
			trips.Add(1)
		}
		return true
	}), stdkeys.Config{})
	s.db.SetMaxOpenConns(1)
	took := func(do func() error) int64 {
		before := trips.Load()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		return trips.Load() - before
	}
	without := func() error {
		tx, err := s.db.BeginTx(t.Context(), nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := order(t.Context(), tx, "without"); err != nil {
			return err
		}
		return tx.Commit()
	}
	n := 0
	with := func() error {
		n++
		_, err := s.buy(t.Context(), fmt.Sprint("k", n), "with", nil)
		return err
	}
	again := func() error {
		_, err := s.buy(t.Context(), "k1", "with", nil)
		return err
	}
	for _, do := range []func() error{without, with, again} { // whatever is prepared first
		took(do)
	}
	if a, b, c := took(without), took(with), took(again); a != 3 || b != 6 || c != 4 {
		t.Errorf("without a key it takes %d round trips, with one %d, a repeat %d", a, b, c)
	}
}

// isCommit says that a message asks for a COMMIT.
func isCommit(m pgtest.Message) bool {
	return !m.Answer && m.Kind == 'Q' && strings.EqualFold(strings.Trim(m.Body, "\x00; "), "commit")
}

// A COMMIT whose answer is lost was made, and one that is lost itself was not: in either
// case the caller is told what has happened, and that is one order.
func TestACommitIsLost(t *testing.T) {
	for _, row := range []struct {
		name string
		cuts func(m pgtest.Message, sent bool) bool
		runs int
	}{
		{"on its way", func(m pgtest.Message, _ bool) bool { return isCommit(m) }, 2},
		{"with its answer", func(m pgtest.Message, sent bool) bool { return sent && m.Answer }, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			url := pgtest.Database(t)
			var armed, isCut atomic.Bool
			sent := false
			s := newShop(t, pgtest.Proxy(t, url, func(m pgtest.Message) bool {
				if !armed.Load() || isCut.Load() {
					return true
				}
				cut := row.cuts(m, sent)
				sent = sent || isCommit(m)
				isCut.Store(cut)
				return !cut
			}), stdkeys.Config{})
			s.events()
			runs := 0
			n, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
				runs++
				armed.Store(true)
				return order(ctx, tx, "tea")
			})
			if err != nil || !isCut.Load() || runs != row.runs || s.sold(t, "tea") != 1 {
				t.Fatalf("after %d runs it came to %v, and %d were sold; cut: %v", runs, err, s.sold(t, "tea"), isCut.Load())
			}
			if again := s.wantSold(t, "k", "tea"); again != n {
				t.Errorf("it was told %d, and then %d", n, again)
			}
		})
	}
}

// Wherever a connection is cut, before a message has left or before its answer has
// arrived: the caller is told what has happened, once.
func TestACutConnectionAtEveryMessage(t *testing.T) {
	for _, answers := range []bool{false, true} {
		t.Run(map[bool]string{false: "of the client", true: "of the server"}[answers], func(t *testing.T) {
			url := pgtest.Database(t)
			watcher := newShop(t, url, stdkeys.Config{})
			cuts, failed := 0, 0
			for n := 1; ; n++ {
				cut, err := cutAt(t, watcher, url, answers, n)
				if !cut {
					break
				}
				cuts++
				if err != nil {
					failed++
				}
			}
			if cuts < 12 || failed > cuts/2 {
				t.Errorf("%d cuts, of which %d came to an error", cuts, failed)
			}
			t.Logf("%d cuts, %d of them came to an error", cuts, failed)
		})
	}
}

// cutAt cuts the connection at the nth message after it was made ready, and says whether
// it came to that, and what the caller was told.
func cutAt(t *testing.T, watcher *shop, url string, answers bool, n int) (cut bool, told error) {
	t.Helper()
	var armed, isCut atomic.Bool
	seen := 0
	s := newShop(t, pgtest.Proxy(t, url, func(m pgtest.Message) bool {
		if isCut.Load() || !armed.Load() || m.Answer != answers {
			return true
		}
		seen++
		isCut.Store(seen == n)
		return seen != n
	}), stdkeys.Config{})
	s.db.SetMaxOpenConns(1)
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
	s := newShop(t, url, stdkeys.Config{})
	next := newShop(t, url, stdkeys.Config{Wait: 300 * time.Millisecond})
	runs := 0
	_, err := s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
		n, err := order(ctx, tx, "tea")
		if runs++; runs > 1 {
			return n, err
		}
		if _, err := next.buy(ctx, "k", "tea", nil); !errors.Is(err, once.ErrBusy) {
			t.Errorf("it is told %v", err)
		}
		var session int
		if err := tx.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&session); err != nil {
			t.Error(err)
		}
		next.exec(t, "SELECT pg_terminate_backend($1)", session)
		return n, err
	})
	if err != nil || runs != 2 { // it was undone with its connection, and run again
		t.Errorf("after %d runs it came to %v", runs, err)
	}
	s.wantSold(t, "k", "tea")
}

// A context that ends while COMMIT is on its way takes nothing back, and hides nothing.
func TestAContextThatEndsDuringCommit(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var armed atomic.Bool
	s := newShop(t, pgtest.Proxy(t, pgtest.Database(t), func(m pgtest.Message) bool {
		if armed.Load() && isCommit(m) {
			cancel()
		}
		return true
	}), stdkeys.Config{})
	n, err := s.orders.Do(ctx, "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
		armed.Store(true)
		return order(ctx, tx, "tea")
	})
	if got := s.wantSold(t, "k", "tea"); err != nil || got != n || ctx.Err() == nil {
		t.Errorf("it came to %d %v, and then to %d", n, err, got)
	}
}
