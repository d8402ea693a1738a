package engine_test

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/engine"
)

var update = flag.Bool("update", false, "write the transcripts of testdata/step anew, to be read before they are believed")

// Each file of testdata/step is a play: its first lines say what it shows, a
// line "config" sets bounds, and then what happens ("> ") is followed by what
// the Step wants done.
func TestStepPlaysItsTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/step/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, _ := strings.Cut(string(text), "\n\n")
			got := newScript(t, configOf(t, head)).run(want)
			if *update {
				if err := os.WriteFile(file, []byte(head+"\n\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", head, diff)
			}
		})
	}
}

// configOf reads a line such as "config MaxBatch=2 MaxTries=3".
func configOf(t *testing.T, head string) engine.Config {
	cfg := engine.Config{Since: day, Seed: [32]byte{7}}
	bounds := map[string]*int{
		"MaxBatch": &cfg.MaxBatch, "MaxQueue": &cfg.MaxQueue, "MaxTenantQueue": &cfg.MaxTenantQueue,
		"MaxWaiters": &cfg.MaxWaiters, "MaxTries": &cfg.MaxTries,
	}
	for line := range strings.Lines(head) {
		words := strings.Fields(line)
		if words[0] != "config" {
			continue
		}
		for _, w := range words[1:] {
			name, value, _ := strings.Cut(w, "=")
			n, err := strconv.Atoi(value)
			if err != nil || bounds[name] == nil {
				t.Fatalf("config %q: %v", w, err)
			}
			*bounds[name] = n
		}
	}
	return cfg
}
