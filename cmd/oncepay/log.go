package main

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// Forms of the log.
const (
	logAuto = "auto" // text for people, JSON for programs
	logText = "text"
	logJSON = "json"
)

// logConfig says what is logged and how. The zero value is info and auto.
type logConfig struct {
	level  slog.Level
	format string
}

// newLogger logs to w, which is the program's stderr.
func newLogger(w io.Writer, c logConfig) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.level}
	if c.format == logText || c.format != logJSON && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
