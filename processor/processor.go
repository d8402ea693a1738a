// Package processor carries payments out: it sends what was written down, asks
// about what has no answer, and has written down what came of it.
//
// A [Processor] is the driver around package pay, which decides, and package
// engine, which commits. [Processor.Act] is given the orders of payments that are
// durable. [Processor.Run] finds what is due in the store: what a process that is
// gone left behind, what has no answer yet, what may be sent again. A [Connector]
// is a gateway.
//
// # What is promised
//
// Nothing is sent that was not written down before, and what was written down is
// sent at most once for each order. What a gateway answered is recorded, however
// long the store is busy, as long as the process lives. An operation is never
// left alone: what is due is looked at, those of all tenants in turn. A gateway is
// asked about a bounded number at once; however long it takes to answer, and
// however much is due at others, what has only to be written down does not wait for
// that. A connector that panics said nothing: that is what is recorded.
//
// # What is not promised
//
// An answer that came and was not recorded is lost with the process; then the
// gateway is asked what became of the operation. While more than 65,536 operations
// wait until one gateway can be asked about them, what is due there after those
// waits as well. Whether something may be sent (again) is decided by package pay,
// and by nobody else.
package processor

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// Connector is a gateway and how it is doing.
type Connector interface {
	pay.Gateway

	// Terms says what the gateway promises, and whether it takes anything new just
	// now: how much may be on its way at once is known there, and only there. It is
	// asked for every request, so it must not wait.
	Terms() pay.Terms

	// Notice reads a webhook of the gateway, after it verified its signature over
	// the raw bytes of the body. What it returns is about the tenant's payments.
	Notice(tenant string, h http.Header, body []byte, now time.Time) (pay.Notice, pay.Finding, error)
}

// Store is what is read beside the executor. Its methods are safe for concurrent
// use.
type Store interface {
	// Load returns the named payments that exist.
	Load(ctx context.Context, need engine.Need) (engine.Rows, error)

	// DueOperations returns up to limit operations of a gateway whose DueAt is not
	// after now, the longest due first.
	DueOperations(ctx context.Context, gateway string, now time.Time, limit int) ([]pay.Due, error)

	// LongestDue returns of each gateway the operation that has been due longest, if
	// there is one whose DueAt is not after now: also of gateways that nobody here
	// knows. It is cheap, however much is due.
	LongestDue(ctx context.Context, now time.Time) ([]pay.Due, error)

	// Matchable returns up to limit notices of a gateway that were not matched with
	// an operation, and now can be: they name it.
	Matchable(ctx context.Context, gateway string, limit int) ([]pay.Notice, error)
}

// Config is what a processor is made of.
type Config struct {
	Store      Store
	Connectors map[string]Connector // by the name of the gateway

	// Process names this run of this process: what it sends is its own. No two runs
	// may have the same.
	//
	// Defaults to a random one.
	Process string

	// Exclusive says that this process is the only one that has the store: whoever
	// wrote a send down before it is gone. Without it a send of another process is
	// only lost, and not before its lease is over.
	Exclusive bool

	// MaxChecks is how many operations a gateway is asked about at once at most. What
	// else it is to be asked about waits.
	//
	// Defaults to 64.
	MaxChecks int

	// Jumped says whether the clock cannot be relied on.
	//
	// Defaults to the executor's ClockLost.
	Jumped func() bool

	// Steady says since when, by the store's time, nobody has set the clock.
	//
	// Defaults to the executor's ClockSteady.
	Steady func() time.Time

	// Forgot says until when the store may have lost what was written, see
	// engine.Lineage. It is asked for every request, so it must not wait.
	//
	// Defaults to a store that loses nothing.
	Forgot func() time.Time

	// Log is told what somebody should look into.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Process = cmp.Or(c.Process, rand.Text())
	c.MaxChecks = cmp.Or(c.MaxChecks, 64)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Forgot == nil {
		c.Forgot = func() time.Time { return time.Time{} }
	}
	return c
}

