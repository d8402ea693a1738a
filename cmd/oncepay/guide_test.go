package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
)

const guidePath = "../../docs/guides/configuration.md"

// TestGuide holds the guide to the program: its table is the table of keys, and
// its example is what the program answers to the file that it shows.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile(guidePath)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	got := between(t, want, "keys", guideTable())
	got = between(t, got, "example", guideExample(t, want))
	compare(t, guidePath, want, got)
}

// between is text with what stands between the marks of the given name
// replaced.
func between(t *testing.T, text, name, content string) string {
	t.Helper()
	first, last := fmt.Sprintf("<!-- %s: written by go test ./cmd/oncepay -update -->\n", name), fmt.Sprintf("<!-- end of %s -->", name)
	before, rest, begins := strings.Cut(text, first)
	_, after, ends := strings.Cut(rest, last)
	if !begins || !ends {
		t.Fatalf("the guide has no place for %s", name)
	}
	return before + first + "\n" + content + "\n" + last + after
}

func guideTable() string {
	var table strings.Builder
	table.WriteString("| key | default | what it is | what it may be | flag, variable |\n|---|---|---|---|---|\n")
	for _, k := range keys() {
		fmt.Fprintf(&table, "| `%s` | `%s` | %s | %s | `--%s` `%s` |\n", k.name, cmp.Or(k.def, `""`), k.help, k.want, k.flag(), k.env())
	}
	return table.String()
}

// guideExample runs `oncepay config` on the file that the guide shows.
func guideExample(t *testing.T, guide string) string {
	t.Helper()
	_, rest, _ := strings.Cut(guide, "```yaml\n")
	file, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the guide shows no file")
	}
	t.Run("example", func(t *testing.T) {
		o := configured(t, file, []string{"ONCEPAY_ADDR=0.0.0.0:8080"}, "--log-format=json")
		rest = "```console\n$ ONCEPAY_ADDR=0.0.0.0:8080 oncepay config --config oncepay.yaml --log-format json\n" + o.stdout + o.stderr + "```\n"
	})
	return rest
}
