// Package outbound reaches addresses that somebody else gave us, such as where a tenant
// wants webhooks sent, and only those that lead out.
//
//	client := outbound.New(outbound.Config{})
//	res, err := client.Post(ctx, url, header, body)
//
// # What is promised
//
// No connection is made to an address that is not public: this machine's, a private
// network's, a cloud's metadata service, or one that hides such an address in IPv6. What is
// looked at is the address that is connected to, at the moment when it is: a name that
// resolves to something else the second time gains nothing. No redirect is followed, no
// proxy of the environment is asked, nothing is sent twice by itself. An answer is waited for
// a limited time, and a limited part of it is read, however slowly it comes.
//
// # What is not promised
//
// That an address belongs to whoever gave it, or that who answers means well. Networks that
// route public addresses to machines of their own are theirs to guard: Config.Refuse names
// those.
package outbound

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Config is what a Client is set to. Its zero value works.
type Config struct {
	// Allow are addresses that may be connected to though they are not public, and though
	// they are in Refuse.
	Allow []netip.Prefix

	// Refuse are addresses that may not be connected to though they are public.
	Refuse []netip.Prefix

	// Timeout is how long a whole exchange may take, from the look-up of the name to the
	// last byte that is read.
	//
	// Defaults to 15 seconds.
	Timeout time.Duration

	// Resolver looks names up.
	//
	// Defaults to that of the system.
	Resolver *net.Resolver
}

// What an exchange may take.
const (
	// MaxAnswer is how much of an answer is read, in bytes: enough to see what went wrong.
	MaxAnswer = 4 << 10

	// maxHeader is how long the header of an answer may be: some eight times what servers send.
	maxHeader = 16 << 10

	// connectTime is how long a connection and a TLS handshake may take each.
	connectTime = 5 * time.Second

	// idleTime is how long a connection is kept for the next message.
	idleTime = 30 * time.Second

	// maxIdle is how many connections are kept, and maxIdleEach to one host.
	maxIdle, maxIdleEach = 256, 8
)

// ErrRefused means that an address may not be connected to. It does not say which address a
// name led to: whoever gave the name would learn about our network.
var ErrRefused = errors.New("outbound: the address is not a public one")

// Client posts. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	timeout time.Duration
}

// New makes a Client.
func New(cfg Config) *Client {
	dialer := &net.Dialer{
		Timeout: connectTime, Resolver: cfg.Resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !cfg.allows(at.Addr()) {
				return ErrRefused
			}
			return nil
		},
	}
	return &Client{
		timeout: cmp.Or(cfg.Timeout, 15*time.Second),
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:                  nil, // it would look the name up, where we do not see the address
				DialContext:            dialer.DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    connectTime,
				MaxResponseHeaderBytes: maxHeader,
				MaxIdleConns:           maxIdle,
				MaxIdleConnsPerHost:    maxIdleEach,
				IdleConnTimeout:        idleTime,
				DisableCompression:     true, // what is read is bounded as it comes, not as it unfolds
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// allows says whether an address may be connected to.
func (c *Config) allows(a netip.Addr) bool {
	for _, p := range c.Allow {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	for _, p := range c.Refuse {
		if p.Contains(a.Unmap()) {
			return false
		}
	}
	return IsPublic(a)
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // the first MaxAnswer bytes, or as many as came in time
}

// Post sends body to a URL once, and returns what is answered, whatever the status is. With
// an error nobody knows whether it arrived, unless it is ErrRefused.
func (c *Client) Post(ctx context.Context, url string, header http.Header, body []byte) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("outbound: the URL cannot be asked")
	}
	req.Header = header.Clone()
	req.GetBody = nil // or it would be sent again by itself, when a kept connection breaks
	res, err := c.http.Do(req)
	if err != nil {
		return nil, whatFailed(ctx, err)
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode, Header: res.Header}
	a.Body, _ = io.ReadAll(io.LimitReader(res.Body, MaxAnswer)) // the status says what became of it; the rest is for people
	return a, nil
}

// Close gives up connections that are kept.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// whatFailed says what failed in words that do not tell of our network.
func whatFailed(ctx context.Context, err error) error {
	var name *net.DNSError
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.Is(err, ErrRefused):
		return ErrRefused
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("outbound: no answer came in time")
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &name):
		return errors.New("outbound: the name of the host cannot be looked up")
	case errors.As(err, &cert):
		return errors.New("outbound: the certificate of the host is not valid")
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("outbound: no connection: %w", reason(op))
	default:
		return errors.New("outbound: the connection ended without an answer")
	}
}

// reason is why there is no connection, without addresses.
func reason(op *net.OpError) error {
	var no syscall.Errno
	if errors.As(op, &no) {
		return no
	}
	return errors.New("failed")
}
