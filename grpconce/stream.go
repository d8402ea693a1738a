package grpconce

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/oncepay/oncepay/once"
)

// Stream returns the interceptor for streaming methods. It stands behind the one that
// authenticates. It panics if there is no Engine, or a rule cannot be meant.
func (s Server) Stream() grpc.StreamServerInterceptor {
	s.check()
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		c := &call{Server: &s, method: info.FullMethod, rule: s.rule(info.FullMethod)}
		md, _ := metadata.FromIncomingContext(ss.Context())
		keyless := c.rule.Optional && c.rule.Field == "" && len(md[MetadataKey]) == 0
		switch {
		case c.rule.Unkeyed, keyless:
			return next(srv, ss)
		case info.IsClientStream:
			return refuse(StreamNotSupported, 0, "", nil)
		}
		return c.stream(srv, ss, next)
	}
}

// stream has a server-streaming call handled.
func (c *call) stream(srv any, ss grpc.ServerStream, next grpc.StreamHandler) error {
	ctx, cancel := context.WithCancelCause(c.detached(ss.Context()))
	defer cancel(context.Canceled)
	w := &stream{ServerStream: ss, call: c, cancel: cancel, rec: recorder{method: c.method, out: ss}}
	w.rec.open = w.advertise
	w.ctx = grpc.NewContextWithServerTransportStream(ctx, &w.rec)
	returned := false
	defer func() {
		if a := c.attempt.Load(); a != nil && w.told == nil {
			c.mind(ss.Context(), a, &returned)
		}
		for _, f := range w.unbind {
			f()
		}
	}()
	err := next(srv, w)
	returned = true
	return w.end(err)
}

// stream is the stream that a handler of a server-streaming method is given. What the
// call may do is asked for when its request is read, since it is not known before. From
// then on messages go out as they are sent, and are kept beside as far as there is room.
type stream struct {
	grpc.ServerStream
	call   *call
	ctx    context.Context // the handler's: it outlives its client, and ends when the key is lost
	cancel context.CancelCauseFunc
	rec    recorder
	unbind []func()

	asked bool
	pass  bool                      // it has no key and needs none
	told  func(handler error) error // answers instead of the handler; nil: that does
	reply reply
	gone  error // why the client cannot be written to
}

// errAnswered ends a handler whose call is answered without it.
var errAnswered = errors.New("grpconce: the call is answered without its handler")

// Context is grpc.ServerStream's.
func (w *stream) Context() context.Context { return w.ctx }

// RecvMsg is grpc.ServerStream's. It reads the request, and fails if its call is not to
// be handled: generated handlers return then.
func (w *stream) RecvMsg(m any) error {
	if err := w.ServerStream.RecvMsg(m); err != nil || w.asked {
		return err
	}
	w.asked = true
	ctx := w.ServerStream.Context()
	turn, err := w.call.ask(ctx, m)
	switch {
	case errors.Is(err, errPass):
		w.pass = true
		w.bind(ctx)
		return nil
	case err != nil:
		w.told = func(error) error { return err }
		return errAnswered
	case turn.Attempt == nil:
		w.told = func(error) error { return w.call.again(ctx, turn.Record, w.send) }
		return errAnswered
	}
	return w.begin(ctx, turn.Attempt, m)
}

// begin lets the handler go on as an attempt.
func (w *stream) begin(ctx context.Context, a *once.Attempt, m any) error {
	w.call.attempt.Store(a)
	held, cancel := a.Context(context.WithoutCancel(ctx))
	w.unbind = append(w.unbind, cancel)
	w.bind(held)
	if done, err := w.call.probe(ctx, w.ctx, a, m, w.send); done {
		w.told = func(error) error { return err }
		return errAnswered
	}
	return nil
}

// advertise says until when the key is kept.
func (w *stream) advertise() {
	if a := w.call.attempt.Load(); a != nil {
		w.call.expires(w.ServerStream.Context(), a.ExpiresAt())
	}
}

// bind ends the handler's context when another one ends.
func (w *stream) bind(to context.Context) {
	stop := context.AfterFunc(to, func() { w.cancel(context.Cause(to)) })
	w.unbind = append(w.unbind, func() { stop() })
}

func (w *stream) send(m proto.Message) error { return w.ServerStream.SendMsg(m) }

// SetHeader is grpc.ServerStream's.
func (w *stream) SetHeader(md metadata.MD) error { return w.rec.SetHeader(md) }

// SendHeader is grpc.ServerStream's.
func (w *stream) SendHeader(md metadata.MD) error { return w.rec.SendHeader(md) }

// SetTrailer is grpc.ServerStream's.
func (w *stream) SetTrailer(md metadata.MD) { w.rec.SetTrailer(md) }

// SendMsg is grpc.ServerStream's. It does not fail if the client is gone, as long as
// what is sent is kept: the handler goes on to its end.
func (w *stream) SendMsg(m any) error {
	switch {
	case w.pass:
		return w.ServerStream.SendMsg(m)
	case w.call.attempt.Load() == nil || w.told != nil:
		return errUnread
	}
	if err := w.reply.add(m, w.call.Engine.MaxAnswer()); err != nil {
		return err
	}
	if w.rec.begun(); w.gone == nil {
		w.gone = w.ServerStream.SendMsg(m)
	}
	if w.reply.dropped { // nothing keeps it: an endless stream ends with its reader
		return w.gone
	}
	return nil
}

// errUnread means that a handler answers what it has not read: whether it may run is
// not known.
var errUnread = errors.New("grpconce: the request must be read before it is answered")

// end ends the call, whose handler has returned err.
func (w *stream) end(err error) error {
	a := w.call.attempt.Load()
	switch {
	case w.told != nil:
		return w.told(err)
	case w.pass:
		return err
	case a == nil && err == nil:
		return refuse(Internal, 0, errUnread.Error(), nil)
	case a == nil: // the request did not come
		return err
	}
	w.reply.status = protoOf(err)
	w.reply.header, w.reply.trailer = w.rec.kept()
	kept, lost := w.call.end(w.ServerStream.Context(), a, &w.reply)
	switch {
	case lost:
		return refuse(InProgress, 0, "what came on this stream is not the key's answer: send the same again, with the same key", nil)
	case kept:
		w.advertise()
	}
	return err
}
