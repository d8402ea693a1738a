package delivery

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/oncepay/oncepay/internal/card"
	"github.com/oncepay/oncepay/internal/outbound"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/webhook"
)

// Config is what a Courier is made of. Store, Client and Secrets are needed.
type Config struct {
	Store   Store
	Client  *outbound.Client
	Secrets Secrets

	// Source is the first part of the source of envelopes.
	//
	// Defaults to outbox.DefaultSource.
	Source string

	// Poll is how often it looks for what is due, unless it is woken: for what becomes due, and what other
	// processes made.
	//
	// Defaults to one second.
	Poll time.Duration

	// Log is told what somebody should look into.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

const (
	// maxFlying is how many attempts are on their way at once, and maxEach to one endpoint, so that
	// one which hangs leaves room for others.
	maxFlying, maxEach = 256, 8

	// lease is how long an attempt may take, with what is written of it: well over the time of
	// a client. Who died has it due again so much later.
	lease = time.Minute

	// gather is how often it looks for what is due at most, and hearMore how long answers come
	// together: to write each down would cost a commit.
	gather, hearMore = 2 * time.Millisecond, time.Millisecond

	// writeTime is how long the store may take for what came of attempts.
	writeTime = 10 * time.Second

	// scan is how many endpoints are asked for at once, and prune how many deliveries are
	// forgotten in one commit, every pruneEvery.
	scan, prune = 256, 500
	pruneEvery  = time.Minute

	// UserAgent says who comes.
	UserAgent = "oncepay"
)

// Courier makes attempts. Make one with [New]; Run does the work. Its methods are safe for
// concurrent use.
type Courier struct {
	cfg  Config
	wake chan struct{}

	mu     sync.Mutex
	flying map[string]int // attempts by endpoint
	all    int
	ill    map[string]*breaker // endpoints that fail

	attempts sync.WaitGroup
	landed   chan Done // attempts that are not written down yet
	meter    struct{ delivered, failed, dead atomic.Int64 }
}

// New makes a Courier.
func New(cfg Config) *Courier {
	cfg.Source = cmp.Or(cfg.Source, outbox.DefaultSource)
	cfg.Poll = cmp.Or(cfg.Poll, time.Second)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	return &Courier{cfg: cfg, wake: make(chan struct{}, 1), flying: map[string]int{}, ill: map[string]*breaker{}, landed: make(chan Done, maxFlying)}
}

// Wake says that something may be due. It does not wait.
func (c *Courier) Wake() {
	select {
	case c.wake <- struct{}{}:
	default: // somebody has
	}
}

// Stats are what the couriers of this process have done: attempts that were taken, that were
// not, and deliveries given up.
type Stats struct{ Delivered, Failed, Dead int64 }

// Stats returns what was done.
func (c *Courier) Stats() Stats {
	return Stats{c.meter.delivered.Load(), c.meter.failed.Load(), c.meter.dead.Load()}
}

// Run makes attempts until ctx ends, and then waits for those that are on their way. It is called
// once.
func (c *Courier) Run(ctx context.Context) {
	var writing sync.WaitGroup
	writing.Go(c.write)
	defer writing.Wait()
	defer close(c.landed)
	defer c.attempts.Wait()
	pruned := time.Now()
	for ctx.Err() == nil {
		if err := c.sendDue(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("webhooks that are due could not be read; they are tried again", "err", err)
		}
		if time.Since(pruned) > pruneEvery {
			pruned = time.Now()
			c.prune(ctx)
		}
		c.rest(ctx)
	}
}

// rest waits until something may be due.
func (c *Courier) rest(ctx context.Context) {
	timer := time.NewTimer(c.cfg.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-c.wake:
		time.Sleep(gather)
	}
}

// sendDue sends what is due, where there is room.
func (c *Courier) sendDue(ctx context.Context) error {
	for after := ""; ; {
		ids, err := c.cfg.Store.DueEndpoints(ctx, after, scan)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := c.sendTo(ctx, id); err != nil {
				return err
			}
		}
		if after = ids[len(ids)-1]; len(ids) < scan {
			return nil
		}
	}
}

func (c *Courier) sendTo(ctx context.Context, endpoint string) error {
	n := c.room(endpoint)
	if n == 0 {
		return nil
	}
	works, err := c.cfg.Store.TakeDue(ctx, endpoint, lease, n)
	if err != nil {
		return err
	}
	c.board(endpoint, len(works))
	for _, w := range works {
		c.attempts.Go(func() { c.carry(ctx, &w) })
	}
	return nil
}

// room is how many attempts may be begun to an endpoint.
func (c *Courier) room(endpoint string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(0, min(c.ill[endpoint].room(time.Now(), maxEach)-c.flying[endpoint], maxFlying-c.all))
}

