package grpconce_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/oncepay/oncepay/grpconce"
	"github.com/oncepay/oncepay/once"
)

// mustBe says whether an error is what the table of reasons says of it.
func mustBe(t *testing.T, err error, code codes.Code, reason grpconce.Reason, retryable, sameKey string) {
	t.Helper()
	var info *errdetails.ErrorInfo
	retry := false
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d.RetryDelay.AsDuration() >= time.Second
		}
	}
	m := info.GetMetadata()
	if status.Code(err) != code || info.GetReason() != string(reason) || info.GetDomain() != grpconce.Domain ||
		m["retryable"] != retryable || m["same_key"] != sameKey || retry != (retryable == "true") {
		t.Errorf("it is %v %v, retry %t; want %s %s", err, info, retry, code, reason)
	}
}

func TestAMismatch(t *testing.T) {
	h := build(t, plan{})
	h.unary = created(h)
	h.call(withKey(t, "k"), amount(1))
	a := h.call(withKey(t, "k"), amount(2))
	mustBe(t, a.err, codes.FailedPrecondition, grpconce.KeyReused, "false", "false")
	if len(a.header[grpconce.MetadataExpires]) != 1 || h.runs.Load() != 1 {
		t.Errorf("it ran %d times, %v", h.runs.Load(), a.header)
	}
}

func TestADuplicateOfWhatIsAtWork(t *testing.T) {
	h := build(t, plan{rule: grpconce.Rule{Wait: -1}})
	began, goOn := make(chan struct{}), make(chan struct{})
	h.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		close(began)
		<-goOn
		return &testpb.SimpleResponse{}, nil
	}
	first := make(chan told)
	go func() { first <- h.call(withKey(t, "k"), amount(1)) }()
	<-began
	mustBe(t, h.call(withKey(t, "k"), amount(1)).err, codes.Unavailable, grpconce.InProgress, "true", "true")
	close(goOn)
	if a := <-first; a.err != nil || h.runs.Load() != 1 {
		t.Errorf("the first gets %v after %d runs", a.err, h.runs.Load())
	}
}

func TestADuplicateWaits(t *testing.T) {
	waited := make(chan struct{}, 1)
	began := make(chan struct{})
	h := build(t, plan{outer: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		select {
		case <-began: // it is the second one
			waited <- struct{}{}
		default:
		}
		return next(ctx, req)
	}}})
	h.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		close(began)
		<-waited
		return &testpb.SimpleResponse{Username: "1"}, nil
	}
	first := make(chan told)
	go func() { first <- h.call(withKey(t, "k"), amount(1)) }()
	<-began
	if a := h.call(withKey(t, "k"), amount(1)); a.message.GetUsername() != "1" || !a.replayed() || h.runs.Load() != 1 {
		t.Errorf("it gets %+v after %d runs", a, h.runs.Load())
	}
	<-first
}

// A key that says of itself that it is older than the window never runs.
func TestAnExpiredKey(t *testing.T) {
	h := build(t, plan{})
	h.unary = created(h)
	a := h.call(withKey(t, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), amount(1))
	mustBe(t, a.err, codes.FailedPrecondition, grpconce.KeyExpired, "false", "false")
	if h.runs.Load() != 0 {
		t.Error("it ran")
	}
}

// broken is a store that does not answer.
type broken struct{ once.Store }

func (broken) Swap(context.Context, once.Record) (once.Seen, error) {
	return once.Seen{}, errors.New("dial: refused")
}
func (broken) Load(context.Context, once.Key) (once.Seen, error) {
	return once.Seen{}, errors.New("dial: refused")
}

func TestAStoreThatIsAway(t *testing.T) {
	h := build(t, plan{store: broken{}, cfg: once.Config{Secret: []byte(strings.Repeat("s", 32)), Lease: 60 * time.Millisecond}})
	h.unary = created(h)
	a := h.call(withKey(t, "k"), amount(1))
	mustBe(t, a.err, codes.Unavailable, grpconce.StoreUnavailable, "true", "true")
	if h.runs.Load() != 0 || strings.Contains(a.err.Error(), "dial") {
		t.Errorf("it ran %d times: %v", h.runs.Load(), a.err)
	}
}

func TestAnAnswerThatIsTooLarge(t *testing.T) {
	h := build(t, plan{cfg: once.Config{MaxAnswer: 100}})
	h.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{Username: strings.Repeat("u", 101)}, nil
	}
	if a := h.call(withKey(t, "k"), amount(1)); a.err != nil || len(a.message.Username) != 101 {
		t.Fatalf("the first gets %v", a.err)
	}
	again := h.call(withKey(t, "k"), amount(1))
	mustBe(t, again.err, codes.AlreadyExists, grpconce.AnswerNotKept, "false", "true")
	for _, d := range status.Convert(again.err).Details() {
		if info, is := d.(*errdetails.ErrorInfo); is && info.Metadata["original_code"] != "OK" {
			t.Errorf("it was %v", info.Metadata)
		}
	}
	if !again.replayed() || h.runs.Load() != 1 {
		t.Errorf("it ran %d times", h.runs.Load())
	}
}

// recovered stands around a house's keys and catches panics, as most servers do.
func recovered(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (_ any, err error) {
	defer func() {
		if recover() != nil {
			err = status.Error(codes.Internal, "panic")
		}
	}()
	return next(ctx, req)
}

func TestAPanicIsNoFailure(t *testing.T) {
	h := build(t, plan{outer: []grpc.UnaryServerInterceptor{recovered}})
	h.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		panic("after the charge")
	}
	if a := h.call(withKey(t, "k"), amount(1)); status.Code(a.err) != codes.Internal {
		t.Fatalf("the first gets %v", a.err)
	}
	mustBe(t, h.call(withKey(t, "k"), amount(1)).err, codes.FailedPrecondition, grpconce.OutcomeUnknown, "false", "true")
	if h.runs.Load() != 1 {
		t.Errorf("it ran %d times", h.runs.Load())
	}
}

