package once

import (
	"context"
	"errors"
	"fmt"
)

// Settlement is a human's decision about a key whose outcome nobody knows.
type Settlement struct {
	Happened bool
	Answer   Answer // Happened: what repeats are told; of an [Operation], its result as JSON, with status 200
	Evidence string // what the decision rests on: it is kept with the key
	Actor    string // who decided
}

// ErrSettled means that a key is not in doubt: there is nothing to decide.
var ErrSettled = errors.New("once: the key is not in doubt")

// Settle decides what became of a key that is Unknown, or whose attempt has not been
// heard of for its lease: it happened, and repeats get the answer; or it certainly
// did not, and the key is free. The key is as its client sent it, or as Unfinished
// lists it. It fails with ErrSettled, with an ErrBusy while an attempt holds the key, or
// with an ErrUnavailable. An attempt that comes back later is fenced.
func (e *Engine) Settle(ctx context.Context, key Key, s Settlement) (Record, error) {
	if s.Evidence == "" || s.Actor == "" {
		return Record{}, errors.New("once: a settlement needs its evidence, and who has decided")
	}
	seen, err := e.find(ctx, key)
	if err != nil {
		return Record{}, fmt.Errorf("%w: settle: %w", ErrUnavailable, err)
	}
	e.clock.saw(seen.At)
	next := seen.Record.Abandon(e.clock.now())
	switch next.State {
	case Unknown:
	case Claimed:
		return Record{}, busy()
	default:
		return Record{}, fmt.Errorf("%w: it is %s", ErrSettled, next.State)
	}
	if next, err = e.settled(next, s); err != nil {
		return Record{}, err
	}
	if next, err = e.write(ctx, next); err != nil {
		return Record{}, err
	}
	e.cfg.Observe(ctx, Event{Happening: HasSettled, Key: next.Key, Operation: seen.Record.Operation, Attempt: next.Attempt})
	return e.open(next)
}

// settled is the record as it is decided.
func (e *Engine) settled(r Record, s Settlement) (next Record, err error) {
	as := "not happened"
	if s.Happened {
		as = "happened"
		sealed, err := e.seal(r.Key, s.Answer)
		if err != nil {
			return Record{}, err
		}
		if next, err = r.Complete(r.Attempt, r.Resource, sealed); err != nil {
			return Record{}, err
		}
		next.ExpiresAt = later(next.ExpiresAt, e.Expiry())
	} else if next, err = r.Release(r.Attempt); err != nil {
		return Record{}, err
	}
	next.Owner = e.newOwner() // whoever held it is fenced
	next.Note = fmt.Sprintf("settled as %s by %s: %s", as, s.Actor, s.Evidence)
	return next, nil
}

// Unfinished lists keys that are at work or in doubt, of every tenant: for operators,
// never for clients. It fails with an ErrNotListed if the store cannot, with an ErrCursor
// if after is no place to go on from, or with an ErrUnavailable.
func (e *Engine) Unfinished(ctx context.Context, after string, limit int) (found []Record, next string, err error) {
	l, lists := e.store.(Lister)
	if !lists {
		return nil, "", ErrNotListed
	}
	found, next, err = l.Unfinished(ctx, after, limit)
	switch {
	case errors.Is(err, ErrCursor): // the store has answered
		return nil, "", err
	case err != nil:
		return nil, "", fmt.Errorf("%w: list: %w", ErrUnavailable, err)
	}
	return found, next, nil
}

// ErrNotListed means that the engine's store is no [Lister].
var ErrNotListed = errors.New("once: the store cannot list its keys")
