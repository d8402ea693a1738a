package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

func sandboxCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run the sandbox gateway as a process of its own",
		Long: `Run the sandbox gateway: it moves no money, obeys the payment method (pm_ok, pm_declined, pm_timeout_after_charge…)
and keeps books that survive it. "oncepay serve --sandbox URL" uses it. GET /sandbox/charges?payment=ID lists what
it has charged. It asks nobody who they are: keep it on loopback.`,
		Example: `  oncepay sandbox --addr 127.0.0.1:8070 --books ./sandbox.db
  oncepay serve --dev --sandbox http://127.0.0.1:8070`,
	}
	addr := cmd.Flags().String("addr", "127.0.0.1:8070", "where to listen, `host:port`")
	books := cmd.Flags().String("books", "./oncepay-data/sandbox.db", "`file` of its books")
	hostile := cmd.Flags().Bool("hostile", false, "not idempotent: every send is one more charge, and its declared contract says so")
	timeout := cmd.Flags().Duration("timeout", 3*time.Second, "how long it declares that callers wait for an answer")
	inFlight := cmd.Flags().Duration("in-flight", 4*time.Second, "how long it declares that a request may be on its way (L); what comes to be executed later is not")
	lag := cmd.Flags().Duration("lookup-lag", 4*time.Second, "by how much it declares that a lookup may lag (H)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, ok := parseAddress(*addr); !ok {
			return usagef("--addr: %q is not %s", *addr, address.want)
		}
		for name, d := range map[string]time.Duration{"timeout": *timeout, "in-flight": *inFlight, "lookup-lag": *lag} {
			if d < time.Millisecond || d > time.Hour {
				return usagef("--%s: %v is not between 1ms and 1h", name, d)
			}
		}
		log := newLogger(p.stderr, logConfig{format: logAuto})
		l, err := net.Listen("tcp", *addr)
		if err != nil {
			return fmt.Errorf("addr: %w", err)
		}
		defer l.Close()
		gw, err := openSandbox(sandbox.Config{
			Books: *books, Hostile: *hostile, Timeout: *timeout, InFlight: *inFlight, LookupLag: *lag, Log: log,
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(p.stdout, "oncepay sandbox is ready on http://%s (books %s)\n", l.Addr(), *books); err != nil {
			return errors.Join(err, gw.Close())
		}
		return errors.Join(serveSandbox(cmd.Context(), l, gw, log), gw.Close())
	}
	return cmd
}

// openSandbox opens a sandbox, and makes the directory of its books.
func openSandbox(cfg sandbox.Config) (*sandbox.Server, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.Books), 0o700); err != nil {
		return nil, err
	}
	return sandbox.Open(cfg)
}

// serveSandbox answers until ctx ends. Requests that hang are let go.
func serveSandbox(ctx context.Context, l net.Listener, gw *sandbox.Server, log *slog.Logger) error {
	s := &http.Server{Handler: gw, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	closed := gw.Close()
	if s.Shutdown(drain) != nil {
		s.Close() // whoever is still there waits for an answer that was never to come
	}
	return closed
}
