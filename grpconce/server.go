package grpconce

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// Server is what calls need to be handled once for each key: it makes the interceptors
// of a [grpc.Server]. Engine is needed; nothing of it may change once it is used.
type Server struct {
	Engine *once.Engine

	// Rules say what is wanted of calls, by /package.Service/Method, or by
	// /package.Service/* for what of a service has no rule of its own.
	//
	// A method without a rule needs a key. Those whose .proto file says
	// idempotency_level = NO_SIDE_EFFECTS pass, and so do the services for health,
	// reflection and channelz, which are not the application's.
	Rules map[string]Rule
}

// Unary returns the interceptor for unary methods. It stands behind the one that
// authenticates. It panics if there is no Engine, or a rule cannot be meant.
func (s Server) Unary() grpc.UnaryServerInterceptor {
	s.check()
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		c := &call{Server: &s, method: info.FullMethod, rule: s.rule(info.FullMethod)}
		if c.rule.Unkeyed {
			return next(ctx, req)
		}
		var resp any
		send := func(m proto.Message) error { resp = m; return nil }
		turn, err := c.ask(ctx, req)
		switch {
		case errors.Is(err, errPass):
			return next(ctx, req)
		case err != nil:
			return nil, err
		case turn.Attempt == nil:
			err = c.again(ctx, turn.Record, send)
			return resp, err
		}
		return c.run(ctx, turn.Attempt, req, next)
	}
}

func (s *Server) check() {
	if s.Engine == nil {
		panic("grpconce: a Server needs an Engine")
	}
	checkRules(s.Rules)
}

// call is a call on its way to its answer.
type call struct {
	*Server
	method  string
	rule    Rule
	req     once.Request
	attempt atomic.Pointer[once.Attempt]
	nothing atomic.Bool // the handler says that nothing has happened
}

// errPass means that a call has no key and needs none.
var errPass = errors.New("grpconce: it needs no key")

// ask asks what the call may do. It fails with errPass, or with what is to be answered.
func (c *call) ask(ctx context.Context, m any) (once.Turn, error) {
	if err := c.identify(ctx, m); err != nil {
		return once.Turn{}, err
	}
	turn, err := c.Engine.Begin(ctx, c.req, once.Terms{Vanished: c.rule.Vanished, Wait: c.rule.Wait})
	if err != nil {
		c.expires(ctx, turn.Record.ExpiresAt)
		return once.Turn{}, refuseTurn(err)
	}
	return turn, nil
}

// identify finds out whose key it is, which one, and what is asked for. Who asks comes
// first: nobody else is told anything.
func (c *call) identify(ctx context.Context, m any) error {
	message, is := messageOf(m)
	if !is {
		return refuse(Internal, 0, "the request is no protocol buffer, and cannot be told from others", nil)
	}
	key, told, wrong := c.key(ctx, message)
	if errors.Is(wrong, errNoKey) && c.rule.Optional {
		return errPass
	}
	tenant, err := c.Engine.Tenant(ctx)
	switch {
	case err != nil:
		return refuse(Unauthenticated, 0, "", nil)
	case errors.Is(wrong, errNoKey):
		return refuse(KeyMissing, 0, "", nil)
	case errors.Is(wrong, errRule):
		return refuse(Internal, 0, "the rule of this method does not fit its request", nil)
	case wrong != nil:
		return refuse(KeyMalformed, 0, wrong.Error(), nil)
	}
	form, err := formOf(told)
	if err != nil {
		return refuse(Internal, 0, "the request cannot be told from others", nil)
	}
	c.req = once.Request{
		Key: once.Key{Tenant: tenant, ID: key}, Operation: c.rule.Name, Fingerprint: c.Engine.Fingerprint(tenant, "gRPC", c.method, form),
	}
	return nil
}

// key is the call's key, and the message that it is told from others by.
func (c *call) key(ctx context.Context, m proto.Message) (key string, told proto.Message, err error) {
	if told = m; c.rule.Field != "" {
		key, told, err = keyOf(m, c.rule.Field)
	} else {
		md, _ := metadata.FromIncomingContext(ctx)
		key, err = keyIn(md)
	}
	if err == nil && c.rule.UUID {
		if key = strings.ToLower(key); !isUUID(key) {
			err = errors.New("the idempotency key is no UUID")
		}
	}
	return key, told, err
}

// expires advertises until when the key is kept: with an answer that is, since grpc-go
// does not repeat by itself what has a header. That one has gone out before is no error
// of the call.
func (c *call) expires(ctx context.Context, at time.Time) {
	if !at.IsZero() {
		grpc.SetHeader(ctx, metadata.Pairs(MetadataExpires, at.UTC().Format(jcs.TimeFormat)))
	}
}

