package once

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
)

// Operation is something that is done once for each key, and comes to a T, which
// must survive encoding/json. Engine and Name are needed. Its methods are safe for
// concurrent use; nothing of it may change once it is used.
type Operation[T any] struct {
	Engine *Engine

	// Name is what it is called in the store and in events: "charge". The same key
	// used for another operation is a mismatch.
	Name string

	// Vanished says what becomes of an execution that nobody knows the outcome of: its
	// process died, it lost its lease, or it failed with an error that is neither a
	// [Refusal] nor [NothingHappened].
	//
	// Defaults to Park: a human decides.
	Vanished Policy

	// Probe asks what became of it, where Vanished is Probe; with none it is parked. It
	// moves nothing. If it fails, or does not know, the key stays as it is.
	Probe func(context.Context, *Attempt) (T, Found, error)
}

// Found is what a probe found. The zero Found is that it does not know.
type Found uint8

// What a probe can find.
const (
	NotKnown Found = iota
	Happened       // with the result that the probe returns
	NotThere       // it certainly has not happened, nor will it any more
)

// Refusal is a final no: it is kept under the key like a result, and every repeat
// gets it. An operation returns it as its error.
type Refusal struct {
	Code    string `json:"code"`    // for programs
	Message string `json:"message"` // for people
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// NothingHappened wraps the error of an operation that certainly did nothing: the
// key is free again, and a retry runs. It is not freed where an earlier attempt may have
// done something, or a recovery point was reached: then nobody knows, as with any error.
func NothingHappened(err error) error { return &nothing{err} }

type nothing struct{ err error }

func (n *nothing) Error() string { return n.err.Error() }
func (n *nothing) Unwrap() error { return n.err }

// What Do fails with besides.
var (
	// ErrNotKept means that the operation was done, and that its result is not kept:
	// it was larger than Config.MaxAnswer, or could not be encoded.
	ErrNotKept = errors.New("once: it was done, and its result is not kept")
)

// Do runs fn once for the key with this id, of the tenant that ctx was given to,
// and returns its result, as often as it is called: with this request. What the
// request is, is told by its form as JSON; a []byte or a string counts as it is.
//
// It fails with the *Refusal of fn, with an error of [Engine.Begin] (then fn did
// not run), with ErrNotKept, with an ErrFenced if the key was lost meanwhile, or
// with what fn failed with. fn is given ctx, which also ends when the key is lost;
// what it does outside of this store should carry the Attempt's Token, or a key
// that it derives.
func (o *Operation[T]) Do(ctx context.Context, id string, request any, fn func(context.Context, *Attempt) (T, error)) (T, error) {
	var none T
	req, err := o.request(ctx, id, request)
	if err != nil {
		return none, err
	}
	turn, err := o.Engine.Begin(ctx, req, Terms{Vanished: o.vanished()})
	switch {
	case err != nil:
		return none, fmt.Errorf("%s %q: %w", o.Name, id, err)
	case turn.Attempt == nil:
		return o.result(turn.Record.Answer)
	}
	return o.run(ctx, turn.Attempt, fn)
}

// Window is how long a result is kept and given again: Config.Window of its engine.
func (o *Operation[T]) Window() time.Duration { return o.Engine.cfg.Window }

// vanished is the policy: what nobody can be asked about, a human decides.
func (o *Operation[T]) vanished() Policy {
	if o.Vanished == Probe && o.Probe == nil {
		return Park
	}
	return o.Vanished
}

// Mark is [Engine.Mark] for a request of this operation.
func (o *Operation[T]) Mark(ctx context.Context, id string, request any) (Record, error) {
	req, err := o.request(ctx, id, request)
	if err != nil {
		return Record{}, err
	}
	return o.Engine.Mark(req)
}

// request is what is asked for.
func (o *Operation[T]) request(ctx context.Context, id string, request any) (Request, error) {
	tenant, err := o.Engine.Tenant(ctx)
	if err != nil {
		return Request{}, err
	}
	form, err := canonical(request)
	if err != nil {
		return Request{}, fmt.Errorf("once: the request of %s has no form to be told by: %w", o.Name, err)
	}
	return Request{
		Key: Key{Tenant: tenant, ID: id}, Operation: o.Name, Fingerprint: o.Engine.Fingerprint(tenant, "", o.Name, form),
	}, nil
}

// requestLimits bound what telling a request takes: some 16 MB.
var requestLimits = jcs.Limits{Depth: 1_000, Nodes: 1 << 20}

// canonical is the form that a request is told by.
func canonical(request any) ([]byte, error) {
	switch r := request.(type) {
	case []byte:
		return r, nil
	case string:
		return []byte(r), nil
	}
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	v, err := jcs.Parse(text, requestLimits)
	if err != nil {
		return nil, err
	}
	return v.AppendCanonical(nil), nil
}

// run runs fn, or finds out what became of an earlier attempt, and ends this one.
func (o *Operation[T]) run(ctx context.Context, a *Attempt, fn func(context.Context, *Attempt) (T, error)) (result T, err error) {
	inner, cancel := a.Context(ctx)
	defer cancel()
	returned := false
	defer func() {
		if !returned { // a panic goes on; what it left behind is not known
			a.Doubt(ctx, errPanic)
		}
	}()
	found := NotThere
	if a.Recovers && o.Vanished == Probe {
		result, found, err = o.Probe(inner, a)
	}
	if err == nil && found == NotThere {
		a.Recovers = a.Recovers && o.Vanished != Probe
		result, err = fn(inner, a)
	} else if err == nil && found == NotKnown {
		err = ErrParked
	}
	returned = true
	return o.end(ctx, a, result, err)
}

var errPanic = errors.New("once: the operation panicked")

// end ends an attempt by what its function returned.
func (o *Operation[T]) end(ctx context.Context, a *Attempt, result T, err error) (T, error) {
	var none T
	refusal, free := (*Refusal)(nil), (*nothing)(nil)
	switch {
	case errors.As(err, &refusal):
		return o.complete(ctx, a, none, err, refuse(refusal))
	case errors.As(err, &free):
		return none, errors.Join(free.err, notFenced(a.Release(ctx)))
	case err != nil:
		return none, errors.Join(err, notFenced(a.Doubt(ctx, err)))
	}
	return o.complete(ctx, a, result, nil, accept(result))
}

// notFenced leaves out that the end could not be written down: the caller has an
// error already, and the key is left to its policy.
func notFenced(err error) error {
	if errors.Is(err, ErrFenced) {
		return err
	}
	return nil
}

// complete keeps an answer. If somebody else's is kept already, that is the one.
func (o *Operation[T]) complete(ctx context.Context, a *Attempt, result T, refusal error, answer Answer) (T, error) {
	err := a.Complete(ctx, answer)
	fenced := (*FencedError)(nil)
	switch {
	case errors.As(err, &fenced) && fenced.By.State == Done:
		kept, err := o.Engine.open(fenced.By)
		if err != nil {
			var none T
			return none, err
		}
		return o.result(kept.Answer)
	case errors.Is(err, ErrFenced):
		return result, err
	case err != nil && o.Engine.within != nil: // what ends with the store's view is undone with it
		var none T
		return none, err
	}
	return result, refusal // done, whether that is written down already or not
}

// The statuses of what functions come to: faces have their own.
const (
	statusDone    = 200
	statusRefused = 422
)

func accept(result any) Answer {
	body, err := json.Marshal(result)
	return Answer{Status: statusDone, Body: body, Dropped: err != nil}
}

func refuse(r *Refusal) Answer {
	body, err := json.Marshal(r)
	return Answer{Status: statusRefused, Body: body, Dropped: err != nil}
}

// result is what an answer that was kept says.
func (o *Operation[T]) result(a Answer) (T, error) {
	var result T
	if a.Dropped {
		return result, ErrNotKept
	}
	if a.Status == statusRefused {
		r := &Refusal{}
		if err := json.Unmarshal(a.Body, r); err != nil {
			return result, fmt.Errorf("once: the refusal of %s that is kept cannot be read: %w", o.Name, err)
		}
		return result, r
	}
	if err := json.Unmarshal(a.Body, &result); err != nil {
		return result, fmt.Errorf("once: the result of %s that is kept cannot be read: %w", o.Name, err)
	}
	return result, nil
}
