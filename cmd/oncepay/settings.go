package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settings are a command's flags for the configuration.
type settings struct {
	env   []string
	flags *pflag.FlagSet
	file  *string
}

// settings gives cmd a flag for each of the named keys (all, if none is named)
// and --config. The environment and the file are read for every key, so that
// one file serves all commands.
func (p *program) settings(cmd *cobra.Command, names ...string) settings {
	flags := cmd.Flags()
	flags.SortFlags = false // the order of the table has a meaning
	s := settings{env: p.env, flags: flags}
	s.file = flags.String(configFlag, "", "YAML `file` with the values that no flag and no variable gives")
	for _, k := range keys() {
		if len(names) == 0 || slices.Contains(names, k.name) {
			f := flags.VarPF(&rawValue{text: k.def, kind: k.kind, list: k.list}, k.flag(), "", k.help)
			if k.kind == boolean.name {
				f.NoOptDefVal = "true"
			}
		}
	}
	return s
}

// load returns the configuration: flags before environment before file before
// defaults. Every error is a usageError.
func (s settings) load() (config, error) {
	file, err := s.path()
	if err != nil {
		return config{}, usagef("%v", err)
	}
	layers, err := s.layers(file)
	if err != nil {
		return config{}, usagef("%v", err)
	}
	c, err := resolve(layers)
	if err != nil {
		return config{}, usagef("%v", err)
	}
	return c, nil
}

// loadStore is load for a command that works on the store.
func (s settings) loadStore() (c config, at place, err error) {
	if c, err = s.load(); err != nil {
		return c, nil, err
	}
	return c, placeOf(c.store), nil
}

// rawValue is a flag's value as it was typed. It is read with all the others,
// so that a wrong one is reported in the same way wherever it came from.
type rawValue struct {
	text, kind string
	list       bool
	given      bool
}

func (v *rawValue) String() string { return v.text }
func (v *rawValue) Type() string   { return v.kind }

// Set keeps the last of several values, and all the elements of a list.
func (v *rawValue) Set(text string) error {
	if v.list && v.given {
		text = strings.Join([]string{v.text, text}, ",")
	}
	v.text, v.given = text, true
	return nil
}
