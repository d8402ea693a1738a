package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what this binary was made of.
type build struct {
	Version  string `json:"version"`          // of the module; (devel) outside a release
	Commit   string `json:"commit,omitempty"` // empty where Go did not know it (go run, tests)
	Modified bool   `json:"modified"`         // the tree had changes that Commit lacks
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func versionCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print what this binary was built from"}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		b := readBuild()
		if *asJSON {
			return p.printJSON(b)
		}
		_, err := fmt.Fprintln(p.stdout, b)
		return err
	}
	return cmd
}

func readBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describe(info)
}

func describe(info *debug.BuildInfo) build {
	b := build{
		Version:  cmp.Or(info.Main.Version, "(devel)"),
		Go:       cmp.Or(info.GoVersion, runtime.Version()),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	commit := cmp.Or(b.Commit, "unknown")
	if b.Modified {
		commit += " with changes"
	}
	return fmt.Sprintf("oncepay %s, commit %s, %s, %s", b.Version, commit, b.Go, b.Platform)
}
