//go:build integration

package stdkeys_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/store/pgkeys/stdkeys"
)

// The answers of a day go at once, whatever their number, while those of the next stay;
// and they wait for nobody who still looks at them.
func TestTheAnswersOfADayGoAtOnce(t *testing.T) {
	s := openShop(t)
	day := time.Now().UTC().Truncate(24 * time.Hour)
	s.exec(t, `INSERT INTO once_answers_0 SELECT '', 'k' || n, 2, $1, '[]', 'answer' FROM generate_series(1, 5000) n`, day.Add(23*time.Hour))
	s.exec(t, `INSERT INTO once_answers_1 SELECT '', 'k' || n, 2, $1, '[]', 'answer' FROM generate_series(1, 10) n`, day.Add(25*time.Hour))
	sweep := func(want int) {
		t.Helper()
		more, err := s.keys.Sweep(t.Context(), day.Add(24*time.Hour))
		first, second := s.count(t, "SELECT count(*) FROM once_answers_0"), s.count(t, "SELECT count(*) FROM once_answers_1")
		if err != nil || more || first != want || second != 10 {
			t.Errorf("%d and %d are left; more: %v, %v", first, second, more, err)
		}
	}
	reader, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.ExecContext(t.Context(), "SELECT FROM once_answers_0 LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	sweep(5000)
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	sweep(0)
}

// Where a longer window mixes days in one table, what has been over for a day is deleted,
// a piece at a time; and so are keys that may be forgotten.
func TestTheRestIsDeletedPieceByPiece(t *testing.T) {
	for name, fill := range map[string]string{
		"once_answers_0": `INSERT INTO once_answers_0 SELECT '', 'k' || n, 2, $1::timestamptz + n / 5001 * interval '2 days', '[]', 'answer' FROM generate_series(1, 5010) n`,
		"once_keys": `INSERT INTO once_keys (tenant, id, version, state, operation, resource, attempt, owner, forget_at, scheme, fingerprint, note, replays, status, dropped, seal)
			SELECT '', 'k' || n, 2, 5, '', '', 1, '', $1::timestamptz + n / 5001 * interval '2 days', 0, '', '', 0, 0, false, '' FROM generate_series(1, 5010) n`,
	} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t)
			now := time.Now().UTC()
			s.exec(t, fill, now.Add(-25*time.Hour))
			pieces, more := 0, true
			for ; more; pieces++ {
				var err error
				if more, err = s.keys.Sweep(t.Context(), now); err != nil {
					t.Fatal(err)
				}
			}
			if left := s.count(t, "SELECT count(*) FROM "+name); left != 10 || pieces != 3 {
				t.Errorf("after %d pieces %d are left", pieces, left)
			}
		})
	}
}

// Many processes that start at once make the tables once, and a schema that they share
// with others.
func TestManyMigrateAtOnce(t *testing.T) {
	url := pgtest.Database(t)
	var wg sync.WaitGroup
	for i := range 8 {
		db := openDB(t, url)
		wg.Go(func() {
			keys, err := stdkeys.New(db, stdkeys.Config{Schema: "shop", Prefix: fmt.Sprintf("of_%d_", i/4)})
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
