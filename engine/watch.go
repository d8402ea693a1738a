package engine

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// watch is a payment at work that somebody waits for. What this process writes of it
// wakes them at once; what others write is found by looking, once for all who wait.
type watch struct {
	changed chan struct{}
	version int64     // of the payment, as those were told who wait
	came    time.Time // when the last of them came

	pause time.Duration // until the next look, about
	next  time.Time     // when that is
}

// How often it is looked whether another process has changed a payment: the longer
// nothing has, the less often, and those of a second in few loads. A gateway answers
// in some 500 ms, so who waits for another process's waits a third longer.
const (
	lookPeriod  = 50 * time.Millisecond
	firstLook   = 100 * time.Millisecond
	lastLook    = 2 * time.Second
	looksAtOnce = 256 // payments that are loaded together

	// watchTime is how long a payment is looked at after somebody came to wait for
	// it: longer than anybody waits. It bounds what those leave behind who left.
	watchTime = 2 * time.Minute
)

// already is closed: what was waited for has happened.
var already = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// watch returns what is closed when the payment changes next. Whoever leaves
// before leaves nothing behind for longer than the payment is at work.
func (e *Executor) watch(o Outcome) <-chan struct{} {
	if o.Outdated {
		return already
	}
	w := e.watches[o.Resource]
	if w != nil && w.version != o.version { // those who wait saw it before that
		e.wake(o.Resource)
		w = nil
	}
	if w == nil {
		w = &watch{changed: make(chan struct{}), version: o.version}
		e.watches[o.Resource] = w
	}
	w.came = time.Now()
	if w.pause != firstLook {
		w.pause = firstLook
		w.next = w.came.Add(soon(firstLook))
	}
	return w.changed
}

// wake tells all who wait for a payment that it has changed.
func (e *Executor) wake(r ledger.Ref) {
	if w := e.watches[r]; w != nil {
		close(w.changed)
		delete(e.watches, r)
	}
}

// soon is a pause, up to half of it taken off so that processes do not look together.
func soon(d time.Duration) time.Duration { return d - rand.N(d/2) }

// look wakes those who wait for what another process brings about, until the executor
// is closed.
func (e *Executor) look() {
	for {
		select {
		case <-e.stopped:
			return
		case <-time.After(lookPeriod):
		}
		for more := true; more; {
			more = e.lookAtSome()
		}
	}
}

// lookAtSome looks at as many payments as may be loaded together, and says whether
// there are more.
func (e *Executor) lookAtSome() (more bool) {
	due := make(chan []ledger.Ref, 1)
	if e.send(arrival{ask: func(*Step) { due <- e.toLookAt(time.Now()) }}) != nil {
		return false
	}
	var refs []ledger.Ref
	select {
	case refs = <-due:
	case <-e.stopped:
	}
	if len(refs) == 0 {
		return false
	}
	rows, err := e.store.Load(context.Background(), Need{Payments: pay.Rows{Payments: refs}})
	if err != nil {
		return false // they are looked at again
	}
	e.send(arrival{ask: func(*Step) { e.looked(refs, rows.Payments) }})
	return len(refs) == looksAtOnce
}

// toLookAt returns payments whose time has come, and says when they are looked at
// next. Those that nobody waits for any more are dropped.
func (e *Executor) toLookAt(now time.Time) (refs []ledger.Ref) {
	for ref, w := range e.watches {
		switch {
		case now.Sub(w.came) > watchTime:
			e.wake(ref)
		case !w.next.After(now) && len(refs) < looksAtOnce:
			w.pause = min(2*w.pause, lastLook)
			w.next = now.Add(soon(w.pause))
			refs = append(refs, ref)
		}
	}
	return refs
}

// looked wakes those who wait for what has changed, or is there no more.
func (e *Executor) looked(refs []ledger.Ref, found []*pay.Payment) {
	versions := make(map[ledger.Ref]int64, len(found))
	for _, p := range found {
		versions[p.Ref] = p.Version
	}
	for _, ref := range refs {
		if w := e.watches[ref]; w != nil && w.version != versions[ref] {
			e.wake(ref)
		}
	}
}
