package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/card"
	"github.com/oncepay/oncepay/web"
)

// lossBook keeps what is known of lost commits. The store is one, and so is the socket of
// the server that owns it.
type lossBook interface {
	Losses(ctx context.Context) ([]engine.Loss, error)
	NoteLoss(ctx context.Context, cause string) error
	EndLosses(ctx context.Context, evidence, actor string) (ended int, err error)
}

func recoveryCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recovery",
		Short: "Say that the store may have lost commits, or that it agrees with the gateways again",
		Long: `Say that the store may have lost commits, or that it agrees with the gateways again. After a backup was restored, or a
standby took over that had not got all, the store does not know what was sent to gateways. Until an operator has
compared them, nothing is begun that may have been begun before. PostgreSQL tells most of it by itself; of a file, and of a copy of a
server's files that was simply started, only you know. docs/guides/recovery.md says what to do.`,
	}
	cmd.AddCommand(recoveryStatusCommand(p), recoveryBeginCommand(p), recoveryEndCommand(p))
	return cmd
}

func recoveryStatusCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what may have been lost, and what was said of it; the exit status is 1 while a recovery lasts",
		Args:  cobra.NoArgs,
	}
	settings := p.settings(cmd, "store")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var losses []engine.Loss
		err := p.withLosses(cmd.Context(), settings, func(b lossBook) (err error) {
			losses, err = b.Losses(cmd.Context())
			return err
		})
		if err == nil {
			err = p.printLosses(losses, *asJSON)
		}
		if err == nil && recovering(losses) {
			return badNews{}
		}
		return err
	}
	return cmd
}

func recovering(losses []engine.Loss) bool {
	for _, l := range losses {
		if l.EndedAt.IsZero() {
			return true
		}
	}
	return false
}

func (p *program) printLosses(losses []engine.Loss, asJSON bool) error {
	if asJSON {
		return p.printJSON(map[string]any{"recovering": recovering(losses), "data": append([]engine.Loss{}, losses...)})
	}
	if len(losses) == 0 {
		_, err := fmt.Fprintln(p.stdout, "nothing was lost that is known of")
		return err
	}
	for _, l := range losses {
		fmt.Fprintf(p.stdout, "%s: %s\n  what was done before %s may be missing\n", stamp(l.NotedAt), l.Cause, stamp(l.Forgot))
		if l.EndedAt.IsZero() {
			fmt.Fprintln(p.stdout, "  it lasts: nothing is begun that may have been begun then")
			continue
		}
		fmt.Fprintf(p.stdout, "  ended at %s by %s: %s\n", stamp(l.EndedAt), orDash(l.Actor), l.Evidence)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func recoveryBeginCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "begin",
		Short: "Say that the store was restored, before a server is started on it",
		Long: `Say that the store was restored, before a server is started on it. Servers that have a PostgreSQL store open end, and are
to be started again: they were told of the past that is gone. A file must have no owner.`,
		Example: `  oncepay recovery begin --cause "disk failed; restored the backup of 2026-11-20 03:00"`,
		Args:    cobra.NoArgs,
	}
	settings := p.settings(cmd, "store")
	cause := cmd.Flags().String("cause", "", "what happened: a `text` of 1 to 1000 characters")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkSaid("--cause", *cause); err != nil {
			return err
		}
		err := p.withLosses(cmd.Context(), settings, func(b lossBook) error {
			return b.NoteLoss(cmd.Context(), whoAmI()+" said: "+*cause)
		})
		if err == nil {
			_, err = fmt.Fprintln(p.stdout, "it is written down: nothing is begun that may have been begun until now, until `oncepay recovery end`")
		}
		return err
	}
	return cmd
}

func recoveryEndCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "end",
		Short: "Say that the store and the gateways agree, with the evidence",
		Long: `Say that the store and the gateways agree, with the evidence. From then on a retry of what was lost is taken for a new
request, and is executed. The word is kept with its evidence and who gave it.`,
		Example: `  oncepay recovery end --evidence "planned switchover, lag 0"
  oncepay recovery end --evidence "all charges of the gateway's report since 02:00 are in the store or were refunded"`,
		Args: cobra.NoArgs,
	}
	settings := p.settings(cmd, "store")
	evidence := cmd.Flags().String("evidence", "", "what the decision rests on: a `text` of 1 to 1000 characters")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkSaid("--evidence", *evidence); err != nil {
			return err
		}
		var ended int
		err := p.withLosses(cmd.Context(), settings, func(b lossBook) (err error) {
			ended, err = b.EndLosses(cmd.Context(), *evidence, whoAmI())
			return err
		})
		switch {
		case err != nil:
			return err
		case ended == 0:
			return badNews{"there is no recovery to end that was known of before now; see `oncepay recovery status`"}
		}
		_, err = fmt.Fprintln(p.stdout, "the recovery is ended; servers take payments as ever within some seconds")
		return err
	}
	return cmd
}

// checkSaid says what is wrong with a text that is kept.
func checkSaid(flag, text string) error {
	if card.In(text) {
		return usagef("%s: %q has a card's number in it, shown here as ***; leave it out: it would be kept for ever", flag, card.Mask(text))
	}
	if err := web.CheckEvidence(text); err != nil {
		return usagef("%s: %v", flag, err)
	}
	return nil
}

// withLosses lets do work on what the configured store, or the server that owns it, knows
// of losses.
func (p *program) withLosses(ctx context.Context, s settings, do func(lossBook) error) (err error) {
	c, at, err := s.loadStore()
	if err != nil {
		return err
	}
	store, err := at.open(ctx, false, newLogger(p.stderr, c.log))
	switch {
	case errors.Is(err, errOwned):
		return do(newOwner(at.owned()))
	case err != nil:
		return err
	}
	return errors.Join(do(store), store.Close())
}

// Losses is lossBook's.
func (o *owner) Losses(ctx context.Context) (losses []engine.Loss, err error) {
	return losses, o.ask(ctx, "GET", "/losses", nil, &losses)
}

// NoteLoss is lossBook's. Who owns the store would go on in the past that it knows.
func (o *owner) NoteLoss(context.Context, string) error {
	return errors.New("another process owns the store: stop it, restore the backup, say so, and start it again")
}

// EndLosses is lossBook's.
func (o *owner) EndLosses(ctx context.Context, evidence, actor string) (ended int, err error) {
	return ended, o.ask(ctx, "POST", "/losses/end", word{evidence, actor}, &ended)
}

// word is an operator's, as it is told to the owner.
type word struct{ Evidence, Actor string }
