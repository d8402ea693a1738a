package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/gateway/sandbox"
	"github.com/oncepay/oncepay/processor"
)

// sandboxName is what payments call the sandbox gateway.
const sandboxName = "sandbox"

// gatewayRow are the gateways of a server, and what runs beside them.
type gatewayRow struct {
	connectors map[string]processor.Connector
	pages      http.Handler // for people and for tests, under /sandbox/; nil is none

	closers []func() error
}

// close ends what openGateways began, the last first.
func (g *gatewayRow) close() (err error) {
	for i := len(g.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, g.closers[i]())
	}
	g.closers = nil
	return err
}

// openGateways opens the gateways of a configuration: the sandbox that it names,
// or one inside with dev. self is where this server answers.
func openGateways(cfg config, books string, secret []byte, self net.Addr, log *slog.Logger) (g *gatewayRow, err error) {
	g = &gatewayRow{connectors: map[string]processor.Connector{}}
	at := cfg.sandbox
	switch {
	case at != "":
		g.pages, err = relay(at, log)
	case cfg.dev:
		at, err = g.openInside(cfg, books, self, log)
	default:
		return g, nil
	}
	if err == nil {
		err = g.connect(cfg, at, secret, self, log)
	}
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// openInside runs a sandbox in this process, with its books there. It
// is called over HTTP all the same, on an address of its own.
func (g *gatewayRow) openInside(cfg config, books string, self net.Addr, log *slog.Logger) (at string, err error) {
	if err := os.MkdirAll(filepath.Dir(books), 0o700); err != nil {
		return "", fmt.Errorf("the sandbox gateway: %w", err)
	}
	gw, err := openSandbox(sandbox.Config{
		Books: books, Hostile: cfg.hostile, BaseURL: reachable(self), Log: log,
	})
	if err != nil {
		return "", fmt.Errorf("the sandbox gateway: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", errors.Join(err, gw.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serveSandbox(ctx, l, gw, log) }()
	g.closers = append(g.closers, func() error {
		stop()
		return <-ended
	})
	g.pages = gw
	return "http://" + l.Addr().String(), nil
}

// connect makes the connector of the sandbox.
func (g *gatewayRow) connect(cfg config, at string, secret []byte, self net.Addr, log *slog.Logger) error {
	c, err := sandbox.Connect(sandbox.ConnectorConfig{
		URL: at, Name: sandboxName, Log: log,
		Limits: gateway.Config{MaxSends: cfg.limits.inFlight, Breaker: gateway.Breaker{Off: cfg.dev}},
		NotifyURL: func(tenant string) string {
			return reachable(self) + "/v1/gateways/" + sandboxName + "/webhooks/" + url.PathEscape(tenant)
		},
		Secret: func(tenant string) string { return webhookSecret(secret, sandboxName, tenant) },
	})
	if err != nil {
		return err
	}
	g.connectors[sandboxName] = c
	g.closers = append(g.closers, func() error {
		c.Close()
		return nil
	})
	return nil
}

// webhookSecret is what a gateway signs a tenant's webhooks with: derived, so
// that it need not be kept, and nobody who knows one knows another.
func webhookSecret(secret []byte, gateway, tenant string) string {
	h := hmac.New(sha256.New, secret)
	fmt.Fprintf(h, "webhooks of %q for %q", gateway, tenant)
	return "whsec_" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// reachable is where a process on this machine reaches an address that is
// listened on.
func reachable(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return "http://" + a.String()
	}
	return fmt.Sprintf("http://127.0.0.1:%d", at.Port())
}

// relay shows the books and pages of a sandbox that runs elsewhere. It asks nobody
// who they are, so it is not told: the API key of whoever looks is ours. Anybody can
// ask for them: that they did not come is a debug line.
func relay(at string, log *slog.Logger) (http.Handler, error) {
	to, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.GetBody = nil // a form is posted once
			r.Out.Header.Del("Authorization")
			r.Out.Header.Del("Cookie")
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}, nil
}

// besides serves the gateways' pages beside the API.
func (g *gatewayRow) besides(api http.Handler) http.Handler {
	if g.pages == nil {
		return api
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/sandbox/") {
			g.pages.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}
