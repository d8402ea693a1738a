package grpconce

import (
	"context"

	"github.com/oncepay/oncepay/once"
)

// callKey is what a handler's context knows its call by.
type callKey struct{}

// detached is the context of a call without its end: a handler that has begun goes on
// when its client leaves, or its deadline is over.
func (c *call) detached(ctx context.Context) context.Context {
	return context.WithValue(context.WithoutCancel(ctx), callKey{}, c)
}

// Attempt returns the attempt that a handler is run by, given its context, and nil if
// the call has no key: for keys of what it asks of others ([once.Attempt.Derive]), for
// its fencing token, and for [once.Step]. The handler does not end it: its answer does.
func Attempt(ctx context.Context) *once.Attempt {
	if c, found := ctx.Value(callKey{}).(*call); found {
		return c.attempt.Load()
	}
	return nil
}

// NothingHappened says, by a handler that is given ctx, that its call has certainly
// changed nothing: the key is free again, whatever the status code, unless an earlier
// attempt may have changed something, or a recovery point was reached.
func NothingHappened(ctx context.Context) {
	if c, found := ctx.Value(callKey{}).(*call); found {
		c.nothing.Store(true)
	}
}
