package grpconce

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// formOf is the form that a message is told from others by. Protocol buffers have no
// canonical one: what deterministic marshalling makes depends on the binary, on which
// fields that knows. So the order of fields is made anew here, by their numbers, in
// every message whose type is known: a field that one release does not know, and the
// next one does, stands at the same place in both.
//
// What is inside of a field that is not known stays as its client wrote it, where a map
// may have any order. To be wrong there is to take a repeat for another request: it is
// refused, and does not run.
func formOf(m proto.Message) ([]byte, error) {
	wire, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	return appendForm(make([]byte, 0, len(wire)), wire, m.ProtoReflect().Descriptor()), nil
}

// field is one of a message, as it is on the wire.
type field struct {
	number protowire.Number
	kind   protowire.Type
	tag    []byte
	value  []byte // with its length before it, if it has one
}

// appendForm appends a message's form. What is no message is appended as it is.
func appendForm(b, wire []byte, d protoreflect.MessageDescriptor) []byte {
	fields, ok := fieldsOf(wire)
	if !ok {
		return append(b, wire...)
	}
	slices.SortStableFunc(fields, func(x, y field) int { return cmp.Compare(x.number, y.number) })
	for _, f := range fields {
		b = append(b, f.tag...)
		if fd := d.Fields().ByNumber(f.number); fd != nil && fd.Kind() == protoreflect.MessageKind && f.kind == protowire.BytesType {
			inner, _ := protowire.ConsumeBytes(f.value)
			b = appendForm(protowire.AppendVarint(b, uint64(len(inner))), inner, fd.Message()) // as long as it was
			continue
		}
		b = append(b, f.value...)
	}
	return b
}

// fieldsOf takes a message apart.
func fieldsOf(wire []byte) (fields []field, ok bool) {
	for len(wire) > 0 {
		number, kind, n := protowire.ConsumeTag(wire)
		if n < 0 {
			return nil, false
		}
		size := protowire.ConsumeFieldValue(number, kind, wire[n:])
		if size < 0 {
			return nil, false
		}
		fields = append(fields, field{number, kind, wire[:n], wire[n : n+size]})
		wire = wire[n+size:]
	}
	return fields, true
}
