package grpconce_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/oncepay/oncepay/grpconce"
	"github.com/oncepay/oncepay/internal/id"
)

// arrivals are the keys of the calls that have come to a server.
type arrivals struct {
	mu   sync.Mutex
	keys []string
}

func (a *arrivals) note(ctx context.Context) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = append(a.keys, metadata.ValueFromIncomingContext(ctx, grpconce.MetadataKey)...)
	return len(a.keys)
}

// retries is grpc-go's own retry policy.
const retries = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.001s",
	"maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// grpc-go repeats a call whose answer is lost after it was executed, by the policy of its
// service config, with the same key: it is executed once.
func TestGRPCsOwnRetriesKeepTheKey(t *testing.T) {
	var came arrivals
	h := build(t, plan{
		outer: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if came.note(ctx) < 3 {
				next(grpc.NewContextWithServerTransportStream(ctx, lost{}), req)
				return nil, status.Error(codes.Unavailable, "the answer is lost")
			}
			return next(ctx, req)
		}},
		dial: []grpc.DialOption{grpc.WithDefaultServiceConfig(retries), grpc.WithChainUnaryInterceptor(grpconce.Client{}.Unary())},
	})
	h.unary = created(h)
	a := h.call(t.Context(), amount(1))
	if a.err != nil || a.message.Username != "1" || !a.replayed() || h.runs.Load() != 1 {
		t.Errorf("it gets %+v after %d runs", a, h.runs.Load())
	}
	if len(came.keys) != 3 || len(slices.Compact(came.keys)) != 1 {
		t.Errorf("it came with the keys %q", came.keys)
	}
}

// lost is a transport that nobody is at the other end of.
type lost struct{ grpc.ServerTransportStream }

func (lost) SetHeader(metadata.MD) error  { return nil }
func (lost) SetTrailer(metadata.MD) error { return nil }

// What a handler refuses, and what is at work or cannot be asked for, is repeated by
// grpc-go as it is without keys: it does not repeat what has a header.
func TestWhatMayBeRepeatedHasNoHeader(t *testing.T) {
	h := build(t, plan{dial: []grpc.DialOption{grpc.WithDefaultServiceConfig(retries)}})
	h.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if grpconce.NothingHappened(ctx); h.runs.Load() < 3 {
			return nil, status.Error(codes.Unavailable, "too much to do")
		}
		return &testpb.SimpleResponse{Username: "done"}, nil
	}
	if a := h.call(withKey(t, "k"), amount(1)); a.message.GetUsername() != "done" {
		t.Errorf("a call gets %v after %d tries", a.err, h.runs.Load())
	}
	h.runs.Store(0)
	h.stream = func(_ *testpb.StreamingOutputCallRequest, out outputs) error {
		if grpconce.NothingHappened(out.Context()); h.runs.Load() < 3 {
			return status.Error(codes.Unavailable, "too much to do")
		}
		return out.Send(output("done"))
	}
	if a := h.watch(withKey(t, "s"), &testpb.StreamingOutputCallRequest{}); len(a.messages) != 1 {
		t.Errorf("a stream gets %v after %d tries", a.err, h.runs.Load())
	}
}

// A duplicate that finds the first one at work is repeated until that has its answer.
func TestGRPCsOwnRetriesMeetWhatIsAtWork(t *testing.T) {
	var came arrivals
	goOn := make(chan struct{})
	h := build(t, plan{
		rule: grpconce.Rule{Wait: -1},
		outer: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if came.note(ctx) == 3 { // the duplicate's second try
				close(goOn)
				<-ctx.Done()
			}
			return next(ctx, req)
		}},
		dial: []grpc.DialOption{grpc.WithDefaultServiceConfig(retries)},
	})
	began := make(chan struct{})
	h.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		close(began)
		<-goOn
		return &testpb.SimpleResponse{Username: "1"}, nil
	}
	first := make(chan told)
	go func() { first <- h.call(withKey(t, "k"), amount(1)) }()
	<-began
	ctx, cancel := context.WithCancel(withKey(t, "k"))
	go func() { <-goOn; cancel() }()
	h.call(ctx, amount(1))
	if a := <-first; a.err != nil || len(came.keys) < 3 || h.runs.Load() != 1 {
		t.Errorf("it came %d times, ran %d times: %v", len(came.keys), h.runs.Load(), a.err)
	}
}

