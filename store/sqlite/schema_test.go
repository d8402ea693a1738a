package sqlite_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The documentation of the schema names every table, view and column, and its
// queries run.
func TestSchemaIsDocumented(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	mustClose(t, open(t, path))
	doc := string(read(t, "../../docs/schema.md"))
	db := raw(t, path)
	defer db.Close()
	rows, err := db.Query("SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type IN ('table', 'view')")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		_, after, found := strings.Cut(doc, "\n| `"+table+"` |")
		line, _, _ := strings.Cut(after, "\n")
		if !found || !strings.Contains(line, "`"+column+"`") {
			t.Errorf("%s.%s is not documented", table, column)
		}
	}
	queries := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(doc, -1)
	for _, q := range queries {
		if _, err := db.Exec(q[1]); err != nil {
			t.Errorf("%s: %v", q[1], err)
		}
	}
	if len(queries) < 3 {
		t.Errorf("there are %d queries", len(queries))
	}
}
