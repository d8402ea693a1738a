package jcs

import (
	"bytes"
	"slices"
)

// member is a name and where it is on the tape.
type member struct {
	name []byte
	at   uint32
}

// sortObjects puts the members of every object on the tape in canonical order,
// where two of the same name are neighbours and so are found.
func sortObjects(src []byte, tape []node) *Error {
	var few [16]member
	scratch := few[:0]
	for i, n := range tape {
		if n.count < 2 || src[n.start] != '{' {
			continue
		}
		object := Value{src, tape[i : i+int(n.span)]}
		scratch = object.sortMembers(scratch[:0])
		for j := range scratch[1:] {
			if a, b := scratch[j], scratch[j+1]; bytes.Equal(a.name, b.name) {
				second := object.tape[max(a.at, b.at)]
				return duplicate(int(second.start), b.name)
			}
		}
	}
	return nil
}

// sortMembers writes into the names of an object where each of them is in
// canonical order. It returns the members in that order, appended to scratch.
func (v Value) sortMembers(scratch []member) []member {
	for at := 1; at < len(v.tape); at = v.after(at) {
		scratch = append(scratch, member{v.text(at, nil), uint32(at)})
	}
	slices.SortFunc(scratch, func(a, b member) int { return compareUTF16(a.name, b.name) })
	at := 1
	for _, m := range scratch {
		v.tape[at].span = m.at
		at = v.after(at)
	}
	return scratch
}

// compareUTF16 orders two UTF-8 strings by their UTF-16 code units (RFC 8785,
// section 3.2.3). That is the order of their bytes, except that characters
// beyond U+FFFF (bytes F0 to F4) are surrogates there and come before U+E000 to
// U+FFFF (bytes EE and EF).
func compareUTF16(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x >= 0xee && y >= 0xee && (x >= 0xf0) != (y >= 0xf0) {
			return int(y) - int(x)
		}
		return int(x) - int(y)
	}
	return len(a) - len(b)
}
