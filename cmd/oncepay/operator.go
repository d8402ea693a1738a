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
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/internal/card"
	"github.com/oncepay/oncepay/web"
)

func keysCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Look at the keys of a service that uses the engine, and settle those that are in doubt",
		Long: `Look at the keys of a service that uses the engine (package once), and settle those of which nobody knows what
became of the request. The service decides where that is done and who may: it mounts httponce.Operator, and --at says
where. The payments of oncepay itself are settled by "oncepay payments resolve".`,
	}
	cmd.AddCommand(keysListCommand(p), keysShowCommand(p), keysSettleCommand(p))
	return cmd
}

// operatorFlags are those by which an operator's face is reached.
type operatorFlags struct {
	at, tokenFile *string
}

func addOperatorFlags(cmd *cobra.Command) operatorFlags {
	return operatorFlags{
		at:        cmd.Flags().String("at", "", "`URL` at which the service has mounted httponce.Operator"),
		tokenFile: cmd.Flags().String("token-file", "", "`file` with the token that is sent as Authorization: Bearer, or - for stdin"),
	}
}

func keysListCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the keys that are at work or in doubt",
		Example: `  oncepay keys list --at http://127.0.0.1:9000/internal/keys --token-file token`,
		Args:    cobra.NoArgs,
	}
	flags, asJSON := addOperatorFlags(cmd), jsonFlag(cmd)
	limit := cmd.Flags().Int("limit", 100, "how many at most")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 1 {
			return usagef("--limit: %d is not 1 or more", *limit)
		}
		o, err := p.operator(flags)
		if err != nil {
			return err
		}
		all, err := o.list(cmd.Context(), *limit)
		if err != nil {
			return err
		}
		return p.printKeys(all, *asJSON)
	}
	return cmd
}

func keysShowCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "show KEY", Short: "Show what is known of a key", Args: oneKey}
	flags, asJSON := addOperatorFlags(cmd), jsonFlag(cmd)
	tenant := cmd.Flags().String("tenant", "default", "`name` whose key it is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := p.operator(flags)
		if err != nil {
			return err
		}
		var k operatedKey
		if err := o.ask(cmd.Context(), "GET", "/key?"+url.Values{"tenant": {*tenant}, "key": {args[0]}}.Encode(), nil, &k); err != nil {
			return err
		}
		return p.printKey(k, *asJSON)
	}
	return cmd
}

func keysSettleCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "settle KEY",
		Short: "Decide what became of the request with a key, with the evidence",
		Long: `Decide what became of the request with a key: that it happened, and what repeats of it are told from now on; or
that it certainly did not, and the next one runs. Find out first. The decision is kept with its evidence and who made it.`,
		Example: `  oncepay keys settle order-42 --at http://127.0.0.1:9000/internal/keys --as absent --evidence "not in the gateway's report of 11-20"
  oncepay keys settle order-42 --at … --as happened --status 201 --body '{"id":"ch_7"}' --evidence "settlement report, line 311"`,
		Args: oneKey,
	}
	flags, asJSON := addOperatorFlags(cmd), jsonFlag(cmd)
	s := keySettlement{}
	cmd.Flags().StringVar(&s.Tenant, "tenant", "default", "`name` whose key it is")
	cmd.Flags().StringVar(&s.As, "as", "", "what became of it, as a `word`: happened or absent")
	cmd.Flags().StringVar(&s.Evidence, "evidence", "", "what the decision rests on: a `text` of 1 to 1000 characters")
	status := cmd.Flags().Int("status", 200, "--as happened: the HTTP `status` that repeats are told; 200 for what is no HTTP handler")
	headers := cmd.Flags().StringArray("header", nil, "--as happened: a `line` of its header, such as \"Content-Type: text/plain\"; may be repeated")
	body := cmd.Flags().String("body", "", "--as happened: the `text` of its body; of a once.Operation, its result as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s.Key = args[0]
		if err := s.answer(cmd, *status, *headers, *body); err != nil {
			return err
		}
		o, err := p.operator(flags)
		if err != nil {
			return err
		}
		var k operatedKey
		if err := o.ask(cmd.Context(), "POST", "/settle", s, &k); err != nil {
			return err
		}
		return p.printKey(k, *asJSON)
	}
	return cmd
}

func oneKey(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usagef("give one key")
	}
	return nil
}

// keySettlement is a decision as an Operator reads it.
type keySettlement struct {
	Tenant   string     `json:"tenant"`
	Key      string     `json:"key"`
	As       string     `json:"as"`
	Evidence string     `json:"evidence"`
	Answer   *keyAnswer `json:"answer,omitempty"`
}

type keyAnswer struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers,omitempty"`
	Body    string      `json:"body"`
}

