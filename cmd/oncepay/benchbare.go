package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/bench"
)

// The bare handler is the yardstick of docs/performance.md: net/http reading and
// writing the same JSON, and nothing else.
func benchBareCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "bare", Short: "Serve the bare handler that figures are compared with"}
	addr := cmd.Flags().String("addr", "127.0.0.1:0", "where to listen, `host:port`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := net.Listen("tcp", *addr)
		if err != nil {
			return fmt.Errorf("addr: %w", err)
		}
		if _, err := fmt.Fprintf(p.stdout, "the bare handler is ready on http://%s\n", l.Addr()); err != nil {
			return errors.Join(err, l.Close())
		}
		return serveBare(cmd.Context(), l)
	}
	return cmd
}

func serveBare(ctx context.Context, l net.Listener) error {
	s := &http.Server{Handler: bench.Bare()}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
