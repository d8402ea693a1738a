package once

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Begin says what the caller may do under a key: run the operation, as the Attempt
// of the Turn, or give the answer of its Record again. A duplicate waits for who
// came first. req.Key.Tenant must come from [Engine.Tenant].
func (e *Engine) Begin(ctx context.Context, req Request, t Terms) (Turn, error) {
	if err := CheckID(req.Key.ID); err != nil {
		return Turn{}, err
	}
	c := caller{Engine: e, ctx: ctx, req: req, terms: t, patience: newPatience(ctx, cmp.Or(t.Wait, e.cfg.Wait))}
	c.ends = e.rules.ends(req.Key.ID)
	c.req.Key = e.stored(req.Key)
	turn, err := c.begin()
	c.tell(turn, err)
	return turn, err
}

// caller is one call of Begin on its way.
type caller struct {
	*Engine
	ctx      context.Context
	req      Request // its key as it is stored
	terms    Terms
	ends     time.Time // of its window, by what its key says of itself; zero if it says nothing
	patience patience
	waited   time.Duration
}

// begin waits for whoever in this process is at the key, and then leads.
func (c *caller) begin() (Turn, error) {
	for {
		f, leads, err := c.join(c.req.Key)
		switch {
		case err != nil:
			return Turn{}, err
		case leads:
			return c.lead(f)
		}
		began := time.Now()
		landed := c.patience.await(f.landed)
		c.waited += time.Since(began)
		if !landed {
			c.leave(f)
			return Turn{}, busy()
		}
		if turn, err, settled := c.told(*f.record); settled {
			return turn, err
		}
	}
}

// told is what a record says to the caller, if that is final.
func (c *caller) told(seen Record) (turn Turn, err error, settled bool) {
	switch v := Decide(seen, c.req, c.clock.now(), c.rules); v.Action {
	case Replay:
		r, err := c.open(v.Record)
		return Turn{Record: r, Waited: c.waited > 0}, err, true
	case Refuse:
		return Turn{Record: v.Record}, v.Err, true
	}
	return Turn{}, nil, false
}

// lead finds out about the key for all in this process that ask for it. What an
// attempt comes to is told to them when it ends.
func (c *caller) lead(f *flight) (turn Turn, err error) {
	seen := Record{Key: c.req.Key}
	defer func() {
		if turn.Attempt == nil {
			c.land(c.req.Key, f, seen)
		}
	}()
	if !c.ends.IsZero() && c.ends.Before(c.clock.now()) { // what is known of it counts for more than what it says of itself
		if seen, err = c.load(); err != nil {
			return Turn{}, err
		}
		if seen.State == Absent {
			return Turn{Record: Record{Key: c.req.Key, ExpiresAt: c.ends}}, ErrExpired
		}
	}
	for lost := 0; lost <= maxLost; {
		switch v := Decide(seen, c.req, c.clock.now(), c.rules); v.Action {
		case Execute:
			lost++
			turn, seen, err = c.claim(f, v.Record, false)
		case Recover:
			lost++
			turn, seen, err = c.recover(f, seen)
		case Wait:
			seen, err = c.poll(seen)
		default:
			turn, err, _ = c.told(seen)
			return turn, err
		}
		if err != nil || turn.Attempt != nil {
			return turn, err
		}
	}
	return Turn{}, busy()
}

// maxLost is how many races one call loses at most: each was won by somebody who
// goes on.
const maxLost = 8

func busy() error { return &BusyError{RetryAfter: time.Second} }

// claim writes a claim, and returns the attempt that holds it, or what it lost to.
func (c *caller) claim(f *flight, next Record, recovers bool) (Turn, Record, error) {
	next.Owner = c.newOwner()
	next.Version++
	began := time.Now()
	seen, err := c.store.Swap(c.ctx, next)
	if err != nil {
		if c.within == nil {
			c.disown(next, recovers)
		}
		return Turn{}, Record{Key: next.Key}, c.unavailable("claim", err)
	}
	c.clock.saw(seen.At)
	if !seen.Won && !seen.Record.same(next) {
		return Turn{}, seen.Record, nil
	}
	a := &Attempt{
		Recovers: recovers, engine: c.Engine, flight: f, claimed: claimed{next.Key, next.Operation, next.Attempt, next.ExpiresAt},
		record: next, began: began, until: began.Add(c.cfg.Lease),
	}
	if c.within == nil {
		c.pulse.add(a, began.Add(c.cfg.Lease/3))
	}
	return Turn{Attempt: a, Record: next, Waited: c.waited > 0}, next, nil
}

