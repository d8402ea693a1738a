//go:build integration

package pgkeys_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
)

// Two processes claim one key at midnight, one by whose clock it is still the day before:
// one wins, both are shown its answer, and what is swept meanwhile takes nothing of it.
func TestMidnightBetweenTwoClocks(t *testing.T) {
	url := pgtest.Database(t)
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	stores := []*pgkeys.Keys{openKeys(t, openPool(t, url), pgkeys.Config{}), openKeys(t, openPool(t, url), pgkeys.Config{})}
	for round := range 20 {
		var won [2]bool
		claims := [2]once.Record{}
		var wg sync.WaitGroup
		for i := range stores {
			now := midnight.Add(time.Duration(2*i-1) * time.Minute) // two minutes apart, on two days
			claims[i] = once.Record{
				Key: once.Key{ID: fmt.Sprint("k", round)}, State: once.Claimed, Attempt: 1, Owner: fmt.Sprint(i), Version: 1, CreatedAt: now,
				LeaseUntil: now.Add(time.Minute), ExpiresAt: now.Add(24 * time.Hour), ForgetAt: now.Add(48 * time.Hour),
			}
			wg.Go(func() {
				seen, err := stores[i].Swap(t.Context(), claims[i])
				if won[i] = seen.Won; err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won[0] == won[1] {
			t.Fatalf("%v have won", won)
		}
		winner := 0
		if won[1] {
			winner = 1
		}
		done, _ := claims[winner].Complete(1, "", once.Answer{Status: 200, Body: []byte("answer")})
		done.Version++
		if seen, err := stores[winner].Swap(t.Context(), done); err != nil || !seen.Won {
			t.Fatal(seen, err)
		}
		for _, s := range stores {
			if _, err := s.Sweep(t.Context(), done.ExpiresAt.Add(-time.Second)); err != nil {
				t.Fatal(err)
			}
			seen, err := s.Swap(t.Context(), claims[1-winner])
			if err != nil || seen.Won || seen.Record.Owner != done.Owner || string(seen.Record.Answer.Body) != "answer" {
				t.Fatalf("it is shown %+v %v", seen, err)
			}
		}
	}
}

// The answers of a day go at once, whatever their number, while those of the next stay;
// and they wait for nobody who still looks at them.
func TestTheAnswersOfADayGoAtOnce(t *testing.T) {
	s := openShop(t)
	day := time.Now().UTC().Truncate(24 * time.Hour)
	s.exec(t, `INSERT INTO once_answers_0 SELECT '', 'k' || n, 2, $1, '[]', 'answer' FROM generate_series(1, 5000) n`, day.Add(23*time.Hour))
	s.exec(t, `INSERT INTO once_answers_1 SELECT '', 'k' || n, 2, $1, '[]', 'answer' FROM generate_series(1, 10) n`, day.Add(25*time.Hour))
	left := func() (first, second int) {
		if err := s.pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM once_answers_0), (SELECT count(*) FROM once_answers_1)").Scan(&first, &second); err != nil {
			t.Fatal(err)
		}
		return first, second
	}
	sweep := func(want int) {
		t.Helper()
		more, err := s.keys.Sweep(t.Context(), day.Add(24*time.Hour))
		if first, second := left(); err != nil || more || first != want || second != 10 {
			t.Errorf("%d and %d are left; more: %v, %v", first, second, more, err)
		}
	}
	reader, err := s.pool.BeginTx(t.Context(), pgx.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "SELECT FROM once_answers_0 LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	sweep(5000)
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	sweep(0)
}

// Where a longer window mixes days in one table, what has been over for a day is deleted,
// a piece at a time.
func TestTheAnswersOfLongWindowsAreDeleted(t *testing.T) {
	s := openShop(t)
	now := time.Now().UTC()
	s.exec(t, `INSERT INTO once_answers_0 SELECT '', 'k' || n, 2, $1, '[]', 'answer' FROM generate_series(1, 5000) n`, now.Add(-25*time.Hour))
	s.exec(t, `INSERT INTO once_answers_0 SELECT '', 'later' || n, 2, $1, '[]', 'answer' FROM generate_series(1, 10) n`, now.Add(time.Hour))
	pieces, more := 0, true
	for ; more; pieces++ {
		var err error
		if more, err = s.keys.Sweep(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM once_answers_0").Scan(&left); err != nil || left != 10 || pieces != 3 {
		t.Errorf("after %d pieces %d are left: %v", pieces, left, err)
	}
}

// Many processes that start at once make the tables once.
func TestManyMigrateAtOnce(t *testing.T) {
	url := pgtest.Database(t)
	var wg sync.WaitGroup
	for range 8 {
		pool := openPool(t, url)
		wg.Go(func() {
			keys, err := pgkeys.New(pool, pgkeys.Config{Schema: "shop"})
			if err == nil {
				err = keys.Migrate(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestNamesAreChecked(t *testing.T) {
	pool := openPool(t, pgtest.Database(t))
	for _, cfg := range []pgkeys.Config{{Prefix: `x"; DROP TABLE orders; --`}, {Schema: "a.b"}, {Prefix: "Once_"}, {Prefix: "1_"}} {
		if _, err := pgkeys.New(pool, cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
