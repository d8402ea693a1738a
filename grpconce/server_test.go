package grpconce_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/oncepay/oncepay/grpconce"
	"github.com/oncepay/oncepay/once"
)

func TestARepeatGetsTheAnswerAgain(t *testing.T) {
	h := build(t, plan{})
	h.unary = created(h)
	first := h.call(withKey(t, "k"), amount(1))
	if first.err != nil || first.message.Username != "1" || first.replayed() {
		t.Fatalf("the first gets %+v", first)
	}
	again := h.call(withKey(t, `"k"`), amount(1))
	if again.err != nil || !proto.Equal(again.message, first.message) || !again.replayed() || h.runs.Load() != 1 {
		t.Errorf("a repeat gets %+v after %d runs", again, h.runs.Load())
	}
	if at := first.header[grpconce.MetadataExpires]; len(at) != 1 || at[0] != again.header[grpconce.MetadataExpires][0] {
		t.Errorf("they are kept until %q and %q", at, again.header[grpconce.MetadataExpires])
	}
	if other := h.call(withKey(t, "k2"), amount(1)); other.message.GetUsername() != "2" || other.replayed() {
		t.Errorf("another key gets %+v", other)
	}
}

// Everything that a handler says is said again: messages with what is in them that
// nobody here knows, both kinds of metadata, binary values, the order of values.
func TestReplaysAreFaithful(t *testing.T) {
	failed, err := status.New(codes.FailedPrecondition, "not enough").WithDetails(&errdetails.ErrorInfo{Reason: "FUNDS", Domain: "bank"}, amount(7))
	if err != nil {
		t.Fatal(err)
	}
	for name, fails := range map[string]error{"a message": nil, "an error with details": failed.Err()} {
		t.Run(name, func(t *testing.T) {
			h := build(t, plan{})
			h.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				grpc.SetHeader(ctx, metadata.Pairs("etag", "1", "etag", "2", "raw-bin", "\x00\xff", "request-id", rune2(h.runs.Load())))
				grpc.SendHeader(ctx, metadata.Pairs("location", "charges/1"))
				grpc.SetTrailer(ctx, metadata.Pairs("cost", "3", "sum-bin", "\xfe"))
				if err := grpc.SetHeader(ctx, metadata.Pairs("late", "1")); err == nil {
					t.Error("a header can be set after it was sent")
				}
				m := &testpb.SimpleResponse{Username: "u", Payload: &testpb.Payload{Body: []byte{0, 1}}}
				m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 900, protowire.BytesType), "of a later version"))
				return m, fails
			}
			first, again := h.call(withKey(t, "k"), amount(1)), h.call(withKey(t, "k"), amount(1))
			if h.runs.Load() != 1 || !again.replayed() {
				t.Fatalf("it ran %d times, %v", h.runs.Load(), again.header)
			}
			if !bytes.Equal(wire(t, first.message), wire(t, again.message)) || fails == nil && len(again.message.ProtoReflect().GetUnknown()) == 0 {
				t.Errorf("messages %v and %v", first.message, again.message)
			}
			if !proto.Equal(status.Convert(first.err).Proto(), status.Convert(again.err).Proto()) || status.Code(again.err) != status.Code(fails) {
				t.Errorf("status %v and %v", first.err, again.err)
			}
			for _, name := range []string{"etag", "raw-bin", "location"} {
				if f, a := first.header[name], again.header[name]; len(f) == 0 || strings.Join(f, ",") != strings.Join(a, ",") {
					t.Errorf("header %s: %q and %q", name, f, a)
				}
			}
			for _, name := range []string{"cost", "sum-bin"} {
				if f, a := first.trailer[name], again.trailer[name]; len(f) == 0 || strings.Join(f, ",") != strings.Join(a, ",") {
					t.Errorf("trailer %s: %q and %q", name, f, a)
				}
			}
			if len(first.header["request-id"]) != 1 || len(again.header["request-id"]) != 0 {
				t.Errorf("what is of the moment comes again: %v", again.header)
			}
		})
	}
}

func rune2(n int32) string { return string('0' + n) }

func wire(t *testing.T, m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeysInMetadata(t *testing.T) {
	for name, row := range map[string]struct {
		keys   []string
		reason grpconce.Reason
	}{
		"none":                  {nil, grpconce.KeyMissing},
		"two":                   {[]string{"a", "a"}, grpconce.KeyMalformed},
		"an empty one":          {[]string{""}, grpconce.KeyMalformed},
		"quotes around nothing": {[]string{`""`}, grpconce.KeyMalformed},
		"quotes without an end": {[]string{`"a`}, grpconce.KeyMalformed},
		"a space":               {[]string{"a b"}, grpconce.KeyMalformed},
		"256 characters":        {[]string{strings.Repeat("k", 256)}, grpconce.KeyMalformed},
		"255 characters":        {[]string{strings.Repeat("k", 255)}, ""},
		"a quoted one":          {[]string{`"a"`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, plan{})
			h.unary = created(h)
			a := h.call(withKey(t, row.keys...), amount(1))
			want := codes.InvalidArgument
			if row.reason == "" {
				want = codes.OK
			}
			if status.Code(a.err) != want || grpconce.ReasonOf(a.err) != row.reason || h.runs.Load() != int32(1-min(want, 1)) {
				t.Errorf("it gets %v, %s after %d runs", a.err, grpconce.ReasonOf(a.err), h.runs.Load())
			}
		})
	}
}

// request has a key in its field response_status.message.
func request(key string, n int32) *testpb.SimpleRequest {
	return &testpb.SimpleRequest{ResponseSize: n, ResponseStatus: &testpb.EchoStatus{Message: key}}
}

// A key in a field is no part of what the request is told by: in other spelling it is
// the same.
func TestKeysInFields(t *testing.T) {
	const id = "0f8fad5b-d9cb-469f-a165-70867728950e"
	h := build(t, plan{rule: grpconce.Rule{Field: "response_status.message", UUID: true}})
	h.unary = created(h)
	for name, row := range map[string]struct {
		r      *testpb.SimpleRequest
		reason grpconce.Reason
	}{
		"no message":      {amount(1), grpconce.KeyMissing},
		"an empty one":    {request("", 1), grpconce.KeyMissing},
		"no UUID":         {request("order-42", 1), grpconce.KeyMalformed},
		"nearly a UUID":   {request(id[:35]+"g", 1), grpconce.KeyMalformed},
		"a UUID":          {request(id, 1), ""},
		"in capitals":     {request(strings.ToUpper(id), 1), ""},
		"for another one": {request(id, 2), grpconce.KeyReused},
	} {
		if name == "for another one" {
			h.call(t.Context(), request(id, 1)) // rows come in any order
		}
		a := h.call(t.Context(), row.r)
		if grpconce.ReasonOf(a.err) != row.reason || row.reason == "" && a.message.GetUsername() != "1" {
			t.Errorf("%s: %v, %v", name, a.message, a.err)
		}
	}
	if h.runs.Load() != 1 {
		t.Errorf("it ran %d times", h.runs.Load())
	}
}

func TestAFieldThatIsNotThereIsADefect(t *testing.T) {
	for _, path := range []string{"request_id", "response_status", "response_size", "payload.body", "response_status.message.x"} {
		h := build(t, plan{rule: grpconce.Rule{Field: path, Optional: true}})
		h.unary = created(h)
		if a := h.call(t.Context(), request("k", 1)); status.Code(a.err) != codes.Internal || h.runs.Load() != 0 {
			t.Errorf("%s: %v after %d runs", path, a.err, h.runs.Load())
		}
	}
}

// What no rule speaks of needs a key; what has no effects by its own word, or serves
// tools, passes.
func TestWhatNeedsAKey(t *testing.T) {
	for name, row := range map[string]struct {
		rules  map[string]grpconce.Rule
		reason grpconce.Reason
	}{
		"no rule":                 {map[string]grpconce.Rule{}, grpconce.KeyMissing},
		"a rule of another":       {map[string]grpconce.Rule{streamMethod: {Unkeyed: true}}, grpconce.KeyMissing},
		"its own rule":            {map[string]grpconce.Rule{unaryMethod: {Unkeyed: true}}, ""},
		"its service's":           {map[string]grpconce.Rule{"/grpc.testing.TestService/*": {Optional: true}}, ""},
		"its own before that":     {map[string]grpconce.Rule{"/grpc.testing.TestService/*": {Unkeyed: true}, unaryMethod: {}}, grpconce.KeyMissing},
		"an optional key's field": {map[string]grpconce.Rule{unaryMethod: {Optional: true, Field: "response_status.message"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, plan{rules: row.rules})
			h.unary = created(h)
			for range 2 {
				if a := h.call(t.Context(), amount(1)); grpconce.ReasonOf(a.err) != row.reason || row.reason == "" && a.err != nil {
					t.Errorf("it gets %v", a.err)
				}
			}
			if want := map[bool]int32{true: 2}[row.reason == ""]; h.runs.Load() != want {
				t.Errorf("it ran %d times", h.runs.Load())
			}
		})
	}
}

func TestRulesThatCannotBeMeant(t *testing.T) {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]grpconce.Server{
		"no engine":  {},
		"no method":  {Engine: eng, Rules: map[string]grpconce.Rule{"grpc.testing.TestService/UnaryCall": {}}},
		"no service": {Engine: eng, Rules: map[string]grpconce.Rule{"UnaryCall": {}}},
		"no probe":   {Engine: eng, Rules: map[string]grpconce.Rule{unaryMethod: {Vanished: once.Probe}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it can be meant", name)
				}
			}()
			s.Unary()
		}()
	}
}

// The table of what is final.
func TestFinality(t *testing.T) {
	const (
		free    = "free"
		kept    = "kept"
		unknown = "unknown"
	)
	for code, want := range map[codes.Code]string{
		codes.Canceled: unknown, codes.Unknown: unknown, codes.InvalidArgument: free, codes.DeadlineExceeded: unknown,
		codes.NotFound: free, codes.AlreadyExists: kept, codes.PermissionDenied: free, codes.ResourceExhausted: unknown,
		codes.FailedPrecondition: kept, codes.Aborted: kept, codes.OutOfRange: kept, codes.Unimplemented: free,
		codes.Internal: unknown, codes.Unavailable: unknown, codes.DataLoss: unknown, codes.Unauthenticated: free, 99: unknown,
	} {
		t.Run(code.String(), func(t *testing.T) {
			h := build(t, plan{})
			h.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				return nil, status.Error(code, "no")
			}
			if a := h.call(withKey(t, "k"), amount(1)); status.Code(a.err) != code {
				t.Fatalf("the first gets %v", a.err)
			}
			again := h.call(withKey(t, "k"), amount(1))
			got := unknown
			switch {
			case h.runs.Load() == 2 && status.Code(again.err) == code:
				got = free
			case again.replayed() && status.Code(again.err) == code:
				got = kept
			case grpconce.ReasonOf(again.err) != grpconce.OutcomeUnknown || h.runs.Load() != 1:
				t.Fatalf("a repeat gets %v after %d runs", again.err, h.runs.Load())
			}
			if got != want {
				t.Errorf("the key is %s, want %s", got, want)
			}
		})
	}
}

// An error that is no status is not a failure either; nor is that of a context.
func TestErrorsOfHandlersAreNoFailures(t *testing.T) {
	for name, fails := range map[string]error{"its own": errors.New("read: connection reset"), "a context's": context.DeadlineExceeded} {
		h := build(t, plan{})
		h.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) { return nil, fails }
		h.call(withKey(t, "k"), amount(1))
		if again := h.call(withKey(t, "k"), amount(1)); grpconce.ReasonOf(again.err) != grpconce.OutcomeUnknown || status.Code(again.err) != codes.FailedPrecondition || h.runs.Load() != 1 {
			t.Errorf("%s: a repeat gets %v after %d runs", name, again.err, h.runs.Load())
		}
	}
}

func TestAHandlerSaysThatNothingHappened(t *testing.T) {
	h := build(t, plan{})
	h.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if a := grpconce.Attempt(ctx); a == nil || a.Token() != int64(h.runs.Load()) {
			t.Errorf("its attempt is %+v", a)
		}
		grpconce.NothingHappened(ctx)
		return nil, status.Error(codes.Unavailable, "too much to do")
	}
	for range 2 {
		h.call(withKey(t, "k"), amount(1))
	}
	if h.runs.Load() != 2 {
		t.Errorf("it ran %d times", h.runs.Load())
	}
}

func TestTwoTenantsNeverMeet(t *testing.T) {
	h := build(t, plan{
		cfg: once.Config{Scope: func(ctx context.Context) (string, error) {
			if who := metadata.ValueFromIncomingContext(ctx, "who"); len(who) == 1 {
				return who[0], nil
			}
			return "", errors.New("nobody")
		}},
	})
	h.unary = created(h)
	for _, who := range []string{"anna", "bert"} {
		if a := h.call(metadata.AppendToOutgoingContext(withKey(t, "k"), "who", who), amount(1)); a.err != nil || a.replayed() {
			t.Errorf("%s gets %+v", who, a)
		}
	}
	for _, keys := range [][]string{{"k"}, {"a b"}, nil} { // nobody is told anything of keys
		if a := h.call(withKey(t, keys...), amount(1)); status.Code(a.err) != codes.Unauthenticated || grpconce.ReasonOf(a.err) != grpconce.Unauthenticated || h.runs.Load() != 2 {
			t.Errorf("nobody gets %v", a.err)
		}
	}
}
