package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/outbox"
)

func eventsCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Follow events, and look after where they go",
		Long: `Follow the events of a tenant, see how far the sinks have come that events are relayed to, and have one of them
go on from another place.`,
	}
	cmd.AddCommand(eventsTailCommand(p), eventsSinksCommand(p), eventsReplayCommand(p))
	return cmd
}

func eventsSinksCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sinks",
		Short: "List the sinks, and how far each has come",
		Long: `List the sinks that events were ever relayed to: how far each has come, how many events it is behind, and when
the first of those was written. It reads beside a running server.`,
		Args: cobra.NoArgs,
	}
	settings := p.settings(cmd, "store")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.reading(cmd.Context(), settings, func(r view) error {
			all, err := r.Sinks(cmd.Context())
			if err != nil {
				return err
			}
			return p.printSinks(all, *asJSON)
		})
	}
	return cmd
}

func (p *program) printSinks(all []outbox.State, asJSON bool) error {
	if asJSON {
		return p.printJSON(map[string]any{"data": append([]outbox.State{}, all...)})
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SINK\tPOSITION\tLAG\tOLDEST UNSENT\tHELD BY")
	for _, s := range all {
		oldest := "-"
		if !s.OldestAt.IsZero() {
			oldest = s.OldestAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", orDash(s.Sink), s.Position, s.Lag, oldest, orDash(s.Holder))
	}
	return w.Flush()
}

func eventsReplayCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Have a sink go on from another event",
		Long: `Have a sink go on from an event, or from a time: that event and all after it are published, again or for the first
time, with the ids that they have. It may go forth as well as back; what is passed over is not published. A running server
notices within some seconds. A broker that remembers ids keeps none twice within its dedup window.`,
		Example: `  oncepay events replay --from evt_01k… --to nats
  oncepay events replay --from 2026-11-30T00:00:00Z --to nats`,
		Args: cobra.NoArgs,
	}
	settings := p.settings(cmd, "store")
	from := cmd.Flags().String("from", "", "the `event`, by its id, or a time as 2026-11-30T00:00:00Z")
	to := cmd.Flags().String("to", "", "the `sink`, as \"oncepay events sinks\" names it")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *from == "" || *to == "" {
			return usagef("say --from which event or time, and --to which sink; `oncepay events sinks` lists them")
		}
		return p.replay(cmd.Context(), settings, *from, *to, *asJSON)
	}
	return cmd
}

// replay finds the place, moves the sink there, and shows it.
func (p *program) replay(ctx context.Context, s settings, from, to string, asJSON bool) error {
	c, at, err := s.loadStore()
	if err != nil {
		return err
	}
	place, err := p.placeOf(ctx, s, from, to)
	if err != nil {
		return err
	}
	books, closeBooks, err := openSinkBooks(ctx, at, newLogger(p.stderr, c.log))
	if err != nil {
		return err
	}
	err = books.MoveSink(ctx, to, place)
	if err = errors.Join(err, closeBooks()); err != nil {
		return err
	}
	return p.reading(ctx, s, func(r view) error {
		all, err := r.Sinks(ctx)
		if err != nil {
			return err
		}
		return p.printSinks(all, asJSON)
	})
}

// placeOf is the place after which an event, or all of a time, is. There must be such a
// sink.
func (p *program) placeOf(ctx context.Context, s settings, from, sink string) (place outbox.Position, err error) {
	err = p.reading(ctx, s, func(r view) error {
		all, err := r.Sinks(ctx)
		switch {
		case err != nil:
			return err
		case !slices.ContainsFunc(all, func(s outbox.State) bool { return s.Sink == sink }):
			return badNews{"there is no sink " + sink + " in this store; `oncepay events sinks` lists them"}
		}
		if !strings.HasPrefix(from, "evt_") {
			t, err := time.Parse(time.RFC3339Nano, from)
			if err != nil {
				return usagef("--from: %q is neither the id of an event nor a time, such as 2026-11-30T00:00:00Z", from)
			}
			place, err = r.PlaceAt(ctx, t)
			return err
		}
		at, found, err := r.PlaceOf(ctx, from)
		if err == nil && !found {
			return badNews{"there is no event " + from + " in this store"}
		}
		place = at - 1
		return err
	})
	return place, err
}

// sinkBooks is who can move a sink: the store, or the server that owns it.
type sinkBooks interface {
	MoveSink(ctx context.Context, sink string, to outbox.Position) error
}

func openSinkBooks(ctx context.Context, at place, log *slog.Logger) (sinkBooks, func() error, error) {
	s, err := at.open(ctx, false, log)
	switch {
	case errors.Is(err, errOwned):
		return newOwner(at.owned()), func() error { return nil }, nil
	case err != nil:
		return nil, nil, err
	}
	return s, s.Close, nil
}

// MoveSink is sinkBooks'.
func (o *owner) MoveSink(ctx context.Context, sink string, to outbox.Position) error {
	return o.ask(ctx, http.MethodPost, "/sinks/"+url.PathEscape(sink)+"/move", to, nil)
}

func eventsTailCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the events of a tenant as they are written",
		Long: `Follow the events of a tenant as they are written, from now on until it is interrupted: a line of JSON for each, as
GET /v1/events has it, in the order of commits. None is left out while it runs, also while the server is away for a
moment. The tenant is that of the API key.`,
		Example: `  oncepay events tail --dev
  oncepay events tail --at https://pay.example.com --token-file key --type payment.succeeded`,
		Args: cobra.NoArgs,
	}
	flags := operatorFlags{
		at:        cmd.Flags().String("at", "http://127.0.0.1:8080", "`URL` of the server"),
		tokenFile: cmd.Flags().String("token-file", "", "`file` with the API key, or - for stdin"),
	}
	dev := cmd.Flags().Bool("dev", false, "use the API key sk_dev, of a server that was started with --dev")
	typ := cmd.Flags().String("type", "", "only events of this `type`, such as payment.succeeded")
	subject := cmd.Flags().String("subject", "", "only events of the resource with this `id`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := p.apiCaller(flags, *dev)
		if err != nil {
			return err
		}
		q := url.Values{"limit": {"100"}}
		for name, value := range map[string]string{"type": *typ, "subject": *subject} {
			if value != "" {
				q.Set(name, value)
			}
		}
		return o.follow(cmd.Context(), q, func(_ context.Context, e json.RawMessage) error {
			_, err := fmt.Fprintf(p.stdout, "%s\n", e)
			return err
		})
	}
	return cmd
}

// apiCaller is who asks the API.
func (p *program) apiCaller(flags operatorFlags, dev bool) (*operator, error) {
	if at, err := url.Parse(*flags.at); err != nil || (at.Scheme != "http" && at.Scheme != "https") || at.Host == "" {
		return nil, usagef("--at: %q is no http or https URL, such as http://127.0.0.1:8080", *flags.at)
	}
	o, err := p.operator(flags)
	if err != nil {
		return nil, err
	}
	if dev {
		o.token = devKey
	}
	if o.token == "" {
		return nil, usagef("--token-file: name a file with an API key; `oncepay apikey create` makes one")
	}
	o.client.Timeout = tailTimeout
	return o, nil
}

const (
	// tailWait is how long the server waits for an event, and tailTimeout how long one that
	// does not answer is waited for.
	tailWait    = 20 * time.Second
	tailTimeout = tailWait + 10*time.Second

	// tailPause is how soon a server is asked again that is away, or too busy to wait.
	tailPause = time.Second
)

// eventPage is an answer of GET /v1/events/tail.
type eventPage struct {
	Data []json.RawMessage `json:"data"`
	Next string            `json:"next_cursor"`
}

// follow tells of events until ctx ends. The first answer must be one; later ones may be
// late.
func (o *operator) follow(ctx context.Context, q url.Values, tell func(context.Context, json.RawMessage) error) error {
	page, err := o.events(ctx, q)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		q.Set("cursor", page.Next)
		asked := time.Now()
		next, err := o.events(ctx, q)
		if err == nil {
			page = next
			for _, e := range page.Data {
				if err := tell(ctx, e); err != nil {
					return err
				}
			}
		}
		var refused *tailError
		if errors.As(err, &refused) && refused.final() {
			return err
		}
		if len(page.Data) == 0 && time.Since(asked) < tailPause || err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(tailPause):
			}
		}
	}
	return nil
}

// tailError is an answer that is no page of events.
type tailError struct {
	status int
	told   error
}

func (e *tailError) Error() string { return e.told.Error() }

// final says whether asking again is no use.
func (e *tailError) final() bool {
	return e.status >= 400 && e.status < 500 && e.status != http.StatusTooManyRequests
}

// events asks for a page.
func (o *operator) events(ctx context.Context, q url.Values) (page eventPage, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.at+"/v1/events/tail?"+q.Encode(), nil)
	if err != nil {
		return page, err
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	req.Header.Set("Prefer", fmt.Sprintf("wait=%d", tailWait/time.Second))
	resp, err := o.client.Do(req)
	if err != nil {
		return page, err
	}
	defer resp.Body.Close()
	told, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	switch {
	case err != nil:
		return page, err
	case resp.StatusCode != http.StatusOK:
		return page, &tailError{resp.StatusCode, problemOf(resp.StatusCode, told)}
	}
	if err := json.Unmarshal(told, &page); err != nil || page.Next == "" {
		return page, &tailError{http.StatusNotFound, errors.New("what answers at --at is no oncepay")}
	}
	return page, nil
}

// problemOf is a problem, for people.
func problemOf(status int, told []byte) error {
	var problem struct{ Title, Detail string }
	if json.Unmarshal(told, &problem) != nil || problem.Title == "" {
		return fmt.Errorf("the server answers with the status %d, and is no oncepay", status)
	}
	return fmt.Errorf("%s: %s", orDash(problem.Title), orDash(problem.Detail))
}
