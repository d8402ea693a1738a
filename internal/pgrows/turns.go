package pgrows

import (
	"context"
	"sync"
	"time"

	"github.com/oncepay/oncepay/once"
)

// Turns let one caller of a process at a time to a key: the others wait here, where that
// costs no connection. Without it a thousand duplicates would hold the whole pool, and
// whoever has another key would wait for them. The zero Turns are ready, and safe for
// concurrent use.
type Turns struct {
	mu sync.Mutex
	of map[once.Key]*turn
}

type turn struct {
	free   chan struct{} // has one element when it is nobody's turn
	queued int           // who holds it, or waits for it
}

// Take waits for the key's turn, and returns what gives it back. It fails with an
// ErrBusy, or as ctx does.
func (t *Turns) Take(ctx context.Context, key once.Key, wait time.Duration) (done func(), err error) {
	own := t.queue(key)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-own.free:
		return func() { own.free <- struct{}{}; t.leave(key, own) }, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = Busy()
	}
	t.leave(key, own)
	return nil, err
}

func (t *Turns) queue(key once.Key) *turn {
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

func (t *Turns) leave(key once.Key, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.queued--; own.queued == 0 {
		delete(t.of, key)
	}
}

// Busy is what they are told who have waited in vain for somebody else's transaction.
func Busy() error { return &once.BusyError{RetryAfter: time.Second} }
