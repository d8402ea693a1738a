//go:build integration

package pgkeys_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
)

// BenchmarkOrder measures an order with a key and the same transaction without, in turns,
// on a server that syncs what it commits. "of-plain" is the median of how they compare.
func BenchmarkOrder(b *testing.B) {
	s := newShop(b, openPool(b, pgtest.Start(b).URL("postgres")), pgkeys.Config{})
	took := func(do func() error) time.Duration {
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	var plain, keyed []time.Duration
	var ratios []float64
	n := 0
	for b.Loop() {
		n++
		p := took(func() error {
			return pgx.BeginFunc(b.Context(), s.pool, func(tx pgx.Tx) error { _, err := order(b.Context(), tx, "tea"); return err })
		})
		k := took(func() error {
			_, err := s.orders.Do(b.Context(), fmt.Sprint("k", n), "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
				return order(ctx, tx, "tea")
			})
			return err
		})
		plain, keyed, ratios = append(plain, p), append(keyed, k), append(ratios, float64(k)/float64(p))
	}
	slices.Sort(plain)
	slices.Sort(keyed)
	slices.Sort(ratios)
	b.ReportMetric(float64(plain[n/2].Microseconds()), "plain-us")
	b.ReportMetric(float64(keyed[n/2].Microseconds()), "keyed-us")
	b.ReportMetric(ratios[n/2], "of-plain")
}

// BenchmarkForgetting measures what gives the space of keys back that may be forgotten:
// small rows with three indexes, deleted a piece at a time.
func BenchmarkForgetting(b *testing.B) {
	const rows = 1_000_000
	s := newShop(b, openPool(b, pgtest.Start(b).URL("postgres")), pgkeys.Config{})
	now := time.Now()
	longest := time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		s.exec(b, `INSERT INTO once_keys (tenant, id, version, state, operation, resource, attempt, owner, created_at, expires_at, forget_at,
				scheme, fingerprint, note, replays, status, dropped, seal, slot)
			SELECT '', 'order-' || md5(n::text), 2, 2, 'order', '', 1, '', $1, $1, $1, 1, sha256(n::text::bytea), '', 0, 200, false, '', 0
			FROM generate_series(1, $2::int) n`, now.Add(-time.Hour), rows)
		b.StartTimer()
		for more := true; more; {
			var err error
			began := time.Now()
			if more, err = s.keys.Sweep(b.Context(), now); err != nil {
				b.Fatal(err)
			}
			longest = max(longest, time.Since(began))
		}
	}
	b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
}

// BenchmarkExpiry measures what gives the space of answers back, by how many they are:
// truncating the table of their day, and deleting them.
func BenchmarkExpiry(b *testing.B) {
	const rows = 1_000_000
	for _, mixed := range []bool{false, true} {
		b.Run(fmt.Sprintf("rows=%d/mixed=%t", rows, mixed), func(b *testing.B) {
			s := newShop(b, openPool(b, pgtest.Start(b).URL("postgres")), pgkeys.Config{})
			now := time.Now()
			for b.Loop() {
				b.StopTimer()
				s.exec(b, `INSERT INTO once_answers_0 SELECT '', 'order-' || n, 2, $1, '[]', convert_to(repeat('x', 330), 'UTF8')
					FROM generate_series(1, $2::int) n ON CONFLICT DO NOTHING`, now.Add(-25*time.Hour), rows)
				if mixed {
					s.exec(b, `INSERT INTO once_answers_0 VALUES ('', 'later', 2, $1, '[]', '') ON CONFLICT DO NOTHING`, now.Add(time.Hour))
				}
				b.StartTimer()
				for more := true; more; {
					var err error
					if more, err = s.keys.Sweep(b.Context(), now); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
