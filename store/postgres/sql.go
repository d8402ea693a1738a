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

// fence locks the rows that are one version behind, in the order of their keys, and ends
// the transaction if that is not all: its last argument is how many there are. A row that is locked by
// somebody else is waited for, and looked at again.
func (t table) fence() string {
	order := "t." + strings.Join(t.names[:t.key], ", t.")
	return fmt.Sprintf(`SELECT fence((SELECT count(*) FROM (SELECT 1 FROM %s JOIN %s t ON %s AND t.version = r.version - 1
		ORDER BY %s FOR NO KEY UPDATE OF t) locked), $%d)`, t.arrays(), t.name, t.match(), order, len(t.names)+1)
}

// update writes rows anew.
func (t table) update() string {
	var set []string
	for _, name := range t.names[t.key:] {
		set = append(set, name+" = r."+name)
	}
	return fmt.Sprintf("UPDATE %s t SET %s FROM %s WHERE %s", t.name, strings.Join(set, ", "), t.arrays(), t.match())
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
