package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitGood  = 0
	exitBad   = 1 // the answer is bad news, or there is none
	exitUsage = 2
)

// badNews is the error of a command that did its work and has to say no: cents
// are wrong, a history broke a promise. Its text, if any, goes to stderr.
type badNews struct{ text string }

func (e badNews) Error() string { return e.text }

// usageError is what its caller can mend: an argument, a flag, a value of the
// configuration. A command's body may return one.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return usageError{fmt.Sprintf(format, args...)}
}

// bodyError marks what the body of a command returned. All else that cobra
// hands back was found before a body began, so it is wrong usage.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }

// report tells the user of err and returns the exit status.
func (p *program) report(cmd *cobra.Command, err error) int {
	var news badNews
	switch {
	case err == nil:
		return exitGood
	case isUsage(err):
		p.complain(err.Error())
		fmt.Fprintf(p.stderr, "Try %q.\n", cmd.CommandPath()+" --help")
		return exitUsage
	case errors.As(err, &news) && news.text == "":
		return exitBad // what was printed says it all
	case errors.Is(err, context.Canceled):
		p.complain("interrupted")
		return exitBad
	default:
		p.complain(err.Error())
		return exitBad
	}
}

func isUsage(err error) bool {
	var usage usageError
	var body bodyError
	return errors.As(err, &usage) || !errors.As(err, &body)
}

// complain prints text to stderr; each line says who is speaking.
func (p *program) complain(text string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		fmt.Fprintf(p.stderr, "oncepay: %s\n", strings.TrimRight(line, "\n"))
	}
}
