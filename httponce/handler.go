package httponce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// Handler is what requests need to be handled once for each key. Engine is needed;
// nothing of it may change once it is used.
type Handler struct {
	Engine *once.Engine

	// Route says what is wanted of a request: see [Table]. It must not read the body.
	//
	// Defaults to the zero Route for all of them.
	Route func(*http.Request) Route

	// MaxBody is how large the body of a request with a key may be, in bytes: it is
	// read before anything runs, since a repeat is told from another request by it.
	//
	// Defaults to 1 MiB.
	MaxBody int64

	// Problems is what the type of a problem begins with; its code follows. A page
	// there should say what to do.
	//
	// Defaults to /docs/problems/.
	Problems string

	// Challenge is the WWW-Authenticate of a 401, for requests of which it is not
	// known whose they are.
	//
	// Defaults to Bearer.
	Challenge string
}

// Wrap returns a handler that hands each request on to next once for its key, and
// gives its answer to all repeats. It panics if there is no Engine.
func (h Handler) Wrap(next http.Handler) http.Handler {
	if h.Engine == nil {
		panic("httponce: a Handler needs an Engine")
	}
	h.MaxBody = cmp.Or(h.MaxBody, 1<<20)
	h.Problems = cmp.Or(h.Problems, "/docs/problems/")
	h.Challenge = cmp.Or(h.Challenge, "Bearer")
	if h.Route == nil {
		h.Route = func(*http.Request) Route { return Route{} }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && r.Method != http.MethodPatch { // the others are idempotent by themselves
			next.ServeHTTP(w, r)
			return
		}
		h.serve(w, r, next)
	})
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	x := &exchange{Handler: h, w: w, r: r, next: next, route: h.Route(r).withDefaults()}
	if x.route.Unkeyed || x.route.Optional && x.route.Pointer == "" && len(r.Header[x.route.Header]) == 0 {
		next.ServeHTTP(w, r)
		return
	}
	if x.identify() && x.read() {
		x.begin()
	}
}

// exchange is a request on its way to its answer.
type exchange struct {
	*Handler
	w     http.ResponseWriter
	r     *http.Request
	next  http.Handler
	route Route
	req   once.Request
	body  body

	nothing atomic.Bool // the handler says that nothing has happened
	rec     recorder
}

// begin asks what the request may do, and does it.
func (x *exchange) begin() {
	turn, err := x.Engine.Begin(x.r.Context(), x.req, once.Terms{Vanished: x.route.Vanished, Wait: x.wait()})
	switch {
	case err != nil:
		x.refuseTurn(turn, err)
	case turn.Attempt == nil:
		x.again(turn.Record)
	default:
		x.run(turn.Attempt)
	}
}

// wait is how long the request waits for another one's answer: as its client says,
// or its route.
func (x *exchange) wait() time.Duration {
	wait, stated := Wait(x.r.Header)
	switch {
	case !stated:
		return x.route.Wait
	case wait == 0:
		return -1
	}
	return min(wait, MaxWait)
}

// refuseTurn answers that the request may do nothing.
func (x *exchange) refuseTurn(turn once.Turn, err error) {
	if at := turn.Record.ExpiresAt; !at.IsZero() {
		x.expires(at)
	}
	x.refuse(refusalOf(err))
}

func refusalOf(err error) refusal {
	busy := (*once.BusyError)(nil)
	switch {
	case errors.As(err, &busy):
		return refusal{code: InProgress, after: busy.RetryAfter}
	case errors.Is(err, once.ErrMismatch):
		return refusal{code: KeyReused}
	case errors.Is(err, once.ErrExpired):
		return refusal{code: KeyExpired}
	case errors.Is(err, once.ErrParked):
		return refusal{code: OutcomeUnknown}
	case errors.Is(err, once.ErrUnavailable):
		return refusal{code: StoreUnavailable}
	}
	return refusal{code: Internal}
}

// expires advertises until when the key is kept.
func (x *exchange) expires(at time.Time) {
	x.w.Header()[HeaderExpires] = []string{at.UTC().Format(jcs.TimeFormat)}
}

