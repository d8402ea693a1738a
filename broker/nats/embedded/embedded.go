// Package embedded is a NATS server with JetStream inside of this process: a broker for
// development, and for a service that is one process on one machine.
//
// # What is promised
//
// What is acknowledged is synced to the disk. It listens on loopback only.
//
// # What is not promised
//
// There is one copy, on one disk. Whoever is on the machine may connect: there are no users.
// For more, and for several machines, run a cluster, and name it in the configuration.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Config says where the server is. Dir is needed; the rest works as it is.
type Config struct {
	// Dir has the streams.
	Dir string

	// Addr is where it listens, on loopback.
	//
	// Defaults to 127.0.0.1:4222, NATS' own port.
	Addr string
}

// DefaultAddr is where it listens unless something else is said.
const DefaultAddr = "127.0.0.1:4222"

// startTime is how long it may take to be ready: it reads its streams first.
const startTime = 30 * time.Second

// Server is a running server.
type Server struct{ *server.Server }

// Start starts a server, and returns when it answers.
func Start(cfg Config) (*Server, error) {
	if cfg.Addr == "" {
		cfg.Addr = DefaultAddr
	}
	at, err := netip.ParseAddrPort(cfg.Addr)
	if err != nil || !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("embedded NATS: %q is no address on loopback: everybody who reaches it may read all events", cfg.Addr)
	}
	if err := free(cfg.Addr); err != nil {
		return nil, err
	}
	port := int(at.Port())
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "oncepay", Host: at.Addr().String(), Port: port, JetStream: true, StoreDir: cfg.Dir,
		SyncAlways: true, // the default acknowledges first
		NoSigs:     true, NoLog: true,
		JetStreamMaxMemory: -1, JetStreamMaxStore: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTime) || !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, fmt.Errorf("embedded NATS: it does not start; is its directory %s writable?", cfg.Dir)
	}
	return &Server{s}, nil
}

// free says whether an address can be listened on: the server itself would end the
// process.
func free(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("embedded NATS: %w", errors.Unwrap(err))
	}
	return l.Close()
}

// Close ends the server, and returns when all is on the disk.
func (s *Server) Close() {
	s.Shutdown()
	s.WaitForShutdown()
}
