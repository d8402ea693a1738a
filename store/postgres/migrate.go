package postgres

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var migrations embed.FS

var (
	// ErrNewer means that a later version of the program migrated the store. The error
	// that carries it says which versions.
	ErrNewer = errors.New("postgres: the store was migrated by a newer version")

	// ErrOlder means that the store is to be migrated first.
	ErrOlder = errors.New("postgres: the store was migrated by an older version")

	// ErrForeign means that there is no store where the URL points to.
	ErrForeign = errors.New("postgres: the database has no oncepay store")
)

// Migrate brings a store to the version of the program, and makes one where there is none:
// in the first schema of the connection's search_path, which must be there. Each step is
// one transaction, and there is no way back. It may run while processes of the version before
// use the store, and of several that run at once one does the work.
func Migrate(ctx context.Context, url string) error {
	db, err := connect(ctx, url, 1)
	if err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	defer db.Close()
	server, err := ask(ctx, db)
	if err == nil {
		err = server.check()
	}
	if err == nil {
		err = checkHistory(ctx, db)
	}
	for more := true; more && err == nil; {
		more, err = step(ctx, db)
	}
	if err == nil {
		err = makeDays(ctx, db)
	}
	if err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	return nil
}

// steps are the names of the migrations, in their order.
func steps() []string {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	return names
}

// step does the next migration, and says whether there was one.
func step(ctx context.Context, db *pgxpool.Pool) (more bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, alone); err != nil {
			return err
		}
		found, err := version(ctx, tx)
		if err != nil {
			return err
		}
		if err := checkVersion(found); err != nil && !errors.Is(err, ErrOlder) && found > 0 {
			return err
		}
		if found == len(steps()) {
			return nil
		}
		more = true
		return apply(ctx, tx, found)
	})
	return more, hide(err)
}

// alone has migrations of one schema wait for each other, and none wait long for a table: who
// comes after it would wait as well.
const alone = "SELECT pg_advisory_xact_lock(hashtextextended('oncepay migrate ' || coalesce(current_schema(), ''), 0)), set_config('lock_timeout', '5s', true)"

// apply does the migration that follows those that were found. The first makes the table
// that says what the store is.
func apply(ctx context.Context, tx pgx.Tx, found int) error {
	name := steps()[found]
	sql, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	if found == 0 {
		sql = append([]byte(makeMeta()), sql...)
	}
	if err := tx.Conn().PgConn().Exec(ctx, string(sql)).Close(); err != nil {
		return fmt.Errorf("%s: %w", name, hide(err))
	}
	_, err = tx.Exec(ctx, "UPDATE meta SET value = $1 WHERE name = 'schema_version'", found+1)
	return err
}

func makeMeta() string {
	var secret [32]byte
	rand.Read(secret[:]) // never fails: it ends the process instead
	return fmt.Sprintf(`CREATE TABLE meta (name text COLLATE "C" NOT NULL PRIMARY KEY, value bigint, bytes bytea);
		COMMENT ON TABLE meta IS '%s';
		INSERT INTO meta (name, value) VALUES ('schema_version', 0), ('clock', 0), ('keys_since', 0), ('swept', 0);
		INSERT INTO meta (name, bytes) VALUES ('secret', '\x%x');`, mark, secret)
}

// mark tells our meta from a table of somebody else's that has its name.
const mark = "oncepay"

const selectOurs = "SELECT to_regclass('meta') IS NOT NULL, coalesce(obj_description(to_regclass('meta'), 'pg_class'), '') = '" + mark + "', current_schema() IS NOT NULL"

// queryer is a pool or a transaction.
type queryer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// version is the schema version of the store: 0 if there is none.
func version(ctx context.Context, q queryer) (v int, err error) {
	var there, ours, schema bool
	switch err := q.QueryRow(ctx, selectOurs).Scan(&there, &ours, &schema); {
	case err != nil:
		return 0, hide(err)
	case !schema:
		return 0, errors.New("none of the schemas of the search_path is there: create one first")
	case !there:
		return 0, nil
	case !ours:
		return 0, fmt.Errorf("%w: its table meta is something else", ErrForeign)
	}
	err = q.QueryRow(ctx, "SELECT value FROM meta WHERE name = 'schema_version'").Scan(&v)
	return v, hide(err)
}

func checkVersion(found int) error {
	switch known := len(steps()); {
	case found == 0:
		return fmt.Errorf("%w: run `oncepay migrate` to make one", ErrForeign)
	case found > known:
		return fmt.Errorf("%w: it has schema version %d, this program knows up to %d; run a later program", ErrNewer, found, known)
	case found < known:
		return fmt.Errorf("%w: it has schema version %d, this program needs %d; run `oncepay migrate`", ErrOlder, found, known)
	}
	return nil
}

func checkSchema(ctx context.Context, db *pgxpool.Pool) error {
	found, err := version(ctx, db)
	if err != nil {
		return err
	}
	return checkVersion(found)
}
