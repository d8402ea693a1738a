// Package jcs reads JSON strictly and writes its canonical form (RFC 8785), so
// that two spellings of one request have one fingerprint.
//
//	v, err := jcs.Parse(body, jcs.Limits{Depth: 32, Nodes: 1024})
//	mac.Write(v.AppendCanonical(nil))
//
// # What is promised
//
// Parse takes what RFC 8259 takes and I-JSON (RFC 7493) allows: valid UTF-8, no
// member twice, nothing after the text. Two texts that differ only in white
// space, order of members or spelling of strings and numbers have the same
// canonical form, and texts of different values do not. Work and memory are
// linear in the input, but for sorting members (n log n), and hostile input
// does not change that. Memory is bounded by the caller's [Limits] as well.
//
// # What differs from RFC 8785
//
// An integer literal keeps every digit, since amounts that differ beyond 2^53
// must not look the same: 9007199254740993 stays what it is. Only a literal
// with a point or an exponent goes through a double, as in ECMAScript, and loses
// what a double cannot hold.
//
// # What is not promised
//
// Two literals of one number above 2^53 may differ if one is written as a
// float: 1e21 and 1000000000000000000000 are two texts. Nothing is decoded into
// Go structs here.
package jcs

import "iter"

// Kind says what a [Value] is.
type Kind uint8

// The kinds of RFC 8259, section 3.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is one JSON value within a text that [Parse] accepted. It refers to
// the bytes given to Parse, which must not change while it is used. Values are
// immutable and safe for concurrent use; the zero Value is a null.
type Value struct {
	src  []byte
	tape []node // of this value: tape[0] is the value itself, its content follows
}

// A node is one value or one member's name on the tape. An array is followed by
// its elements, an object by names and values in turn.
type node struct {
	start, end uint32 // where it stands in the source, quotes and brackets included
	count      uint32 // array, object: its elements or members; string: 1 if it has escapes; number: 1 if a float
	span       uint32 // of a value: nodes to the next one. Of the i-th name: where the i-th name in canonical order is
}

// Kind returns what v is.
func (v Value) Kind() Kind {
	if len(v.tape) == 0 {
		return Null
	}
	switch v.src[v.tape[0].start] {
	case 'n':
		return Null
	case 't', 'f':
		return Bool
	case '"':
		return String
	case '[':
		return Array
	case '{':
		return Object
	}
	return Number
}

// Raw returns v as it stands in the source, without white space around it. The
// caller must not change it. It is nil for the zero Value, and still the whole
// object after [Value.Without].
func (v Value) Raw() []byte {
	if len(v.tape) == 0 {
		return nil
	}
	return v.raw(0)
}

// Text returns the decoded string, and whether v is one.
func (v Value) Text() (string, bool) {
	if v.Kind() != String {
		return "", false
	}
	return string(v.text(0, nil)), true
}

// Len returns the number of an array's elements or an object's members, and 0
// for every other value.
func (v Value) Len() int {
	if k := v.Kind(); k != Array && k != Object {
		return 0
	}
	return int(v.tape[0].count)
}

// Index returns element i of an array. It panics if v has no such element. It
// walks over the elements before it: use [Value.Elements] for all of them.
func (v Value) Index(i int) Value {
	if i >= 0 && v.Kind() == Array {
		for at := 1; at < len(v.tape); at += int(v.tape[at].span) {
			if i == 0 {
				return v.at(at)
			}
			i--
		}
	}
	panic("jcs: no such element")
}

// Elements yields the position and value of each of an array's elements, and
// nothing for every other value.
func (v Value) Elements() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.Kind() != Array {
			return
		}
		for i, at := 0, 1; at < len(v.tape); i, at = i+1, at+int(v.tape[at].span) {
			if !yield(i, v.at(at)) {
				return
			}
		}
	}
}

// Members yields the decoded name and the value of each of an object's members
// in the order of the source, and nothing for every other value.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != Object {
			return
		}
		for at := 1; at < len(v.tape); at = v.after(at) {
			if !yield(string(v.text(at, nil)), v.at(at+1)) {
				return
			}
		}
	}
}

// Member returns the object's member of that name, and whether v is an object
// that has it. It walks over the members.
func (v Value) Member(name string) (Value, bool) {
	at := v.find(name)
	if at == 0 {
		return Value{}, false
	}
	return v.at(at + 1), true
}

// Without returns the object minus the member of that name; v itself stays as
// it is. A value that has no such member is returned unchanged.
func (v Value) Without(name string) Value {
	at := v.find(name)
	if at == 0 {
		return v
	}
	after := v.after(at)
	tape := append(append(make([]node, 0, len(v.tape)), v.tape[:at]...), v.tape[after:]...)
	tape[0].count--
	tape[0].span -= uint32(after - at)
	rest := Value{v.src, tape}
	rest.sortMembers(nil)
	return rest
}

// find returns where the name of a member is on the tape, or 0.
func (v Value) find(name string) int {
	if v.Kind() != Object {
		return 0
	}
	var buf [64]byte
	for at := 1; at < len(v.tape); at = v.after(at) {
		if string(v.text(at, buf[:0])) == name {
			return at
		}
	}
	return 0
}

// at returns the value whose first node is tape[at].
func (v Value) at(at int) Value {
	return Value{v.src, v.tape[at : at+int(v.tape[at].span)]}
}

// after returns where the member after the one at tape[at] begins.
func (v Value) after(at int) int {
	return at + 1 + int(v.tape[at+1].span)
}

// raw is the source of tape[at].
func (v Value) raw(at int) []byte {
	return v.src[v.tape[at].start:v.tape[at].end]
}

// text returns the decoded string or name at tape[at]. It is part of the source
// if it has no escapes, and else appended to buf.
func (v Value) text(at int, buf []byte) []byte {
	n := v.tape[at]
	inner := v.src[n.start+1 : n.end-1]
	if n.count == 0 {
		return inner
	}
	return appendUnescaped(buf, inner)
}
