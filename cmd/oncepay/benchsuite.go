package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/bench"
)

// suiteCase is one measurement of the suite.
type suiteCase struct {
	Name string
	cfg  bench.Config
	bare bool // of the bare handler
	goal string
}

// suiteCases are the figures of docs/performance.md, in the order in which they
// are measured: the yardstick first and last, so that drift shows.
func suiteCases(d time.Duration) []suiteCase {
	raw := bench.Config{Scenario: bench.Raw, Duration: d}
	mix := func(m bench.Mix) bench.Config { return bench.Config{Duration: d, Mix: m, Audit: true} }
	return []suiteCase{
		{"bare handler", raw, true, ""},
		{"transfers, 1,000 accounts", mix(bench.Mix{Fresh: 100}), false, "0.15 of bare, p99 40 ms"},
		{"transfers, one debited account", mix(bench.Mix{Hot: 100}), false, "0.9 of the row above"},
		{"replays", mix(bench.Mix{Fresh: 2, Duplicate: 98}), false, "0.5 of bare"},
		{"batches of 100", mix(bench.Mix{Batch: 100}), false, "2 times single transfers"},
		{"storm: 1,000 duplicates at once", bench.Config{Scenario: bench.Storm}, false, "spread 50 ms"},
		{"bare handler again", raw, true, ""},
	}
}

// suiteResult is what a case measured.
type suiteResult struct {
	Name      string  `json:"name"`
	PerSecond float64 `json:"per_second"` // requests; in batches, transfers
	OfBare    float64 `json:"of_bare"`    // PerSecond, of the mean of both bare figures
	P50MS     float64 `json:"p50_ms"`
	P99MS     float64 `json:"p99_ms"`
	SpreadMS  float64 `json:"spread_ms,omitempty"` // of a storm: from the first answer to the last
	Goal      string  `json:"goal,omitempty"`
	Faults    uint64  `json:"faults"`
}

func benchSuiteCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suite",
		Short: "Measure this program on this machine, next to a bare handler",
		Long: `Start a server on a new store and a bare net/http handler, put the same load on both in turn, and print
figures and ratios. Client and servers share the machine. Nothing is left behind.`,
	}
	each := cmd.Flags().Duration("each", 10*time.Second, "how long each case runs")
	dir := cmd.Flags().String("dir", "", "`directory` on the disk to measure (default: where temporary files go)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		results, err := p.benchSuite(cmd.Context(), *each, *dir)
		if err != nil {
			return err
		}
		return p.printSuite(results, *asJSON)
	}
	return cmd
}

func (p *program) benchSuite(ctx context.Context, each time.Duration, dir string) (results []suiteResult, err error) {
	if dir, err = os.MkdirTemp(dir, "oncepay-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := startChild(ctx, p.stderr, "serve", "--dev", "--addr=127.0.0.1:0", "--log-level=error",
		"--store=sqlite:"+filepath.Join(dir, "oncepay.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	bare, err := startChild(ctx, p.stderr, "bench", "bare")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	for _, c := range suiteCases(each) {
		c.cfg.Target = server.url
		if c.bare {
			c.cfg.Target = bare.url
		}
		fmt.Fprintf(p.stderr, "%s, %v\n", c.Name, each)
		r, err := bench.Run(ctx, c.cfg, p.stderr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		results = append(results, c.result(r))
	}
	return withRatios(results), nil
}

func (c suiteCase) result(r bench.Report) suiteResult {
	res := suiteResult{Name: c.Name, PerSecond: r.PerSecond, Goal: c.goal, Faults: r.Faults}
	if c.cfg.Mix.Batch == 100 {
		res.PerSecond = r.Transfers
	}
	if r.Storm != nil {
		res.SpreadMS = r.Storm.SpreadMS
	}
	busiest := uint64(0)
	for _, class := range r.Classes {
		if class.Requests > busiest {
			busiest, res.P50MS, res.P99MS = class.Requests, class.P50MS, class.P99MS
		}
	}
	return res
}

// withRatios compares with the bare handler, which is the first and the last.
func withRatios(results []suiteResult) []suiteResult {
	bare := (results[0].PerSecond + results[len(results)-1].PerSecond) / 2
	for i := range results {
		results[i].OfBare = results[i].PerSecond / bare
	}
	return results
}

func (p *program) printSuite(results []suiteResult, asJSON bool) error {
	bad := error(nil)
	for _, r := range results {
		if r.Faults > 0 {
			bad = badNews{"the audit found faults in: " + r.Name}
		}
	}
	if asJSON {
		return errors.Join(p.printJSON(map[string]any{"cases": results}), bad)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tPER SECOND\tOF BARE\tP50 MS\tP99 MS\tSPREAD MS\tGOAL")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.1f\t%s\n", r.Name, r.PerSecond, r.OfBare, r.P50MS, r.P99MS, r.SpreadMS, r.Goal)
	}
	return errors.Join(w.Flush(), bad)
}

// child is another run of this program.
type child struct {
	cmd *exec.Cmd
	url string
}

// startChild starts this program again and waits for the line that says where
// it answers.
func startChild(ctx context.Context, stderr io.Writer, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd}
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	_, rest, found := strings.Cut(ready, "http://")
	if err != nil || !found {
		return nil, errors.Join(fmt.Errorf("%s did not get ready", args[0]), err, c.stop())
	}
	c.url = "http://" + strings.Fields(rest)[0]
	return c, nil
}

func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return c.cmd.Wait()
}
