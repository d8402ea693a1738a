package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/user"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/card"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/web"
)

func paymentsCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "payments",
		Short: "Look at payments, and settle those that are in doubt",
		Long: `Look at payments, and settle those that are in doubt. What is in doubt is checked by the server itself; what
exceeds its gateway's contract is needs_review, and waits for a human: check it at the gateway, then resolve it.
list and show read beside a running server. check and resolve ask one that owns its store through a socket beside
it; in a store on PostgreSQL they leave word, and any server that shares it makes the check.`,
	}
	cmd.AddCommand(paymentsListCommand(p), paymentsShowCommand(p), paymentsCheckCommand(p), paymentsResolveCommand(p))
	return cmd
}

func paymentsListCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List payments, the newest first",
		Example: `  oncepay payments list --in-doubt
  oncepay payments list --reference 4711
  oncepay payments list --tenant shop --status needs_review`,
	}
	settings := p.settings(cmd, "store")
	tenant := cmd.Flags().String("tenant", "", "only those of the tenant with this `name`")
	inDoubt := cmd.Flags().Bool("in-doubt", false, "only those whose outcome is not known")
	status := cmd.Flags().String("status", "", "only those with this `status`, such as needs_review")
	reference := cmd.Flags().String("reference", "", "only those of this `order`")
	limit := cmd.Flags().Int("limit", 100, "how many at most")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f, err := paymentFilter(*status, *reference, *inDoubt)
		switch {
		case err != nil:
			return err
		case *limit < 1:
			return usagef("--limit: %d is not 1 or more", *limit)
		}
		return p.reading(cmd.Context(), settings, func(r view) error {
			list, err := listPayments(cmd.Context(), r, *tenant, f, *limit)
			if err != nil {
				return err
			}
			return p.printPayments(list, *asJSON)
		})
	}
	return cmd
}

func paymentFilter(status, reference string, inDoubt bool) (f engine.PaymentFilter, err error) {
	f.Reference = reference
	if inDoubt {
		f.InDoubt = new(true)
	}
	if status != "" {
		var ok bool
		if f.Status, ok = pay.ParseStatus(status); !ok {
			return f, usagef("--status: there is no status %q", status)
		}
	}
	return f, nil
}

// listPayments lists those of a tenant, or of every one.
func listPayments(ctx context.Context, r view, tenant string, f engine.PaymentFilter, limit int) (all []*pay.Payment, err error) {
	tenants := []string{tenant}
	if tenant == "" {
		if tenants, err = r.Tenants(ctx); err != nil {
			return nil, err
		}
	}
	for _, tenant := range tenants {
		some, err := listTenant(ctx, r, tenant, f, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		slices.SortFunc(all, func(a, b *pay.Payment) int { return cmp.Compare(b.ID, a.ID) }) // ids grow with time
		all = all[:min(len(all), limit)]
	}
	return all, nil
}

// listTenant reads pages until there are enough.
func listTenant(ctx context.Context, r view, tenant string, f engine.PaymentFilter, limit int) (all []*pay.Payment, err error) {
	page := engine.Page{}
	for {
		page.Limit = min(100, limit-len(all))
		list, err := r.Payments(ctx, tenant, f, page)
		all = append(all, list.Items...)
		if page.Cursor = list.Next; err != nil || page.Cursor == "" || len(all) >= limit {
			return all, err
		}
	}
}

// reading lets do read the configured store, beside its owner.
func (p *program) reading(ctx context.Context, s settings, do func(view) error) error {
	_, at, err := s.loadStore()
	if err != nil {
		return err
	}
	r, err := at.view(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(r), r.Close())
}

func (p *program) printPayments(list []*pay.Payment, asJSON bool) error {
	if asJSON {
		rows := make([]rawJSON, len(list))
		for i, m := range list {
			rows[i] = paymentJSON(m)
		}
		return p.printJSON(map[string]any{"data": rows})
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTENANT\tSTATUS\tIN DOUBT\tAMOUNT\tREFERENCE\tCREATED\tWHY")
	for _, m := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Tenant, m.Status, yes(m.InDoubt), amount(m, m.Amount),
			orDash(m.Reference), m.CreatedAt.UTC().Format(time.RFC3339), orDash(m.Review()))
	}
	return w.Flush()
}

