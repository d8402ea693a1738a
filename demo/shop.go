package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// shop is a shop that uses oncepay: a key for each order, and the same request
// again until there is a final answer.
type shop struct{ cfg Config }

func newShop(cfg Config) ledger { return &shop{cfg} }

// The accounts that transfers go between.
const till, supplier = "till", "supplier"

func (s *shop) setUp(ctx context.Context, r *run) error {
	for _, name := range []string{till, supplier} {
		m := s.post("/v1/accounts", "open-"+name, 0, fmt.Sprintf(`{"id":%q,"currency":"EUR","min_balance":null}`, name))
		if a, err := r.net.deliver(ctx, m); err != nil || a.status != http.StatusCreated {
			return fmt.Errorf("demo: the account %s was not opened: %v %w", name, a, err)
		}
	}
	return nil
}

// post is a request with the order's key: the same one at every try.
func (s *shop) post(path, key string, try int, body string) message {
	return message{
		method: http.MethodPost, url: s.cfg.API + path, body: body, order: key, try: try, timeout: 5 * time.Second,
		header: http.Header{
			"Authorization": {"Bearer " + s.cfg.Key}, "Idempotency-Key": {key}, "Content-Type": {"application/json"}, "Prefer": {"wait=4"},
		},
	}
}

func (s *shop) pay(ctx context.Context, r *run, o *order, try int) bool {
	a, err := r.net.send(ctx, s.post("/v1/payments", o.id, try, fmt.Sprintf(
		`{"amount":%d,"currency":"EUR","payment_method":%q,"reference":%q,"confirm":true}`, o.amount, o.method, o.id)))
	if err != nil {
		return false
	}
	var p struct {
		ID      string
		Payment struct{ ID string }
	}
	if json.Unmarshal(a.body, &p) != nil {
		return false
	}
	switch a.status {
	case http.StatusCreated:
		o.gateway = p.ID
		return true
	case http.StatusPaymentRequired:
		o.gateway, o.declined = p.Payment.ID, true
		return true
	default: // 202: not settled yet; 409, 503: later
		return false
	}
}

func (s *shop) move(ctx context.Context, r *run, o *order, try int) bool {
	a, err := r.net.send(ctx, s.post("/v1/transfers", o.id, try, fmt.Sprintf(
		`{"from":%q,"to":%q,"amount":%d,"currency":"EUR","reference":%q}`, till, supplier, o.amount, o.id)))
	return err == nil && a.status == http.StatusCreated
}

// patience is that of a shop whose retries are safe: there is no reason to stop.
func (s *shop) patience() int { return 60 }

func (s *shop) moved(ctx context.Context, r *run) (times map[string]int, received int64, err error) {
	times = map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Data []struct{ Reference, Status string }
			Next string `json:"next_cursor"`
		}
		if err := s.get(ctx, r, "/v1/transfers?limit=100&account="+supplier+cursor, &page); err != nil {
			return nil, 0, err
		}
		for _, t := range page.Data {
			times[t.Reference]++
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	var merchant struct{ Balance struct{ Posted int64 } }
	err = s.get(ctx, r, "/v1/accounts/merchant:default", &merchant)
	return times, merchant.Balance.Posted, err
}

func (s *shop) get(ctx context.Context, r *run, path string, into any) error {
	a, err := r.net.deliver(ctx, message{
		method: http.MethodGet, url: s.cfg.API + path, timeout: 20 * time.Second, header: http.Header{"Authorization": {"Bearer " + s.cfg.Key}},
	})
	if err != nil {
		return fmt.Errorf("demo: GET %s: %w", path, err)
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("demo: GET %s: %d %s", path, a.status, a.body)
	}
	return json.Unmarshal(a.body, into)
}
