package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/bench"
)

func benchCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Put load on a running oncepay, and audit what it answered",
		Long: `Put load on a running oncepay, measure it, and check afterwards that what was answered is what is stored.
With --rate requests become due at a fixed rate, and latency counts from when they were due.
Exit status 1 if the server broke its word.`,
		Example: `  oncepay bench --target http://127.0.0.1:8080
  oncepay bench --target http://127.0.0.1:8080 --mix fresh=60,duplicate=30,hot=10 --duration 30s
  oncepay bench --target http://127.0.0.1:8080 --scenario storm`,
	}
	cmd.AddCommand(benchSuiteCommand(p), benchPaymentsCommand(p), benchBareCommand(p))
	cfg, mix := benchFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if cfg.Mix, err = parseMix(*mix); err != nil {
			return err
		}
		if err := cfg.Check(); err != nil {
			return usagef("%v", err)
		}
		report, err := bench.Run(cmd.Context(), *cfg, p.stderr)
		if err != nil {
			return err
		}
		if *asJSON {
			err = p.printJSON(report)
		} else {
			err = report.WriteTable(p.stdout)
		}
		if err == nil && report.Faults > 0 {
			return badNews{}
		}
		return err
	}
	return cmd
}

func benchFlags(cmd *cobra.Command) (*bench.Config, *string) {
	cfg, f := &bench.Config{}, cmd.Flags()
	f.SortFlags = false
	f.StringVar(&cfg.Target, "target", "", "base `URL` of the server; with --scenario raw, the very URL to post to")
	f.StringVar(&cfg.APIKey, "key", "", "API `key` (default sk_dev)")
	f.StringVar(&cfg.Scenario, "scenario", "", "`name`: mix, storm (one key on all connections at once) or raw (any URL, answers only counted) (default mix)")
	f.IntVar(&cfg.Connections, "connections", 0, "how many requests may be on their way at once (default 64; 1,000 in a storm)")
	f.Float64Var(&cfg.Rate, "rate", 0, "requests that become due each second; 0 sends the next when an answer has come")
	f.DurationVar(&cfg.Duration, "duration", 0, "how long requests are started (default 10s)")
	f.Int64Var(&cfg.Requests, "requests", 0, "end after so many requests")
	f.IntVar(&cfg.Accounts, "accounts", 0, "how many accounts are opened for the run (default 1000)")
	mix := f.String("mix", "", "`shares` in percent of fresh, duplicate, hot, batch (default fresh=100)")
	f.IntVar(&cfg.BatchSize, "batch-size", 0, "transfers in a batch (default 100)")
	f.StringVar(&cfg.Keys, "keys", "", "`form` of the idempotency keys: uuidv7 or random (default uuidv7)")
	f.Uint64Var(&cfg.Seed, "seed", 0, "chooses which transfers are made")
	f.DurationVar(&cfg.RequestTimeout, "request-timeout", 0, "how long an answer may take before its outcome is unknown (default 10s)")
	f.BoolVar(&cfg.Audit, "audit", true, "check afterwards that what was answered is what is stored")
	return cfg, mix
}

// parseMix reads "fresh=60,duplicate=30,hot=10". "" is the default mix.
func parseMix(s string) (m bench.Mix, err error) {
	if s == "" {
		return m, nil
	}
	shares := map[string]*int{"fresh": &m.Fresh, "duplicate": &m.Duplicate, "hot": &m.Hot, "batch": &m.Batch}
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		share, known := shares[name]
		n, err := strconv.Atoi(value)
		if !known || err != nil {
			return m, usagef("--mix: %q is no share; write fresh=60,duplicate=30,hot=10 or the like", part)
		}
		*share = n
	}
	return m, nil
}
