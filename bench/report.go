package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run measured and found. Times are in milliseconds where a
// name ends in MS, rates are per second.
type Report struct {
	Target      string        `json:"target"`
	Scenario    string        `json:"scenario"`
	Run         string        `json:"run"` // in the names of its accounts, bench-RUN-N
	Seed        uint64        `json:"seed"`
	Connections int           `json:"connections"`
	Rate        float64       `json:"rate"` // asked for; 0 is a closed loop
	Seconds     float64       `json:"seconds"`
	Requests    uint64        `json:"requests"`
	PerSecond   float64       `json:"requests_per_second"`  // answered ones
	Transfers   float64       `json:"transfers_per_second"` // newly acknowledged ones
	Classes     []ClassReport `json:"classes"`

	Errors   map[string]uint64 `json:"errors"`    // not_connected, timeout, disconnected, malformed
	Late     uint64            `json:"late"`      // sent more than 1 ms after they were due
	LatestMS float64           `json:"latest_ms"` // the latest of them
	Missed   uint64            `json:"missed"`    // due before the end, but no connection was free

	Storm         *StormReport `json:"storm,omitempty"`
	Audit         *AuditReport `json:"audit,omitempty"`
	Faults        uint64       `json:"faults"` // ways in which the server broke its word
	FaultExamples []string     `json:"fault_examples,omitempty"`
}

// ClassReport is what came back for one kind of request. Latency counts from
// when a request was due, and includes those that timed out.
type ClassReport struct {
	Class     string            `json:"class"`
	Requests  uint64            `json:"requests"`
	Transfers uint64            `json:"transfers"`
	PerSecond float64           `json:"requests_per_second"`
	P50MS     float64           `json:"p50_ms"`
	P90MS     float64           `json:"p90_ms"`
	P99MS     float64           `json:"p99_ms"`
	P999MS    float64           `json:"p99_9_ms"`
	MaxMS     float64           `json:"max_ms"`
	Statuses  map[string]uint64 `json:"statuses"`
}

// StormReport says what became of one key that was sent on all connections at once.
type StormReport struct {
	Sent       int     `json:"sent"`
	Executions int     `json:"executions"`
	Replays    int     `json:"replays"`
	FirstMS    float64 `json:"first_ms"`
	LastMS     float64 `json:"last_ms"`
	SpreadMS   float64 `json:"spread_ms"` // from the first answer to the last

	answered int
}

// AuditReport says how much was held against the store. What was found wrong is
// in the report's faults.
type AuditReport struct {
	Acknowledged uint64 `json:"acknowledged"` // transfers, in the balances of all accounts
	Transfers    uint64 `json:"transfers"`    // of them, read and repeated one by one
	Accounts     uint64 `json:"accounts"`     // whose balance was compared
	Unknown      uint64 `json:"unknown"`      // outcomes that had to be settled first
	Unsettled    uint64 `json:"unsettled"`    // of them, still unknown
}

func (r *run) report(elapsed time.Duration, missed uint64) Report {
	t := r.tally
	report := Report{
		Target: r.cfg.Target, Scenario: r.cfg.Scenario, Run: fmt.Sprintf("%016x", r.plan.run), Seed: r.cfg.Seed,
		Connections: r.cfg.Connections, Rate: r.cfg.Rate, Seconds: elapsed.Seconds(),
		Requests: t.sent, PerSecond: float64(t.sent-t.failed) / elapsed.Seconds(),
		Errors: t.errors, Missed: missed,
	}
	if r.cfg.Rate > 0 { // a closed loop has no moment to be late for
		report.Late, report.LatestMS = t.late, millis(t.latest)
	}
	for c := range classes {
		if counts := &t.classes[c]; counts.requests > 0 {
			report.Classes = append(report.Classes, counts.report(c, elapsed))
			report.Transfers += float64(counts.transfers) / elapsed.Seconds()
		}
	}
	return report
}

func (c *counts) report(class class, elapsed time.Duration) ClassReport {
	r := ClassReport{Class: class.String(), Requests: c.requests, Transfers: c.transfers, Statuses: map[string]uint64{}}
	var answered uint64
	for status, n := range c.statuses {
		if n > 0 {
			r.Statuses[strconv.Itoa(status)] = n
			answered += n
		}
	}
	r.PerSecond = float64(answered) / elapsed.Seconds()
	if h := c.latency; h != nil {
		ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
		r.P50MS, r.P90MS, r.P99MS, r.P999MS, r.MaxMS = ms(50), ms(90), ms(99), ms(99.9), float64(h.Max())/1e3
	}
	return r
}

// WriteTable writes r for a person to read.
func (r Report) WriteTable(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	pace := "closed loop"
	if r.Rate > 0 {
		pace = fmt.Sprintf("%g requests/s", r.Rate)
	}
	fmt.Fprintf(to, "%s: %s, %d connections, %s, seed %d, run %s\n\n", r.Target, r.Scenario, r.Connections, pace, r.Seed, r.Run)
	fmt.Fprintln(w, "class\trequests\trequests/s\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tmax ms\t  statuses")
	for _, c := range r.Classes {
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t  %s\n", c.Class, c.Requests, c.PerSecond,
			c.P50MS, c.P90MS, c.P99MS, c.P999MS, c.MaxMS, counted(c.Statuses))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(to, r.sentences())
	return err
}

func (r Report) sentences() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nin %.1f s: %.0f requests/s answered, %.0f transfers/s acknowledged; errors: %s\n", r.Seconds, r.PerSecond, r.Transfers, counted(r.Errors))
	if r.Rate > 0 {
		fmt.Fprintf(&b, "pace: %d sent late, by up to %.1f ms; %d never sent\n", r.Late, r.LatestMS, r.Missed)
	}
	if s := r.Storm; s != nil {
		fmt.Fprintf(&b, "storm: %d sent, %d executed, %d replayed; first answer after %.1f ms, last %.1f ms later\n", s.Sent, s.Executions, s.Replays, s.FirstMS, s.SpreadMS)
	}
	if a := r.Audit; a != nil {
		fmt.Fprintf(&b, "audit: %d of %d acknowledged transfers and %d balances compared; %d unknown outcomes, %d unsettled\n", a.Transfers, a.Acknowledged, a.Accounts, a.Unknown, a.Unsettled)
	}
	if r.Faults == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "WRONG: %d faults\n", r.Faults)
	for _, f := range r.FaultExamples {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	return b.String()
}

// counted lists counts in the order of their names, or says none.
func counted(of map[string]uint64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s: %d", name, of[name]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