// again gives an answer that was given before.
func (c *call) again(ctx context.Context, r once.Record, send func(proto.Message) error) error {
	c.expires(ctx, r.ExpiresAt)
	grpc.SetHeader(ctx, metadata.Pairs(MetadataReplayed, "true"))
	kept, err := replyOf(r.Answer)
	if err != nil {
		return refuse(AnswerNotKept, 0, "", nil)
	}
	grpc.SetHeader(ctx, kept.header)
	grpc.SetTrailer(ctx, kept.trailer)
	if kept.dropped {
		return refuse(AnswerNotKept, 0, "", map[string]string{"original_code": code.Code(kept.status.GetCode()).String()})
	}
	var gone error // a client that is gone needs no more
	err = kept.each(func(m proto.Message) error { gone = send(m); return gone })
	switch {
	case gone != nil:
		return gone
	case err != nil:
		return refuse(Internal, 0, "", nil)
	}
	return errorOf(kept.status)
}

// run has the call handled.
func (c *call) run(ctx context.Context, a *once.Attempt, req any, next grpc.UnaryHandler) (resp any, err error) {
	c.attempt.Store(a)
	send := func(m proto.Message) error { resp = m; return nil }
	inner, cancel := a.Context(c.detached(ctx))
	defer cancel()
	rec := &recorder{method: c.method}
	inner = grpc.NewContextWithServerTransportStream(inner, rec)
	returned := false
	defer c.mind(ctx, a, &returned)
	if done, err := c.probe(ctx, inner, a, req, send); done {
		returned = true
		return resp, err
	}
	out, failed := next(inner, req)
	returned = true
	r := reply{status: protoOf(failed)}
	r.header, r.trailer = rec.kept()
	if failed == nil && r.add(out, c.Engine.MaxAnswer()) != nil {
		r.dropped = true // grpc-go cannot send it either
	}
	kept, lost := c.end(ctx, a, &r)
	if lost {
		err = c.fenced(ctx, send)
		return resp, err
	}
	if kept {
		c.expires(ctx, a.ExpiresAt())
	}
	grpc.SetHeader(ctx, r.header)
	grpc.SetTrailer(ctx, r.trailer)
	return out, failed
}

// mind says of a handler that did not return that nobody knows what it left behind. A
// panic goes on.
func (c *call) mind(ctx context.Context, a *once.Attempt, returned *bool) {
	if !*returned {
		a.Doubt(ctx, errPanic)
	}
}

var errPanic = errors.New("grpconce: the handler panicked")

// probe finds out what became of an earlier attempt, and answers if the call is not
// to be handled.
func (c *call) probe(ctx, inner context.Context, a *once.Attempt, req any, send func(proto.Message) error) (done bool, err error) {
	if !a.Recovers || c.rule.Vanished != once.Probe {
		return false, nil
	}
	m, _ := messageOf(req)
	answer, found, err := c.rule.Probe(inner, m, a)
	switch {
	case err == nil && found == once.NotThere:
		a.Recovers = false
		return false, nil
	case err == nil && found == once.Happened:
		if errors.Is(a.Complete(ctx, answer), once.ErrFenced) {
			return true, c.fenced(ctx, send)
		}
		return true, c.again(ctx, once.Record{ExpiresAt: a.ExpiresAt(), Answer: answer}, send)
	case err == nil:
		err = once.ErrParked
	}
	switch ended := a.Doubt(ctx, err); {
	case errors.Is(ended, once.ErrFenced):
		return true, c.fenced(ctx, send)
	case errors.Is(err, once.ErrParked):
		return true, refuse(OutcomeUnknown, 0, "", nil)
	}
	return true, refuse(InProgress, 0, "an earlier call with this key began, and it could not be found out yet what became of it: send the same again, with the same key", nil)
}

// end writes down how the attempt ended, and says whether its answer is the key's, or
// its key was lost. If the store cannot be reached, that is done later: what has
// happened is answered.
func (c *call) end(ctx context.Context, a *once.Attempt, r *reply) (kept, lost bool) {
	answered := codes.Code(r.status.GetCode())
	end := c.rule.Finality[answered]
	if c.nothing.Load() {
		end = Nothing
	}
	answer, err := r.answer()
	switch {
	case end == Nothing:
		err = a.Release(ctx)
	case end == Final && err == nil:
		err, kept = a.Complete(ctx, answer), true
	case end == Final:
		err = a.Doubt(ctx, err)
	default:
		err = a.Doubt(ctx, fmt.Errorf("grpconce: it was answered with the code %s", answered))
	}
	return kept, errors.Is(err, once.ErrFenced)
}

// fenced answers for an attempt that has lost its key: with the answer that is the
// key's, or that another one is at it.
func (c *call) fenced(ctx context.Context, send func(proto.Message) error) error {
	r, err := c.Engine.Find(context.WithoutCancel(ctx), c.req.Key)
	if err == nil && r.State == once.Done {
		return c.again(ctx, r, send)
	}
	return refuse(InProgress, 0, "", nil)
}
