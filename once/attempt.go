package once

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Attempt is the right to run an operation once, and to say how it ended. It is
// given out by [Engine.Begin], and must be ended: Complete, Release or Doubt. Its
// lease is renewed until then. It is safe for concurrent use.
type Attempt struct {
	// Recovers says that an earlier attempt began, and that it is not known what
	// came of it. Who has found out that it did nothing sets it to false, before anything
	// runs: a face does so for its probes.
	Recovers bool

	engine  *Engine
	flight  *flight
	began   time.Time
	claimed claimed
	ending  atomic.Bool                        // nothing more is renewed
	stop    atomic.Pointer[context.CancelFunc] // of a renewal that is on its way
	place   place                              // among those that are renewed

	mu     sync.Mutex
	record Record    // as it was written last
	ends   time.Time // of the key's window; zero: as it was claimed
	until  time.Time // by this process's clock the lease is held until then
	ended  bool
	lost   context.CancelCauseFunc // of Context; nil before
}

// claimed is what does not change of a record while an attempt holds it.
type claimed struct {
	Key       Key
	Operation string
	Attempt   int64
	ExpiresAt time.Time // of its window, when the attempt began
}

// Key is the operation's key, as it is stored.
func (a *Attempt) Key() Key { return a.claimed.Key }

// Token is the fencing token: it grows with every attempt of the key. A store that
// refuses an older one than it has seen cannot be written to by an attempt that
// came too late.
func (a *Attempt) Token() int64 { return a.claimed.Attempt }

// ExpiresAt is when the key's window is over. It is later once the attempt is
// complete: an answer is kept for a whole window from when it is there.
func (a *Attempt) ExpiresAt() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return later(a.ends, a.claimed.ExpiresAt)
}

// Derive is the key for something that the operation asks of others: the same in
// every attempt, another one for each step, and nothing that can be guessed.
func (a *Attempt) Derive(step string) string {
	return a.engine.prints.derive(a.claimed.Key, a.claimed.Operation, step)
}

// What an attempt can lose its key by.
var (
	// ErrLeaseLost is the cause of a context that ended because the store could not
	// be reached for a whole lease: somebody else may run the operation now.
	ErrLeaseLost = errors.New("once: the lease is over, and could not be renewed")

	// ErrEnded means that the attempt was ended before.
	ErrEnded = errors.New("once: the attempt has ended")
)

// FencedError is an ErrFenced that says what is under the key instead.
type FencedError struct{ By Record }

func (e *FencedError) Error() string {
	return fmt.Sprintf("%v: it is %s at attempt %d", ErrFenced, e.By.State, e.By.Attempt)
}

// Is says that it is an ErrFenced.
func (e *FencedError) Is(target error) bool { return target == ErrFenced }

// fencedBy is the FencedError that err is, or nil.
func fencedBy(err error) *FencedError {
	if err == nil { // nearly always: what errors.As needs takes memory
		return nil
	}
	fenced := (*FencedError)(nil)
	errors.As(err, &fenced)
	return fenced
}

// Context returns a context for the operation: it ends with ctx, when cancel is
// called, and when the key is lost, with ErrLeaseLost or an ErrFenced as its cause.
func (a *Attempt) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = cancel
	return ctx, func() { cancel(context.Canceled) }
}

// Complete ends the attempt with an answer, which is the key's from now on. It
// outlives ctx's end. If it fails with an ErrFenced, a later attempt has the key,
// and what is under the key is its answer, if it has one. If it fails with an
// ErrUnavailable, the operation has happened, and that is written down as soon as
// the store can be reached: give the answer all the same.
func (a *Attempt) Complete(ctx context.Context, answer Answer) error {
	return a.end(ctx, HasCompleted, nil, func(r Record) (Record, error) {
		if len(answer.Body) > a.engine.cfg.MaxAnswer {
			answer.Body, answer.Dropped = nil, true
		}
		sealed, err := a.engine.seal(r.Key, answer)
		if err != nil {
			return Record{}, err
		}
		next, err := r.Complete(r.Attempt, r.Resource, sealed)
		next.ExpiresAt = later(next.ExpiresAt, a.engine.Expiry()) // nobody has seen it yet
		a.ends = next.ExpiresAt
		return next, err
	})
}

