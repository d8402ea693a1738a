// Package grpconce makes gRPC calls that may be repeated: it is the face of package once
// for google.golang.org/grpc, on both sides of the wire.
//
//	eng, err := once.New(store, once.Config{Scope: tenantOf, Secret: secret})
//	keys := grpconce.Server{Engine: eng}
//	srv := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(authenticate, keys.Unary()),
//		grpc.ChainStreamInterceptor(authenticateStream, keys.Stream()),
//	)
//
// A [Server] makes interceptors for methods that must not run twice, unary ones and those
// whose server sends a stream. Each call has a key in its metadata, idempotency-key; it is
// handed on once, and its answer is kept and given to every repeat. Authentication comes
// first, and puts the tenant where the engine's Scope finds it. What is wanted of calls,
// where it differs, is data: a [Rule], or ready [Careful] and [AIP155]. A method without a
// rule needs a key: nothing is unprotected because somebody forgot it.
//
// A [Client] makes interceptors that give each call its key:
//
//	grpc.NewClient(target, grpc.WithChainUnaryInterceptor(grpconce.Client{}.Unary(), …))
//
// # What a Server promises
//
// Everything that package once does. A repeat gets the answer as it was: the messages, with
// the fields in them that nobody here knows; the header's and the trailer's metadata, all
// values in their order, but for those of the moment (date, request-id, x-request-id); the
// status code, its message and its details.
//
// A unary answer is sent when it is kept: until then it is held back, also if its handler
// sends the header early. A stream's messages go out as they are sent, and are kept beside
// as far as there is room ([once.Config].MaxAnswer); its end goes out when that is done. What
// is larger is not kept. Its key is done all the same: a repeat is told so
// (ANSWER_NOT_KEPT), and never runs.
//
// A handler goes on when its client leaves, and when its client's deadline is over: the
// effect may be there already. Its context ends when it returns, and when its key is lost,
// since somebody else may run then. A handler that panics leaves the outcome unknown: see
// [Rule].Vanished.
//
// A request is told from another by its method and its message, whose fields count in
// the order of their numbers, whatever order they came in and whichever of them this
// release knows. A key in a field is no part of that. Requests are never stored.
//
// Every error that is not a handler's has a google.rpc.ErrorInfo of [Domain], with a
// [Reason], and says in its metadata whether the same call may succeed later (retryable)
// and with the same key (same_key). Where it may, there is a google.rpc.RetryInfo.
//
// # What a Server does not promise
//
// It believes what handlers answer: where a [Finality] says that a code means that nothing
// has happened, the key is free again. A handler whose calls to others should end early
// has to give them a deadline of its own.
//
// Calls whose client sends a stream have no keys: they are refused, unless a rule lets them
// pass. A server-streaming handler must read its request before it does anything, as
// generated code does; interceptors behind this one see that reading fail where a call
// is answered without its handler.
//
// Protocol buffers have no canonical form. Inside of a field that this release does not
// know, a map may come in another order from a client that encodes it anew: such a repeat
// is refused (KEY_REUSED), and does not run. Messages that come again are decoded and
// encoded, so the order of maps on the wire may differ. A binary that does not know the
// type of a message that another one has kept answers INTERNAL, and runs nothing.
//
// A server that stops does not wait for handlers whose clients are gone, unless it was
// made with [grpc.WaitForHandlers]: what it cuts off is unknown.
//
// # What a Client promises
//
// A call has one key, over all that grpc-go does by itself with it: transparent retries and
// those of a service config's retryPolicy send the same metadata. Interceptors that retry
// and stand behind this one do, too. The key is the one in the outgoing metadata, that of
// [WithKey], or a new one (UUIDv7).
//
// # What a Client does not promise
//
// It repeats nothing itself. Two calls are two operations, unless [WithKey] says that they
// are one. It does not know whether a server honours keys.
package grpconce
