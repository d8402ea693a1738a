package web

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
)

// finish counts the request, whose body is not needed any more. A handler that
// panics is answered for.
func (x *exchange) finish(began time.Time) {
	x.leaveRoom()
	if p := recover(); p != nil {
		x.panicked(p)
	}
	x.api.metrics.count(x, time.Since(began))
}

// panicked tells the client what little there is to tell. If an answer was
// begun, its connection is cut, so that nobody takes half of it for all.
func (x *exchange) panicked(p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p) // net/http's own, for the same purpose
	}
	x.api.log.Error("a handler panicked", "request", x.id, "method", x.r.Method, "path", x.r.URL.Path,
		"panic", p, "stack", string(debug.Stack()))
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	x.refuse(internal, "The server has a defect; its log says more under this request_id. Send the request again with the same key.")
}

// failed answers for a store that could not be read.
func (x *exchange) failed(doing string, err error) {
	if x.r.Context().Err() != nil { // nobody is there any more; the store may be well
		x.api.log.Debug("the client left", "request", x.id, "doing", doing)
	} else {
		x.api.outage.tell(slog.LevelError, "the store failed", err, "request", x.id, "doing", doing)
	}
	x.refuse(storeUnavailable, "The server could not read its store. Send the same request again.")
}

// refusal says what an executor's error is to a client: nothing began, but for
// inProgress.
func (x *exchange) refusal(err error) (code, string) {
	f := findFailure(err)
	switch {
	case f.code == storeUnavailable:
		x.api.outage.tell(f.level, "a request was not executed", err, "request", x.id, "path", x.r.URL.Path)
	case f.level > slog.LevelDebug:
		x.api.log.Log(x.r.Context(), f.level, "a request was not executed", "request", x.id, "path", x.r.URL.Path, "err", err)
	}
	return f.code, f.detail
}

// failure is what an executor's error means to a client, and to whoever runs
// the server. Load that is shed is counted, not logged: a line for each would be
// more load.
type failure struct {
	err    error
	code   code
	level  slog.Level
	detail string
}

var failures = []failure{
	{once.ErrMismatch, keyReused, slog.LevelDebug,
		"Another request was sent with this key before. Use a new key for a new request; to repeat the first one, send exactly what was sent then."},
	{once.ErrExpired, keyExpired, slog.LevelDebug,
		"This key is older than its window and is never executed again. See whether what it named is there, before you send it again under a new key."},
	{engine.ErrInProgress, inProgress, slog.LevelDebug,
		"The first request with this key is still at work. Send the same request again a little later."},
	{engine.ErrOverloaded, overloaded, slog.LevelDebug,
		"The server has too much to do just now. Nothing began; send the same request again a little later."},
	{engine.ErrClosed, overloaded, slog.LevelDebug,
		"This server is shutting down. Nothing began; send the same request again."},
	{engine.ErrUnavailable, storeUnavailable, slog.LevelWarn,
		"The server could not reach its store. Send the same request again, with the same key."},
}

func findFailure(err error) failure {
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return f
		}
	}
	return failure{err, internal, slog.LevelError, "The server has a defect; its log says more under this request_id."}
}
