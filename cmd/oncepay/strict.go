package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// strict makes cobra refuse what it would let pass: arguments that nobody
// reads, a misspelt command inside a group (which would print help and exit 0).
func strict(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
	switch {
	case !cmd.Runnable():
		group(cmd)
	case cmd.Args == nil:
		cmd.Args = noArguments
	}
	if body := cmd.RunE; body != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := body(cmd, args); err != nil {
				return bodyError{err}
			}
			return nil
		}
	}
}

const groupMark = "group" // an annotation of commands that only hold others

// group makes a command of one that only holds others: alone it prints its
// help, and anything else is a command it does not have.
func group(cmd *cobra.Command) {
	cmd.Annotations = map[string]string{groupMark: "yes"}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, and %q is one", withoutProgram(cmd.CommandPath()), args[0])
	}
	return nil
}

func unknownCommand(parent *cobra.Command, name string) error {
	var known []string
	for _, sub := range parent.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	return usagef("there is no command %q%s", withoutProgram(parent.CommandPath()+" "+name), didYouMean("", name, known))
}

// badFlag is told what was wrong with cmd's flags.
func badFlag(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return unknownCommand(cmd, args[0]) // the flag was meant for a command that was misspelt
	}
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) {
		return usagef("--%s: %q is no %s", wrong.GetFlag().Name, wrong.GetValue(), wrong.GetFlag().Value.Type())
	}
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) || missing.GetSpecifiedShortnames() != "" {
		return usagef("%v", err)
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	name := missing.GetSpecifiedName()
	return usagef("%s has no flag --%s%s", withoutProgram(cmd.CommandPath()), name, didYouMean("--", name, known))
}

// withoutProgram is a command's path for a line that begins with "oncepay:".
func withoutProgram(path string) string { return strings.TrimPrefix(path, "oncepay ") }

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Explain a command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return usagef("%v", err)
			}
			if len(rest) > 0 {
				return unknownCommand(cmd, rest[0])
			}
			cmd.InitDefaultHelpFlag() // cobra adds --help only to the command that runs
			return cmd.Help()
		},
	}
}

// usageTemplate is cobra's, with descriptions of flags folded at width, and
// without the line that shows a group of commands as if it did anything alone.
func usageTemplate(template string, width int) string {
	return strings.NewReplacer(
		"Flags.FlagUsages", fmt.Sprintf("Flags.FlagUsagesWrapped %d", width),
		"Usage:{{if .Runnable}}", fmt.Sprintf("Usage:{{if not (index .Annotations %q)}}", groupMark),
	).Replace(template)
}
