package main

import (
	"context"

	"github.com/spf13/cobra"
)

// serveCommand is `oncepay serve`. Its body answers until ctx ends, drains, and
// returns nil; it is given a configuration that is complete and checked.
func serveCommand(p *program, body func(context.Context, *program, config) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer the HTTP API",
		Long: `Answer the HTTP API until SIGTERM or SIGINT, then finish what is in flight and exit 0.

Every flag is also a variable (--window-length is ONCEPAY_WINDOW_LENGTH) and a member of the file
(length in the section window). A flag beats the environment, that beats the file, that beats the
default; "oncepay config" prints what comes out. Durations are 30s, 12h or 400d.`,
		Example: `  oncepay serve --dev
  oncepay serve --config oncepay.yaml`,
	}
	settings := p.settings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := settings.load()
		if err != nil {
			return err
		}
		return body(cmd.Context(), p, c)
	}
	return cmd
}
