package postgres

import (
	"fmt"
	"strings"
)

// table is a table that batches write: its statements are made from the list of its
// columns, in whose order values are bound and rows are read. The first columns are its
// key. Statements take an array for each column, and do the rows of all in the arrays'
// order.
type table struct {
	name  string
	names []string
	types []string
	key   int
}

// newTable reads "name type, name type".
func newTable(name string, key int, columns string) table {
	t := table{name: name, key: key}
	for c := range strings.SplitSeq(columns, ",") {
		f := strings.Fields(c)
		t.names, t.types = append(t.names, f[0]), append(t.types, f[1])
	}
	return t
}

// columns are the names, each with a prefix.
func (t table) columns(prefix string) string {
	return prefix + strings.Join(t.names, ", "+prefix)
}

// arrays are the rows that are given, as r.
func (t table) arrays() string {
	var types []string
	for i, typ := range t.types {
		types = append(types, fmt.Sprintf("$%d::%s[]", i+1, typ))
	}
	return fmt.Sprintf("unnest(%s) r(%s)", strings.Join(types, ", "), strings.Join(t.names, ", "))
}

// insert makes rows.
func (t table) insert() string {
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", t.name, t.columns(""), t.columns("r."), t.arrays())
}

// lookup says of rows that are given, as r, what is wanted of those that match them, as t. Which of
// both is looked up for the other is said, too (LATERAL, and an OFFSET that cannot be taken apart):
// a planner that takes the table for empty, as it was when it looked last, would look up all
// that is given for each row of it.
func lookup(given, wanted, from, where string) string {
	return fmt.Sprintf("%s CROSS JOIN LATERAL (SELECT %s FROM %s WHERE %s OFFSET 0) t", given, wanted, from, where)
}

// locked are the rows that are given, as r, and that are one version behind: they are locked
// in the order in which they are given. A row that is locked by somebody else is waited for,
// and looked at again.
func (t table) locked() string {
	return lookup(t.arrays(), "t.tableoid AS in_table, t.ctid AS at_place", t.name+" t", t.match()+" AND t.version = r.version - 1 FOR NO KEY UPDATE")
}

// fence locks the rows that are one version behind, and ends the transaction if that is not
// all that are given: its last argument is how many those are.
func (t table) fence() string {
	return fmt.Sprintf("SELECT fence((SELECT count(*) FROM (SELECT 1 FROM %s) locked), $%d)", t.locked(), len(t.names)+1)
}

// change writes rows anew where they are, as fence does that only locks them. A place is
// where a row is as long as that is locked.
func (t table) change() string {
	var set []string
	for _, name := range t.names[t.key:] {
		set = append(set, name+" = r."+name)
	}
	return fmt.Sprintf(`WITH changed AS (UPDATE %s w SET %s FROM (SELECT * FROM %s) r WHERE w.tableoid = r.in_table AND w.ctid = r.at_place RETURNING 1)
		SELECT fence((SELECT count(*) FROM changed), $%d)`, t.name, strings.Join(set, ", "), t.locked(), len(t.names)+1)
}

// upsert makes rows or writes them anew, and ends the transaction if one would take the
// place of another: the column behind the key says which it is.
func (t table) upsert() string {
	var set []string
	for _, name := range t.names[t.key+1:] {
		set = append(set, name+" = excluded."+name)
	}
	return fmt.Sprintf(`WITH put AS (%s ON CONFLICT (%s) DO UPDATE SET %s WHERE %s.%[5]s = excluded.%[5]s RETURNING 1)
		SELECT fence((SELECT count(*) FROM put), $%[6]d)`, t.insert(), strings.Join(t.names[:t.key], ", "),
		strings.Join(set, ", "), t.name, t.names[t.key], len(t.names)+1)
}

// match says that t and r have the same key.
func (t table) match() string {
	var is []string
	for _, name := range t.names[:t.key] {
		is = append(is, fmt.Sprintf("t.%[1]s = r.%[1]s", name))
	}
	return strings.Join(is, " AND ")
}
