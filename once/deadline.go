package once

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that has the values of its parent, and an end of its own.
// Every attempt needs one when it ends, and a store that answers at once never looks
// at it: so there is a timer only for one that does, where [context.WithTimeout] of
// [context.WithoutCancel] makes five things.
type deadline struct {
	context.Context // for its values
	at              time.Time

	mu    sync.Mutex
	done  chan struct{} // nil until somebody waits for it
	timer *time.Timer
	err   error
}

func newDeadline(parent context.Context, after time.Duration) *deadline {
	return &deadline{Context: parent, at: time.Now().Add(after)}
}

// Deadline is context.Context's.
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Done is context.Context's.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
		d.timer = time.AfterFunc(time.Until(d.at), func() { d.end(context.DeadlineExceeded) })
	}
	return d.done
}

// Err is context.Context's.
func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil && !time.Now().Before(d.at) {
		d.close(context.DeadlineExceeded)
	}
	return d.err
}

// stop ends it for those who still look.
func (d *deadline) stop() { d.end(context.Canceled) }

func (d *deadline) end(why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.close(why)
	}
}

// close ends it. The caller holds mu.
func (d *deadline) close(why error) {
	d.err = why
	if d.done == nil {
		d.done = closed
		return
	}
	d.timer.Stop()
	close(d.done)
}

// closed is the channel of what ended before anybody looked.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
