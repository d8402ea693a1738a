package oncepay_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// computed are the types of events whose names are put together, by the file that does: of
// each status that there is. A payment requires confirmation only when it is made, which is
// payment.created.
var computed = map[string][]string{
	"ledger/command.go": namesOf("transfer.", func(n uint8) fmt.Stringer { return ledger.Status(n) }),
	"pay/book.go": append(slices.DeleteFunc(namesOf("payment.", func(n uint8) fmt.Stringer { return pay.Status(n) }), func(name string) bool {
		return name == "payment.requires_confirmation"
	}), "payment.created"),
	"pay/json.go": {"refund.created", "refund.processing", "refund.succeeded", "refund.failed", "refund.needs_review"},
}

// namesOf are the names of all statuses, from 1 on.
func namesOf(prefix string, status func(uint8) fmt.Stringer) (names []string) {
	for n := uint8(1); !strings.Contains(status(n).String(), "("); n++ {
		names = append(names, prefix+status(n).String())
	}
	return names
}

// What the code can write, what package outbox lists, what docs/events.md tells and what
// openapi.json allows is the same.
func TestEventTypesAreListed(t *testing.T) {
	var listed []string
	rows := map[string]string{}
	for _, typ := range outbox.Types() {
		listed = append(listed, typ.Name)
		rows[typ.Name] = fmt.Sprintf("| `%s` | %s | `%s` |", typ.Name, typ.Says, typ.Schema())
	}
	slices.Sort(listed)
	for what, names := range map[string][]string{
		"the code writes": emitted(t), "docs/events.md tells of": told(t, rows), "openapi.json allows": allowed(t),
	} {
		if slices.Sort(names); !slices.Equal(names, listed) {
			t.Errorf("%s\n%s\nand listed is\n%s", what, strings.Join(names, "\n"), strings.Join(listed, "\n"))
		}
	}
}

// emitted are the types of events that are given to ledger.Book.Emit.
func emitted(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	var files []string
	for _, dir := range []string{"ledger", "pay", "engine", "processor", "web"} {
		found, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 5 {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Emit" {
				return true
			}
			if name, ok := call.Args[2].(*ast.BasicLit); ok {
				text, err := strconv.Unquote(name.Value)
				if err != nil {
					t.Fatal(err)
				}
				names[text] = true
				return true
			}
			if computed[path] == nil {
				t.Errorf("%s writes events of types that are put together: say which in this test", path)
			}
			for _, name := range computed[path] {
				names[name] = true
			}
			return true
		})
	}
	return slices.Collect(maps.Keys(names))
}

// told are the types of docs/events.md whose rows are as they should be.
func told(t *testing.T, rows map[string]string) (names []string) {
	t.Helper()
	text, err := os.ReadFile("docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok && strings.Contains(line, "urn:oncepay:schema:") {
			name, _, _ := strings.Cut(rest, "`")
			if line = strings.TrimSpace(line); line != rows[name] {
				t.Errorf("docs/events.md says\n%s\nwant\n%s", line, rows[name])
			}
			names = append(names, name)
		}
	}
	return names
}

// allowed are the types of openapi.json.
func allowed(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("web/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas struct {
				Event struct {
					Properties struct{ Type struct{ Enum []string } }
				}
			}
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas.Event.Properties.Type.Enum
}