// board counts attempts that begin, or end.
func (c *Courier) board(endpoint string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all += n
	if c.flying[endpoint] += n; c.flying[endpoint] == 0 {
		delete(c.flying, endpoint)
	}
}

// carry makes one attempt. If the process is about to end and nothing was heard, nothing is
// written: the delivery is due again when the lease is over.
func (c *Courier) carry(ctx context.Context, w *Work) {
	began := time.Now()
	a, h := c.attempt(ctx, w, began)
	if ctx.Err() != nil && h.Status == 0 {
		c.board(w.Endpoint, -1)
		return
	}
	a.Number, a.At, a.Took = w.Attempts+1, began, time.Since(began)
	d := Done{w.Endpoint, w.Event, w.Fence, a, Decide(w, h, rand.Float64())}
	c.note(w, d.Next)
	c.landed <- d
}

// write writes down what came of attempts, as many at once as have come together: one commit
// costs as much as many.
func (c *Courier) write() {
	for d := range c.landed {
		time.Sleep(hearMore)
		all := []Done{d}
		for more := true; more; {
			select {
			case d, more = <-c.landed:
				if more {
					all = append(all, d)
				}
			default:
				more = false
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		if err := c.cfg.Store.Finish(ctx, all); err != nil {
			c.cfg.Log.Warn("what came of webhooks could not be written down; they are sent again", "webhooks", len(all), "err", err)
		}
		cancel()
		for _, d := range all {
			c.board(d.Endpoint, -1)
		}
		c.Wake()
	}
}

// note counts, and remembers whether the endpoint is well.
func (c *Courier) note(w *Work, n Next) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.Status == Delivered {
		c.meter.delivered.Add(1)
		delete(c.ill, w.Endpoint)
		return
	}
	c.meter.failed.Add(1)
	if c.ill[w.Endpoint] == nil {
		c.ill[w.Endpoint] = &breaker{}
	}
	c.ill[w.Endpoint].failure(time.Now())
	if n.Status == Dead {
		c.meter.dead.Add(1)
		c.cfg.Log.Warn("a webhook was given up", "tenant", w.Tenant, "endpoint", w.Endpoint, "event", w.Event)
	}
	if n.Disable != "" {
		delete(c.ill, w.Endpoint)
		c.cfg.Log.Warn("a webhook endpoint was disabled", "tenant", w.Tenant, "endpoint", w.Endpoint, "because", string(n.Disable))
	}
}

// attempt posts the event once.
func (c *Courier) attempt(ctx context.Context, w *Work, at time.Time) (a Attempt, h Heard) {
	body := outbox.AppendEnvelope(nil, c.cfg.Source, w.OutboxEvent)
	header := http.Header{"Content-Type": {outbox.ContentType}, "User-Agent": {UserAgent}}
	if err := webhook.Sign(header, webhook.Message{ID: w.Event, At: at, Body: body}, c.cfg.Secrets.valid(w)...); err != nil {
		a.Error = err.Error()
		return a, h
	}
	answer, err := c.cfg.Client.Post(ctx, w.URL, header, body)
	if err != nil {
		a.Error = strings.TrimPrefix(err.Error(), "outbound: ")
		return a, h
	}
	a.Status, a.Answer = answer.Status, excerpt(answer.Body)
	return a, Heard{Status: answer.Status, RetryAfter: retryAfter(answer)}
}

// retryAfter is what an endpoint says that has too much to do (RFC 9110, section 10.2.3), in
// seconds: a date would be by a clock that we do not know.
func retryAfter(a *outbound.Answer) time.Duration {
	if a.Status != http.StatusTooManyRequests && a.Status != http.StatusServiceUnavailable {
		return 0
	}
	seconds, err := strconv.ParseUint(a.Header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// excerpt is what is kept of an answer: text, without numbers of cards that a receiver may
// have echoed.
func excerpt(body []byte) string {
	text := strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) && r != '\n' {
			return ' '
		}
		return r
	}, string(body))
	text = card.Mask(text)
	if len(text) > MaxExcerpt {
		text = strings.ToValidUTF8(text[:MaxExcerpt], "")
	}
	return text
}

// prune forgets what is old.
func (c *Courier) prune(ctx context.Context) {
	c.forgetIll()
	for ctx.Err() == nil {
		n, err := c.cfg.Store.Prune(ctx, Retention, prune)
		if err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("old deliveries of webhooks could not be forgotten", "err", err)
		}
		if err != nil || n < prune {
			return
		}
	}
}

// forgetIll forgets endpoints that nothing was sent to for a while: they may be gone.
func (c *Courier) forgetIll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, b := range c.ill {
		if time.Since(b.next) > time.Hour {
			delete(c.ill, id)
		}
	}
}
