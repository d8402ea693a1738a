package sqlite

import (
	"fmt"
	"strings"
)

// Statements of tables with many columns are made from the list of them, the same
// that the rows are read by: values are bound in its order. The first columns are
// the table's key.

func insert(table, columns string) string {
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", table, columns, strings.Repeat(", ?", strings.Count(columns, ",")))
}

// update writes all of a row that is one version behind.
func update(table, columns string, key int) string {
	var set, where []string
	for i, column := range split(columns) {
		is := fmt.Sprintf("%s = ?%d", column, i+1)
		if i < key {
			where = append(where, is)
			continue
		}
		set = append(set, is)
		if column == "version" {
			where = append(where, is+" - 1")
		}
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s", table, strings.Join(set, ", "), strings.Join(where, " AND "))
}

// upsert writes all of a row, whether it is there or not. The first column behind
// the key stays as it is, and the row too if that is another.
func upsert(table, columns string, key int) string {
	names := split(columns)
	var set []string
	for _, column := range names[key+1:] {
		set = append(set, fmt.Sprintf("%[1]s = excluded.%[1]s", column))
	}
	return fmt.Sprintf("%s ON CONFLICT (%s) DO UPDATE SET %s WHERE %s = excluded.%[4]s",
		insert(table, columns), strings.Join(names[:key], ", "), strings.Join(set, ", "), names[key])
}

func split(columns string) []string {
	return strings.Fields(strings.ReplaceAll(columns, ",", " "))
}
