package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// daysAhead is for how many days there are tables ahead, beside that of today: so long may
// nobody sweep. Keys of other days are in the table of the rest, which does as well, but
// is emptied row by row. Each costs every key that is made two looks.
const daysAhead = 1

// What may be done to the tables of days while commits and loads go on: each takes the
// tables alone for a moment, and gives up if it does not get them soon. A later sweep tries again.
const patience = "SELECT set_config('lock_timeout', '1s', true)"

// One at a time makes tables, or drops them.
const oneSweeps = "SELECT pg_try_advisory_xact_lock(hashtextextended('oncepay sweep ' || current_schema(), 0))"

const missingDays = `SELECT day FROM generate_series(floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint,
	floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint + $1) day WHERE NOT EXISTS (SELECT 1 FROM key_days d WHERE d.day = day.day)`

// makeDays makes the tables of today and of the days to come that are not there yet, by the
// server's clock.
func makeDays(ctx context.Context, db *pgxpool.Pool) error {
	rows, err := db.Query(ctx, missingDays, daysAhead)
	if err != nil {
		return hide(err)
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, day := range days {
		if err == nil {
			err = tidy(ctx, db, func(tx pgx.Tx) error { return makeDay(ctx, tx, day) })
		}
	}
	return hide(err)
}

// errBusy means that another process is at it.
var errBusy = errors.New("postgres: another process sweeps")

// tidy runs fn in a transaction, unless another process is tidying.
func tidy(ctx context.Context, db *pgxpool.Pool, fn func(pgx.Tx) error) error {
	err := inTransaction(ctx, db, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var free bool
		if err := tx.QueryRow(ctx, oneSweeps).Scan(&free); err != nil {
			return err
		}
		if !free {
			return errBusy
		}
		if _, err := tx.Exec(ctx, patience); err != nil {
			return err
		}
		return fn(tx)
	})
	if err == errBusy {
		return nil
	}
	return err
}

// script runs statements that make, change and drop the tables of a day: $name is the
// table, $from and $to are the bounds of its times.
func script(ctx context.Context, tx pgx.Tx, day int64, sql string) error {
	filled := strings.NewReplacer("$name", fmt.Sprint("keys_", day), "$day", fmt.Sprint(day),
		"$from", fmt.Sprint(day*microsPerDay), "$to", fmt.Sprint((day+1)*microsPerDay)).Replace(sql)
	return tx.Conn().PgConn().Exec(ctx, filled).Close()
}

// The table is made apart and then attached, since that alone lets loads go on; its check
// spares the scan for rows that are out of bounds. Rows of the day that are in the rest
// move.
const scriptMakeDay = `
	INSERT INTO key_days VALUES ($day, 1, '', '');
	CREATE TABLE $name (LIKE keys INCLUDING DEFAULTS, CHECK (created_at >= $from AND created_at < $to));
	CREATE UNIQUE INDEX ON $name (tenant, key);
	CREATE INDEX ON $name (tenant, key) WHERE state NOT IN (2, 5);
	CREATE INDEX ON $name USING brin (expires_at) WITH (autosummarize = on);
	LOCK TABLE keys_rest IN ACCESS EXCLUSIVE MODE;
	WITH moved AS (DELETE FROM keys_rest WHERE created_at >= $from AND created_at < $to RETURNING *) INSERT INTO $name SELECT * FROM moved;
	ALTER TABLE keys ATTACH PARTITION $name FOR VALUES FROM ($from) TO ($to);`

// makeDay makes the tables of a day, unless somebody has since it was found missing.
func makeDay(ctx context.Context, tx pgx.Tx, day int64) error {
	var made bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM key_days WHERE day = $1)", day).Scan(&made); err != nil || made {
		return err
	}
	return script(ctx, tx, day, scriptMakeDay)
}

// closeDay takes a day out of the tables that are written to. What is not over stays, in the
// rest: unfinished work, and answers that came late.
const scriptCloseDay = `
	LOCK TABLE keys IN ACCESS EXCLUSIVE MODE;
	UPDATE key_days SET state = 2 WHERE day = $day;
	ALTER TABLE keys DETACH PARTITION $name;
	WITH kept AS (DELETE FROM $name WHERE state NOT IN (2, 5) OR expires_at > (SELECT value FROM meta WHERE name = 'swept') RETURNING *)
		INSERT INTO keys SELECT * FROM kept;
	ALTER TABLE closed_keys ATTACH PARTITION $name FOR VALUES FROM ($from) TO ($to);`

func closeDay(ctx context.Context, tx pgx.Tx, day int64) error {
	return script(ctx, tx, day, scriptCloseDay)
}

// dropDay drops the table of a day whose keys are all tombstones now.
const scriptDropDay = `
	LOCK TABLE closed_keys IN ACCESS EXCLUSIVE MODE;
	UPDATE key_days SET state = 3 WHERE day = $day;
	DROP TABLE $name;`

func dropDay(ctx context.Context, tx pgx.Tx, day int64) error {
	return script(ctx, tx, day, scriptDropDay)
}
