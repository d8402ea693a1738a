package web

import (
	"context"
	"sync"
	"time"
)

// patience is a request's context that ends when its wait is over, or soon
// after its client left. Every keyed request needs one and hardly any waits:
// context.WithTimeout takes five allocations and signs on with the request's
// context, patience is used again and looks there now and then.
type patience struct {
	pool *sync.Pool
	done chan struct{}

	mu      sync.Mutex
	request context.Context // nil while nobody waits
	until   time.Time
	timer   *time.Timer
	err     error // why it ended
}

// glance is how often a request that waits looks whether its client is there.
const glance = 250 * time.Millisecond

// wait makes the context of a request that waits for that long at most. Give it
// back when nobody uses it any more.
func (a *API) wait(request context.Context, most time.Duration) *patience {
	p, again := a.patients.Get().(*patience)
	if !again {
		p = &patience{done: make(chan struct{}), pool: &a.patients}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.request, p.until = request, time.Now().Add(most)
	if p.timer == nil {
		p.timer = time.AfterFunc(min(glance, most), p.look)
	} else {
		p.timer.Reset(min(glance, most))
	}
	return p
}

// giveBack ends the wait without a word. A look that is on its way meanwhile
// finds nobody, or the next one, whom it does no harm.
func (p *patience) giveBack() {
	p.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.request = nil
	if p.err == nil {
		p.pool.Put(p)
	}
}

// look ends the wait if it is over, and else comes again.
func (p *patience) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.request == nil || p.err != nil {
		return
	}
	left := time.Until(p.until)
	switch {
	case p.request.Err() != nil:
		p.err = p.request.Err()
	case left <= 0:
		p.err = context.DeadlineExceeded
	default:
		p.timer.Reset(min(glance, left))
		return
	}
	close(p.done)
}

// Deadline is context.Context's.
func (p *patience) Deadline() (time.Time, bool) { return p.until, true }

// Done is context.Context's.
func (p *patience) Done() <-chan struct{} { return p.done }

// Err is context.Context's.
func (p *patience) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Value is context.Context's.
func (p *patience) Value(key any) any { return p.request.Value(key) }
