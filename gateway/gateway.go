// Package gateway is the one path for calls that leave the house to payment
// gateways.
//
//	c, err := gateway.New(gateway.Config{Name: "acme", URL: "https://api.acme.example"})
//	finding := c.Send(ctx, gateway.Request{Path: "/v1/charges", Header: h, Body: body}, read)
//
// There are few types. A [Caller] calls one gateway. A [Request] is what it is
// asked, an [Answer] what came of it, and a [Reader] the connector's knowledge of
// what an answer means. What comes out is a pay.Finding.
//
// # What is promised
//
// A send is one request at most: it is written to one connection, once, and no
// redirect is followed. It is NeverLeft only if the kernel took none of its
// bytes. Whatever else went wrong, it may have arrived: that is Unknown, never a
// failure. Nothing of a send leaves this machine after it was given up, or after
// its process died of whatever: the connection is reset. A send that was written
// down goes out, whatever the breaker says; the breaker, the rate and the number
// in flight are asked before that, with [Caller.Closed]. Sends cannot take the
// places of checks. Answers are bounded in size and time.
//
// # What is not promised
//
// Nothing is retried: only pay knows whether a repeat is legal. HTTP/1.1 is
// spoken and nothing else: where many requests share a connection, what it wrote
// does not tell which of them left. No proxy is used, whatever the environment
// says. What was on its way already when a process died may still arrive: how
// long that can be is the gateway's contract. A machine that stops without a word
// sends no reset, and nothing else.
package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"

	"github.com/oncepay/oncepay/pay"
)

