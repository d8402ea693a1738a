package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// naiveShop is a shop as many are: it calls the gateway while its customer waits,
// and whoever gets no answer tries again.
//
// Its own server stands behind the same network as oncepay does in the other
// mode; here it is a function that the network's fates are applied to.
type naiveShop struct {
	cfg  Config
	keys *recipe // nil: nothing keeps duplicates away

	mu       sync.Mutex
	attempts map[string]int // how often each payment was sent to the gateway: each with a key of its own
	times    map[string]int // how often each transfer was made
	received int64          // what the shop has booked
}

func newNaiveShop(cfg Config) ledger {
	s := &naiveShop{cfg: cfg, attempts: map[string]int{}, times: map[string]int{}}
	if cfg.Mode == Redis {
		s.keys = newRecipe()
	}
	return s
}

func (s *naiveShop) setUp(context.Context, *run) error { return nil }

// patience is what is usual in clients that retry by themselves.
func (s *naiveShop) patience() int { return 4 }

func (s *naiveShop) pay(ctx context.Context, r *run, o *order, try int) bool {
	o.gateway = o.id
	return r.net.through(o.id, try, func() bool { return s.once(o.id, func() (bool, error) { return s.charge(ctx, r, o) }) })
}

func (s *naiveShop) move(_ context.Context, r *run, o *order, try int) bool {
	return r.net.through(o.id, try, func() bool {
		return s.once(o.id, func() (bool, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.times[o.id]++
			return true, nil
		})
	})
}

// once is what the shop's server does around its work.
func (s *naiveShop) once(key string, work func() (bool, error)) bool {
	if s.keys != nil {
		return s.keys.once(key, work)
	}
	done, err := work()
	return done && err == nil
}

// charge sends the payment to the gateway with a key that nobody keeps: what
// client libraries do that make one if they are given none.
func (s *naiveShop) charge(ctx context.Context, r *run, o *order) (settled bool, err error) {
	s.mu.Lock()
	s.attempts[o.id]++
	key := fmt.Sprintf("%s-%d", o.id, s.attempts[o.id])
	s.mu.Unlock()
	a, err := r.net.deliver(ctx, message{
		method: http.MethodPost, url: s.cfg.Gateway + "/v1/operations", timeout: 3 * time.Second,
		header: http.Header{"Idempotency-Key": {"att_" + key}, "Content-Type": {"application/json"}},
		body: fmt.Sprintf(`{"kind":"charge","payment":%q,"amount":%d,"currency":"EUR","final":true,"payment_method":%q}`,
			o.id, o.amount, o.method),
	})
	if err != nil {
		return false, err
	}
	var told struct{ Status string }
	switch {
	case a.status == http.StatusPaymentRequired:
		return true, nil
	case a.status != http.StatusOK || json.Unmarshal(a.body, &told) != nil:
		return false, fmt.Errorf("demo: the gateway answered %d", a.status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received += o.amount
	return true, nil
}

func (s *naiveShop) moved(context.Context, *run) (map[string]int, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times, s.received, nil
}

// through applies the network's fate to a request that is served in place.
func (n *network) through(order string, try int, serve func() bool) bool {
	n.requests.Add(1)
	switch fate := n.fate(message{order: order, try: try}); {
	case fate < loseRequest:
		n.requestsLost.Add(1)
		return false
	case fate < loseRequest+double:
		n.doubled.Add(1)
		var first sync.WaitGroup
		first.Go(func() { serve() })
		served := serve()
		first.Wait()
		return served
	case fate >= 100-loseAnswer:
		n.answersLost.Add(1)
		serve()
		return false
	default:
		return serve()
	}
}
