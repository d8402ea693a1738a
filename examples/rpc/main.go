// Rpc is a gRPC service whose charges are made once, however often they are called for.
//
//	go run ./examples/rpc
//	go run ./examples/rpc -call 450
//
// The second line is a client: it makes a key, prints it, and calls until there is an
// answer. Kill the service in between with kill -9 and start it again; or kill the client,
// and give the next one the key: -call 450 -key 0193…. There is no database: keys are in a
// directory, and the charges in a file beside it, one on each line. A call that the service
// was killed in the middle of is looked for there when it comes again.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/oncepay/oncepay/grpconce"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9002", "where the service is")
	dir := flag.String("dir", "rpc-data", "where everything is kept")
	lease := flag.Duration("lease", 30*time.Second, "how long a call may be unheard of before it is looked for")
	cents := flag.Int64("call", 0, "be a client, and charge so much")
	key := flag.String("key", "", "go on with a call that had this key")
	user := flag.String("user", "alice", "who calls")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	do := func() error { return serve(ctx, *addr, *dir, *lease) }
	if *cents != 0 {
		do = func() error { return call(ctx, *addr, *user, *key, *cents) }
	}
	if err := do(); err != nil {
		log.Fatal(err)
	}
}

// serve answers until ctx ends, and lets what is in flight finish.
func serve(ctx context.Context, addr, dir string, lease time.Duration) error {
	store, err := pebble.Open(ctx, pebble.Config{Path: filepath.Join(dir, "keys")})
	if err != nil {
		return err
	}
	defer store.Close()
	secret, err := secretIn(dir)
	if err != nil {
		return err
	}
	eng, err := once.New(store, once.Config{Scope: caller, Secret: secret, Lease: lease})
	if err != nil {
		return err
	}
	go eng.Keep(ctx) // what is over is forgotten

	b := &bank{path: filepath.Join(dir, "charges")}
	keys := grpconce.Server{Engine: eng, Rules: map[string]grpconce.Rule{
		chargeMethod: {Vanished: once.Probe, Probe: b.ask},
	}}
	srv := grpc.NewServer(grpc.WaitForHandlers(true),
		grpc.ChainUnaryInterceptor(signIn, keys.Unary()),
		grpc.ChainStreamInterceptor(keys.Stream())) // it has no streams yet: those to come need keys
	srv.RegisterService(b.service(), b)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("clients come to %s", l.Addr())
	defer context.AfterFunc(ctx, srv.GracefulStop)()
	return srv.Serve(l)
}

// secretIn is what keys are made and requests are told by: the same at every start, and
// nobody else can read it.
func secretIn(dir string) ([]byte, error) {
	path := filepath.Join(dir, "secret")
	secret, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		secret = []byte(rand.Text() + rand.Text())
		err = os.WriteFile(path, secret, 0o600)
	}
	return secret, err
}

// name is what the context of a call knows its caller by.
type name struct{}

// signIn lets callers in, by a name that everybody could give: a real one would look at a
// certificate, or at a token.
func signIn(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	who := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(who) != 1 || who[0] == "" {
		return nil, status.Error(codes.Unauthenticated, "say who you are, with -user")
	}
	return next(context.WithValue(ctx, name{}, who[0]), req)
}

// caller is whose key it is: the one who is signed in.
func caller(ctx context.Context) (string, error) {
	if user, ok := ctx.Value(name{}).(string); ok {
		return user, nil
	}
	return "", errors.New("nobody is signed in")
}

const chargeMethod = "/rpc.Bank/Charge"

// service is what protoc would generate for
//
//	service Bank { rpc Charge(google.protobuf.Int64Value) returns (google.protobuf.StringValue); }
func (b *bank) service() *grpc.ServiceDesc {
	charge := func(ctx context.Context, req any) (any, error) { return b.charge(ctx, req.(*wrapperspb.Int64Value)) }
	return &grpc.ServiceDesc{ServiceName: "rpc.Bank", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Charge",
		Handler: func(srv any, ctx context.Context, read func(any) error, keys grpc.UnaryServerInterceptor) (any, error) {
			req := &wrapperspb.Int64Value{}
			if err := read(req); err != nil {
				return nil, err
			}
			return keys(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: chargeMethod}, charge)
		},
	}}}
}

// bank makes charges: lines in a file.
type bank struct{ path string }

// charge charges cents. It runs once for its key.
func (b *bank) charge(ctx context.Context, cents *wrapperspb.Int64Value) (*wrapperspb.StringValue, error) {
	if cents.Value <= 0 {
		return nil, status.Error(codes.InvalidArgument, "a charge is of some cents") // the key is free for what was meant
	}
	id := grpconce.Attempt(ctx).Derive("charge") // the same in every attempt
	if err := b.write(id, cents.Value); err != nil {
		return nil, status.Error(codes.Internal, "the bank cannot write") // nobody knows: a repeat asks
	}
	if os.Getenv("RPC_DIES") == "charged" {
		os.Exit(1)
	}
	return wrapperspb.String(id), nil
}

func (b *bank) write(id string, cents int64) error {
	f, err := os.OpenFile(b.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, id, cents)
	return errors.Join(err, f.Sync(), f.Close())
}

// ask finds out what became of a call whose attempt is gone.
func (b *bank) ask(_ context.Context, _ proto.Message, a *once.Attempt) (once.Answer, once.Found, error) {
	id := a.Derive("charge")
	charges, err := os.ReadFile(b.path)
	switch {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return once.Answer{}, once.NotKnown, err
	case !strings.Contains(string(charges), id+" "):
		return once.Answer{}, once.NotThere, nil // a file knows at once, and does nothing later
	}
	answer, err := grpconce.Answer(nil, wrapperspb.String(id))
	return answer, once.Happened, err
}

// call charges cents, once, and calls until it is told so.
func call(ctx context.Context, addr, user, key string, cents int64) error {
	if key == "" {
		key = grpconce.NewKey() // a real client keeps it beside the order, before it calls
	}
	log.Printf("the key is %s", key)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(grpconce.Client{}.Unary()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx = grpconce.WithKey(metadata.AppendToOutgoingContext(ctx, "authorization", user), key)
	for {
		id := &wrapperspb.StringValue{}
		err := conn.Invoke(ctx, chargeMethod, wrapperspb.Int64(cents), id, grpc.WaitForReady(true))
		if status.Code(err) != codes.Unavailable {
			if err == nil {
				fmt.Println(id.Value)
			}
			return err
		}
		log.Print(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
