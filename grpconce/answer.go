package grpconce

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/oncepay/oncepay/once"
)

// What is told with every answer to a call with a key.
const (
	MetadataExpires  = "idempotency-expires"  // until when the key is kept (RFC 3339)
	MetadataReplayed = "idempotency-replayed" // "true": the answer was given before
)

// notKept is metadata of the moment: an answer that is given again has its own.
var notKept = []string{"date", "request-id", "x-request-id", MetadataExpires, MetadataReplayed}

// reply is what a handler has answered.
type reply struct {
	header, trailer metadata.MD
	status          *statuspb.Status
	messages        protoreflect.FullName // their type, "" if there is none
	body            []byte                // the messages, each with its length before it
	dropped         bool                  // there was more than is kept
}

// Names of an answer's fields that are no metadata: that has no colon.
const (
	statusField  = ":status"
	messageField = ":message"
	trailerField = "trailer:"
)

// add adds a message, as long as there is room.
func (r *reply) add(m any, room int) error {
	message, is := messageOf(m)
	if !is {
		return fmt.Errorf("grpconce: an answer of type %T is no protocol buffer", m)
	}
	wire, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	r.messages = message.ProtoReflect().Descriptor().FullName()
	if r.dropped = r.dropped || len(r.body)+protowire.SizeBytes(len(wire)) > room; r.dropped {
		r.body = nil
		return nil
	}
	r.body = protowire.AppendBytes(r.body, wire)
	return nil
}

// answer is the reply as it is kept. Its body begins with its status, so that this, with
// its details, is bounded like a message.
func (r *reply) answer() (once.Answer, error) {
	st, err := proto.Marshal(r.status)
	if err != nil {
		return once.Answer{}, err
	}
	code := codes.Code(r.status.GetCode())
	a := once.Answer{Status: httpStatus(code), Dropped: r.dropped, Header: []once.Field{
		{Name: statusField, Value: strconv.Itoa(int(code))}, {Name: messageField, Value: string(r.messages)},
	}}
	a.Header = appendMetadata(a.Header, "", r.header)
	a.Header = appendMetadata(a.Header, trailerField, r.trailer)
	if !r.dropped {
		a.Body = append(protowire.AppendBytes(nil, st), r.body...)
	}
	return a, nil
}

// appendMetadata appends metadata as fields, in an order of its own: that of the values
// of one name counts, and stays. Binary values are text there.
func appendMetadata(fields []once.Field, prefix string, md metadata.MD) []once.Field {
	for _, name := range slices.Sorted(maps.Keys(md)) {
		if slices.Contains(notKept, name) {
			continue
		}
		for _, v := range md[name] {
			if strings.HasSuffix(name, "-bin") {
				v = base64.RawStdEncoding.EncodeToString([]byte(v))
			}
			fields = append(fields, once.Field{Name: prefix + name, Value: v})
		}
	}
	return fields
}

// errForeign means that an answer was made by somebody else, such as a human who
// settled a key: it says that the call happened, and no more.
var errForeign = errors.New("grpconce: no answer of a gRPC method")

// replyOf reads an answer that is kept. Of one that was dropped, it has the metadata,
// and the status's code.
func replyOf(a once.Answer) (*reply, error) {
	r := &reply{header: metadata.MD{}, trailer: metadata.MD{}, status: &statuspb.Status{}, dropped: a.Dropped}
	known := false
	for _, f := range a.Header {
		name, md := f.Name, r.header
		switch {
		case name == statusField:
			code, err := strconv.ParseInt(f.Value, 10, 32)
			r.status.Code, known = int32(code), err == nil
			continue
		case name == messageField:
			r.messages = protoreflect.FullName(f.Value)
			continue
		case strings.HasPrefix(name, trailerField):
			name, md = strings.TrimPrefix(name, trailerField), r.trailer
		}
		v := f.Value
		if strings.HasSuffix(name, "-bin") {
			raw, err := base64.RawStdEncoding.DecodeString(v)
			if err != nil {
				return nil, errForeign
			}
			v = string(raw)
		}
		md[name] = append(md[name], v)
	}
	if !known {
		return nil, errForeign
	}
	if a.Dropped {
		return r, nil
	}
	st, n := protowire.ConsumeBytes(a.Body)
	if n < 0 || proto.Unmarshal(st, r.status) != nil {
		return nil, errForeign
	}
	r.body = a.Body[n:]
	return r, nil
}

// each hands on the messages in their order, as the type that they were.
func (r *reply) each(send func(proto.Message) error) error {
	for rest := r.body; len(rest) > 0; {
		wire, n := protowire.ConsumeBytes(rest)
		if n < 0 {
			return errForeign
		}
		kind, err := protoregistry.GlobalTypes.FindMessageByName(r.messages)
		if err != nil {
			return fmt.Errorf("grpconce: this binary does not know the message %s: %w", r.messages, err)
		}
		m := kind.New().Interface()
		if err := proto.Unmarshal(wire, m); err != nil {
			return err
		}
		if err := send(m); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// Answer is an answer as interceptors keep it: the messages, or the error, that repeats
// are given. It is for a Rule's Probe, and for [once.Engine.Settle]; a server-streaming
// method may have both.
func Answer(err error, messages ...proto.Message) (once.Answer, error) {
	r := reply{status: protoOf(err)}
	const all = 1 << 30 // the engine drops what it does not keep
	for _, m := range messages {
		if err := r.add(m, all); err != nil {
			return once.Answer{}, err
		}
	}
	return r.answer()
}

// httpStatus is a code as google.rpc.Code spells it in HTTP: what is stored has that of
// whoever wrote it, and lists of keys show one kind.
func httpStatus(c codes.Code) int {
	if int(c) < len(httpStatuses) {
		return httpStatuses[c]
	}
	return http.StatusInternalServerError
}

var httpStatuses = [...]int{
	codes.OK: 200, codes.Canceled: 499, codes.Unknown: 500, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504,
	codes.NotFound: 404, codes.AlreadyExists: 409, codes.PermissionDenied: 403, codes.ResourceExhausted: 429,
	codes.FailedPrecondition: 400, codes.Aborted: 409, codes.OutOfRange: 400, codes.Unimplemented: 501, codes.Internal: 500,
	codes.Unavailable: 503, codes.DataLoss: 500, codes.Unauthenticated: 401,
}

// protoOf is the status that grpc-go sends for a handler's error, or for none.
func protoOf(err error) *statuspb.Status {
	if err == nil {
		return &statuspb.Status{}
	}
	st, is := status.FromError(err)
	if !is {
		st = status.FromContextError(err)
	}
	return st.Proto()
}

func errorOf(st *statuspb.Status) error { return status.FromProto(st).Err() }
