package once

import (
	"strconv"
	"time"
)

// flight is a key that somebody in this process is at. The others that ask for it
// wait here, so that a store is asked once whatever their number.
type flight struct {
	landed  chan struct{} // closed when record is what there is to know; made by the first who waits
	waiters int
	record  *Record // nil if nobody waits for it
}

// join returns the flight of a key, and whether the caller leads it.
func (e *Engine) join(k Key) (f *flight, leads bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f = e.flights[k]
	switch {
	case f == nil:
		f = &flight{}
		e.flights[k] = f
		return f, true, nil
	case f.waiters >= e.cfg.MaxWaiters:
		return nil, false, busy()
	case f.landed == nil:
		f.landed = make(chan struct{})
	}
	f.waiters++
	return f, false, nil
}

// leave gives a waiter's place up.
func (e *Engine) leave(f *flight) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f.waiters--
}

// land ends a flight: who waits is told what is known of the key. If that settles
// nothing, the first of them leads the next one.
func (e *Engine) land(k Key, f *flight, known Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.flights, k)
	if f.landed != nil {
		f.record = new(known)
		close(f.landed)
	}
}

// newOwner names a claim: no two have the same.
func (e *Engine) newOwner() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.claims++
	var name [64]byte
	return string(strconv.AppendUint(append(name[:0], e.owner...), e.claims, 36))
}

// same says whether a record that was found is the one that was written: then a
// write was made whose answer was lost.
func (r *Record) same(written Record) bool {
	return r.Version == written.Version && r.State == written.State && r.Owner == written.Owner && r.Attempt == written.Attempt
}

// maxLate bounds the writes that are tried on in the background: those over it are
// left to the key's policy.
const maxLate = 1_000

// background does something beside its caller, unless too much is done so already.
func (e *Engine) background(do func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.late >= maxLate {
		return false
	}
	e.late++
	go func() {
		defer func() {
			e.mu.Lock()
			e.late--
			e.mu.Unlock()
		}()
		do()
	}()
	return true
}

// retryPause spaces tries at a store that fails: 10 ms, doubled up to about 1 s.
func retryPause(try int) time.Duration { return 10 * time.Millisecond << min(try, 7) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
