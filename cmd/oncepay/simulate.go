package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/sim"
)

// maxSeeds is a day's work on a slow machine: more is a mistyped number.
const maxSeeds = 100_000_000

func simulateCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run random histories with crashes through the code that runs in production",
		Long: `Run histories of clients, network, disk and crashes through the executor, each under a seed that repeats
it, and check after every step that no promise is broken. The same seeds give the same trace hash.
Exit status 1 if one is broken; the seed is printed.`,
		Example: `  oncepay simulate --seeds 10000
  oncepay simulate --first-seed 4711 --seeds 1 --trace`,
	}
	seeds := cmd.Flags().Int("seeds", 100, "how many histories to run")
	first := cmd.Flags().Uint64("first-seed", 1, "seed of the first history; the others follow it")
	trace := cmd.Flags().Bool("trace", false, "print every event to stderr")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *seeds < 1 || *seeds > maxSeeds {
			return usagef("--seeds: %d is not between 1 and %d", *seeds, maxSeeds)
		}
		cfg := sim.Config{FirstSeed: *first, Seeds: *seeds}
		if *trace {
			cfg.Trace = p.stderr
		} else {
			cfg.Progress = showSeeds(p.stderr)
		}
		report, err := sim.Run(cmd.Context(), cfg)
		return p.printSimulation(report, err, *asJSON)
	}
	return cmd
}

// showSeeds tells people how far a simulation is.
func showSeeds(w io.Writer) func(done, seeds int) {
	live, every := isTerminal(w), 10*time.Second
	if live {
		every = 200 * time.Millisecond
	}
	last := time.Now()
	return func(done, seeds int) {
		now := time.Now()
		if now.Sub(last) < every {
			return
		}
		last = now
		before, after := "", "\n"
		if live {
			before, after = "\r\x1b[K", ""
		}
		fmt.Fprintf(w, "%s%d of %d histories%s", before, done, seeds, after)
	}
}

// printSimulation prints what was run, also if a promise was broken: failed
// then says which, and how to see it again.
func (p *program) printSimulation(r sim.Report, failed error, asJSON bool) error {
	var broken *sim.Failure
	if failed != nil && !errors.As(failed, &broken) {
		return failed
	}
	if f, ok := p.stderr.(*os.File); ok && isTerminal(f) {
		fmt.Fprint(f, "\r\x1b[K") // the result takes the place of the progress
	}
	bad := error(nil)
	if broken != nil {
		bad = badNews{broken.Error()}
	}
	if asJSON {
		return errors.Join(p.printJSON(r), bad)
	}
	return errors.Join(p.printCounts(r), bad)
}

// printCounts prints what was run as a table, faults by kind last.
func (p *program) printCounts(r sim.Report) error {
	type row struct {
		what string
		n    int64
	}
	rows := []row{
		{"histories", r.Histories}, {"events", r.Events}, {"clients", r.Clients}, {"requests", r.Requests},
		{"answered: executed", r.Answers.Executed}, {"answered: replayed", r.Answers.Replayed}, {"answered: refused", r.Answers.Refused},
		{"answered: mismatched", r.Answers.Mismatched}, {"answered: expired", r.Answers.Expired}, {"answered: interim", r.Answers.Interim},
		{"answered: failed", r.Answers.Failed}, {"commits", r.Commits},
		{"payments", r.Payments}, {"sends to gateways", r.Sends}, {"checks at gateways", r.Checks}, {"webhooks", r.Notices},
		{"faults", r.Faults},
	}
	for _, kind := range slices.Sorted(maps.Keys(r.FaultKinds)) {
		rows = append(rows, row{kind, r.FaultKinds[kind]})
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%d\t\n", row.what, row.n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "trace hash %s\n", r.TraceHash)
	return err
}