// What a human, or a probe, finds out is what repeats are told from then on.
func TestWhatNobodyKnewIsFoundOut(t *testing.T) {
	answer, err := grpconce.Answer(nil, &testpb.SimpleResponse{Username: "found"})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		found once.Found
		err   error
		check func(*testing.T, told)
		runs  int32
	}{
		"it happened": {once.Happened, nil, func(t *testing.T, a told) {
			if a.message.GetUsername() != "found" || !a.replayed() {
				t.Errorf("it gets %+v", a)
			}
		}, 1},
		"it did not": {once.NotThere, nil, func(t *testing.T, a told) { mustFail(t, a.err, codes.Internal) }, 2},
		"who knows": {once.NotKnown, nil, func(t *testing.T, a told) {
			mustBe(t, a.err, codes.FailedPrecondition, grpconce.OutcomeUnknown, "false", "true")
		}, 1},
		"nobody answers": {once.NotKnown, errors.New("timeout"), func(t *testing.T, a told) {
			mustBe(t, a.err, codes.Unavailable, grpconce.InProgress, "true", "true")
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, plan{rule: grpconce.Rule{Vanished: once.Probe, Probe: func(_ context.Context, m proto.Message, a *once.Attempt) (once.Answer, once.Found, error) {
				if m.(*testpb.SimpleRequest).ResponseSize != 1 || !a.Recovers {
					t.Errorf("it is asked about %v", m)
				}
				return answer, row.found, row.err
			}}})
			h.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				if grpconce.Attempt(ctx).Recovers {
					t.Error("the handler is told that it recovers")
				}
				return nil, status.Error(codes.Internal, "who knows")
			}
			h.call(withKey(t, "k"), amount(1))
			row.check(t, h.call(withKey(t, "k"), amount(1)))
			if h.runs.Load() != row.runs {
				t.Errorf("it ran %d times", h.runs.Load())
			}
		})
	}
}

func mustFail(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code || grpconce.ReasonOf(err) != "" {
		t.Errorf("it gets %v", err)
	}
}

// Somebody who settles a key with an answer that is not gRPC's has said that it
// happened: a repeat does not run, and is told so.
func TestASettlementByHand(t *testing.T) {
	h := build(t, plan{})
	h.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return nil, status.Error(codes.Internal, "who knows")
	}
	h.call(withKey(t, "k"), amount(1))
	_, err := h.eng.Settle(t.Context(), once.Key{Tenant: "default", ID: "k"}, once.Settlement{
		Happened: true, Answer: once.Answer{Status: 201, Body: []byte(`{"id":"ch_7"}`)}, Evidence: "line 311", Actor: "ops",
	})
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, h.call(withKey(t, "k"), amount(1)).err, codes.AlreadyExists, grpconce.AnswerNotKept, "false", "true")
}

// A handler goes on when its client has left, or its deadline is over: the effect may
// be there already.
func TestAClientThatLeaves(t *testing.T) {
	for name, leave := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"it hangs up": context.WithCancel,
		"it has no time": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, plan{})
			began, goOn := make(chan struct{}), make(chan struct{})
			h.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				close(began)
				<-goOn
				return &testpb.SimpleResponse{Username: "done"}, ctx.Err()
			}
			ctx, cancel := leave(withKey(t, "k"))
			first := make(chan told)
			go func() { first <- h.call(ctx, amount(1)) }()
			<-began
			if name == "it hangs up" {
				cancel()
			}
			if a := <-first; a.err == nil {
				t.Fatal("the first has an answer")
			}
			cancel()
			close(goOn)
			if a := h.call(withKey(t, "k"), amount(1)); a.message.GetUsername() != "done" || !a.replayed() || h.runs.Load() != 1 {
				t.Errorf("a repeat gets %+v after %d runs", a, h.runs.Load())
			}
		})
	}
}

// An attempt whose key was settled meanwhile does not contradict it.
func TestAnAttemptThatComesTooLate(t *testing.T) {
	store := &stealing{Memory: once.NewMemory()}
	answer, err := grpconce.Answer(nil, &testpb.SimpleResponse{Username: "another"})
	if err != nil {
		t.Fatal(err)
	}
	store.answer = answer
	h := build(t, plan{store: store, cfg: once.Config{Secret: []byte(strings.Repeat("s", 32))}})
	h.unary = created(h)
	h.stream = func(_ *testpb.StreamingOutputCallRequest, out outputs) error {
		return out.Send(output("mine"))
	}
	if a := h.call(withKey(t, "k"), amount(1)); a.message.GetUsername() != "another" || !a.replayed() {
		t.Errorf("it gets %+v", a)
	}
	if a := h.watch(withKey(t, "k2"), &testpb.StreamingOutputCallRequest{}); grpconce.ReasonOf(a.err) != grpconce.InProgress {
		t.Errorf("a stream gets %+v", a)
	}
}

// stealing is a store in which another attempt completes each key just before its
// holder does.
type stealing struct {
	*once.Memory
	answer once.Answer
}

func (s *stealing) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	if next.State == once.Done {
		other := next
		other.Attempt, other.Owner, other.Answer = next.Attempt+1, "another", s.answer
		s.Memory.Swap(ctx, other)
	}
	return s.Memory.Swap(ctx, next)
}
