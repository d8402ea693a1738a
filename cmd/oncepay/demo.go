package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/demo"
	"github.com/oncepay/oncepay/gateway/sandbox"
)

func demoCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The whole claim in half a minute: faults, retries, an audit",
		Long: `Run a shop for half a minute: some thousand payments and transfers, through a network that loses requests
and answers and a gateway that takes the money and does not say so. Clients retry. Then everything is audited:
every payment must be charged exactly once, and no cent may be missing. Exit status 1 if one is.

--naive does the same with a plain client that retries, --naive=redis with the textbook's recipe (EXISTS, SET with a
TTL, DEL on an exception), and shows what they would have cost.`,
		Example: `  oncepay demo
  oncepay demo --naive
  oncepay demo --naive=redis --seed 42`,
	}
	naive := cmd.Flags().String("naive", "", "do it without oncepay: `how`, as plain or redis")
	cmd.Flags().Lookup("naive").NoOptDefVal = "plain"
	seed := cmd.Flags().Uint64("seed", 0, "repeat the run of this `number`; 0 draws one")
	payments := cmd.Flags().Int("payments", 2000, "how many payments")
	transfers := cmd.Flags().Int("transfers", 2000, "how many transfers")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		mode, ok := map[string]demo.Mode{"": demo.Oncepay, "plain": demo.Naive, "redis": demo.Redis}[*naive]
		switch {
		case !ok:
			return usagef("--naive: %q is neither plain nor redis", *naive)
		case *payments < 1 || *transfers < 1 || *payments > maxCount || *transfers > maxCount:
			return usagef("--payments and --transfers are 1 to %d", maxCount)
		}
		if *seed == 0 {
			*seed = uint64(rand.Uint32()) + 1
		}
		d := &demonstration{p: p, cfg: demo.Config{Mode: mode, Seed: *seed, Payments: *payments, Transfers: *transfers}}
		return d.run(cmd.Context(), *asJSON)
	}
	return cmd
}

// demonstration is one run of the demo: a directory, a gateway and, if the shop
// uses it, a server, all in this process.
type demonstration struct {
	p       *program
	cfg     demo.Config
	dir     string
	gateway *sandbox.Server
}

func (d *demonstration) run(ctx context.Context, asJSON bool) (err error) {
	if d.dir, err = os.MkdirTemp("", "oncepay-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil)) // its warnings are what the demo is about
	fmt.Fprintf(d.p.stderr, "seed %d: %d payments and %d transfers, %s\n", d.cfg.Seed, d.cfg.Payments, d.cfg.Transfers, d.title())
	stop, err := d.start(ctx, quiet)
	if err != nil {
		return err
	}
	d.cfg.Progress = showProgress(d.p.stderr)
	report, err := demo.Run(ctx, d.cfg)
	if stopped := stop(); err == nil {
		err = stopped
	}
	if err != nil {
		return err
	}
	findings := 0
	if d.cfg.Mode == demo.Oncepay {
		if findings, err = d.verify(ctx); err != nil {
			return err
		}
	}
	return d.print(report, findings, asJSON)
}

func (d *demonstration) title() string {
	return map[demo.Mode]string{
		demo.Oncepay: "through oncepay", demo.Naive: "by a plain client that retries", demo.Redis: "by the textbook's recipe with Redis",
	}[d.cfg.Mode]
}

// start starts the gateway, and the server if the shop uses it. stop ends both.
func (d *demonstration) start(ctx context.Context, log *slog.Logger) (stop func() error, err error) {
	if d.gateway, err = openSandbox(sandbox.Config{Books: filepath.Join(d.dir, "sandbox.db"), Log: log}); err != nil {
		return nil, err
	}
	d.cfg.Charges = d.charges
	ctx, cancel := context.WithCancel(ctx)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return nil, errors.Join(err, d.gateway.Close())
	}
	d.cfg.Gateway = "http://" + l.Addr().String()
	ended := make(chan error, 2)
	parts := 1
	go func() { ended <- serveSandbox(ctx, l, d.gateway, log) }()
	if d.cfg.Mode == demo.Oncepay {
		ready := make(chan string, 1)
		parts++
		go func() { ended <- d.serve(ctx, ready, log) }()
		if d.cfg.API = <-ready; d.cfg.API == "" {
			cancel()
			return nil, errors.Join(<-ended, <-ended)
		}
		d.cfg.Key = devKey
	}
	return func() (err error) {
		cancel()
		for range parts {
			err = errors.Join(err, <-ended)
		}
		return err
	}, nil
}

// serve runs a server in the demo's directory. It tells ready where it is, or ""
// if it did not start.
func (d *demonstration) serve(ctx context.Context, ready chan<- string, log *slog.Logger) error {
	defer close(ready)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	cfg, err := resolve([]layer{{values: map[string]string{
		"dev": "true", "store": "sqlite:" + d.store(), "sandbox": d.cfg.Gateway,
	}, source: func(key) string { return "demo" }}, defaultLayer()})
	if err != nil {
		return err
	}
	s := &server{cfg: cfg, log: log, listener: l}
	if err := s.start(ctx, embedded(d.store())); err != nil {
		return err
	}
	ready <- "http://" + l.Addr().String()
	return s.answer(ctx)
}

