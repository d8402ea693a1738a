package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const schemaDoc = "../../docs/schema.md"

// Every table, view and column is in docs/schema.md, in its own section.
func TestSchemaIsDocumented(t *testing.T) {
	db, doc := schemaOf(t)
	for _, table := range strs(t, db, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'") {
		section := sectionOf(doc, table)
		if section == "" {
			t.Errorf("%s is not described", table)
		}
		for _, column := range strs(t, db, "SELECT name FROM pragma_table_info(?)", table) {
			if table != "meta" && !strings.Contains(section, "`"+column+"`") {
				t.Errorf("%s.%s is not described", table, column)
			}
		}
	}
	for _, name := range strs(t, db, "SELECT name FROM meta") {
		if !strings.Contains(sectionOf(doc, "meta"), "`"+name+"`") {
			t.Errorf("meta %s is not described", name)
		}
	}
}

// The queries in docs/schema.md run.
func TestQueriesInTheDocumentRun(t *testing.T) {
	db, doc := schemaOf(t)
	queries := strings.Split(doc, "```sql\n")[1:]
	for _, q := range queries {
		q, _, _ = strings.Cut(q, "```")
		rows, err := db.Query(q)
		if err != nil {
			t.Errorf("%v:\n%s", err, q)
			continue
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(queries) < 4 {
		t.Errorf("only %d queries were found", len(queries))
	}
}

// schemaOf is a new store, to be read, and what is said of it.
func schemaOf(t *testing.T) (*sql.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "once.db")
	mustClose(t, open(t, path))
	db := raw(t, path)
	t.Cleanup(func() { db.Close() })
	doc, err := os.ReadFile(schemaDoc)
	if err != nil {
		t.Fatal(err)
	}
	return db, string(doc)
}

// sectionOf is the section about a table, or the line about a view.
func sectionOf(doc, name string) string {
	if _, rest, ok := strings.Cut(doc, "\n### "+name+"\n"); ok {
		section, _, _ := strings.Cut(rest, "\n### ")
		return section
	}
	if _, rest, ok := strings.Cut(doc, "\n| `"+name+"` |"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	return ""
}

func strs(t *testing.T, db *sql.DB, query string, args ...any) (found []string) {
	t.Helper()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		found = append(found, s)
	}
	return found
}
