package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/internal/id"
)

// defaultOverlap is how long both secrets are valid, where nothing else is said: as the API has it.
const defaultOverlap = 24 * time.Hour

// webhooksCommand is the API's /v1/webhook_endpoints for people.
func webhooksCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Say where a tenant's events are posted, and see what became of them",
		Long: `Make, list, change and delete the webhook endpoints of a tenant, and look after their deliveries. The tenant is that
of the API key. See docs/guides/webhooks.md.`,
	}
	cmd.AddCommand(
		webhooksCreateCommand(p),
		webhooksListCommand(p),
		webhooksOne(p, "delete ENDPOINT", "Delete an endpoint, and forget its deliveries", http.MethodDelete, endpointPath, 1, ""),
		webhooksOne(p, "enable ENDPOINT", "Enable an endpoint: what was pending goes on", http.MethodPut, endpointPath, 1, `{"status":"enabled"}`),
		webhooksOne(p, "disable ENDPOINT", "Disable an endpoint: nothing is sent to it", http.MethodPut, endpointPath, 1, `{"status":"disabled"}`),
		webhooksOne(p, "secret ENDPOINT", "Show the secret that an endpoint's webhooks are signed with", http.MethodGet, secretPath, 1, ""),
		webhooksRotateCommand(p),
		webhooksDeliveriesCommand(p),
		webhooksOne(p, "delivery ENDPOINT EVENT", "Show every attempt to deliver an event", http.MethodGet, deliveryPath, 2, ""),
		webhooksRedeliverCommand(p),
	)
	return cmd
}

// Paths below /v1/webhook_endpoints, by the arguments of a command.

func endpointPath(a []string) string { return "/" + url.PathEscape(a[0]) }
func secretPath(a []string) string   { return endpointPath(a) + "/secret" }

func deliveryPath(a []string) string {
	return endpointPath(a) + "/deliveries/" + url.PathEscape(a[1])
}

// caller gives cmd the flags of who calls the API.
func (p *program) caller(cmd *cobra.Command) func() (*operator, error) {
	flags := operatorFlags{
		at:        cmd.Flags().String("at", "http://127.0.0.1:8080", "`URL` of the server"),
		tokenFile: cmd.Flags().String("token-file", "", "`file` with the API key, or - for stdin"),
	}
	dev := cmd.Flags().Bool("dev", false, "use the API key sk_dev, of a server that was started with --dev")
	return func() (*operator, error) { return p.apiCaller(flags, *dev) }
}

// webhooksOne is a command that asks one thing, and prints the answer.
func webhooksOne(p *program, use, short, method string, path func([]string) string, args int, body string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args)}
	caller := p.caller(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := caller()
		if err != nil {
			return err
		}
		return p.askWebhooks(cmd.Context(), o, method, path(args), "", body)
	}
	return cmd
}

func webhooksCreateCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Have events posted to a URL",
		Long: `Have the events that are committed from now on posted to a URL. If the outcome is not known, say the same again with
the key that was printed.`,
		Example: `  oncepay webhooks create --dev --url https://shop.example.com/hooks --event 'payment.*'`,
		Args:    cobra.NoArgs,
	}
	caller := p.caller(cmd)
	to := cmd.Flags().String("url", "", "`URL` to post to")
	events := cmd.Flags().StringArray("event", nil, "a `type` such as payment.succeeded, or 'payment.*'; again for more; all, if none is given")
	description := cmd.Flags().String("description", "", "a `text` of yours")
	key := cmd.Flags().String("key", "", "the `Idempotency-Key`; one is made if there is none")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := caller()
		if err != nil {
			return err
		}
		body := map[string]any{"url": *to}
		if *events != nil {
			body["events"] = *events
		}
		if *description != "" {
			body["description"] = *description
		}
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		return p.askWebhooks(cmd.Context(), o, http.MethodPost, "", *key, string(text))
	}
	return cmd
}

func webhooksRotateCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate ENDPOINT",
		Short: "Change the secret of an endpoint: webhooks are signed with both for a while",
		Args:  cobra.ExactArgs(1),
	}
	caller := p.caller(cmd)
	overlap := cmd.Flags().Duration("overlap", defaultOverlap, "for how `long` the secret that was valid so far still is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := caller()
		if err != nil {
			return err
		}
		path := secretPath(args)
		var now struct{ Generation int64 }
		if err := o.webhooks(cmd.Context(), http.MethodGet, path, "", "", &now); err != nil {
			return err
		}
		body := fmt.Sprintf(`{"generation":%d,"overlap_seconds":%d}`, now.Generation+1, int64(overlap.Seconds()))
		return p.askWebhooks(cmd.Context(), o, http.MethodPut, path, "", body)
	}
	return cmd
}

func webhooksRedeliverCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redeliver ENDPOINT [EVENT]",
		Short: "Deliver one event again, or all that are dead",
		Args:  cobra.RangeArgs(1, 2),
	}
	caller := p.caller(cmd)
	key := cmd.Flags().String("key", "", "the `Idempotency-Key`; one is made if there is none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := caller()
		if err != nil {
			return err
		}
		path := endpointPath(args)
		if len(args) == 2 {
			path = deliveryPath(args)
		}
		return p.askWebhooks(cmd.Context(), o, http.MethodPost, path+"/redeliver", *key, "")
	}
	return cmd
}

func webhooksListCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the endpoints", Args: cobra.NoArgs}
	caller, asJSON := p.caller(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := caller()
		if err != nil {
			return err
		}
		return p.listWebhooks(cmd.Context(), o, "?limit=100", *asJSON, []string{"id", "status", "disabled_reason", "url"})
	}
	return cmd
}

func webhooksDeliveriesCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deliveries ENDPOINT",
		Short: "List what was sent to an endpoint, and what will be",
		Args:  cobra.ExactArgs(1),
	}
	caller, asJSON := p.caller(cmd), jsonFlag(cmd)
	status := cmd.Flags().String("status", "", "only those that are pending, delivered or dead")
	limit := cmd.Flags().Int("limit", 20, "how many at most, up to 100; the newest first")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := caller()
		if err != nil {
			return err
		}
		q := url.Values{"limit": {fmt.Sprint(*limit)}}
		if *status != "" {
			q.Set("status", *status)
		}
		return p.listWebhooks(cmd.Context(), o, endpointPath(args)+"/deliveries?"+q.Encode(), *asJSON, []string{"event", "type", "status", "attempts", "next_attempt_at"})
	}
	return cmd
}

// listWebhooks prints a page as a table of some members, or as it is.
func (p *program) listWebhooks(ctx context.Context, o *operator, path string, asJSON bool, members []string) error {
	var page struct {
		Data []map[string]any `json:"data"`
	}
	if err := o.webhooks(ctx, http.MethodGet, path, "", "", &page); err != nil {
		return err
	}
	if asJSON {
		return p.printJSON(map[string]any{"data": append([]map[string]any{}, page.Data...)})
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for i, m := range members {
		fmt.Fprint(w, columnEnd(i), strings.ToUpper(strings.ReplaceAll(m, "_", " ")))
	}
	fmt.Fprintln(w)
	for _, row := range page.Data {
		for i, m := range members {
			text := "-"
			if v := row[m]; v != nil && v != "" {
				text = fmt.Sprint(v)
			}
			fmt.Fprint(w, columnEnd(i), text)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func columnEnd(i int) string {
	if i == 0 {
		return ""
	}
	return "\t"
}

// askWebhooks asks, and prints the answer.
func (p *program) askWebhooks(ctx context.Context, o *operator, method, path, key, body string) error {
	if method == http.MethodPost && key == "" {
		key = id.NewUUID(time.Now())
		fmt.Fprintf(p.stderr, "Idempotency-Key: %s\n", key)
	}
	var answer json.RawMessage
	if err := o.webhooks(ctx, method, path, key, body, &answer); err != nil {
		return err
	}
	if len(answer) == 0 {
		return nil
	}
	return p.printJSON(answer)
}

// webhooks asks the API, and reads the answer.
func (o *operator) webhooks(ctx context.Context, method, path, key, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, o.at+"/v1/webhook_endpoints"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.GetBody = nil // sent once
	req.Header.Set("Authorization", "Bearer "+o.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	told, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusNoContent:
		return nil
	case res.StatusCode/100 != 2:
		return problemOf(res.StatusCode, told)
	case json.Unmarshal(told, into) != nil:
		return errors.New("what answers at --at is no oncepay")
	}
	return nil
}
