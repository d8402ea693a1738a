package grpconce

import (
	"errors"
	"maps"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/oncepay/oncepay/once"
)

// Domain is the domain of the google.rpc.ErrorInfo in every error that this package
// makes, by which it is told from one of a handler.
const Domain = "github.com/oncepay/oncepay"

// Reason is the reason of that ErrorInfo: a word that clients may rely on. It is the code
// that package httponce answers with, in the capitals that google.rpc.ErrorInfo wants.
type Reason string

// The reasons.
const (
	KeyMissing         Reason = "KEY_MISSING"
	KeyMalformed       Reason = "KEY_MALFORMED"
	Unauthenticated    Reason = "UNAUTHENTICATED"
	InProgress         Reason = "IN_PROGRESS"
	KeyReused          Reason = "KEY_REUSED"
	KeyExpired         Reason = "KEY_EXPIRED"
	OutcomeUnknown     Reason = "OUTCOME_UNKNOWN"
	AnswerNotKept      Reason = "ANSWER_NOT_KEPT"
	StreamNotSupported Reason = "STREAM_NOT_SUPPORTED"
	Internal           Reason = "INTERNAL"
	StoreUnavailable   Reason = "STORE_UNAVAILABLE"
)

// refusal is what is said for a reason.
type refusal struct {
	code      codes.Code
	retryable bool // the same call may succeed later, unmended
	sameKey   bool // with this key; otherwise only with a new one
	message   string
}

// refusals have Unavailable only where the very call is to be sent again with its key,
// which is what that code asks for, and what retry policies do.
var refusals = map[Reason]refusal{
	KeyMissing: {codes.InvalidArgument, false, true,
		"this call needs an idempotency key, so that it can be repeated safely"},
	KeyMalformed: {codes.InvalidArgument, false, true,
		"the idempotency key is malformed"},
	Unauthenticated: {codes.Unauthenticated, false, true,
		"it is not known who calls, and a key belongs to whoever sends it; nothing was executed"},
	InProgress: {codes.Unavailable, true, true,
		"the first call with this key has no final answer yet: send the same again, with the same key"},
	KeyReused: {codes.FailedPrecondition, false, false,
		"another request was sent with this key before: use a new key for a new request, or send exactly what was sent then"},
	KeyExpired: {codes.FailedPrecondition, false, false,
		"this key was used, or made, longer ago than answers are kept, and is never executed again: find out what became of it before you try with a new key"},
	OutcomeUnknown: {codes.FailedPrecondition, false, true,
		"an earlier call with this key began, and nobody knows whether it had its effect: do not send it under another key before somebody has found out"},
	AnswerNotKept: {codes.AlreadyExists, false, true,
		"an earlier call with this key was executed, and its answer is not kept: read what it made"},
	StreamNotSupported: {codes.Unimplemented, false, true,
		"calls whose client sends a stream have no idempotency keys here; nothing was executed"},
	Internal: {codes.Internal, true, true,
		"something went wrong in the server: send the same again with the same key, it happens at most once"},
	StoreUnavailable: {codes.Unavailable, true, true,
		"the store of keys is not available, and nothing was executed: send the same again, with the same key"},
}

// refuse is the error of a reason. more is for its ErrorInfo.
func refuse(r Reason, after time.Duration, message string, more map[string]string) error {
	about := refusals[r]
	if message == "" {
		message = about.message
	}
	said := map[string]string{"retryable": strconv.FormatBool(about.retryable), "same_key": strconv.FormatBool(about.sameKey)}
	maps.Copy(said, more)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(r), Domain: Domain, Metadata: said}}
	if about.retryable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(max(after, time.Second))})
	}
	st, err := status.New(about.code, message).WithDetails(details...)
	if err != nil { // details of these types can always be marshalled
		return status.Error(about.code, message)
	}
	return st.Err()
}

// refuseTurn is the error of a call that may do nothing.
func refuseTurn(err error) error {
	busy := (*once.BusyError)(nil)
	switch {
	case errors.As(err, &busy):
		return refuse(InProgress, busy.RetryAfter, "", nil)
	case errors.Is(err, once.ErrMismatch):
		return refuse(KeyReused, 0, "", nil)
	case errors.Is(err, once.ErrExpired):
		return refuse(KeyExpired, 0, "", nil)
	case errors.Is(err, once.ErrParked):
		return refuse(OutcomeUnknown, 0, "", nil)
	case errors.Is(err, once.ErrUnavailable):
		return refuse(StoreUnavailable, 0, "", nil)
	}
	return refuse(Internal, 0, "", nil)
}

// ReasonOf returns the reason of an error that an interceptor of this package has
// answered with, on either side of the wire, and "" of any other.
func ReasonOf(err error) Reason {
	for _, d := range status.Convert(err).Details() {
		if info, is := d.(*errdetails.ErrorInfo); is && info.Domain == Domain {
			return Reason(info.Reason)
		}
	}
	return ""
}
