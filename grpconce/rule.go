package grpconce

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/oncepay/oncepay/once"
)

// Rule is what is wanted of calls of a method: where their key is, what becomes of it,
// and which status codes are final. It is data, and may be shared. The zero Rule wants
// a key in the metadata, and has the finality of [Careful].
type Rule struct {
	// Name is what the calls are called in the store and in events. It is part of the
	// keys that [once.Attempt.Derive] makes: to change it makes others.
	//
	// Defaults to the method, package.Service/Method.
	Name string

	// Unkeyed calls pass as if the interceptor were not there. Their keys are ignored.
	Unkeyed bool

	// Optional lets calls pass that have no key: they run as often as they come.
	Optional bool

	// Field is the path to the field of the request that is the key, instead of the
	// metadata: "request_id", "payment.request_id", by the names in the .proto file. It
	// is a string. One that is not set, or empty, is no key. What it says is no part of
	// what the request is told from others by.
	Field string

	// UUID takes only keys that are UUIDs (RFC 9562), of any version and in either case.
	UUID bool

	// Vanished says what becomes of a call of which nobody knows whether it happened:
	// its process died, it lost its lease, it panicked, or its status code says so (see
	// Finality).
	//
	// Defaults to Park: a human decides, and until then it is answered OUTCOME_UNKNOWN.
	Vanished once.Policy

	// Probe asks what became of such a call, where Vanished is [once.Probe]; with none
	// it is parked. It moves nothing. The answer, which [Answer] makes, is what a
	// repeat is given, if it happened.
	Probe func(ctx context.Context, request proto.Message, a *once.Attempt) (once.Answer, once.Found, error)

	// Wait is how long a duplicate waits for the first one's answer, if its deadline is
	// not earlier; negative: not at all.
	//
	// Defaults to the engine's Config.Wait.
	Wait time.Duration

	// Finality says what a status code means for the key.
	//
	// Defaults to that of Careful.
	Finality Finality
}

// End is what an answer means for its key.
type End uint8

// The ends. The zero End is that nobody knows: where nothing is said, nothing runs
// twice.
const (
	Unknown End = iota // nobody knows whether it happened: see Rule.Vanished
	Final              // it is the key's answer, given again to every repeat
	Nothing            // it was refused before anything began: the key is free
)

// Finality says what answers mean by their status code. A code that it does not have
// is Unknown.
type Finality map[codes.Code]End

// Careful is for handlers that nobody has looked at. OK, and refusals by the state of
// things, are final. What was refused for its form, its credentials, or for what is not
// there, had not begun, and may come again mended.
//
// All else is unknown. So are Unavailable and ResourceExhausted: most handlers hand on
// what a call of their own failed with, and that may have had its effect before its
// answer was lost, or was too large. Shed load in front of the interceptor; a handler
// that knows that nothing has begun says so with [NothingHappened].
var Careful = Rule{Finality: Finality{
	codes.OK:                 Final,
	codes.AlreadyExists:      Final,
	codes.FailedPrecondition: Final,
	codes.OutOfRange:         Final,
	codes.Aborted:            Final, // who begins anew at a higher level has another request
	codes.InvalidArgument:    Nothing,
	codes.NotFound:           Nothing,
	codes.PermissionDenied:   Nothing,
	codes.Unauthenticated:    Nothing,
	codes.Unimplemented:      Nothing,
}}

// AIP155 is Google's request identification (https://google.aip.dev/155): the key is the
// request's field request_id, optional, and a UUID; a duplicate is given the answer of
// the request that succeeded, and what failed may be sent again. What may have had its
// effect is unknown, as in Careful.
var AIP155 = Rule{
	Optional: true, Field: "request_id", UUID: true,
	Finality: Finality{
		codes.OK:                 Final,
		codes.AlreadyExists:      Nothing,
		codes.FailedPrecondition: Nothing,
		codes.OutOfRange:         Nothing,
		codes.Aborted:            Nothing,
		codes.InvalidArgument:    Nothing,
		codes.NotFound:           Nothing,
		codes.PermissionDenied:   Nothing,
		codes.Unauthenticated:    Nothing,
		codes.Unimplemented:      Nothing,
	},
}

func (r Rule) withDefaults(method string) Rule {
	r.Name = cmp.Or(r.Name, strings.TrimPrefix(method, "/"))
	if r.Finality == nil {
		r.Finality = Careful.Finality
	}
	if r.Vanished == once.Probe && r.Probe == nil {
		r.Vanished = once.Park
	}
	return r
}

// rule is what is wanted of a method: of it, of its service, of what the method says
// of itself, or a key.
func (s *Server) rule(method string) Rule {
	service := method[:strings.LastIndexByte(method, '/')+1]
	r, found := s.Rules[method]
	if !found {
		r, found = s.Rules[service+"*"]
	}
	if !found {
		r.Unkeyed = tools[service] || noSideEffects(method)
	}
	return r.withDefaults(method)
}

// tools are services that change nothing, and whose callers have no keys.
var tools = map[string]bool{
	"/grpc.health.v1.Health/":                                true,
	"/grpc.reflection.v1.ServerReflection/":                  true,
	"/grpc.reflection.v1alpha.ServerReflection/":             true,
	"/grpc.channelz.v1.Channelz/":                            true,
	"/envoy.service.status.v3.ClientStatusDiscoveryService/": true,
}

// noSideEffects says whether a method's .proto file has idempotency_level =
// NO_SIDE_EFFECTS.
func noSideEffects(method string) bool {
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return false
	}
	options, _ := d.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// checkRules panics if a rule cannot be meant.
func checkRules(rules map[string]Rule) {
	for method, r := range rules {
		if parts := strings.Split(method, "/"); len(parts) != 3 || parts[0] != "" || parts[1] == "" || parts[2] == "" {
			panic(fmt.Sprintf("grpconce: %q is neither /package.Service/Method nor /package.Service/*", method))
		}
		if r.Vanished == once.Probe && r.Probe == nil {
			panic(fmt.Sprintf("grpconce: %s: there is no Probe to ask", method))
		}
	}
}
