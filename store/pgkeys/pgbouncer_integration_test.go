//go:build integration

package pgkeys_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/store/pgkeys"
)

// Through PgBouncer, which gives every transaction another session, all is as it is.
func TestThroughPgBouncer(t *testing.T) {
	through := pgtest.Bouncer(t, pgtest.Database(t))
	modes := []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeCacheDescribe}
	if pgtest.Prepares(t) {
		modes = append(modes, pgx.QueryExecModeCacheStatement)
	}
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			s := newShop(t, openPool(t, through, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode }), pgkeys.Config{})
			results := make([]int64, 60)
			var wg sync.WaitGroup
			for i := range results {
				wg.Go(func() {
					var err error
					item := fmt.Sprint(mode, " tea ", i%20)
					if results[i], err = s.buy(t.Context(), fmt.Sprint(int(mode), "-", i%20), item, nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for i, n := range results {
				if n != results[i%20] || s.sold(t, fmt.Sprint(mode, " tea ", i%20)) != 1 {
					t.Errorf("key %d got %d and %d", i%20, results[i%20], n)
				}
			}
		})
	}
}
