package sqlite

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	lib "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewer means that a later version of the program wrote the store. The error
// that carries it says which versions.
var ErrNewer = errors.New("sqlite: the store was written by a newer version")

// ErrForeign means that the file is something else than a store.
var ErrForeign = errors.New("sqlite: the file is no oncepay store")

// applicationID marks the file as a store: "once" in ASCII.
const applicationID = 0x6f6e6365

// migrate brings the file to the version of the program: each step is one
// transaction, and there is no way back.
func migrate(ctx context.Context, c *conn) error {
	steps, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	found, err := version(c)
	if err != nil {
		return err
	}
	if err := checkVersion(found, len(steps)); err != nil {
		return err
	}
	for _, name := range steps[found:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(c, name); err != nil {
			return fmt.Errorf("migrate with %s: %w", name, err)
		}
	}
	return nil
}

func checkVersion(found, known int) error {
	if found > known {
		return fmt.Errorf("%w: it has schema version %d, this program knows up to %d; run a later program", ErrNewer, found, known)
	}
	return nil
}

// latest is the schema version of this program.
func latest() int {
	steps, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	return len(steps)
}

// version is the schema version of the file: 0 if it is empty.
func version(c *conn) (int, error) {
	tables, err := c.integer("SELECT count(*) FROM sqlite_schema")
	if e, ok := err.(*libError); ok && e.primary() == lib.SQLITE_NOTADB {
		return 0, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if err != nil || tables == 0 {
		return 0, err
	}
	if id, err := c.integer("PRAGMA application_id"); err != nil || id != applicationID {
		return 0, errors.Join(ErrForeign, err)
	}
	v, err := c.integer("SELECT value FROM meta WHERE name = 'schema_version'")
	return int(v), err
}

// step does one migration. Its number is the start of its name.
func step(c *conn, name string) error {
	sql, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
	v, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	err = c.script("BEGIN IMMEDIATE;" + preamble(v) + string(sql) +
		fmt.Sprintf(";UPDATE meta SET value = %d WHERE name = 'schema_version'; COMMIT", v))
	if err != nil && c.inTransaction() {
		return errors.Join(err, c.script("ROLLBACK"))
	}
	return err
}

// preamble is what the first step does before its file: it makes the table
// that says what the store is.
func preamble(v int) string {
	if v != 1 {
		return ""
	}
	var secret [32]byte
	rand.Read(secret[:]) // never fails: it ends the process instead
	return fmt.Sprintf(`PRAGMA application_id = %d;
		CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
		INSERT INTO meta VALUES ('schema_version', 0), ('clock', 0), ('commit', 0), ('keys_since', 0), ('undone', 0), ('secret', x'%x');`, applicationID, secret)
}

// readSecret reads the secret that was made with the store.
func readSecret(c *conn) ([]byte, error) {
	s, err := c.prepare("SELECT value FROM meta WHERE name = 'secret'")
	if err != nil {
		return nil, err
	}
	defer s.finalize()
	if row, err := s.step(); err != nil || !row {
		return nil, errors.Join(ErrForeign, err)
	}
	return s.columnBytes(0), nil
}
