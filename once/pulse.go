package once

import (
	"sync"
	"time"
)

// pulse has the leases of an engine's attempts renewed, by one timer for all of them: nearly
// every attempt ends long before, and one of its own would cost it more than the store in
// memory does. Its zero value is ready. It is safe for concurrent use.
type pulse struct {
	mu          sync.Mutex
	first, last *Attempt // by when they are due
	timer       *time.Timer
	set         time.Time // when the timer ends; zero: it does not run
}

// place is an attempt's place among those that are to be renewed. pulse.mu guards it.
type place struct {
	prev, next *Attempt
	due        time.Time // zero: it has no place
}

// add has an attempt, which has no place, renewed when it is due.
func (p *pulse) add(a *Attempt, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.ending.Load() { // it will not be removed again
		return
	}
	before := p.last // nearly always: leases are of one length
	for before != nil && before.place.due.After(due) {
		before = before.place.prev
	}
	after := p.first
	if before != nil {
		after = before.place.next
	}
	a.place = place{before, after, due}
	p.link(before, a)
	p.link(a, after)
	p.wind()
}

// remove takes an attempt out, if it has a place.
func (p *pulse) remove(a *Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !a.place.due.IsZero() {
		p.take(a)
	}
}

func (p *pulse) take(a *Attempt) {
	p.link(a.place.prev, a.place.next)
	a.place = place{}
}

// link makes two neighbours; nil is the end.
func (p *pulse) link(before, after *Attempt) {
	if before == nil {
		p.first = after
	} else {
		before.place.next = after
	}
	if after == nil {
		p.last = before
	} else {
		after.place.prev = before
	}
}

// wind sets the timer for the first, unless it ends before that anyway. The caller holds mu.
func (p *pulse) wind() {
	if p.first == nil || !p.set.IsZero() && !p.set.After(p.first.place.due) {
		return
	}
	p.set = p.first.place.due
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(p.set), p.beat)
		return
	}
	p.timer.Reset(time.Until(p.set))
}

// beat has those renewed that are due, each beside the others.
func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set = time.Time{}
	for now := time.Now(); p.first != nil && !p.first.place.due.After(now); {
		due := p.first
		p.take(due)
		go due.renew()
	}
	p.wind()
}
