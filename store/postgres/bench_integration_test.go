//go:build integration

package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/ledger"
)

// BenchmarkCommit is what a batch of transfers takes on a server that syncs, loads included,
// beside the same rows written with as few statements and no fences. ns/op is a batch's.
func BenchmarkCommit(b *testing.B) {
	const accounts = 1000
	server := pgtest.Start(b)
	url := migrateAt(b, server.URL("postgres"))
	s := openAt(b, url)
	openAccounts(b, s.Store, accounts)
	teller := newTeller(s.Store, "bench")
	for _, size := range []int{1, 64, 512} {
		for _, kind := range []string{"spread", "hot"} {
			b.Run(fmt.Sprintf("size=%d/%s", size, kind), func(b *testing.B) {
				for n := 0; b.Loop(); n++ {
					teller.mustDo(b, batchOf(size, n, accounts, kind == "hot")...)
				}
				b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "transfers/s")
			})
		}
		b.Run(fmt.Sprintf("size=%d/raw", size), func(b *testing.B) { benchRaw(b, url, size) })
	}
}

func batchOf(size, n, accounts int, hot bool) (commands []ledger.Command) {
	for i := range size {
		at := n*size + i
		from, to := at%accounts, (at*7+1)%accounts
		if hot {
			from = 0
		}
		if from == to {
			to = (to + 1) % accounts
		}
		commands = append(commands, move(from, to))
	}
	return commands
}

// raw are the rows of so many transfers, as plain as they can be written.
const raw = `WITH n AS (SELECT generate_series(1, $1::int) i),
	t AS (INSERT INTO transfers SELECT 'raw', 'tr_' || gen_random_uuid(), 2, 'customer-000001', 'customer-000002', 1, 1, 'EUR', NULL, NULL, NULL, NULL, NULL, 1, 1, NULL FROM n),
	e AS (INSERT INTO entries SELECT nextval('raw_numbers'), 1, 'tr_' || gen_random_uuid(), 1, 1, 0, 0, 1, 0, 0, 1, 1, 1 FROM n, generate_series(1, 2)),
	k AS (INSERT INTO keys SELECT gen_random_uuid()::text, 'raw', decode(repeat('00', 33), 'hex'), 2, 'POST /v1/transfers', 'tr_' || gen_random_uuid(), 1, NULL, 1, 1, 0, 1, 201, 'Content-Type: application/json', decode(repeat('00', 350), 'hex') FROM n),
	v AS (INSERT INTO events SELECT nextval('event_numbers'), 'raw', 'evt_' || gen_random_uuid(), 'transfer.posted', 'tr_' || gen_random_uuid(), 1, repeat('x', 350) FROM n)
	UPDATE balances SET version = version + 0 WHERE account IN (SELECT num FROM accounts ORDER BY num LIMIT 2 * $1::int)`

func benchRaw(b *testing.B, url string, size int) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "CREATE SEQUENCE IF NOT EXISTS raw_numbers START 1000000000000"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Exec(ctx, raw, size); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "transfers/s")
}