func TestKeysOfClients(t *testing.T) {
	for name, row := range map[string]struct {
		ctx  func(context.Context) context.Context
		want string // "": a new one
	}{
		"a new one": {func(ctx context.Context) context.Context { return ctx }, ""},
		"that of its context": {func(ctx context.Context) context.Context { return grpconce.WithKey(ctx, "order-42") },
			"order-42"},
		"that of its metadata": {func(ctx context.Context) context.Context {
			return metadata.AppendToOutgoingContext(grpconce.WithKey(ctx, "order-42"), grpconce.MetadataKey, "mine")
		}, "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			var came arrivals
			h := build(t, plan{
				outer: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
					came.note(ctx)
					return next(ctx, req)
				}},
				dial: []grpc.DialOption{grpc.WithChainUnaryInterceptor(grpconce.Client{}.Unary())},
			})
			h.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				return nil, status.Error(codes.FailedPrecondition, "no")
			}
			ctx := row.ctx(t.Context())
			for range 2 {
				a := h.call(ctx, amount(1))
				failed := (*grpconce.CallError)(nil)
				if !errors.As(a.err, &failed) || status.Code(a.err) != codes.FailedPrecondition || status.Convert(a.err).Message() != "no" {
					t.Fatalf("it gets %v", a.err)
				}
				if came.keys[len(came.keys)-1] != failed.Key {
					t.Errorf("it came with %q, and says %q", came.keys, failed.Key)
				}
			}
			if _, is := id.UUIDTime(came.keys[0]); row.want == "" && (!is || came.keys[0] == came.keys[1]) {
				t.Errorf("two calls have the keys %q", came.keys)
			}
			if row.want != "" && !slices.Equal(came.keys, []string{row.want, row.want}) {
				t.Errorf("they are %q, want %q", came.keys, row.want)
			}
		})
	}
}

func TestAClientsOwnKeyThatIsNone(t *testing.T) {
	h := build(t, plan{dial: []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(grpconce.Client{}.Unary()), grpc.WithChainStreamInterceptor(grpconce.Client{}.Stream()),
	}})
	h.unary = created(h)
	if a := h.call(grpconce.WithKey(t.Context(), "a b"), amount(1)); grpconce.ReasonOf(a.err) != grpconce.KeyMalformed || h.runs.Load() != 0 {
		t.Errorf("a call gets %v", a.err)
	}
	_, err := h.StreamingOutputCall(grpconce.WithKey(t.Context(), "a b"), &testpb.StreamingOutputCallRequest{})
	if grpconce.ReasonOf(err) != grpconce.KeyMalformed {
		t.Errorf("a stream gets %v", err)
	}
	h.stream = func(_ *testpb.StreamingOutputCallRequest, out outputs) error { return out.Send(output("one")) }
	if a := h.watch(t.Context(), &testpb.StreamingOutputCallRequest{}); len(a.messages) != 1 {
		t.Errorf("a stream without a key of its own gets %v", a.err)
	}
}

func TestClientsWithoutKeys(t *testing.T) {
	none := grpconce.Client{Keyed: func(method string) bool { return method != unaryMethod }}
	h := build(t, plan{dial: []grpc.DialOption{grpc.WithChainUnaryInterceptor(none.Unary())}})
	if a := h.call(t.Context(), amount(1)); grpconce.ReasonOf(a.err) != grpconce.KeyMissing {
		t.Errorf("it gets %v", a.err)
	}
}
