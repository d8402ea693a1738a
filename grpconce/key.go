package grpconce

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/oncepay/oncepay/internal/keyform"
)

// MetadataKey is the name of the metadata that a key is in, if a rule says nothing else.
const MetadataKey = "idempotency-key"

// errNoKey means that a call has no key, which may be all right.
var errNoKey = errors.New("there is no idempotency key")

// keyIn reads a key from the metadata. One that is there, and empty, is no key that
// somebody has left out.
func keyIn(md metadata.MD) (string, error) {
	switch lines := md[MetadataKey]; len(lines) {
	case 0:
		return "", errNoKey
	case 1:
		return parse(lines[0])
	default:
		return "", errors.New("there is more than one idempotency key")
	}
}

func parse(s string) (string, error) {
	key, err := keyform.Parse(s)
	if err != nil {
		return "", errors.New(strings.Replace(err.Error(), "keyform: it", "the idempotency key", 1))
	}
	return key, nil
}

// keyOf reads the key of a call whose rule has it in a field, and returns the request
// without it, which is what it is told from others by.
func keyOf(m proto.Message, path string) (key string, rest proto.Message, err error) {
	fields, err := pathIn(m.ProtoReflect().Descriptor(), path)
	if err != nil {
		return "", nil, err
	}
	rest = proto.Clone(m)
	at, last := rest.ProtoReflect(), len(fields)-1
	for _, fd := range fields[:last] {
		if !at.Has(fd) {
			return "", rest, errNoKey
		}
		at = at.Mutable(fd).Message()
	}
	text := at.Get(fields[last]).String()
	if at.Clear(fields[last]); text == "" {
		return "", rest, errNoKey
	}
	key, err = parse(text)
	return key, rest, err
}

// errRule means that a rule and the messages of its method do not fit.
var errRule = errors.New("grpconce: the rule does not fit the method")

// pathIn finds the fields on the way to one that is a string, whatever of them is set.
func pathIn(d protoreflect.MessageDescriptor, path string) (fields []protoreflect.FieldDescriptor, err error) {
	for name := range strings.SplitSeq(path, ".") {
		if d == nil {
			return nil, fmt.Errorf("%w: there is no field %s", errRule, path)
		}
		fd := d.Fields().ByName(protoreflect.Name(name))
		if fd == nil || fd.Cardinality() == protoreflect.Repeated {
			return nil, fmt.Errorf("%w: there is no field %s", errRule, path)
		}
		fields, d = append(fields, fd), fd.Message()
	}
	if fields[len(fields)-1].Kind() != protoreflect.StringKind {
		return nil, fmt.Errorf("%w: %s is no string", errRule, path)
	}
	return fields, nil
}

// isUUID says whether s is a UUID in its usual form.
func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	_, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	return err == nil
}

// messageOf is a protocol buffer as this package knows them, of either API.
func messageOf(m any) (proto.Message, bool) {
	switch m := m.(type) {
	case proto.Message:
		return m, true
	case protoadapt.MessageV1:
		return protoadapt.MessageV2Of(m), true
	}
	return nil, false
}
