package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/pay"
)

// ConnectorConfig says which sandbox is called. URL is needed; the rest works as
// it is.
type ConnectorConfig struct {
	// URL is where the sandbox is.
	URL string

	// Name is what payments call it.
	//
	// Defaults to "sandbox".
	Name string

	// Limits are those of the calls. Their Name and URL are not used.
	Limits gateway.Config

	// NotifyURL says where a tenant's webhooks are sent, and Secret what they are
	// signed with ("whsec_…"). Where one is nil or says "", none are asked for.
	NotifyURL, Secret func(tenant string) string

	// Refresh is how often the sandbox is asked what it promises, once it has said
	// so.
	//
	// Defaults to 15 seconds.
	Refresh time.Duration

	// Log is told what an operator should know.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c ConnectorConfig) withDefaults() ConnectorConfig {
	c.Name = cmp.Or(c.Name, "sandbox")
	c.Refresh = cmp.Or(c.Refresh, 15*time.Second)
	c.Log = cmp.Or(c.Log, slog.Default())
	c.Limits.Name, c.Limits.URL, c.Limits.Log = c.Name, c.URL, cmp.Or(c.Limits.Log, c.Log)
	for _, f := range []*func(string) string{&c.NotifyURL, &c.Secret} {
		if *f == nil {
			*f = func(string) string { return "" }
		}
	}
	return c
}

// Connector is a pay.Gateway that calls a sandbox. Make one with [Connect]. It is
// safe for concurrent use.
type Connector struct {
	cfg    ConnectorConfig
	caller *gateway.Caller

	contract atomic.Pointer[pay.Contract] // nil until the sandbox has told it
	known    chan struct{}                // closed when it has
	stop     context.CancelFunc
	stopped  sync.WaitGroup
}

var _ pay.Gateway = (*Connector)(nil)

// Connect makes a connector, and begins to ask the sandbox what it promises. The
// caller closes it.
func Connect(cfg ConnectorConfig) (*Connector, error) {
	cfg = cfg.withDefaults()
	caller, err := gateway.New(cfg.Limits)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Connector{cfg: cfg, caller: caller, known: make(chan struct{}), stop: stop}
	c.stopped.Go(func() { c.keepContract(ctx) })
	return c, nil
}

// Close stops asking for the contract, and lets go of idle connections.
func (c *Connector) Close() {
	c.stop()
	c.stopped.Wait()
	c.caller.Close()
}

// Stats returns what was counted of the calls.
func (c *Connector) Stats() gateway.Stats { return c.caller.Stats() }

// instructionBody is what is asked. It is the same bytes each time that the same
// is asked, so that a repeat is one.
type instructionBody struct {
	Kind                string            `json:"kind"`
	Payment             string            `json:"payment"`
	Target              string            `json:"target,omitempty"`
	TargetOperation     string            `json:"target_operation,omitempty"`
	Amount              int64             `json:"amount"`
	Currency            string            `json:"currency"`
	Final               *bool             `json:"final,omitempty"`
	PaymentMethod       string            `json:"payment_method,omitempty"`
	ReturnURL           string            `json:"return_url,omitempty"`
	Reference           string            `json:"reference,omitempty"`
	Customer            string            `json:"customer,omitempty"`
	Description         string            `json:"description,omitempty"`
	StatementDescriptor string            `json:"statement_descriptor,omitempty"`
	Options             map[string]string `json:"options,omitempty"`
	Notify              *notifyBody       `json:"notify,omitempty"`
}

type notifyBody struct {
	URL    string `json:"url"`
	Secret string `json:"secret"`
}

func (c *Connector) instruction(call *pay.Call) instructionBody {
	b := instructionBody{
		Kind: call.Kind.String(), Payment: call.Payment, Target: call.Target, Amount: call.Amount, Currency: string(call.Currency),
		Reference: call.Reference, Customer: call.Customer, Description: call.Description,
		StatementDescriptor: call.StatementDescriptor, Options: call.Options, Notify: c.notify(call.Tenant),
	}
	switch {
	case call.Kind == pay.Charge || call.Kind == pay.Authorize:
		b.PaymentMethod, b.ReturnURL = call.Method, call.ReturnURL
	case call.Kind == pay.Capture:
		b.Final = &call.Last
	}
	if call.Target == "" { // nobody knows what the gateway calls the charge
		b.TargetOperation = call.TargetOp
	}
	return b
}

