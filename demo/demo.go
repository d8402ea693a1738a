// Package demo shows the whole claim in half a minute: a shop takes payments and
// moves money through a network that loses requests and answers, and through a
// gateway that takes the money and does not answer.
//
// There are few types. A [Config] says how much of what. An order is what the
// shop wants once: a payment, or a transfer. A network loses and doubles what
// goes through it, by luck that a seed repeats. A [Report] is the audit
// afterwards: it trusts nobody but the gateway's books and the ledger.
//
// # What is promised
//
// The same seed gives the same orders, and the same fate to the same try of the
// same order. A shop that gives up is counted as wrong, not left out.
//
// # What is not promised
//
// How long things take, and so which of two tries comes first, differs from run
// to run.
package demo

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// Mode is how the shop keeps from doing things twice.
type Mode string

// The modes.
const (
	Oncepay Mode = "oncepay" // through oncepay: one key for each order
	Naive   Mode = "naive"   // straight to the gateway, and again if there is no answer
	Redis   Mode = "redis"   // the textbook's recipe: EXISTS, SET with a TTL, DEL on an exception
)

// Config says what to run.
type Config struct {
	Mode Mode
	Seed uint64

	API     string // oncepay's address; for Mode Oncepay
	Key     string // its API key
	Gateway string // the sandbox's address; for the other modes

	// Charges calls visit for every charge in the gateway's books.
	Charges func(ctx context.Context, visit func(Charge)) error

	// Payments and Transfers are how many of each the shop wants.
	//
	// Default to 2,000 each.
	Payments, Transfers int

	// Shoppers is how many of them are at it at once.
	//
	// Defaults to 96.
	Shoppers int

	// Progress, if set, is told after every order how far it is, one call at a time.
	Progress func(done, orders int)
}

// Charge is a charge in the gateway's books.
type Charge struct {
	Payment  string // what the shop, or oncepay, told the gateway that it is for
	Captured int64  // minor units
}

func (c Config) withDefaults() Config {
	c.Payments = cmp.Or(c.Payments, 2000)
	c.Transfers = cmp.Or(c.Transfers, 2000)
	c.Shoppers = cmp.Or(c.Shoppers, 96)
	if c.Progress == nil {
		c.Progress = func(int, int) {}
	}
	return c
}

// Report is what was asked for, and what came of it.
type Report struct {
	Mode      Mode   `json:"mode"`
	Seed      uint64 `json:"seed"`
	Payments  int    `json:"payments"`  // that were asked for
	Transfers int    `json:"transfers"` // that were asked for

	Requests      int64 `json:"requests"`       // that shoppers sent
	RequestsLost  int64 `json:"requests_lost"`  // on their way
	AnswersLost   int64 `json:"answers_lost"`   // on their way back
	Doubled       int64 `json:"doubled"`        // sent twice by the network
	Suppressed    int64 `json:"suppressed"`     // duplicates that were answered and not executed
	GatewaySilent int   `json:"gateway_silent"` // payments that the gateway took the money for and did not answer

	Charges        int   `json:"charges"`         // in the gateway's books
	ChargedTwice   int   `json:"charged_twice"`   // payments with more than one
	MostCharges    int   `json:"most_charges"`    // of one payment
	NotCharged     int   `json:"not_charged"`     // payments that should have been and were not
	WronglyCharged int   `json:"wrongly_charged"` // payments that should not have been and were
	Overcharged    int64 `json:"overcharged"`     // cents that customers paid too much
	Uncertain      int   `json:"uncertain"`       // orders whose shopper never got an answer

	MovedTwice   int   `json:"moved_twice"`   // transfers that were made more than once
	NotMoved     int   `json:"not_moved"`     // transfers that were never made
	CentsMissing int64 `json:"cents_missing"` // between the gateway's books, the ledger and what was asked for

	Took time.Duration `json:"took_ns"`
}

// OK says whether everything happened exactly once.
func (r *Report) OK() bool {
	return r.ChargedTwice == 0 && r.NotCharged == 0 && r.WronglyCharged == 0 && r.Overcharged == 0 && r.Uncertain == 0 &&
		r.MovedTwice == 0 && r.NotMoved == 0 && r.CentsMissing == 0
}

// run is one demonstration at work.
type run struct {
	cfg    Config
	net    *network
	ledger ledger

	mu   sync.Mutex // for done, and so that Progress is called by one at a time
	done int
}

// ledger is who moves the shop's money, and is asked afterwards.
type ledger interface {
	// setUp makes what transfers need.
	setUp(ctx context.Context, r *run) error

	// pay and move try an order once. They say whether it is settled: that there
	// is nothing more to try.
	pay(ctx context.Context, r *run, o *order, try int) (settled bool)
	move(ctx context.Context, r *run, o *order, try int) (settled bool)

	// patience is how often an order is tried at most.
	patience() int

	// moved tells how often each transfer was made, and what the shop's books say
	// it has got by payments.
	moved(ctx context.Context, r *run) (times map[string]int, received int64, err error)
}

// Run has the shop do its business, and audits it.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg = cfg.withDefaults()
	r := &run{cfg: cfg, net: newNetwork(cfg.Seed)}
	switch cfg.Mode {
	case Oncepay:
		r.ledger = newShop(cfg)
	case Naive, Redis:
		r.ledger = newNaiveShop(cfg)
	default:
		return nil, fmt.Errorf("demo: there is no mode %q", cfg.Mode)
	}
	began := time.Now()
	if err := r.ledger.setUp(ctx, r); err != nil {
		return nil, err
	}
	orders := draw(cfg)
	if err := r.serve(ctx, orders); err != nil {
		return nil, err
	}
	report, err := r.audit(ctx, orders)
	if err != nil {
		return nil, err
	}
	report.Took = time.Since(began)
	return report, nil
}

// serve has the shoppers work through the orders.
func (r *run) serve(ctx context.Context, orders []*order) error {
	queue := make(chan *order)
	var shoppers sync.WaitGroup
	for range r.cfg.Shoppers {
		shoppers.Go(func() {
			for o := range queue {
				r.insist(ctx, o)
				r.served(len(orders))
			}
		})
	}
	defer shoppers.Wait()
	defer close(queue)
	for _, o := range orders {
		select {
		case queue <- o:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *run) served(of int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	r.cfg.Progress(r.done, of)
}

// insist tries an order until it is settled, or the shopper's patience is over.
func (r *run) insist(ctx context.Context, o *order) {
	once := r.ledger.move
	if o.payment {
		once = r.ledger.pay
	}
	for try := range r.ledger.patience() {
		if o.settled = once(ctx, r, o, try); o.settled || ctx.Err() != nil {
			return
		}
		pause(ctx, min(time.Duration(20<<min(try, 6))*time.Millisecond, time.Second))
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
