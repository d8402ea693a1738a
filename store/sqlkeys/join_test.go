package sqlkeys_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlkeys"
)

// shop sells: an order is a row, and its number is the result.
type shop struct {
	db     *sql.DB
	orders sqlkeys.Operation[int64]

	mu   sync.Mutex
	told []once.Happening
}

func newShop(t testing.TB, path string) *shop {
	t.Helper()
	keys, db := openKeys(t, path)
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, item TEXT NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	s := &shop{db: db}
	eng, err := once.New(keys, once.Config{
		Scope: once.SingleTenant, Secret: []byte("0123456789abcdef"),
		Observe: func(_ context.Context, e once.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = append(s.told, e.Happening)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.orders = sqlkeys.Operation[int64]{Keys: keys, Operation: once.Operation[int64]{Engine: eng, Name: "order"}}
	return s
}

// buy orders an item, and then comes to what it is told.
func (s *shop) buy(ctx context.Context, key, item string, then error) (int64, error) {
	return s.orders.Do(ctx, key, item, func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
		r, err := tx.ExecContext(ctx, "INSERT INTO orders (item) VALUES (?)", item)
		if err != nil {
			return 0, err
		}
		n, err := r.LastInsertId()
		return n, errors.Join(err, then)
	})
}

// sold counts the orders of an item.
func (s *shop) sold(t testing.TB, item string) (n int) {
	t.Helper()
	if err := s.db.QueryRow("SELECT count(*) FROM orders WHERE item = ?", item).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnOrderAndItsKeyAreOneCommit(t *testing.T) {
	s := newShop(t, filepath.Join(t.TempDir(), "shop.db"))
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
			s.told = nil
			key := strings.ReplaceAll(row.key, " ", "-")
			first, err := s.buy(t.Context(), key, row.key, row.then)
			if (err == nil) != (row.then == nil) || s.sold(t, row.key) != row.sold {
				t.Fatalf("it came to %v, and %d were sold", err, s.sold(t, row.key))
			}
			if told := fmt.Sprint(s.told); row.kept && told != "[claimed completed]" || !row.kept && told != "[]" {
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
					t.Errorf("a repeat gets %v, and %d were sold", err, s.sold(t, row.key))
				}
			}
			if _, err := s.buy(t.Context(), key, "something else", nil); !errors.Is(err, once.ErrMismatch) {
				t.Errorf("another request is told %v", err)
			}
		})
	}
}

func TestAPanicLeavesNothing(t *testing.T) {
	s := newShop(t, filepath.Join(t.TempDir(), "shop.db"))
	func() {
		defer func() { recover() }()
		s.orders.Do(t.Context(), "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
			tx.ExecContext(ctx, "INSERT INTO orders (item) VALUES ('tea')")
			panic("oops")
		})
	}()
	if n, err := s.buy(t.Context(), "k", "tea", nil); err != nil || n == 0 || s.sold(t, "tea") != 1 {
		t.Errorf("a retry gets %d %v, and %d were sold", n, err, s.sold(t, "tea"))
	}
}

// A caller whose context ends before the commit has ordered nothing.
func TestAnEndedContextLeavesNothing(t *testing.T) {
	s := newShop(t, filepath.Join(t.TempDir(), "shop.db"))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.orders.Do(ctx, "k", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
		_, err := tx.ExecContext(ctx, "INSERT INTO orders (item) VALUES ('tea')")
		cancel()
		return 1, err
	})
	if err == nil || s.sold(t, "tea") != 0 {
		t.Fatalf("it came to %v, and %d were sold", err, s.sold(t, "tea"))
	}
	if _, err := s.buy(t.Context(), "k", "tea", nil); err != nil || s.sold(t, "tea") != 1 {
		t.Errorf("a retry gets %v, and %d were sold", err, s.sold(t, "tea"))
	}
}

// An answer that cannot be written takes the order with it.
func TestAnAnswerThatIsNotKeptTakesItsOrderWithIt(t *testing.T) {
	s := newShop(t, filepath.Join(t.TempDir(), "shop.db"))
	if _, err := s.db.Exec("CREATE TRIGGER no_answer BEFORE UPDATE ON once_keys BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.buy(t.Context(), "k", "tea", nil); !errors.Is(err, once.ErrUnavailable) || s.sold(t, "tea") != 0 {
		t.Fatalf("it came to %v, and %d were sold", err, s.sold(t, "tea"))
	}
	if _, err := s.db.Exec("DROP TRIGGER no_answer"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.buy(t.Context(), "k", "tea", nil); err != nil || s.sold(t, "tea") != 1 {
		t.Errorf("a retry gets %v, and %d were sold", err, s.sold(t, "tea"))
	}
}

func TestDuplicatesAtOnceAreOneOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	shops := []*shop{newShop(t, path), newShop(t, path)}
	results := make([]int64, 40)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			var err error
			if results[i], err = shops[i%2].buy(t.Context(), "k", "tea", nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, n := range results {
		if n != results[0] {
			t.Errorf("they got %v", results)
			break
		}
	}
	if n := shops[0].sold(t, "tea"); n != 1 {
		t.Errorf("%d were sold", n)
	}
}

// A process that is killed leaves orders with their keys, or neither: whoever asks
// again gets what was told before, and every order is there once.
func TestAKilledProcessLeavesOrdersWithTheirKeys(t *testing.T) {
	if path := os.Getenv("SQLKEYS_CHILD"); path != "" {
		sellForEver(t, path)
	}
	path := filepath.Join(t.TempDir(), "shop.db")
	newShop(t, path)
	luck := rand.New(rand.NewPCG(1, 2))
	told := map[string]string{}
	for cycle := range 15 {
		for key, number := range sellUntilKilled(t, path, cycle, time.Duration(30+luck.IntN(100))*time.Millisecond) {
			told[key] = number
		}
	}
	s := newShop(t, path)
	if len(told) < 50 {
		t.Fatalf("only %d orders were told of: the test does not test what it is for", len(told))
	}
	for key, number := range told {
		if n, err := s.buy(t.Context(), key, key, nil); err != nil || fmt.Sprint(n) != number {
			t.Errorf("%s was told %s, is now told %d %v", key, number, n, err)
		}
	}
	var orders, items int
	if err := s.db.QueryRow("SELECT count(*), count(DISTINCT item) FROM orders").Scan(&orders, &items); err != nil || orders != items {
		t.Errorf("%d orders of %d items: %v", orders, items, err)
	}
	t.Logf("%d orders told of in 15 lives, %d made", len(told), orders)
}

// sellForEver is what the process does that is killed.
func sellForEver(t *testing.T, path string) {
	s := newShop(t, path)
	for n := 0; ; n++ {
		key := fmt.Sprint("order-", os.Getenv("SQLKEYS_CYCLE"), "-", n)
		number, err := s.buy(t.Context(), key, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("told", key, number)
	}
}

// sellUntilKilled runs that process, kills it, and returns what it told of.
func sellUntilKilled(t *testing.T, path string, cycle int, after time.Duration) map[string]string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAKilledProcessLeavesOrdersWithTheirKeys$")
	cmd.Env = append(os.Environ(), "SQLKEYS_CHILD="+path, fmt.Sprint("SQLKEYS_CYCLE=", cycle))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "told" {
			told[f[1]] = f[2]
			if first {
				first = false
				time.AfterFunc(after, func() { cmd.Process.Kill() })
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it ended by itself")
	}
	return told
}