func (c *Connector) notify(tenant string) *notifyBody {
	n := notifyBody{c.cfg.NotifyURL(tenant), c.cfg.Secret(tenant)}
	if n.URL == "" || n.Secret == "" {
		return nil
	}
	return &n
}

// Send is that of pay.Gateway. It says until when the sandbox may execute it. How
// long its answer is waited for does not count: its sender may be gone at once.
func (c *Connector) Send(ctx context.Context, call pay.Call) pay.Finding {
	terms, began := c.terms(), time.Now()
	body, err := json.Marshal(c.instruction(&call))
	if err != nil { // strings and numbers can be marshaled
		return pay.Finding{Reach: pay.NeverLeft, Detail: "the request cannot be written as JSON"}
	}
	h := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {call.Operation}}
	if terms.InFlight > 0 { // or it has not said what it promises, and nothing is decided by that
		h.Set(notAfter, began.Add(terms.InFlight).UTC().Format(jcs.TimeFormat))
	}
	return c.caller.Send(ctx, gateway.Request{Path: "/v1/operations", Header: h, Body: body, Timeout: terms.Timeout}, reader{&call, terms}.sent)
}

// Check is that of pay.Gateway.
func (c *Connector) Check(ctx context.Context, call pay.Call) pay.Finding {
	return c.caller.Check(ctx, gateway.Request{
		Path: "/v1/operations/" + url.PathEscape(call.Operation), Timeout: c.terms().Timeout,
	}, reader{&call, c.terms()}.checked)
}

// Terms are the sandbox's contract and whether it takes anything new. Until it
// has told its contract the careful default holds, and it takes nothing.
func (c *Connector) Terms() pay.Terms {
	contract := c.contract.Load()
	if contract == nil {
		return pay.Terms{Untold: true, Closed: "the gateway " + c.cfg.Name + " has not said yet what it promises; nothing was begun, try again in some seconds"}
	}
	return pay.Terms{Contract: *contract, Closed: c.caller.Closed()}
}

// terms are the contract, as far as it is known.
func (c *Connector) terms() pay.Contract {
	if contract := c.contract.Load(); contract != nil {
		return *contract
	}
	return pay.Contract{}
}

// Known waits until the sandbox has told its contract.
func (c *Connector) Known(ctx context.Context) error {
	select {
	case <-c.known:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keepContract asks for the contract until ctx ends: often while it is not
// known, and now and then after that. What was told holds until something else
// is.
func (c *Connector) keepContract(ctx context.Context) {
	warned := false
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		contract, err := c.fetchContract(ctx)
		switch {
		case err == nil:
			c.learn(contract)
		case !warned && ctx.Err() == nil && c.contract.Load() == nil:
			warned = true
			c.cfg.Log.Warn("the gateway does not say what it promises; nothing is sent to it", "gateway", c.cfg.Name, "err", err)
		}
		if c.contract.Load() != nil {
			pause = c.cfg.Refresh
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

func (c *Connector) learn(contract pay.Contract) {
	before := c.contract.Swap(&contract)
	switch {
	case before == nil:
		close(c.known)
	case *before != contract:
		c.cfg.Log.Warn("the gateway promises something else than before", "gateway", c.cfg.Name)
	}
}

var errNoContract = errors.New("what it answered is no contract")

func (c *Connector) fetchContract(ctx context.Context) (pay.Contract, error) {
	a := c.caller.Get(ctx, gateway.Request{Path: "/v1/contract", Timeout: fetchTimeout})
	if a.Err != nil {
		return pay.Contract{}, errors.New(a.Detail())
	}
	contract, ok := readContract(a)
	if !ok {
		return pay.Contract{}, errNoContract
	}
	return contract, nil
}

const fetchTimeout = 5 * time.Second
