package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func migrateCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make a store, or bring an older one to this version",
		Long: `Make a store, or bring an older one to this version. Only forward: an older version of oncepay refuses
to start on it afterwards. An embedded store is brought up to date by "oncepay serve" as well; one on PostgreSQL by this
command alone, while processes of the version before go on.`,
	}
	settings := p.settings(cmd, "store")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, at, err := settings.loadStore()
		if err != nil {
			return err
		}
		if err := at.migrate(cmd.Context(), newLogger(p.stderr, c.log)); err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(map[string]any{"store": withoutPassword(c.store), "up_to_date": true})
		}
		_, err = fmt.Fprintf(p.stdout, "%s is up to date\n", withoutPassword(c.store))
		return err
	}
	return cmd
}
