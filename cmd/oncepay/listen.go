package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/webhook"
)

func listenCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Forward the events of a tenant to a program on your machine, as webhooks",
		Long: `Forward the events of a tenant to a program on your machine, as the webhooks that an endpoint gets: the same envelope,
the same headers, signed with a secret that is printed first. It begins with what happens from now on, and goes on after the
server was away. Each event is posted once; while nobody listens at the URL yet it is tried again for half a minute. For
what must arrive make an endpoint with POST /v1/webhook_endpoints.`,
		Example: `  oncepay listen --dev --forward-to http://localhost:3000/hook
  oncepay listen --at https://pay.example.com --token-file key --forward-to localhost:3000/hook --type payment.succeeded`,
		Args: cobra.NoArgs,
	}
	flags := operatorFlags{
		at:        cmd.Flags().String("at", "http://127.0.0.1:8080", "`URL` of the server"),
		tokenFile: cmd.Flags().String("token-file", "", "`file` with the API key, or - for stdin"),
	}
	dev := cmd.Flags().Bool("dev", false, "use the API key sk_dev, of a server that was started with --dev")
	to := cmd.Flags().String("forward-to", "", "`URL` of your program")
	typ := cmd.Flags().String("type", "", "only events of this `type`, such as payment.succeeded")
	secretFile := cmd.Flags().String("secret-file", "", "`file` with the secret to sign with, whsec_…; one is made if there is none")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		target, err := forwardURL(*to)
		if err != nil {
			return err
		}
		o, err := p.apiCaller(flags, *dev)
		if err != nil {
			return err
		}
		f := &forwarder{p: p, to: target, tenant: "listener", client: newForwardClient()}
		if *dev {
			f.tenant = "dev"
		}
		if f.secret, err = forwardSecret(*secretFile); err != nil {
			return err
		}
		q := url.Values{"limit": {"100"}}
		if *typ != "" {
			q.Set("type", *typ)
		}
		fmt.Fprintf(p.stdout, "forwarding to %s, signed with %s\n", target, f.secret.Reveal())
		return o.follow(cmd.Context(), q, f.forward)
	}
	return cmd
}

// forwardURL reads where to forward to; a scheme may be left out.
func forwardURL(text string) (string, error) {
	if text == "" {
		return "", usagef("--forward-to: say where your program listens, such as http://localhost:3000/hook")
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", usagef("--forward-to: %q is no URL such as http://localhost:3000/hook", text)
	}
	return u.String(), nil
}

// forwardSecret reads the secret, or makes one.
func forwardSecret(file string) (webhook.Secret, error) {
	if file == "" {
		var random [32]byte
		rand.Read(random[:])
		return webhook.NewSecret(random), nil
	}
	opened, err := os.Open(file)
	if err != nil {
		return webhook.Secret{}, fmt.Errorf("--secret-file: %w", err)
	}
	defer opened.Close()
	text, err := readToken(opened)
	if err != nil {
		return webhook.Secret{}, fmt.Errorf("--secret-file: %w", err)
	}
	s, err := webhook.ParseSecret(text)
	if err != nil {
		return s, usagef("--secret-file: %v", err)
	}
	return s, nil
}

const (
	// forwardTime is how long the program may take for one event.
	forwardTime = 15 * time.Second

	// forwardWait is how long nobody may listen at the URL, who is being started, and
	// forwardPause how soon it is tried again.
	forwardWait  = 30 * time.Second
	forwardPause = 500 * time.Millisecond
)

// forwarder posts events to a program on this machine.
type forwarder struct {
	p      *program
	to     string
	tenant string // as the source of envelopes has it: whose an API key is, the server does not tell
	secret webhook.Secret
	client *http.Client
}

func newForwardClient() *http.Client {
	return &http.Client{
		Timeout:       forwardTime,
		Transport:     &http.Transport{Proxy: nil, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// forward posts one event, and prints what came of it.
func (f *forwarder) forward(ctx context.Context, told json.RawMessage) error {
	var e struct {
		ID, Type, Subject string
		Time              time.Time
		Data              json.RawMessage
	}
	if err := json.Unmarshal(told, &e); err != nil {
		return fmt.Errorf("what the server tells is no event: %w", err)
	}
	body := outbox.AppendEnvelope(nil, outbox.DefaultSource, outbox.Event{ID: e.ID, Tenant: f.tenant, Type: e.Type, Subject: e.Subject, At: e.Time, Data: e.Data})
	result := f.post(ctx, e.ID, body)
	_, err := fmt.Fprintf(f.p.stdout, "%s %s %s %s\n", e.ID, e.Type, e.Subject, result)
	return err
}

// post posts until somebody listens, and says what came of it.
func (f *forwarder) post(ctx context.Context, id string, body []byte) string {
	for began := time.Now(); ; {
		status, err := f.postOnce(ctx, id, body)
		switch {
		case err == nil:
			return status
		case !errors.Is(err, syscall.ECONNREFUSED) || time.Since(began) > forwardWait || ctx.Err() != nil:
			return err.Error()
		}
		select {
		case <-ctx.Done():
		case <-time.After(forwardPause):
		}
	}
}

func (f *forwarder) postOnce(ctx context.Context, id string, body []byte) (status string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.to, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.GetBody = nil // sent once
	req.Header.Set("Content-Type", outbox.ContentType)
	if err := webhook.Sign(req.Header, webhook.Message{ID: id, At: time.Now(), Body: body}, f.secret); err != nil {
		return "", err
	}
	res, err := f.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	return res.Status, nil
}
