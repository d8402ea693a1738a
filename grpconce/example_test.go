package grpconce_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/oncepay/oncepay/grpconce"
	"github.com/oncepay/oncepay/once"
)

// bank is a service of anybody's.
type bank struct {
	testpb.UnimplementedTestServiceServer
	charges int
}

func (b *bank) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	b.charges++
	return &testpb.SimpleResponse{Username: fmt.Sprint("charge ", b.charges)}, nil
}

// A charge that is called for twice is made once, and answered twice.
func Example() {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	keys := grpconce.Server{Engine: eng}
	srv := grpc.NewServer(
		grpc.ChainUnaryInterceptor(keys.Unary()), // behind the interceptor that authenticates
		grpc.ChainStreamInterceptor(keys.Stream()),
	)
	testpb.RegisterTestServiceServer(srv, &bank{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go srv.Serve(l)
	defer srv.Stop()

	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(grpconce.Client{}.Unary())) // in front of interceptors that retry
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	ctx := grpconce.WithKey(context.Background(), "order-42") // or a new key for each call
	for _, amount := range []int32{10, 10, 999} {
		var header metadata.MD
		charge, err := testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: amount}, grpc.Header(&header))
		fmt.Printf("%d: %q %s, replayed: %q\n", amount, charge.GetUsername(), grpconce.ReasonOf(err), header[grpconce.MetadataReplayed])
	}
	// Output:
	// 10: "charge 1" , replayed: []
	// 10: "charge 1" , replayed: ["true"]
	// 999: "" KEY_REUSED, replayed: []
}

// What differs between methods is data.
func ExampleRule() {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		panic(err)
	}
	keys := grpconce.Server{Engine: eng, Rules: map[string]grpconce.Rule{
		"/shop.Orders/*":         {},                     // a key is required, as it is where no rule is
		"/shop.Orders/GetOrder":  {Unkeyed: true},        // it changes nothing
		"/shop.Orders/AddNote":   {Optional: true},       // a key where the client has one
		"/shop.Books/CreateBook": grpconce.AIP155,        // the key is the request's field request_id
		"/shop.Orders/Report":    {Wait: -1},             // nobody waits for a report
		"/shop.Orders/Sync":      {Vanished: once.Rerun}, // it may run again: we say that it does no harm
	}}
	_, err = keys.Unary()(context.Background(), &testpb.SimpleRequest{}, &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/CreateOrder"}, nil)
	fmt.Println(grpconce.ReasonOf(err))
	// Output: KEY_MISSING
}
