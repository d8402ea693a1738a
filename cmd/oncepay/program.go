package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

// program is one run of oncepay: what it was given and where it may write.
// Nothing below main touches os.Args, os.Environ or os.Exit.
type program struct {
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// commands are the ones that work. Each stands in a file of its own.
func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		serveCommand(p, serve),
		demoCommand(p),
		paymentsCommand(p),
		eventsCommand(p),
		listenCommand(p),
		webhooksCommand(p),
		sandboxCommand(p),
		verifyCommand(p),
		simulateCommand(p),
		apikeyCommand(p),
		keysCommand(p),
		recoveryCommand(p),
		migrateCommand(p),
		benchCommand(p),
		configCommand(p),
		versionCommand(p),
	}
}

// execute runs the command that args name and returns the exit status.
func (p *program) execute(ctx context.Context, args []string, commands ...*cobra.Command) int {
	root := p.root(commands)
	root.SetArgs(append([]string{}, args...)) // never nil: cobra would read os.Args
	cmd, err := root.ExecuteContextC(ctx)
	return p.report(cmd, err)
}

const helpWidth = 100 // columns: wide enough for names, narrow enough for half a screen

func (p *program) root(commands []*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:   "oncepay",
		Short: "Moves money exactly once",
		Long: `oncepay moves money exactly once: a payments service whose every request can be repeated.

Exit status: 0 all is well, 1 the answer is bad news, 2 wrong usage.`,
		Version:       readBuild().Version,
		SilenceErrors: true, // report prints them
		SilenceUsage:  true,
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.Flags().Bool("version", false, "print the version") // without cobra's -v, which elsewhere means verbose
	root.SetVersionTemplate(readBuild().String() + "\n")
	root.SetFlagErrorFunc(badFlag)
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate(), helpWidth))
	root.AddCommand(commands...)
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	strict(root)
	return root
}

// printJSON writes v for programs to read.
func (p *program) printJSON(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// jsonFlag adds --json, which every command has that prints results.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON")
}
