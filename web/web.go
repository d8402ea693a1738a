// Package web is the HTTP face of oncepay: accounts, transfers, payments, keys,
// events.
//
// There are few types. An [API] is a handler for all routes. A [Store] is what
// it reads; what it changes goes through an engine.Executor, and what has to
// leave the house through [Payments]. Everything else is one request's: an
// exchange is the request on its way to its answer, a form reads its body, an
// order is the job that is made of it.
//
// # What is promised
//
// A request that carries an Idempotency-Key, and a body that can be read at all,
// is answered from that key if it is known, whatever its body means and whatever
// the load. An answer that is repeated has the bytes of the first one. What a client sees comes from
// its tenant's data only; errors show nothing of the inside. Every limit is a
// constant of this package.
//
// # What is not promised
//
// There is no TLS here: put a proxy in front, or a listener that has it. That
// answers are durable is the executor's and the store's work.
package web

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
)

// Store is what the API reads. Its methods are safe for concurrent use, and see
// everything that was answered.
type Store interface {
	AccountReader
	TransferReader
	PaymentReader
	KeyReader
	EventReader
	Credentials

	// Ping says whether the store can be read.
	Ping(ctx context.Context) error
}

// Config is what an API is made of. Executor, Store and Secret are required.
type Config struct {
	Executor *engine.Executor
	Store    Store

	// Secret is what the keys of fingerprints are derived from: at least 32 bytes
	// that nobody knows. With another secret, repeats of requests that were
	// answered before are taken for different ones.
	Secret []byte

	// Rules are the rules of a tenant's keys, those of the executor. They say
	// until when a key would be kept whose request was refused before the
	// executor saw it.
	//
	// Defaults to a window of 24 hours for everyone.
	Rules func(tenant string) once.Rules

	// DevKey is an API key of tenant dev that may do everything. "" is none.
	DevKey string

	// Rate is how many requests a second each tenant may send in the long run; an
	// item of a batch counts as one. 0 is no limit.
	Rate float64

	// Burst is how many it may send at once.
	//
	// Defaults to a second's worth.
	Burst int

	// Payments carries payments out. Without it there are no gateways, and every new
	// payment is refused.
	Payments Payments

	// Webhooks is where tenants want events sent.
	//
	// Defaults to none: then there is nothing at /v1/webhook_endpoints.
	Webhooks *Webhooks

	// DefaultGateway is the gateway of payments that name none.
	//
	// Defaults to the only one that there is; if there are more, each payment must
	// name its own.
	DefaultGateway string

	// Stats returns what others have counted, for /metrics. It is called for every
	// request there.
	//
	// Defaults to nothing.
	Stats func() []Stat

	// Forgot says until when the store may have lost commits, for who looks at
	// /readyz?verbose.
	//
	// Defaults to a store that loses nothing.
	Forgot func() time.Time

	// Log gets what a client cannot be told.
	//
	// Defaults to slog.Default().
	Log *slog.Logger

	// Version of the program, as /metrics and the pages show it.
	//
	// Defaults to "dev".
	Version string
}

func (c Config) withDefaults() Config {
	if c.Rules == nil {
		c.Rules = func(string) once.Rules { return once.Rules{Window: 24 * time.Hour} }
	}
	if c.Payments == nil {
		c.Payments = noPayments{}
	}
	if c.Stats == nil {
		c.Stats = func() []Stat { return nil }
	}
	if c.Forgot == nil {
		c.Forgot = func() time.Time { return time.Time{} }
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Burst = cmp.Or(c.Burst, max(1, int(math.Ceil(c.Rate))))
	c.Version = cmp.Or(c.Version, "dev")
	return c
}

const minSecret = 32 // bytes: what HMAC-SHA-256 can make use of

func (c Config) check() error {
	switch {
	case c.Executor == nil || c.Store == nil:
		return errors.New("web: an API needs an executor and a store")
	case len(c.Secret) < minSecret:
		return errors.New("web: the secret of fingerprints must have at least 32 bytes")
	case c.Rate < 0 || c.Burst < 0:
		return errors.New("web: a rate cannot be negative")
	}
	return nil
}

// API is the HTTP face. It is safe for concurrent use.
type API struct {
	executor *engine.Executor
	store    Store
	rules    func(tenant string) once.Rules
	log      *slog.Logger
	forgot   func() time.Time

	doorman  *doorman
	mux      *http.ServeMux
	routes   []*route
	metrics  *metrics
	pages    *pages
	draining atomic.Bool
	tails    atomic.Int64  // requests that wait for events
	enough   chan struct{} // closed when a server that goes away has waited long enough
	outage   outage
	bodies   room // for those that are being read or worked on
	notices  room // for webhooks
	payments Payments
	webhooks *Webhooks
	gateway  string // the one that is used if none is named; "" is the only one

	ids       requestIDs
	scratches sync.Pool // of *scratch
	patients  sync.Pool // of *patience
}

// New makes the API. It fails if cfg lacks what is required.
func New(cfg Config) (*API, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	pages, err := renderPages(cfg.Version)
	if err != nil {
		return nil, err
	}
	tenants := &tenants{secret: cfg.Secret, rate: rate.Limit(cfg.Rate), burst: cfg.Burst, by: map[string]*tenant{}}
	a := &API{
		executor: cfg.Executor, store: cfg.Store, rules: cfg.Rules, log: cfg.Log, forgot: cfg.Forgot,
		doorman: newDoorman(cfg.Store, tenants, cfg.DevKey),
		metrics: newMetrics(cfg),
		pages:   pages,
		enough:  make(chan struct{}),
		outage:  outage{log: cfg.Log},
		bodies:  room{size: MaxBodies},
		notices: room{size: MaxNotices},

		payments: cfg.Payments, webhooks: cfg.Webhooks, gateway: cfg.DefaultGateway,
	}
	a.routes = a.table()
	a.mux = a.register(a.routes)
	return a, nil
}

// Drain has /readyz say that the server is going away. Requests are answered as
// before; but those that wait for a gateway do so for five more seconds at most,
// in which most gateways answer, and are then told 202 rather than cut off.
func (a *API) Drain() {
	if !a.draining.Swap(true) {
		time.AfterFunc(drainWait, func() { close(a.enough) })
	}
}

// now is the store's time.
func (a *API) now() time.Time { return a.executor.Now() }
