// Command oncepay moves money exactly once.
//
// # What is promised
//
// Results go to stdout, everything else to stderr. The exit status is 0 if all
// is well, 1 if the answer is bad news, and 2 if the program was used wrongly.
// A value of the configuration comes from a flag, else the environment, else
// the file, else its default, and `oncepay config` says which. A name that is
// not known is refused, never ignored: a limit that was misspelt is no limit.
//
// # What is not promised
//
// The wording of messages on stderr and the layout of tables may change;
// programs should read --json.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends a drain that takes too long
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: it returns the exit status. The end of ctx asks it
// to finish; env has the form of os.Environ.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{env: env, stdin: stdin, stdout: stdout, stderr: stderr}
	return p.execute(ctx, args, p.commands()...)
}
