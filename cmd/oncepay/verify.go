package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/audit"
)

func verifyCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Audit a store, offline or beside a running server",
		Long: `Audit a store: entries cancel and follow each other, balances are the fold of their entries, payments are what their
operations come to and the ledger has what they moved, and transfers, keys and events agree with all that. It reads and never writes, offline or beside a running server, as of the
moment it began. Exit status 1 and a list if anything is off.`,
		Example: `  oncepay verify --store sqlite:./oncepay-data/oncepay.db`,
	}
	settings := p.settings(cmd, "store")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		_, at, err := settings.loadStore()
		if err != nil {
			return err
		}
		store, err := at.snapshot(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		report, err := audit.Run(cmd.Context(), store, audit.Config{Progress: showAudit(p.stderr), Now: time.Now()})
		if err != nil {
			return err
		}
		return p.printAudit(report, *asJSON)
	}
	return cmd
}

// showAudit tells people where an audit stands: a line that is rewritten on a
// terminal, a line now and then elsewhere.
func showAudit(w io.Writer) func(audit.Progress) {
	live, every := isTerminal(w), 5*time.Second
	if live {
		every = 200 * time.Millisecond
	}
	last := time.Now()
	return func(a audit.Progress) {
		now := time.Now()
		if now.Sub(last) < every && !(live && a.Done == a.Rows) {
			return
		}
		last = now
		before, after := "", "\n"
		if live {
			before, after = "\r\x1b[K", ""
		}
		fmt.Fprintf(w, "%sreading %s: %d of about %d rows%s", before, a.Stage, a.Done, a.Rows, after)
		if live && a.Done == a.Rows {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}

func (p *program) printAudit(r audit.Report, asJSON bool) error {
	bad := error(nil)
	if !r.OK() {
		bad = badNews{}
	}
	if asJSON {
		return errors.Join(p.printJSON(r), bad)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "accounts\t%d\t\nentries\t%d\t\ntransfers\t%d\t\npayments\t%d\t\norder references\t%d\t\nkeys\t%d\t\nevents\t%d\t\n",
		r.Rows.Accounts, r.Rows.Entries, r.Rows.Transfers, r.Rows.Payments, r.Rows.References, r.Rows.Keys, r.Rows.Events)
	for _, t := range r.Totals {
		fmt.Fprintf(w, "%s debits\t%d\t\n%s credits\t%d\t\n", t.Currency, t.Debits, t.Currency, t.Credits)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, f := range r.Findings {
		fmt.Fprintln(p.stdout, f)
	}
	verdict := "everything is in order"
	if bad != nil {
		verdict = fmt.Sprintf("%d things are off, at least", int64(len(r.Findings))+r.More)
	}
	_, err := fmt.Fprintln(p.stdout, verdict)
	return errors.Join(err, bad)
}