// Release ends the attempt of an operation that certainly has not begun: the key is
// free, also for another request. An attempt speaks for itself only: one that Recovers, or
// that has reached a recovery point, ends in doubt instead.
func (a *Attempt) Release(ctx context.Context) error {
	if a.Recovers {
		return a.Doubt(ctx, errBegunBefore)
	}
	if a.advanced() {
		return a.Doubt(ctx, errBegun)
	}
	return a.end(ctx, HasReleased, nil, func(r Record) (Record, error) { return r.Release(r.Attempt) })
}

// Why a key is not freed.
var (
	errBegunBefore = errors.New("once: this attempt has done nothing, and of an earlier one that is not known")
	errBegun       = errors.New("once: what came after its last recovery point has done nothing")
)

// advanced says whether a recovery point was reached.
func (a *Attempt) advanced() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.record.Progress) > 0
}

// Doubt ends the attempt of an operation of which it is not known whether it
// happened, for the reason that is given. What becomes of it is its policy.
func (a *Attempt) Doubt(ctx context.Context, why error) error {
	return a.end(ctx, HasDoubted, why, func(r Record) (Record, error) { return r.Doubt(r.Attempt, brief(why)) })
}

// brief is an error for a note: its beginning.
func brief(err error) string {
	const most = 500 // characters: a note is for people
	text := []rune(err.Error())
	return string(text[:min(len(text), most)])
}

// end writes down how the attempt ended.
func (a *Attempt) end(ctx context.Context, how Happening, cause error, next func(Record) (Record, error)) error {
	a.stopRenewing()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return ErrEnded
	}
	a.ended = true
	record, err := next(a.record)
	if err != nil { // it cannot be written: the lease ends by itself
		a.engine.land(a.claimed.Key, a.flight, a.record)
		return err
	}
	d := newDeadline(ctx, a.engine.cfg.Finish)
	defer d.stop()
	written, err := a.engine.write(d, record)
	if errors.Is(err, ErrUnavailable) && a.engine.within == nil && a.tryLater(record, how) {
		a.tell(ctx, HasDoubted, err)
		return err
	}
	return a.settle(ctx, written, how, cause, err)
}

// tryLater goes on trying to write down how the attempt ended, beside its caller.
func (a *Attempt) tryLater(record Record, how Happening) bool {
	return a.engine.background(func() { a.endLater(record, how) })
}

// settle ends the flight, and tells.
func (a *Attempt) settle(ctx context.Context, known Record, how Happening, cause, err error) error {
	if err != nil {
		known, how, cause = a.record, HasDoubted, err
	}
	if fenced := fencedBy(err); fenced != nil {
		known, how = fenced.By, HasFenced
	}
	a.engine.land(a.claimed.Key, a.flight, known)
	a.tell(ctx, how, cause)
	return err
}

// endLater goes on trying to write down how the attempt ended: others who ask for
// the key in this process wait meanwhile.
func (a *Attempt) endLater(record Record, how Happening) {
	ctx, cancel := context.WithTimeout(context.Background(), lateTime)
	defer cancel()
	written, err := a.engine.write(ctx, record)
	a.settle(ctx, written, how, nil, err)
}

// lateTime is for how long the end of an attempt is tried to be written down.
// After that the key is left to its policy.
const lateTime = time.Hour

func (a *Attempt) tell(ctx context.Context, how Happening, err error) {
	a.engine.cfg.Observe(ctx, Event{
		Happening: how, Key: a.claimed.Key, Operation: a.claimed.Operation, Attempt: a.claimed.Attempt, Took: time.Since(a.began), Err: err,
	})
}