// Config says which gateway is called, and how much at once. Name and URL are
// needed; the rest works as it is.
type Config struct {
	// Name is what the gateway is called in texts for clients.
	Name string

	// URL is where it is: http or https, a host, perhaps a path; no user, no query.
	URL string

	// TLS is how it is trusted. Its NextProtos are set here.
	//
	// Defaults to the system's roots and TLS 1.2 or later.
	TLS *tls.Config

	// MaxSends is how many sends may be on their way at once. It is reached before
	// anything is written down: see [Caller.Closed]. Nothing else bounds them.
	//
	// Defaults to 10,000.
	MaxSends int

	// MaxChecks is how many checks may be. It is a budget of its own, so that a
	// flood of sends leaves room to find out what became of earlier ones.
	//
	// Defaults to 256.
	MaxChecks int

	// MaxAnswer is the largest body that is read, in bytes.
	//
	// Defaults to 64 KiB.
	MaxAnswer int64

	// Rate is how many sends a second are let out, one after the other in even
	// steps.
	//
	// Defaults to no limit.
	Rate int

	Breaker Breaker

	// Log is told when the breaker opens, lets trials through, and closes.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

// Breaker says when a gateway is taken for broken.
type Breaker struct {
	// Off has nothing taken for broken.
	Off bool

	// Failures is the share of sends without a usable answer that opens it, from 0
	// to 1, among at least Sends of them within Period.
	//
	// Default to 0.5, 20, 30 seconds.
	Failures float64
	Sends    int
	Period   time.Duration

	// Pause is how long it stays open. Then Trials a second are let through, and
	// when most of that many were answered it closes.
	//
	// Default to 5 seconds, 5.
	Pause  time.Duration
	Trials int
}

func (c Config) withDefaults() Config {
	c.MaxSends = cmp.Or(c.MaxSends, 10_000)
	c.MaxChecks = cmp.Or(c.MaxChecks, 256)
	c.MaxAnswer = cmp.Or(c.MaxAnswer, 64<<10)
	c.Breaker.Failures = cmp.Or(c.Breaker.Failures, 0.5)
	c.Breaker.Sends = cmp.Or(c.Breaker.Sends, 20)
	c.Breaker.Period = cmp.Or(c.Breaker.Period, 30*time.Second)
	c.Breaker.Pause = cmp.Or(c.Breaker.Pause, 5*time.Second)
	c.Breaker.Trials = cmp.Or(c.Breaker.Trials, 5)
	c.Log = cmp.Or(c.Log, slog.Default())
	return c
}

// check says what is wrong with c, if anything. It does not quote the URL: there
// may be a password in it.
func (c Config) check() (*url.URL, error) {
	base, err := url.Parse(strings.TrimSuffix(c.URL, "/"))
	switch {
	case c.Name == "":
		return nil, errors.New("gateway: it has no name")
	case err != nil, base.Host == "", base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("gateway %s: its URL is not one of http or https", c.Name)
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		return nil, fmt.Errorf("gateway %s: its URL has a user, a query or a fragment", c.Name)
	case c.MaxSends < 0, c.MaxChecks < 0, c.MaxAnswer < 0, c.Rate < 0:
		return nil, fmt.Errorf("gateway %s: a limit is negative", c.Name)
	case c.Breaker.Failures < 0, c.Breaker.Failures > 1, c.Breaker.Sends < 0, c.Breaker.Trials < 0, c.Breaker.Period < 0, c.Breaker.Pause < 0:
		return nil, fmt.Errorf("gateway %s: its breaker cannot be set so", c.Name)
	}
	return base, nil
}

// Caller calls one gateway. Make one with [New]. It is safe for concurrent use.
type Caller struct {
	cfg  Config
	base *url.URL

	sends, asks *line // apart, so that neither takes the other's idle connections
	spare       spare
	door        *door
	checks      bulkhead.Bulkhead[any]
	checking    atomic.Int64

	wire struct{ sends, checks, others atomic.Int64 }
	sent tally
	told tally
}

// New makes a caller. It calls nobody yet.
func New(cfg Config) (*Caller, error) {
	cfg = cfg.withDefaults()
	base, err := cfg.check()
	if err != nil {
		return nil, err
	}
	return &Caller{
		cfg: cfg, base: base, sends: newLine(base, cfg.TLS), asks: newLine(base, cfg.TLS),
		door: newDoor(cfg), checks: bulkhead.New[any](uint(cfg.MaxChecks)),
	}, nil
}

// Close lets go of idle connections. What is on its way is not disturbed.
func (c *Caller) Close() {
	c.sends.close()
	c.asks.close()
}

// Closed says why nothing new should be begun, in words for a client, or "". It
// is asked before an intent is written down, never after.
func (c *Caller) Closed() string { return c.door.closed() }

// Request is what a gateway is asked.
type Request struct {
	Path    string        // under the gateway's URL, escaped, with a slash before it
	Header  http.Header   // it is only read
	Body    []byte        // of a send
	Timeout time.Duration // for all of it, waiting for a place included; defaults to 30 seconds
}

// defaultTimeout is that of a contract which says nothing.
const defaultTimeout = 30 * time.Second

// Send posts a request, once, and says what came of it. It waits for a place
// and for the rate at most a quarter of its time; if that was not enough, it
// never left.
func (c *Caller) Send(ctx context.Context, r Request, read Reader) pay.Finding {
	ctx, cancel := r.within(ctx)
	defer cancel()
	a := c.send(ctx, r)
	f := a.ofSend(read)
	c.sent.count(&f)
	c.door.report(a, &f)
	return f
}

func (c *Caller) send(ctx context.Context, r Request) Answer {
	leave, err := c.door.enter(ctx, r.timeout()/4)
	if err != nil {
		return Answer{Err: err}
	}
	defer leave()
	return c.call(ctx, c.sends, http.MethodPost, r, &c.wire.sends)
}

// Check asks for what became of something, and says what the answer told.
func (c *Caller) Check(ctx context.Context, r Request, read Reader) pay.Finding {
	c.checking.Add(1)
	defer c.checking.Add(-1)
	f := c.ask(ctx, r, &c.wire.checks).ofCheck(read)
	c.told.count(&f)
	return f
}

// Get reads something that is no operation: what a gateway declares, for one. It
// has a part of the checks' budget.
func (c *Caller) Get(ctx context.Context, r Request) Answer {
	return c.ask(ctx, r, &c.wire.others)
}

func (c *Caller) ask(ctx context.Context, r Request, asked *atomic.Int64) Answer {
	ctx, cancel := r.within(ctx)
	defer cancel()
	if err := c.checks.AcquirePermit(ctx); err != nil {
		return Answer{Err: orCanceled(err, errNoPlace)}
	}
	defer c.checks.ReleasePermit()
	return c.call(ctx, c.asks, http.MethodGet, r, asked)
}

func (r Request) timeout() time.Duration { return cmp.Or(r.Timeout, defaultTimeout) }

// within gives a request its time.
func (r Request) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.timeout())
}
