package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// setting is one value of the configuration as it is printed.
type setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"` // of the key's own type; a password is hidden
	Source string `json:"source"`
}

func configCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration and where each value comes from",
		Long: `Print the configuration that "oncepay serve" would run with, given the same flags, environment and
file, and where each value comes from. Nothing is started.`,
		Example: `  oncepay config --config oncepay.yaml
  ONCEPAY_ADDR=127.0.0.1:9000 oncepay config --json`,
	}
	settings := p.settings(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err := settings.load()
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(map[string][]setting{"settings": c.settings()})
		}
		return p.printSettings(c.settings())
	}
	return cmd
}

// settings are the configuration's values in the order of the table.
func (c *config) settings() []setting {
	var all []setting
	for _, k := range keys() {
		all = append(all, setting{k.name, k.get(c), c.sources[k.name]})
	}
	return all
}

func (p *program) printSettings(all []setting) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tVALUE\tSOURCE")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Key, shown(s.Value), s.Source)
	}
	return w.Flush() // says if anything could not be written
}

// shown is a value in a table, where nothing would look like a missing column.
func shown(value any) string {
	if list, ok := value.([]string); ok {
		value = strings.Join(list, ",")
	}
	return cmp.Or(fmt.Sprint(value), `""`)
}
