package pgkeys

import (
	"context"
	"sync"
	"time"

	"github.com/oncepay/oncepay/once"
)

// turns let one caller of a process at a time to a key: the others wait here, where that
// costs no connection. Without it a thousand duplicates would hold the whole pool, and
// whoever has another key would wait for them.
type turns struct {
	mu sync.Mutex
	of map[once.Key]*turn
}

type turn struct {
	free   chan struct{} // has one element when it is nobody's turn
	queued int           // who holds it, or waits for it
}

// take waits for the key's turn, and returns what gives it back. It fails with an
// ErrBusy, or as ctx does.
func (t *turns) take(ctx context.Context, key once.Key, wait time.Duration) (done func(), err error) {
	own := t.queue(key)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-own.free:
		return func() { own.free <- struct{}{}; t.leave(key, own) }, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = busy()
	}
	t.leave(key, own)
	return nil, err
}

func (t *turns) queue(key once.Key) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.of[key]
	if own == nil {
		own = &turn{free: make(chan struct{}, 1)}
		own.free <- struct{}{}
		if t.of == nil {
			t.of = map[once.Key]*turn{}
		}
		t.of[key] = own
	}
	own.queued++
	return own
}

func (t *turns) leave(key once.Key, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.queued--; own.queued == 0 {
		delete(t.of, key)
	}
}

func busy() error { return &once.BusyError{RetryAfter: time.Second} }