// renew begins the lease anew. Where the store cannot be reached it is tried more
// often; when the lease is over by our own clock the operation is told.
func (a *Attempt) renew() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ending.Load() {
		return
	}
	lease, began := a.engine.cfg.Lease, time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), lease/3)
	defer cancel()
	a.stop.Store(&cancel)
	next, err := a.record.Renew(a.record.Attempt, a.engine.clock.now(), lease)
	if err == nil {
		next, err = a.engine.once(ctx, next)
	}
	fenced := (*FencedError)(nil)
	switch {
	case err == nil:
		a.record, a.until = next, began.Add(lease)
	case errors.As(err, &fenced):
		a.lose(err)
		return
	case time.Now().After(a.until):
		a.lose(ErrLeaseLost) // and tried on: perhaps nobody has taken it
	}
	if a.ending.Load() {
		return
	}
	pause := lease / 3
	if err != nil {
		pause /= 4
	}
	a.engine.pulse.add(a, time.Now().Add(pause))
}

// lose tells the operation that its key is lost. The caller holds mu.
func (a *Attempt) lose(cause error) {
	if a.lost != nil {
		a.lost(cause)
	}
}

// stopRenewing ends the renewals, also one that is on its way.
func (a *Attempt) stopRenewing() {
	a.ending.Store(true)
	a.engine.pulse.remove(a)
	if cancel := a.stop.Load(); cancel != nil {
		(*cancel)()
	}
}

// once writes a record, and returns it as it was written. It fails with a
// FencedError, or with an ErrUnavailable: then it may have been written.
func (e *Engine) once(ctx context.Context, next Record) (Record, error) {
	for {
		next.Version++
		seen, err := e.store.Swap(ctx, next)
		if err != nil {
			return Record{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		e.clock.saw(seen.At)
		switch {
		case seen.Won, seen.Record.same(next):
			return next, nil
		case !seen.Record.heldBy(next):
			return Record{}, &FencedError{By: seen.Record}
		}
		next.Version = seen.Record.Version // an own write whose answer was lost, or it was parked and nobody has it
	}
}

// heldBy says whether a record is held by, or was last held by, the attempt that
// wants to write: what that knows is true, whatever the lease says.
func (r *Record) heldBy(next Record) bool {
	return r.unfinished() && r.Owner == next.Owner && r.Attempt == next.Attempt
}

// write is once, tried again until ctx ends. What a store cannot keep is written
// without the answer's body.
func (e *Engine) write(ctx context.Context, next Record) (Record, error) {
	for try := 0; ; try++ {
		written, err := e.once(ctx, next)
		switch {
		case errors.Is(err, ErrTooLarge) && !next.Answer.Dropped:
			next.Answer = Answer{Status: next.Answer.Status, Dropped: true}
			continue
		case e.within != nil, !errors.Is(err, ErrUnavailable):
			return written, err
		}
		select {
		case <-ctx.Done():
			return Record{}, err
		case <-time.After(retryPause(try)):
		}
	}
}

// disown gives a claim back of which it is not known whether it was written: nothing ran
// under it. What an earlier attempt left in doubt, which this one was to recover, stays in
// doubt. If it cannot be given back, its lease is over before long.
func (e *Engine) disown(claim Record, recovers bool) {
	next, err := claim.Release(claim.Attempt)
	if recovers {
		next, err = claim.Doubt(claim.Attempt, "its owner vanished")
	}
	if err != nil { // a claim can be given back
		return
	}
	e.background(func() {
		ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Lease)
		defer cancel()
		for try := 0; ctx.Err() == nil; try++ {
			seen, err := e.store.Load(ctx, claim.Key)
			if err == nil && !seen.Record.same(claim) {
				return // it was not written, and will not be: who claims next is fenced by it
			}
			if err == nil {
				e.write(ctx, next)
				return
			}
			time.Sleep(retryPause(try))
		}
	})
}