// amount is an amount of a payment as people write it.
func amount(m *pay.Payment, minor int64) string {
	return money.Amount{Minor: minor, Currency: m.Currency}.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// orDash is a text that somebody else wrote, for a table: "-" if there is none. A
// terminal obeys what is not printed.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// rawJSON is JSON that is printed as it is.
type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// paymentJSON is a payment as the API shows it, with its tenant and why a human
// must decide.
func paymentJSON(m *pay.Payment) rawJSON {
	b := jcs.AppendString([]byte(`{"tenant":`), m.Tenant)
	b = jcs.AppendOptional(append(b, `,"why":`...), m.Review())
	return append(append(b, ','), m.AppendJSON(nil)[1:]...)
}

func paymentsShowCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a payment, its operations and what happened to it",
		Args:  oneID,
	}
	settings := p.settings(cmd, "store")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPaymentID(args[0]); err != nil {
			return err
		}
		return p.reading(cmd.Context(), settings, func(r view) error {
			m, err := r.FindPayment(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if m == nil {
				return noSuchPayment(args[0])
			}
			lines, err := r.Lines(cmd.Context(), m.Ref)
			if err != nil {
				return err
			}
			return p.printPayment(m, lines, *asJSON)
		})
	}
	return cmd
}

// oneID wants the id of a payment and nothing else.
func oneID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s wants the id of one payment, and was given %d; `oncepay payments list` shows ids", withoutProgram(cmd.CommandPath()), len(args))
	}
	return nil
}

func noSuchPayment(id string) error {
	return badNews{"there is no payment or refund " + id + " in this store"}
}

// paymentID is what an id looks like; anything else could change the path that
// the owner is asked for.
var paymentID = regexp.MustCompile(`^(pay|re|att|cap)_[0-9a-z]{26}$`)

func checkPaymentID(id string) error {
	if !paymentID.MatchString(id) {
		return usagef("%q is no id of a payment; they look like pay_01k… and `oncepay payments list` shows them", id)
	}
	return nil
}

func (p *program) printPayment(m *pay.Payment, lines []pay.Line, asJSON bool) error {
	if asJSON {
		return p.printJSON(map[string]any{"payment": paymentJSON(m), "operations": shownOperations(m), "lines": shownLines(lines)})
	}
	if err := p.printPayments([]*pay.Payment{m}, false); err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nOPERATION\tKIND\tOUTCOME\tAMOUNT\tMOVED\tSENDS\tCHECKS\tAT THE GATEWAY\tDUE")
	for _, o := range shownOperations(m) {
		due := "-"
		if o.DueAt != nil {
			due = o.DueAt.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n",
			o.ID, o.Kind, o.Outcome, amount(m, o.Amount), amount(m, o.Moved), o.Sends, o.Checks, orDash(o.GatewayID), due)
	}
	fmt.Fprintln(w, "\nAT\tWHAT\tOPERATION\tDETAIL")
	for _, l := range lines {
		detail := l.Detail
		if l.Actor != "" {
			detail += " (" + l.Actor + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.At.UTC().Format(time.RFC3339Nano), l.Type, orDash(l.Operation), orDash(detail))
	}
	return w.Flush()
}

// shownOperation is an operation as it is printed.
type shownOperation struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind"`
	Outcome   string     `json:"outcome"`
	Amount    int64      `json:"amount"`
	Moved     int64      `json:"moved"`
	GatewayID string     `json:"gateway_id"`
	Parked    string     `json:"parked"`
	Sends     int64      `json:"sends"`
	Checks    int64      `json:"checks"`
	DueAt     *time.Time `json:"due_at"`
	CreatedAt time.Time  `json:"created_at"`
}

func shownOperations(m *pay.Payment) []shownOperation {
	shown := make([]shownOperation, len(m.Operations))
	for i, o := range m.Operations {
		shown[i] = shownOperation{
			ID: o.ID, Kind: o.Kind.String(), Outcome: o.Outcome.String(), Amount: o.Amount, Moved: o.Moved, GatewayID: o.GatewayID,
			Parked: o.Parked, Sends: o.Attempt, Checks: o.Checks, CreatedAt: o.CreatedAt,
		}
		if !o.DueAt.IsZero() {
			shown[i].DueAt = &o.DueAt
		}
	}
	return shown
}

// shownLine is a line of a timeline as it is printed.
type shownLine struct {
	At        time.Time `json:"at"`
	Type      string    `json:"type"`
	Operation string    `json:"operation"`
	Key       string    `json:"key"`
	Detail    string    `json:"detail"`
	Actor     string    `json:"actor"`
}

func shownLines(lines []pay.Line) []shownLine {
	shown := make([]shownLine, len(lines))
	for i, l := range lines {
		shown[i] = shownLine{l.At, l.Type, l.Operation, l.Key, l.Detail, l.Actor}
	}
	return shown
}

func paymentsCheckCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check ID",
		Short: "Ask the gateway now what became of a payment",
		Long:  `Ask the gateway now what became of a payment, and write down what it says. The running server does it: it knows the gateway.`,
		Args:  oneID,
	}
	settings := p.settings(cmd, "store")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPaymentID(args[0]); err != nil {
			return err
		}
		return p.settling(cmd.Context(), settings, args[0], *asJSON, func(t teller) error { return t.CheckPayment(cmd.Context(), args[0]) })
	}
	return cmd
}

func paymentsResolveCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resolve ID",
		Short: "Decide what is in doubt about a payment, with the evidence",
		Long: `Decide what is in doubt about a payment: that it was captured (a refund: given back), or that it certainly was
not. Look at the gateway's own records first. The decision is written down with its evidence and who made it; money
and answers follow it, and what the gateway says later is compared with it.`,
		Example: `  oncepay payments resolve pay_01k… --as captured --gateway-id ch_77 --evidence "settlement report of 2026-11-20, line 311"`,
		Args:    oneID,
	}
	settings := p.settings(cmd, "store")
	as := cmd.Flags().String("as", "", "what happened, as a `word`: captured or absent")
	evidence := cmd.Flags().String("evidence", "", "what the decision rests on: a `text` of 1 to 1000 characters")
	operation := cmd.Flags().String("operation", "", "which operation, by its `id`, if more than one is in doubt")
	gatewayID := cmd.Flags().String("gateway-id", "", "what the gateway calls it: the `id` in its own records, if it was not known")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d := decision{Operation: *operation, As: *as, GatewayID: *gatewayID, Evidence: *evidence, Actor: whoAmI()}
		if err := errors.Join(checkPaymentID(args[0]), d.check()); err != nil {
			return usagef("%v", err)
		}
		return p.settling(cmd.Context(), settings, args[0], *asJSON, func(t teller) error { return t.ResolvePayment(cmd.Context(), args[0], d) })
	}
	return cmd
}

// whoAmI is who decides, for the audit: the user of the operating system.
func whoAmI() string {
	if u, err := user.Current(); err == nil {
		return "operator " + u.Username
	}
	return "operator"
}

// decision is what a human found out.
type decision struct{ Operation, As, GatewayID, Evidence, Actor string }

func (d decision) check() error {
	switch {
	case d.As != "captured" && d.As != "absent":
		return fmt.Errorf("--as: %q is neither captured nor absent", d.As)
	case card.In(d.Evidence):
		return fmt.Errorf("--evidence: %q has a card's number in it, shown here as ***; leave it out: it would be kept for ever", card.Mask(d.Evidence))
	case web.CheckEvidence(d.Evidence) != nil:
		return fmt.Errorf("--evidence says what the decision rests on: %w", web.CheckEvidence(d.Evidence))
	case d.Operation != "" && !operationID.MatchString(d.Operation):
		return fmt.Errorf("--operation: %q is no id of an operation; they look like att_01k… and `oncepay payments show` shows those of a payment", d.Operation)
	case d.GatewayID != "" && once.CheckID(d.GatewayID) != nil:
		return fmt.Errorf("--gateway-id: %q is not 1 to %d visible ASCII characters, without spaces", d.GatewayID, web.MaxGatewayID)
	}
	return nil
}

// operationID is what the id of an operation looks like.
var operationID = regexp.MustCompile(`^(re|att|cap)_[0-9a-z]{26}$`)

// teller settles payments. The process that owns the store is one, and so is
// its socket.
type teller interface {
	CheckPayment(ctx context.Context, id string) error
	ResolvePayment(ctx context.Context, id string, d decision) error
}

// settling lets do work on a payment of the configured store, and shows what
// came of it.
func (p *program) settling(ctx context.Context, s settings, id string, asJSON bool, do func(teller) error) error {
	c, at, err := s.loadStore()
	if err != nil {
		return err
	}
	t, closeTeller, err := openTeller(ctx, at, newLogger(p.stderr, c.log))
	if err != nil {
		return err
	}
	if err := errors.Join(do(t), closeTeller()); err != nil {
		return err
	}
	return p.reading(ctx, s, func(r view) error {
		m, err := r.FindPayment(ctx, id)
		if err != nil || m == nil {
			return errors.Join(err, noSuchPayment(id))
		}
		lines, err := r.Lines(ctx, m.Ref)
		return errors.Join(err, p.printPayment(m, lines, asJSON))
	})
}

// CheckPayment is teller's.
func (o *owner) CheckPayment(ctx context.Context, id string) error {
	return o.patient().ask(ctx, "POST", "/payments/"+url.PathEscape(id)+"/check", nil, nil)
}

// ResolvePayment is teller's.
func (o *owner) ResolvePayment(ctx context.Context, id string, d decision) error {
	return o.ask(ctx, "POST", "/payments/"+url.PathEscape(id)+"/resolve", d, nil)
}
