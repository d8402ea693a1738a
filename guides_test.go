package oncepay_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// Code in guides is that of examples, which are run: a page of code that nobody runs is
// wrong before long.
func TestTheGuidesCodeIsRun(t *testing.T) {
	var examples strings.Builder
	for _, pattern := range []string{"*/example*_test.go", "*/*/example*_test.go", "examples/*/*.go"} {
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
	for guide, least := range map[string]int{"engine": 5, "consumers": 3} {
		text, err := os.ReadFile("docs/guides/" + guide + ".md")
		if err != nil {
			t.Fatal(err)
		}
		blocks := goBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) < least {
			t.Fatalf("the guide of %s has %d pieces of code", guide, len(blocks))
		}
		for _, b := range blocks {
			if !strings.Contains(examples.String(), b[1]) {
				t.Errorf("%s: no example runs\n%s", guide, b[1])
			}
		}
	}
}
