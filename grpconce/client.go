package grpconce

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/internal/keyform"
)

// Client makes the interceptors of clients whose servers honour idempotency keys: each
// call gets one. Its zero value works; it is safe for concurrent use, and nothing of it
// may change once it is used.
type Client struct {
	// Keyed says which methods have a key, by /package.Service/Method.
	//
	// Defaults to all of them: who does not know what a key is ignores it.
	Keyed func(method string) bool
}

// NewKey returns a key that nobody has: a UUIDv7.
func NewKey() string { return id.NewUUID(time.Now()) }

// WithKey returns a context for one operation, however often it is called for, that gives
// it this key. Somebody who keeps the key beside an order can call again after a crash.
// A key in the outgoing metadata counts for more.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, outgoingKey{}, key)
}

type outgoingKey struct{}

// CallError is the error of a unary call that had a key. It has the status of Err. The
// call may have been executed: the same again with that key, in [WithKey], finds out.
type CallError struct {
	Key string
	Err error
}

func (e *CallError) Error() string { return fmt.Sprintf("%v (idempotency key %s)", e.Err, e.Key) }

// Unwrap returns the error of the call.
func (e *CallError) Unwrap() error { return e.Err }

// GRPCStatus is what package status looks for.
func (e *CallError) GRPCStatus() *status.Status { return status.Convert(e.Err) }

// Unary returns the interceptor for unary calls. They fail with a *CallError. It stands in
// front of interceptors that retry, which then repeat a call with its key.
func (c Client) Unary() grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if c.Keyed != nil && !c.Keyed(method) {
			return next(ctx, method, req, reply, cc, opts...)
		}
		ctx, key, err := keyed(ctx)
		if err != nil {
			return err
		}
		if err = next(ctx, method, req, reply, cc, opts...); err != nil {
			return &CallError{Key: key, Err: err}
		}
		return nil
	}
}

// Stream returns the interceptor for streaming calls, like Unary. Their errors come as
// they are.
func (c Client) Stream() grpc.StreamClientInterceptor {
	return func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if c.Keyed != nil && !c.Keyed(method) {
			return next(ctx, d, cc, method, opts...)
		}
		ctx, _, err := keyed(ctx)
		if err != nil {
			return nil, err
		}
		return next(ctx, d, cc, method, opts...)
	}
}

// keyed gives a call its key: that of its metadata, of its context, or a new one.
func keyed(ctx context.Context) (context.Context, string, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	if given := md[MetadataKey]; len(given) > 0 {
		key, err := keyIn(md)
		if err != nil {
			return nil, "", refuse(KeyMalformed, 0, err.Error(), nil)
		}
		return ctx, key, nil
	}
	chosen, _ := ctx.Value(outgoingKey{}).(string)
	key, err := keyform.Parse(cmp.Or(chosen, NewKey()))
	if err != nil {
		return nil, "", refuse(KeyMalformed, 0, "", nil)
	}
	return metadata.AppendToOutgoingContext(ctx, MetadataKey, key), key, nil
}
