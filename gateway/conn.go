package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// departure is what is known of the bytes of one request. It is what makes
// "never left" exact: whoever gives a request up stops it in the same step in
// which it learns that nothing was written.
//
//	still ── write begins ──→ leaving ── a byte went ──→ left
//	  │  ←──── no byte went ────┘
//	  └─ given up ──→ stopped
type departure struct {
	state atomic.Uint32
	early atomic.Bool // something was read before anything was written
	wire  *atomic.Int64
}

const (
	still uint32 = iota
	leaving
	left
	stopped
)

// stop gives the request up, and says whether none of its bytes was written. If
// so, none will be.
func (d *departure) stop() bool { return d.state.CompareAndSwap(still, stopped) }

// trace binds the connection that a request gets to it.
func (d *departure) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { i.Conn.(*conn).carries.Store(d) }}
}

// conn is a connection that knows which request it carries.
type conn struct {
	net.Conn
	carries atomic.Pointer[departure]

	// exact says that a write which failed with no byte has written none. TLS may
	// have written a record then.
	exact bool
}

var errStopped = errors.New("the request was given up")

func (c *conn) Write(p []byte) (int, error) {
	d := c.carries.Load()
	if d == nil {
		return 0, errStopped
	}
	first := d.state.CompareAndSwap(still, leaving)
	if !first && d.state.Load() == stopped {
		return 0, errStopped
	}
	n, err := c.Conn.Write(p)
	switch {
	case !first:
	case n == 0 && err != nil && c.exact:
		d.state.Store(still)
	default:
		d.state.Store(left)
		d.wire.Add(1)
	}
	return n, err
}

// Read notices an answer that comes before the question: it belongs to nobody.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if d := c.carries.Load(); n > 0 && d != nil && d.state.Load() == still {
		d.early.Store(true)
	}
	return n, err
}

// dialer makes connections. TLS is done here and not by net/http, so that what
// is counted are bytes of requests and not those of handshakes.
type dialer struct {
	net net.Dialer
	tls *tls.Config
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.net.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, exact: true}, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.net.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	cfg := d.tls
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName, _, _ = net.SplitHostPort(addr)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Client(c, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(&handshakeError{err}, c.Close())
	}
	return &conn{Conn: secure}, nil
}

// handshakeError says at which step a connection failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }
