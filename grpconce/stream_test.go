package grpconce_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/oncepay/oncepay/grpconce"
	"github.com/oncepay/oncepay/once"
)

func output(s string) *testpb.StreamingOutputCallResponse {
	return &testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: []byte(s)}}
}

func (a told) bodies() (all []string) {
	for _, m := range a.messages {
		all = append(all, string(m.Payload.Body))
	}
	return all
}

type outputs = grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]

// All of a stream comes again: its messages in their order, then how it ended.
func TestAStreamIsGivenAgain(t *testing.T) {
	for name, ends := range map[string]error{"to its end": nil, "with an error": status.Error(codes.FailedPrecondition, "no more")} {
		t.Run(name, func(t *testing.T) {
			h := build(t, plan{})
			h.stream = func(_ *testpb.StreamingOutputCallRequest, out outputs) error {
				grpc.SetHeader(out.Context(), metadata.Pairs("etag", "1"))
				out.SetHeader(metadata.Pairs("etag", "2"))
				for _, s := range []string{"one", "", "three"} {
					if err := out.Send(output(s)); err != nil {
						return err
					}
				}
				out.SetTrailer(metadata.Pairs("cost", "3"))
				return ends
			}
			first, again := h.watch(withKey(t, "k"), &testpb.StreamingOutputCallRequest{}), h.watch(withKey(t, "k"), &testpb.StreamingOutputCallRequest{})
			for who, a := range map[string]told{"the first": first, "a repeat": again} {
				if got := strings.Join(a.bodies(), ","); got != "one,,three" || strings.Join(a.header["etag"], ",") != "1,2" || strings.Join(a.trailer["cost"], ",") != "3" {
					t.Errorf("%s gets %q, %v, %v", who, got, a.header, a.trailer)
				}
				if ends == nil && a.err != io.EOF || ends != nil && status.Convert(a.err).Message() != "no more" {
					t.Errorf("%s: it ends with %v", who, a.err)
				}
			}
			if first.replayed() || !again.replayed() || h.runs.Load() != 1 || len(first.header[grpconce.MetadataExpires]) != 1 {
				t.Errorf("it ran %d times: %v, %v", h.runs.Load(), first.header, again.header)
			}
			other := h.watch(withKey(t, "k"), &testpb.StreamingOutputCallRequest{ResponseType: 1})
			mustBe(t, other.err, codes.FailedPrecondition, grpconce.KeyReused, "false", "false")
		})
	}
}

// What is larger than what is kept is given once, and never made again.
func TestAStreamThatIsTooLarge(t *testing.T) {
	h := build(t, plan{cfg: once.Config{MaxAnswer: 1000}})
	h.stream = func(_ *testpb.StreamingOutputCallRequest, out outputs) error {
		for range 3 {
			if err := out.Send(output(strings.Repeat("x", 400))); err != nil {
				return err
			}
		}
		return nil
	}
	if a := h.watch(withKey(t, "k"), &testpb.StreamingOutputCallRequest{}); len(a.messages) != 3 || a.err != io.EOF {
		t.Fatalf("the first gets %d messages, %v", len(a.messages), a.err)
	}
	again := h.watch(withKey(t, "k"), &testpb.StreamingOutputCallRequest{})
	mustBe(t, again.err, codes.AlreadyExists, grpconce.AnswerNotKept, "false", "true")
	if len(again.messages) != 0 || h.runs.Load() != 1 {
		t.Errorf("a repeat gets %d messages after %d runs", len(again.messages), h.runs.Load())
	}
}

func TestAStreamsClientLeaves(t *testing.T) {
	done := make(chan struct{})
	var client context.Context
	h := build(t, plan{outerS: []grpc.StreamServerInterceptor{func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if client == nil {
			client = ss.Context()
		}
		return next(srv, ss)
	}}})
	h.stream = func(_ *testpb.StreamingOutputCallRequest, out outputs) error {
		defer close(done)
		out.Send(output("one"))
		<-client.Done()
		if grpconce.Attempt(out.Context()) == nil || out.Context().Err() != nil {
			t.Errorf("its context has ended: %v", out.Context().Err())
		}
		return out.Send(output("two"))
	}
	ctx, cancel := context.WithCancel(withKey(t, "k"))
	s, err := h.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Recv(); status.Code(err) != codes.Canceled {
		t.Fatal(err)
	}
	<-done
	a := h.watch(withKey(t, "k"), &testpb.StreamingOutputCallRequest{})
	if strings.Join(a.bodies(), ",") != "one,two" || h.runs.Load() != 1 {
		t.Errorf("a repeat gets %q, %v after %d runs", a.bodies(), a.err, h.runs.Load())
	}
}

func TestAStreamPanics(t *testing.T) {
	h := build(t, plan{outerS: []grpc.StreamServerInterceptor{func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
		defer func() {
			if recover() != nil {
				err = status.Error(codes.Internal, "panic")
			}
		}()
		return next(srv, ss)
	}}})
	h.stream = func(*testpb.StreamingOutputCallRequest, outputs) error { panic("after the charge") }
	h.watch(withKey(t, "k"), &testpb.StreamingOutputCallRequest{})
	a := h.watch(withKey(t, "k"), &testpb.StreamingOutputCallRequest{})
	mustBe(t, a.err, codes.FailedPrecondition, grpconce.OutcomeUnknown, "false", "true")
	if h.runs.Load() != 1 {
		t.Errorf("it ran %d times", h.runs.Load())
	}
}

// A stream whose optional key is in a field that is not set passes, with its client's end.
func TestAStreamWithoutAKey(t *testing.T) {
	h := build(t, plan{rule: grpconce.Rule{Optional: true, Field: "response_status.message"}})
	ended := make(chan struct{})
	h.stream = func(_ *testpb.StreamingOutputCallRequest, out outputs) error {
		out.Send(output("one"))
		<-out.Context().Done()
		close(ended)
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := h.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.Recv(); err != nil || string(m.Payload.Body) != "one" {
		t.Fatal(m, err)
	}
	cancel()
	<-ended
}

// Where the client sends a stream there are no keys, and nobody is left to think so.
func TestStreamsOfClientsAreRefused(t *testing.T) {
	h := build(t, plan{rules: map[string]grpconce.Rule{"/grpc.testing.TestService/HalfDuplexCall": {Unkeyed: true}}})
	s, err := h.FullDuplexCall(withKey(t, "k"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	mustBe(t, err, codes.Unimplemented, grpconce.StreamNotSupported, "false", "true")
	half, err := h.HalfDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.Recv(); grpconce.ReasonOf(err) != "" {
		t.Errorf("what passes gets %v", err)
	}
}
