package oncepay_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// Code in the engine's guide is that of examples, which are run: a page of code that
// nobody runs is wrong before long.
func TestTheGuidesCodeIsRun(t *testing.T) {
	var examples strings.Builder
	for _, pattern := range []string{"*/example*_test.go", "*/*/example*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			examples.Write(text)
		}
	}
	guide, err := os.ReadFile("docs/guides/engine.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllStringSubmatch(string(guide), -1)
	if len(blocks) < 5 {
		t.Fatalf("the guide has %d pieces of code", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(examples.String(), b[1]) {
			t.Errorf("no example runs\n%s", b[1])
		}
	}
}
