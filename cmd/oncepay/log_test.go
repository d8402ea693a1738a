package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLogForm(t *testing.T) {
	for sentence, row := range map[string]struct {
		config logConfig
		want   string // how a line begins; empty if nothing is logged
	}{
		"what is no terminal gets JSON":   {logConfig{format: logAuto}, `{"time":`},
		"the zero value is auto":          {logConfig{}, `{"time":`},
		"JSON can be asked for":           {logConfig{format: logJSON}, `{"time":`},
		"text can be asked for":           {logConfig{format: logText}, "time="},
		"below the level nothing is said": {logConfig{level: slog.LevelWarn}, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			var out bytes.Buffer
			newLogger(&out, row.config).Info("ready")
			if got := out.String(); !strings.HasPrefix(got, row.want) || (got == "") != (row.want == "") {
				t.Errorf("got %q, want %q…", got, row.want)
			}
		})
	}
}
