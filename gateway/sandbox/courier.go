package sandbox

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/oncepay/oncepay/webhook"
)

// A courier delivers webhooks: those of the books that are due, of many
// operations at once but of each one after the other, and a few times until they
// are taken. What was not delivered when the process
// ended is delivered by the next one; a webhook can come twice.
type courier struct {
	books  *books
	log    *slog.Logger
	now    func() time.Time
	client *http.Client
	done   chan struct{}

	busy     map[string]bool // operations of which a webhook is on its way
	returned chan string
}

const (
	maxCouriers     = 64              // deliveries at once
	maxDue          = 4 * maxCouriers // that are looked at: some are of an operation that is busy
	deliveryTimeout = 5 * time.Second
	idlePoll        = time.Minute // what is due is known; this is for a clock that was set
)

// pauses before the next attempt: a receiver that is being restarted should be
// back within them.
var pauses = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second}

func newCourier(b *books, cfg Config) *courier {
	dialer := &net.Dialer{Timeout: deliveryTimeout, Control: loopbackOnly}
	return &courier{
		books: b, log: cfg.Log, now: cfg.Now, done: make(chan struct{}),
		client: &http.Client{
			Timeout:       deliveryTimeout,
			Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: maxCouriers, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		busy: map[string]bool{}, returned: make(chan string, maxCouriers),
	}
}

var errNotLoopback = errors.New("webhooks go to loopback addresses only")

// loopbackOnly refuses to connect to anything else. It sees the address that a
// name was resolved to, so that no name leads elsewhere.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Unmap().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

// A delivery is one webhook to one address.
type delivery struct {
	num, due                      int64
	event, operation, url, secret string
	body                          []byte
	attempts                      int
}

// run delivers until ctx is over, and then waits for what is on its way.
func (c *courier) run(ctx context.Context) {
	defer close(c.done)
	for ctx.Err() == nil {
		next := c.sendDue(ctx)
		timer := time.NewTimer(next)
		select {
		case operation := <-c.returned:
			delete(c.busy, operation)
			c.collect()
		case <-c.books.writer.news:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	for len(c.busy) > 0 {
		delete(c.busy, <-c.returned)
	}
	c.client.CloseIdleConnections()
}

// collect takes note of all that have returned.
func (c *courier) collect() {
	for {
		select {
		case operation := <-c.returned:
			delete(c.busy, operation)
		default:
			return
		}
	}
}

// sendDue sends out what is due, as many as may be on their way, and returns how
// long nothing else will be due.
func (c *courier) sendDue(ctx context.Context) time.Duration {
	free := maxCouriers - len(c.busy)
	if free == 0 {
		return idlePoll
	}
	all, err := c.books.dueDeliveries(ctx, maxDue)
	if err != nil && ctx.Err() == nil {
		c.log.Error("webhooks that are due cannot be read", "err", err)
		return time.Second
	}
	for _, d := range all {
		if c.busy[d.operation] {
			continue
		}
		if wait := time.UnixMicro(d.due).Sub(c.now()); wait > 0 {
			return min(wait, idlePoll)
		}
		if free == 0 {
			break
		}
		free--
		c.busy[d.operation] = true
		go c.carry(ctx, d)
	}
	return idlePoll
}

// carry makes one attempt and writes down what came of it.
func (c *courier) carry(ctx context.Context, d delivery) {
	defer func() { c.returned <- d.operation }()
	result, again := c.attempt(ctx, d)
	if ctx.Err() != nil {
		return // it is still due for the next process
	}
	var due sql.NullInt64
	if again && d.attempts < len(pauses) {
		due = sql.NullInt64{Int64: c.now().Add(pauses[d.attempts]).UnixMicro(), Valid: true}
	}
	err := c.books.writer.do(ctx, func(t *tx) error {
		return t.exec(`UPDATE deliveries SET attempts = ?, due = ?, result = ? WHERE num = ?`, d.attempts+1, due, result, d.num)
	})
	if err != nil {
		c.log.Warn("a webhook's delivery is not written down", "event", d.event, "err", err)
	}
}

// attempt posts a webhook once. It says what came of it and whether that is
// worth another attempt.
func (c *courier) attempt(ctx context.Context, d delivery) (result string, again bool) {
	secret, err := webhook.ParseSecret(d.secret)
	if err != nil {
		return err.Error(), false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(d.body))
	if err != nil {
		return err.Error(), false
	}
	req.Header.Set("Content-Type", "application/json")
	if err := webhook.Sign(req.Header, webhook.Message{ID: d.event, At: c.now(), Body: d.body}, secret); err != nil {
		return err.Error(), false
	}
	res, err := c.client.Do(req)
	if err != nil {
		return err.Error(), !errors.Is(err, errNotLoopback)
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	good := res.StatusCode/100 == 2
	return fmt.Sprintf("HTTP %d", res.StatusCode), !good && res.StatusCode != http.StatusGone
}

// dueDeliveries reads the deliveries that are due first.
func (b *books) dueDeliveries(ctx context.Context, limit int) ([]delivery, error) {
	rows, err := b.read.QueryContext(ctx,
		`SELECT num, due, event, operation, url, secret, body, attempts FROM deliveries WHERE due IS NOT NULL ORDER BY due, num LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []delivery
	for rows.Next() {
		var d delivery
		if err := rows.Scan(&d.num, &d.due, &d.event, &d.operation, &d.url, &d.secret, &d.body, &d.attempts); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, rows.Err()
}
