//go:build integration

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the README shows is what a reader sees: its console blocks are run
// against a server on a new store, and print the same but for ids and times.
func TestReadmeShowsWhatHappens(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	w := &crashWorld{program: buildForCrashes(t), dir: t.TempDir()}
	s := w.start(t)
	defer s.stop(t)
	examples, before := consoleExamples(string(text)), ""
	if len(examples) < 4 {
		t.Fatalf("found only %d examples: the test does not read the README as it is", len(examples))
	}
	for _, e := range examples {
		command := strings.ReplaceAll(e.command, "http://127.0.0.1:8080", s.url)
		if strings.HasPrefix(command, "export ") { // holds for what follows, as in a reader's shell
			before += command + "\n"
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", "curl() { command curl --no-progress-meter \"$@\"; }\n"+before+command)
		cmd.Dir = filepath.Dir(w.path())
		got, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", e.command, err)
		}
		if masked(string(got)) != masked(e.output) {
			t.Errorf("%s\nprints\n%s\nthe README has\n%s", e.command, got, e.output)
		}
	}
}

// consoleExample is a command after "$ ", with the lines that it goes on for
// (after a backslash), and what is printed below it.
type consoleExample struct{ command, output string }

func consoleExamples(markdown string) (all []consoleExample) {
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(markdown, -1)
	for _, b := range blocks {
		goesOn := false
		for line := range strings.Lines(b[1]) {
			command, begins := strings.CutPrefix(line, "$ ")
			switch {
			case begins:
				all = append(all, consoleExample{command: command})
			case goesOn:
				all[len(all)-1].command += line
			case len(all) > 0:
				all[len(all)-1].output += line
			}
			goesOn = (begins || goesOn) && strings.HasSuffix(line, "\\\n")
		}
	}
	return all
}

// volatile is what differs from run to run.
var volatile = regexp.MustCompile(`(tr|req|acc|evt|pay|att|ch)_[0-9a-z]{26}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`)

func masked(s string) string {
	s = strings.ReplaceAll(s, "\r", "")
	return strings.TrimSpace(volatile.ReplaceAllString(s, "*"))
}
