package once

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of an attempt's recovery points: they are written with its record every
// time that one more is reached.
const (
	MaxSteps    = 100
	MaxProgress = 256 << 10 // bytes, of all results together
)

// inTheClear is what recovery points begin with that are not encrypted: a list in JSON. An
// encrypted text begins with the length of a secret's id, which is less (maxSecretID).
// Each says so itself, since encryption is turned on while operations are unfinished.
const inTheClear = '['

// point is a recovery point that was reached.
type point struct {
	Name   string          `json:"name"`
	Result json.RawMessage `json:"result"`
}

// Step does a part of an operation and keeps its result, or returns what is kept: an
// attempt that goes on where another one vanished does not do again what that one
// had finished. Names are unique within the operation, and mean the same in every
// attempt. The result must survive encoding/json.
//
// If fn fails, nothing is kept, and Step fails with its error. A part that was done
// and whose result could not be kept is done again by the next attempt: give what it
// asks of others a key, see [Attempt.Derive]. The recovery points of an operation
// whose policy is Rerun are dropped when it runs again.
func Step[T any](ctx context.Context, a *Attempt, name string, fn func(context.Context) (T, error)) (T, error) {
	result, reached, err := reachedPoint[T](a, name)
	if reached || err != nil {
		return result, err
	}
	if result, err = fn(ctx); err != nil {
		return result, err
	}
	text, err := json.Marshal(result)
	if err != nil {
		return result, fmt.Errorf("once: the result of step %s cannot be kept: %w", name, err)
	}
	if err := a.reach(ctx, point{name, text}); err != nil {
		return result, fmt.Errorf("once: step %s was done, and that could not be kept: %w", name, err)
	}
	return result, nil
}

// reachedPoint returns the result of a step that was done.
func reachedPoint[T any](a *Attempt, name string) (result T, reached bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	points, err := a.points()
	if err != nil {
		return result, false, err
	}
	for _, p := range points {
		if p.Name == name {
			if err := json.Unmarshal(p.Result, &result); err != nil {
				return result, false, fmt.Errorf("once: the result of step %s that is kept cannot be read: %w", name, err)
			}
			return result, true, nil
		}
	}
	return result, false, nil
}

// points are the recovery points of the attempt. The caller holds mu.
func (a *Attempt) points() (points []point, err error) {
	if len(a.record.Progress) == 0 {
		return nil, nil
	}
	text, err := a.record.Progress, error(nil)
	if text[0] != inTheClear {
		text, err = a.engine.seals.unseal(a.record.Key, text)
	}
	if err == nil {
		err = json.Unmarshal(text, &points)
	}
	if err != nil {
		return nil, fmt.Errorf("once: the recovery points of the operation cannot be read: %w", err)
	}
	return points, nil
}

// reach writes one more recovery point down.
func (a *Attempt) reach(ctx context.Context, p point) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return ErrEnded
	}
	points, err := a.points()
	if err != nil {
		return err
	}
	text, err := json.Marshal(append(points, p))
	switch {
	case err != nil:
		return err
	case len(points) >= MaxSteps || len(text) > MaxProgress:
		return fmt.Errorf("once: an operation has at most %d recovery points of %d bytes altogether", MaxSteps, MaxProgress)
	}
	sealed, err := a.engine.seals.seal(a.record.Key, text)
	if err != nil {
		return err
	}
	next, err := a.record.Advance(a.record.Attempt, sealed)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.engine.cfg.Finish)
	defer cancel()
	written, err := a.engine.write(ctx, next)
	if err == nil {
		a.record = written
	} else if errors.Is(err, ErrFenced) {
		a.lose(err)
	}
	return err
}