// answer fills in what repeats are told, if there is such a thing.
func (s *keySettlement) answer(cmd *cobra.Command, status int, headers []string, body string) error {
	switch {
	case s.As != "happened" && s.As != "absent":
		return usagef("--as: %q is neither happened nor absent", s.As)
	case card.In(s.Evidence):
		return usagef("--evidence: %q has a card's number in it, shown here as ***; leave it out: it would be kept", card.Mask(s.Evidence))
	case web.CheckEvidence(s.Evidence) != nil:
		return usagef("--evidence says what the decision rests on: %v", web.CheckEvidence(s.Evidence))
	case s.As == "absent":
		for _, name := range []string{"status", "header", "body"} {
			if cmd.Flags().Changed(name) {
				return usagef("--%s: what did not happen has no answer", name)
			}
		}
		return nil
	}
	s.Answer = &keyAnswer{Status: status, Body: body}
	for _, h := range headers {
		name, value, found := strings.Cut(h, ":")
		if !found {
			return usagef("--header: %q has no colon", h)
		}
		s.Answer.Headers = append(s.Answer.Headers, [2]string{name, strings.TrimSpace(value)})
	}
	return nil
}

// operator speaks to an httponce.Operator.
type operator struct {
	at, token string
	client    *http.Client
}

// operatorTimeout is longer than an Operator takes to write a decision down.
const operatorTimeout = 20 * time.Second

func (p *program) operator(f operatorFlags) (*operator, error) {
	at, err := url.Parse(*f.at)
	if err != nil || (at.Scheme != "http" && at.Scheme != "https") || at.Host == "" {
		return nil, usagef("--at: %q is no http or https URL: say where the service has mounted httponce.Operator", *f.at)
	}
	o := &operator{at: strings.TrimSuffix(at.String(), "/"), client: &http.Client{
		Timeout:       operatorTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	switch *f.tokenFile {
	case "":
		return o, nil
	case "-":
		o.token, err = readToken(p.stdin)
	default:
		var file *os.File
		if file, err = os.Open(*f.tokenFile); err == nil {
			defer file.Close()
			o.token, err = readToken(file)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	return o, nil
}

func readToken(r io.Reader) (string, error) {
	const most = 16 << 10 // more than any server takes of a header
	text, err := io.ReadAll(io.LimitReader(r, most))
	token := strings.TrimSpace(string(text))
	if err == nil && (token == "" || strings.ContainsAny(token, "\r\n")) {
		err = errors.New("it is one line, with a token")
	}
	return token, err
}

// list reads pages until there are enough.
func (o *operator) list(ctx context.Context, limit int) (all []operatedKey, err error) {
	after := ""
	for {
		var page struct {
			Data []operatedKey
			Next string
		}
		q := url.Values{"limit": {strconv.Itoa(min(1_000, limit-len(all)))}, "after": {after}}
		if err := o.ask(ctx, "GET", "/?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if after = page.Next; after == "" || len(all) >= limit {
			return all, nil
		}
	}
}

// ask asks the service, once.
func (o *operator) ask(ctx context.Context, method, path string, body, into any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, o.at+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/json")
	if o.token != "" {
		req.Header.Set("Authorization", "Bearer "+o.token)
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w; if that was a decision, look at the key before you decide again", err)
	}
	defer resp.Body.Close()
	told, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, told)
	}
	if err := json.Unmarshal(told, into); err != nil {
		return errors.New("what answers at --at is no httponce.Operator")
	}
	return nil
}

// refusal is a problem, for people.
func refusal(status int, told []byte) error {
	var problem struct{ Title, Detail string }
	if json.Unmarshal(told, &problem) != nil || problem.Title == "" {
		return fmt.Errorf("the service answers with the status %d, and is no httponce.Operator", status)
	}
	return fmt.Errorf("%s: %s", orDash(problem.Title), orDash(problem.Detail))
}

// operatedKey is a key as an Operator shows it.
type operatedKey struct {
	Tenant     string     `json:"tenant"`
	Key        string     `json:"key"`
	Operation  string     `json:"operation"`
	State      string     `json:"state"`
	Attempt    int64      `json:"attempt"`
	Why        string     `json:"why"`
	Status     int        `json:"status,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	LeaseUntil *time.Time `json:"lease_until,omitempty"`
	ExpiresAt  time.Time  `json:"expires_at"`
}

func (p *program) printKeys(all []operatedKey, asJSON bool) error {
	if asJSON {
		return p.printJSON(map[string]any{"data": append([]operatedKey{}, all...)})
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TENANT\tKEY\tOPERATION\tSTATE\tATTEMPT\tFIRST SEEN\tWHY")
	for _, k := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", orDash(k.Tenant), orDash(k.Key), orDash(k.Operation), orDash(k.State), k.Attempt,
			k.CreatedAt.UTC().Format(time.RFC3339), orDash(k.Why))
	}
	return w.Flush()
}

func (p *program) printKey(k operatedKey, asJSON bool) error {
	if asJSON {
		return p.printJSON(k)
	}
	return p.printKeys([]operatedKey{k}, false)
}