// What is asked of a processor and cannot be done.
var (
	// ErrNoPayment means that there is no such payment.
	ErrNoPayment = errors.New("processor: there is no such payment")

	// ErrNoGateway means that the gateway is not configured.
	ErrNoGateway = errors.New("processor: the gateway is not configured")

	// ErrUntold means that the gateway has not said yet what it promises. The same
	// may be asked again in some seconds.
	ErrUntold = errors.New("processor: the gateway has not said yet what it promises")

	// ErrCannotAsk means that the gateway cannot be asked what became of an
	// operation: it has no lookup.
	ErrCannotAsk = errors.New("processor: the gateway cannot be asked")

	// ErrClosed means that the processor is shutting down.
	ErrClosed = errors.New("processor: shutting down")
)

// Processor carries payments out. New makes one; its methods are safe for
// concurrent use.
type Processor struct {
	cfg   Config
	exec  *engine.Executor
	desks map[string]*desk
	house atomic.Pointer[pay.House] // as it was told last

	strange map[string]*strange // gateways that something is due at and nobody may touch; survey's

	mu      sync.Mutex
	sending map[attempt]struct{} // ours, until they are recorded
	busy    int                  // sends and checks at work
	closing bool
	drained chan struct{} // closed when nothing is at work any more, once it is closing

	meter meter
}

// attempt is a send of an operation.
type attempt struct {
	operation string
	number    int64
}

// New makes a processor that does nothing yet: Start gives it its executor.
func New(cfg Config) *Processor {
	cfg = cfg.withDefaults()
	p := &Processor{
		cfg: cfg, desks: map[string]*desk{}, strange: map[string]*strange{},
		sending: map[attempt]struct{}{}, drained: make(chan struct{}),
	}
	for name, c := range cfg.Connectors {
		p.desks[name] = newDesk(name, c, cfg.MaxChecks)
	}
	return p
}

// Start gives the processor the executor whose Act it is. It must be called
// before the executor is given its first job.
func (p *Processor) Start(e *engine.Executor) {
	p.exec = e
	if p.cfg.Jumped == nil {
		p.cfg.Jumped = e.ClockLost
	}
	if p.cfg.Steady == nil {
		p.cfg.Steady = e.ClockSteady
	}
}

// House is what commands must know of this process and of its gateways. Nobody
// may change it.
func (p *Processor) House() pay.House {
	jumped, steady, forgot, closing := p.cfg.Jumped(), p.cfg.Steady(), p.cfg.Forgot(), p.isClosing()
	last := p.house.Load()
	same := last != nil && last.Jumped == jumped && last.Steady.Equal(steady) && last.Forgot.Equal(forgot)
	for name, d := range p.desks {
		same = same && last.Gateways[name] == p.terms(d, closing)
	}
	if same {
		return *last
	}
	h := &pay.House{Process: p.cfg.Process, Jumped: jumped, Steady: steady, Forgot: forgot, Gateways: make(map[string]pay.Terms, len(p.desks))}
	if !p.cfg.Exclusive {
		h.Apart = 2 * engine.MaxApart // each of two may be so far from the store's
	}
	for name, d := range p.desks {
		h.Gateways[name] = p.terms(d, closing)
	}
	p.house.Store(h)
	return *h
}

// terms are a gateway's, and what this process adds to them.
func (p *Processor) terms(d *desk, closing bool) pay.Terms {
	t := d.conn.Terms()
	if t.Closed == "" && closing {
		t.Closed = "the server is shutting down"
	}
	return t
}

// Close begins nothing new: an order that comes from now on stays written down,
// and the next process finds it like one whose sender is gone. It waits until
// what is at work is recorded, or ctx ends. Run may go on meanwhile: it begins no
// send and no check any more. The executor must be closed after both.
func (p *Processor) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closing {
		p.closing = true
		p.settleDown()
	}
	p.mu.Unlock()
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settleDown tells who waits in Close that nothing is at work any more. The
// caller holds mu.
func (p *Processor) settleDown() {
	if p.closing && p.busy == 0 {
		close(p.drained)
	}
}

func (p *Processor) isClosing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closing
}

// enter begins something at work, unless nothing new is begun.
func (p *Processor) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closing {
		p.busy++
	}
	return !p.closing
}

func (p *Processor) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	p.settleDown()
}
