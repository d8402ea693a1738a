package grpconce_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/oncepay/oncepay/grpconce"
	"github.com/oncepay/oncepay/once"
)

const (
	unaryMethod  = "/grpc.testing.TestService/UnaryCall"
	streamMethod = "/grpc.testing.TestService/StreamingOutputCall"
)

// house is a server with keys on loopback, and a client of it.
type house struct {
	testpb.TestServiceClient

	t      testing.TB
	eng    *once.Engine
	runs   atomic.Int32
	unary  func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	stream func(*testpb.StreamingOutputCallRequest, grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error
}

// service is the server's side of a house.
type service struct {
	testpb.UnimplementedTestServiceServer
	h *house
}

func (s service) UnaryCall(ctx context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	s.h.runs.Add(1)
	return s.h.unary(ctx, r)
}

func (s service) StreamingOutputCall(r *testpb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	s.h.runs.Add(1)
	return s.h.stream(r, out)
}

// plan is what a house is built by.
type plan struct {
	cfg    once.Config
	store  once.Store
	rule   grpconce.Rule // of both methods
	rules  map[string]grpconce.Rule
	outer  []grpc.UnaryServerInterceptor // around the keys
	inner  []grpc.UnaryServerInterceptor
	outerS []grpc.StreamServerInterceptor
	dial   []grpc.DialOption
}

func build(t testing.TB, p plan) *house {
	t.Helper()
	h := &house{t: t}
	if p.cfg.Scope == nil {
		p.cfg.Scope = once.SingleTenant
	}
	if p.store == nil {
		p.store = once.NewMemory()
	}
	var err error
	if h.eng, err = once.New(p.store, p.cfg); err != nil {
		t.Fatal(err)
	}
	if p.rules == nil {
		p.rules = map[string]grpconce.Rule{unaryMethod: p.rule, streamMethod: p.rule}
	}
	keys := grpconce.Server{Engine: h.eng, Rules: p.rules}
	srv := grpc.NewServer(
		grpc.ChainUnaryInterceptor(append(append(p.outer, keys.Unary()), p.inner...)...),
		grpc.ChainStreamInterceptor(append(p.outerS, keys.Stream())...),
	)
	testpb.RegisterTestServiceServer(srv, service{h: h})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	t.Cleanup(srv.Stop)
	cc, err := grpc.NewClient(l.Addr().String(), append(p.dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	h.TestServiceClient = testpb.NewTestServiceClient(cc)
	return h
}

// told is what a client is told.
type told struct {
	header, trailer metadata.MD
	message         *testpb.SimpleResponse
	messages        []*testpb.StreamingOutputCallResponse
	err             error
}

func (a told) replayed() bool { return len(a.header[grpconce.MetadataReplayed]) == 1 }

// withKey is a context with keys in its metadata as they are given.
func withKey(t testing.TB, keys ...string) context.Context {
	ctx := t.Context()
	for _, k := range keys {
		ctx = metadata.AppendToOutgoingContext(ctx, grpconce.MetadataKey, k)
	}
	return ctx
}

func (h *house) call(ctx context.Context, r *testpb.SimpleRequest) (a told) {
	a.message, a.err = h.UnaryCall(ctx, r, grpc.Header(&a.header), grpc.Trailer(&a.trailer))
	return a
}

func (h *house) watch(ctx context.Context, r *testpb.StreamingOutputCallRequest) (a told) {
	s, err := h.StreamingOutputCall(ctx, r)
	if err != nil {
		h.t.Fatal(err)
	}
	for {
		m, err := s.Recv()
		if err != nil {
			a.header, _ = s.Header()
			a.trailer = s.Trailer()
			a.err = err
			return a
		}
		a.messages = append(a.messages, m)
	}
}

// created is a handler that says which run it is.
func created(h *house) func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{Username: string('0' + rune(h.runs.Load()))}, nil
	}
}

func amount(n int32) *testpb.SimpleRequest { return &testpb.SimpleRequest{ResponseSize: n} }