// recover does what the policy says about a key whose attempt vanished.
func (c *caller) recover(f *flight, seen Record) (Turn, Record, error) {
	if c.terms.Vanished == Park {
		return c.park(seen)
	}
	next, err := seen.Reclaim(c.clock.now(), c.cfg.Lease)
	if err != nil {
		return Turn{}, seen, err
	}
	if c.terms.Vanished == Rerun {
		next.Progress = nil
	}
	return c.claim(f, next, true)
}

// park writes down that a human must decide, so that they find it.
func (c *caller) park(seen Record) (Turn, Record, error) {
	if seen.State == Claimed {
		next := seen.Abandon(c.clock.now())
		next.Note = "its owner vanished"
		next.Version++
		got, err := c.store.Swap(c.ctx, next)
		if err != nil {
			return Turn{}, seen, c.unavailable("park", err)
		}
		c.clock.saw(got.At)
		if !got.Won {
			return Turn{}, got.Record, nil // it came back to life, or somebody else parked it
		}
		seen = next
	}
	return Turn{Record: seen}, seen, ErrParked
}

// load shows what is under the key.
func (c *caller) load() (Record, error) {
	seen, err := c.store.Load(c.ctx, c.req.Key)
	if err != nil {
		return Record{Key: c.req.Key}, c.unavailable("load", err)
	}
	c.clock.saw(seen.At)
	return seen.Record, nil
}

// poll waits a little for an attempt elsewhere, and looks again. The longer that
// has been at it, the longer it waits.
func (c *caller) poll(seen Record) (Record, error) {
	if c.patience.over() {
		return seen, busy()
	}
	pause := min(max(c.waited, pollFirst), pollMost)
	began := time.Now()
	c.patience.sleep(pause/2 + rand.N(pause/2))
	c.waited += time.Since(began)
	return c.load()
}

// How often somebody else's attempt is looked at.
const (
	pollFirst = 4 * time.Millisecond
	pollMost  = 250 * time.Millisecond
)

// unavailable is the error of a store that did not do its part.
func (c *caller) unavailable(what string, err error) error {
	c.cfg.Observe(c.ctx, Event{Happening: HasFailed, Key: c.req.Key, Operation: c.req.Operation, Err: err})
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}

// tell tells of a call of Begin.
func (c *caller) tell(turn Turn, err error) {
	e := Event{Key: c.req.Key, Operation: c.req.Operation, Attempt: turn.Record.Attempt}
	if c.waited > 0 {
		e.Happening, e.Took = HasWaited, c.waited
		c.cfg.Observe(c.ctx, e)
		e.Took = 0
	}
	switch {
	case err == nil && turn.Attempt == nil:
		e.Happening = HasReplayed
	case err == nil && turn.Attempt.Recovers:
		e.Happening = HasRecovered
	case err == nil:
		e.Happening = HasClaimed
	case errors.Is(err, ErrMismatch):
		e.Happening = HasMismatched
	case errors.Is(err, ErrExpired):
		e.Happening = HasExpired
	case errors.Is(err, ErrParked):
		e.Happening = HasParked
	default:
		return
	}
	c.cfg.Observe(c.ctx, e)
}

// patience is how long a caller waits: until its own time, or its context's.
type patience struct {
	ctx   context.Context
	until time.Time
}

func newPatience(ctx context.Context, wait time.Duration) patience {
	return patience{ctx, time.Now().Add(wait)}
}

func (p *patience) over() bool { return p.ctx.Err() != nil || !time.Now().Before(p.until) }

// await waits for something to happen, and says whether it did.
func (p *patience) await(happens <-chan struct{}) bool {
	if p.over() {
		return false
	}
	t := time.NewTimer(time.Until(p.until))
	defer t.Stop()
	select {
	case <-happens:
		return true
	case <-p.ctx.Done():
	case <-t.C:
	}
	return false
}

func (p *patience) sleep(d time.Duration) {
	t := time.NewTimer(min(d, time.Until(p.until)))
	defer t.Stop()
	select {
	case <-p.ctx.Done():
	case <-t.C:
	}
}
