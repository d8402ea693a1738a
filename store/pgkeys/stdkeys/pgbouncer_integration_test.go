//go:build integration

package stdkeys_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/store/pgkeys/stdkeys"
)

// Through PgBouncer, which gives every transaction another session, all is as it is, with a
// driver that is told to keep no prepared statements there.
func TestThroughPgBouncer(t *testing.T) {
	through := pgtest.Bouncer(t, pgtest.Database(t))
	for _, mode := range []string{"exec", "cache_describe"} {
		t.Run(mode, func(t *testing.T) {
			s := newShop(t, through+"&default_query_exec_mode="+mode, stdkeys.Config{})
			item := func(i int) string { return fmt.Sprint(mode, "-tea-", i%20) }
			results := make([]int64, 60)
			var wg sync.WaitGroup
			for i := range results {
				wg.Go(func() {
					var err error
					if results[i], err = s.buy(t.Context(), item(i), item(i), nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for i, n := range results {
				if n != results[i%20] || s.sold(t, item(i)) != 1 {
					t.Errorf("key %s got %d and %d", item(i), results[i%20], n)
				}
			}
		})
	}
}
