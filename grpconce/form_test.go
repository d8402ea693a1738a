package grpconce

import (
	"bytes"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

func form(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := formOf(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A release that does not know the fields which the next one does tells requests by the
// same form, or every retry across a deployment would be another request.
func TestAFormIsThatOfAnyRelease(t *testing.T) {
	m := &testpb.SimpleRequest{
		ResponseType: 1, ResponseSize: 7, FillServerId: true,
		Payload: &testpb.Payload{Type: 2, Body: []byte("b")}, ResponseStatus: &testpb.EchoStatus{Code: 3, Message: "m"},
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	fields, _ := fieldsOf(wire)
	var backwards []byte
	for _, f := range fields {
		backwards = append(append(bytes.Clone(f.tag), f.value...), backwards...)
	}
	for name, sent := range map[string][]byte{"in order": wire, "backwards": backwards} {
		old, later := &emptypb.Empty{}, &testpb.SimpleRequest{}
		if proto.Unmarshal(sent, old) != nil || proto.Unmarshal(sent, later) != nil {
			t.Fatal(name)
		}
		if o, l := form(t, old), form(t, later); !bytes.Equal(o, l) || !bytes.Equal(l, wire) {
			t.Errorf("%s: the old release has %x, the later one %x, want %x", name, o, l, wire)
		}
	}
}

// A field that is not known stands where its number says, also inside.
func TestUnknownFieldsHaveTheirPlace(t *testing.T) {
	m := &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Message: "m"}}
	m.ResponseStatus.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 5))
	m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.BytesType), 0)) // of another kind than is known
	f := form(t, m)
	if fields, ok := fieldsOf(f); !ok || len(fields) != 2 || fields[0].number != 1 || fields[1].number != 7 {
		t.Errorf("it is %x", f)
	}
	if other := form(t, &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Message: "m"}}); bytes.Equal(f, other) {
		t.Error("what is not known does not count")
	}
}

// Maps have no order.
func TestMapsHaveOneForm(t *testing.T) {
	s := func() *structpb.Struct {
		fields := map[string]*structpb.Value{}
		for _, k := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			fields[k] = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue(k), structpb.NewNumberValue(1)}})
		}
		return &structpb.Struct{Fields: fields}
	}
	first := form(t, s())
	for range 20 {
		if !bytes.Equal(form(t, s()), first) {
			t.Fatal("equal maps have two forms")
		}
	}
}

// FuzzForm: a form has the fields of its message, and is its own form.
func FuzzForm(f *testing.F) {
	f.Add([]byte{0x08, 0x01, 0x3a, 0x03, 0x12, 0x01, 'm'})
	f.Add([]byte{0x3a, 0x02, 0x0b, 0x0c, 0x08, 0x01})
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := &testpb.SimpleRequest{}
		if proto.Unmarshal(wire, m) != nil {
			return // it is no message
		}
		told := form(t, m)
		again := &testpb.SimpleRequest{}
		if err := proto.Unmarshal(told, again); err != nil || !bytes.Equal(form(t, again), told) {
			t.Errorf("the form %x of %x is no form of itself: %v", told, wire, err)
		}
	})
}