// again gives an answer that was given before.
func (x *exchange) again(r once.Record) {
	x.expires(r.ExpiresAt)
	h := x.w.Header()
	h[x.route.Replayed] = []string{"true"}
	if !r.Answer.Dropped {
		replay(x.w, r.Answer)
		return
	}
	for _, f := range r.Answer.Header {
		if f.Name == "Location" { // where what was made can be read
			h["Location"] = []string{f.Value}
		}
	}
	x.refuse(refusal{code: AnswerNotKept, original: r.Answer.Status})
}

// run has the request handled.
func (x *exchange) run(a *once.Attempt) {
	ctx, cancel := a.Context(values{x})
	defer cancel()
	x.rec = recorder{ResponseWriter: x.w, attempt: a, room: x.Engine.MaxAnswer()}
	if h := x.w.Header(); len(h) > 0 {
		x.rec.outer = h.Clone()
	}
	returned := false
	defer func() {
		if !returned { // a panic goes on; what it left behind is not known
			a.Doubt(ctx, errPanic)
		}
	}()
	r := x.r.WithContext(ctx)
	r.Body = x.body.again()
	known, err := x.probe(a, r)
	if err == nil && known == nil {
		x.next.ServeHTTP(&x.rec, r)
		x.rec.end()
	}
	returned = true
	switch {
	case err != nil:
		x.doubt(a, err)
	case known != nil:
		x.found(a, *known)
	default:
		x.finish(a)
	}
}

var errPanic = errors.New("httponce: the handler panicked")

// probe finds out what became of an earlier attempt. It returns its answer, or
// nothing if the request is to be handled.
func (x *exchange) probe(a *once.Attempt, r *http.Request) (*once.Answer, error) {
	if !a.Recovers || x.route.Vanished != once.Probe {
		return nil, nil
	}
	answer, found, err := x.route.Probe(r, a)
	r.Body = x.body.again() // what the probe has read is there again
	switch {
	case err != nil:
		return nil, err
	case found == once.Happened:
		return &answer, nil
	case found == once.NotThere:
		a.Recovers = false
		return nil, nil
	}
	return nil, once.ErrParked
}

// doubt ends an attempt of which a probe did not find out what became of it.
func (x *exchange) doubt(a *once.Attempt, why error) {
	switch err := a.Doubt(x.r.Context(), why); {
	case errors.Is(err, once.ErrFenced):
		x.fenced()
	case errors.Is(why, once.ErrParked):
		x.refuse(refusal{code: OutcomeUnknown})
	default:
		x.refuse(refusal{code: InProgress, detail: "An earlier request with this key began, and it could not be found out yet what became of it. Send the same request again, with the same key, after the time in Retry-After."})
	}
}

// found ends an attempt whose answer a probe has found.
func (x *exchange) found(a *once.Attempt, answer once.Answer) {
	if err := a.Complete(x.r.Context(), answer); errors.Is(err, once.ErrFenced) {
		x.fenced()
		return
	}
	x.again(once.Record{ExpiresAt: a.ExpiresAt(), Answer: answer})
}

// finish ends an attempt by what its handler has answered, and answers.
func (x *exchange) finish(a *once.Attempt) {
	err := x.end(a)
	switch lost := errors.Is(err, once.ErrFenced); {
	case lost && x.rec.streams:
		panic(http.ErrAbortHandler) // another answer is the key's: nobody is to take this one for it
	case lost:
		x.rec.forget()
		x.fenced()
	case !x.rec.streams:
		x.rec.send()
	}
}

// end writes down how the attempt ended. If the store cannot be reached, that is
// done later: what has happened is answered.
func (x *exchange) end(a *once.Attempt) error {
	end := x.route.Finality.of(x.rec.status)
	if x.nothing.Load() {
		end = Nothing
	}
	switch ctx := x.r.Context(); end {
	case Final:
		return a.Complete(ctx, x.rec.answer(x.route.Replayed))
	case Nothing:
		return a.Release(ctx)
	default:
		return a.Doubt(ctx, fmt.Errorf("httponce: it was answered with status %d", x.rec.status))
	}
}

// fenced answers for an attempt that has lost its key, before anything was sent:
// with the answer that is the key's, or that another one is at it.
func (x *exchange) fenced() {
	r, err := x.Engine.Find(context.WithoutCancel(x.r.Context()), x.req.Key)
	if err == nil && r.State == once.Done {
		x.again(r)
		return
	}
	x.refuse(refusal{code: InProgress})
}