func (d *demonstration) store() string { return filepath.Join(d.dir, "oncepay.db") }

func (d *demonstration) charges(ctx context.Context, visit func(demo.Charge)) error {
	all, err := d.gateway.Charges(ctx, "")
	for _, c := range all {
		visit(demo.Charge{Payment: c.Payment, Captured: c.AmountCaptured - c.AmountRefunded})
	}
	return err
}

// verify audits the store from end to end, and returns how much is off.
func (d *demonstration) verify(ctx context.Context) (findings int, err error) {
	r, err := embedded(d.store()).snapshot(ctx)
	if err != nil {
		return 0, err
	}
	report, err := audit.Run(ctx, r, audit.Config{Now: time.Now()})
	return len(report.Findings) + int(report.More), errors.Join(err, r.Close())
}

func (d *demonstration) print(r *demo.Report, findings int, asJSON bool) error {
	var bad error
	if !r.OK() || findings > 0 {
		bad = badNews{}
	}
	if asJSON {
		return errors.Join(d.p.printJSON(struct {
			*demo.Report
			Findings int  `json:"findings"`
			OK       bool `json:"ok"`
		}{r, findings, bad == nil}), bad)
	}
	w := tabwriter.NewWriter(d.p.stdout, 0, 0, 2, ' ', 0)
	row := func(what string, n any, why string) { fmt.Fprintf(w, "%s\t%v\t%s\n", what, n, why) }
	row("asked for", r.Payments+r.Transfers, fmt.Sprintf("%d payments, %d transfers", r.Payments, r.Transfers))
	row("requests sent", r.Requests, fmt.Sprintf("%d lost on their way, %d answers lost, %d sent twice", r.RequestsLost, r.AnswersLost, r.Doubled))
	row("taken and not told", r.GatewaySilent, "payments that the gateway charged and did not answer")
	if r.Mode == demo.Oncepay {
		row("duplicates suppressed", r.Suppressed, "requests that were answered and not executed again")
	}
	row("gateway charges", r.Charges, "")
	row("charges per payment", perPayment(r), fmt.Sprintf("%d charged more than once, %d not charged that should be", r.ChargedTwice, r.NotCharged))
	row("transfers made", r.Transfers-r.NotMoved, fmt.Sprintf("%d of them more than once", r.MovedTwice))
	row("orders without an answer", r.Uncertain, "")
	row("charged too much", cents(r.Overcharged), "")
	row("cents missing", r.CentsMissing, "between what was asked for, the gateway's books and the shop's")
	if r.Mode == demo.Oncepay {
		row("findings of the audit", findings, "debits, credits, balances, keys, payments and events")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(d.p.stdout, verdict(r, findings))
	return errors.Join(err, bad)
}

func perPayment(r *demo.Report) string {
	if r.MostCharges > 1 {
		return fmt.Sprintf("up to %d", r.MostCharges)
	}
	return strconv.Itoa(r.MostCharges)
}

func cents(n int64) string { return fmt.Sprintf("%d.%02d EUR", n/100, n%100) }

func verdict(r *demo.Report, findings int) string {
	took := r.Took.Round(100 * time.Millisecond)
	wrong := wrongs(r, findings)
	if len(wrong) == 0 {
		return fmt.Sprintf("everything happened exactly once, in %s", took)
	}
	return "this is what it cost, in " + took.String() + ": " + strings.Join(wrong, "; ")
}

// wrongs are all that keeps a report from being in order, in words: there is one
// for each, so that no run is bad without saying why.
func wrongs(r *demo.Report, findings int) (all []string) {
	add := func(n int64, what string) {
		if n > 0 {
			all = append(all, what)
		}
	}
	count := func(n int, what string) { add(int64(n), fmt.Sprintf(what, n)) }
	count(r.ChargedTwice, "%d payments were charged more than once")
	count(r.WronglyCharged, "%d payments were charged that should not have been")
	count(r.NotCharged, "%d payments were not charged that should have been")
	add(r.Overcharged, "customers paid "+cents(r.Overcharged)+" too much")
	count(r.MovedTwice, "%d transfers were made more than once")
	count(r.NotMoved, "%d transfers were never made")
	add(r.CentsMissing, "the books are "+cents(r.CentsMissing)+" apart")
	count(r.Uncertain, "%d orders ended without anybody knowing what became of them")
	count(findings, "the audit found %d things wrong")
	return all
}

// showProgress shows how far the demo is: a bar on a terminal, a line now and
// then elsewhere.
func showProgress(w io.Writer) func(done, of int) {
	live, every := isTerminal(w), 5*time.Second
	if live {
		every = 100 * time.Millisecond
	}
	last := time.Now()
	return func(done, of int) {
		if time.Since(last) < every && done < of {
			return
		}
		last = time.Now()
		switch {
		case live && done == of:
			fmt.Fprint(w, "\r\x1b[K")
		case live:
			const width = 40
			full := width * done / of
			fmt.Fprintf(w, "\r\x1b[K%s%s %d of %d", strings.Repeat("█", full), strings.Repeat("░", width-full), done, of)
		default:
			fmt.Fprintf(w, "%d of %d orders\n", done, of)
		}
	}
}
