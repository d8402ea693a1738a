package once

import (
	"errors"
	"fmt"
	"time"
)

// Action is what a request may do. The zero Action is Wait: where nothing was
// decided, nothing runs.
type Action uint8

// The actions that Decide chooses from.
const (
	Wait    Action = iota // an attempt holds the key: wait for its answer
	Execute               // run the operation, as the attempt in Verdict.Record
	Replay                // give the answer in Verdict.Record again
	Refuse                // answer with Verdict.Err; nothing runs
	Recover               // an attempt vanished: the operation's policy says what now
)

func (a Action) String() string {
	return [...]string{"wait", "execute", "replay", "refuse", "recover"}[a]
}

// What Refuse refuses with. Neither ever gets better by retrying.
var (
	// ErrMismatch means that the key was first used for another request.
	ErrMismatch = errors.New("once: the key was used for a different request")

	// ErrExpired means that the key's window is over: what it named was executed,
	// or may have been, and is never executed again under this key.
	ErrExpired = errors.New("once: the key's window is over")
)

// Verdict is what Decide says of one request.
type Verdict struct {
	Action Action
	Record Record // Execute: the claim to hold. Otherwise what was seen, of an outdated key when its window was over.
	Err    error  // Refuse: ErrMismatch or ErrExpired.
}

// Rules are what a service promises of its keys.
type Rules struct {
	// Window is how long an answer is kept and replayed. [Window.Check] says
	// whether it is long enough.
	Window time.Duration

	// Lease is how long an attempt may hold a key before it is taken for
	// vanished.
	Lease time.Duration

	// Tombstones is how long a key is known, from when it was first seen: after its
	// window it is refused for the rest of that. Zero: records do not say, see
	// Record.ForgetAt.
	Tombstones time.Duration

	// ULID says that the tenant's keys are ULIDs, so that their time can be
	// trusted like that of a UUIDv7.
	ULID bool
}

// Decide says what req may do, given what is known of its key and the store's
// time. It is the whole protocol.
func Decide(seen Record, req Request, now time.Time, rules Rules) Verdict {
	switch {
	case seen.State == Absent && rules.outdated(req.Key.ID, now):
		return Verdict{Action: Refuse, Record: Record{Key: req.Key, ExpiresAt: rules.ends(req.Key.ID)}, Err: ErrExpired}
	case seen.State == Absent, seen.State == Released: // a released key may come mended
		return Verdict{Action: Execute, Record: seen.claim(req, now, rules)}
	case seen.Expired(now):
		return Verdict{Action: Refuse, Record: seen, Err: ErrExpired}
	case !seen.Fingerprint.Equal(req.Fingerprint):
		return Verdict{Action: Refuse, Record: seen, Err: ErrMismatch}
	case seen.State == Done:
		return Verdict{Action: Replay, Record: seen}
	case seen.State == Claimed && now.Before(seen.LeaseUntil):
		return Verdict{Action: Wait, Record: seen}
	default: // its owner vanished: no licence to run it again
		return Verdict{Action: Recover, Record: seen}
	}
}

// Expired says whether the window is over. A key whose work is unfinished does
// not expire.
func (r Record) Expired(now time.Time) bool {
	return r.State == Tombstone || r.State == Done && !now.Before(r.ExpiresAt)
}

// claim is the record of the next attempt, made for req.
func (r Record) claim(req Request, now time.Time, rules Rules) Record {
	next := Record{
		Key:         req.Key,
		Version:     r.Version,
		State:       Claimed,
		Fingerprint: req.Fingerprint,
		Operation:   req.Operation,
		Attempt:     r.Attempt + 1,
		LeaseUntil:  now.Add(rules.Lease),
		CreatedAt:   now,
		ExpiresAt:   now.Add(rules.Window),
	}
	if rules.Tombstones > 0 {
		next.ForgetAt = now.Add(rules.Tombstones)
	}
	return next
}

// ErrFenced means that an attempt tried to change a key that it no longer
// holds: a later attempt took it, or it was finished.
var ErrFenced = errors.New("once: a later attempt holds the key")

// Complete is the record with the attempt's answer. An attempt whose lease ran
// out may still complete as long as nobody took the key: what it knows is true.
func (r Record) Complete(attempt int64, resource string, a Answer) (Record, error) {
	if err := r.holds(attempt); err != nil {
		return Record{}, err
	}
	r.State, r.Resource, r.Answer, r.LeaseUntil, r.Progress = Done, resource, a, time.Time{}, nil
	return r, nil
}

// Renew is the record of an attempt that goes on: its lease begins anew.
func (r Record) Renew(attempt int64, now time.Time, lease time.Duration) (Record, error) {
	if err := r.holds(attempt); err != nil {
		return Record{}, err
	}
	r.State, r.LeaseUntil = Claimed, now.Add(lease)
	return r, nil
}

// Advance is the record of an attempt that reached one more recovery point.
func (r Record) Advance(attempt int64, progress []byte) (Record, error) {
	if err := r.holds(attempt); err != nil {
		return Record{}, err
	}
	r.Progress = progress
	return r, nil
}

// Doubt is the record of an attempt that has ended, and does not know itself what
// came of it.
func (r Record) Doubt(attempt int64, why string) (Record, error) {
	if err := r.holds(attempt); err != nil {
		return Record{}, err
	}
	r.State, r.LeaseUntil, r.Note = Unknown, time.Time{}, why
	return r, nil
}

// Reclaim is the record of a key whose attempt vanished, or does not know what
// came of it, held by the next attempt. Its request, its window and its recovery
// points stay.
func (r Record) Reclaim(now time.Time, lease time.Duration) (Record, error) {
	if r = r.Abandon(now); r.State != Unknown {
		return Record{}, fmt.Errorf("%w: it is %s", ErrFenced, r.State)
	}
	r.State, r.LeaseUntil, r.Note = Claimed, now.Add(lease), ""
	r.Attempt++
	return r, nil
}

// Release is the record of a key whose attempt was refused before anything
// began. The attempt number stays, so that it only grows.
func (r Record) Release(attempt int64) (Record, error) {
	if err := r.holds(attempt); err != nil {
		return Record{}, err
	}
	return Record{Key: r.Key, State: Released, Owner: r.Owner, Attempt: r.Attempt, Version: r.Version, ForgetAt: r.ForgetAt}, nil
}

// Abandon is the record of a key whose attempt vanished: its lease is over and
// nobody heard of it. Other records are returned as they are.
func (r Record) Abandon(now time.Time) Record {
	if r.State == Claimed && !now.Before(r.LeaseUntil) {
		r.State, r.LeaseUntil = Unknown, time.Time{}
	}
	return r
}

// Bury is the record of a key whose window is over: the answer is dropped, the
// key stays refused. Other records are returned as they are.
func (r Record) Bury(now time.Time) Record {
	if r.State == Done && r.Expired(now) {
		r.State, r.Answer = Tombstone, Answer{}
	}
	return r
}

func (r Record) holds(attempt int64) error {
	if attempt != r.Attempt || r.State != Claimed && r.State != Unknown {
		return fmt.Errorf("%w: attempt %d of a key that is %s at attempt %d", ErrFenced, attempt, r.State, r.Attempt)
	}
	return nil
}
