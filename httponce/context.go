package httponce

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/once"
)

// values is the context of a request without its end: a handler that has begun goes
// on to its end when its client leaves.
type values struct{ x *exchange }

// exchangeKey is what a handler's context knows its exchange by.
type exchangeKey struct{}

func (values) Deadline() (time.Time, bool) { return time.Time{}, false }
func (values) Done() <-chan struct{}       { return nil }
func (values) Err() error                  { return nil }

func (v values) Value(key any) any {
	if key == (exchangeKey{}) {
		return v.x
	}
	return v.x.r.Context().Value(key)
}

// Attempt returns the attempt that a handler is run by, given the context of its
// request, and nil if the request has no key: for keys of what it asks of others
// ([once.Attempt.Derive]), for its fencing token, and for [once.Step]. The handler
// does not end it: its answer does.
func Attempt(ctx context.Context) *once.Attempt {
	if x, found := ctx.Value(exchangeKey{}).(*exchange); found {
		return x.rec.attempt
	}
	return nil
}

// NothingHappened says, by a handler that is given ctx, that its request has
// certainly changed nothing: the key is free again, whatever the status, unless an
// earlier attempt may have changed something, or a recovery point was reached. A handler
// that answers 422 says so if it is the request's form that is wrong, and not the
// state of things.
func NothingHappened(ctx context.Context) {
	if x, found := ctx.Value(exchangeKey{}).(*exchange); found {
		x.nothing.Store(true)
	}
}
