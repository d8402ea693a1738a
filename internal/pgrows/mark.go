package pgrows

import (
	"fmt"
	"strings"

	"github.com/oncepay/oncepay/once"
)

// Marks writes records that are done where there is none under their keys, and shows the ids
// of those that it has written. They differ in their ids and fingerprints alone. They are
// written in the order of their ids, so that two who write the same ones wait for each other,
// and not around a circle.
func (t *Tables) Marks(records []once.Record) Query {
	ids, sums := make([]string, len(records)), make([][]byte, len(records))
	for i := range records {
		ids[i], sums[i] = records[i].Key.ID, records[i].Fingerprint.Sum[:]
	}
	args := values(&records[0], nil)
	args[idColumn], args[sumColumn] = ids, sums
	return Query{SQL: t.marks, Args: args}
}

// Where the columns are that differ: see columns.
const (
	idColumn  = 1
	sumColumn = 13
)

// types are those of columns: a parameter that is selected has none of its own.
var types = []string{
	"text", "text[]", "bigint", "smallint", "text", "text", "bigint", "text", "timestamptz", "timestamptz", "timestamptz", "timestamptz",
	"smallint", "bytea[]", "bytea", "text", "bigint", "smallint", "boolean", "text", "smallint",
}

// marking is the statement of Marks.
func marking(prefix string) string {
	given := make([]string, len(columns))
	for i := range columns {
		given[i] = fmt.Sprintf("$%d::%s", i+1, types[i])
	}
	differ := given[idColumn] + ", " + given[sumColumn]
	given[idColumn], given[sumColumn] = "u.id", "u.fingerprint"
	return "INSERT INTO " + prefix + "keys (" + listed("") + ") SELECT " + strings.Join(given, ", ") +
		" FROM unnest(" + differ + ") AS u (id, fingerprint) ORDER BY u.id COLLATE \"C\" ON CONFLICT (tenant, id) DO NOTHING RETURNING id"
}
