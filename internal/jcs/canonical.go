package jcs

import "slices"

// AppendCanonical appends the canonical form of v to dst.
func (v Value) AppendCanonical(dst []byte) []byte {
	switch v.Kind() {
	case Object:
		return v.appendObject(dst)
	case Array:
		return v.appendArray(dst)
	case String:
		return v.appendText(dst, 0)
	case Number:
		return v.appendNumber(dst)
	}
	if len(v.tape) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, v.Raw()...)
}

// appendObject follows the order that the parser left in the names.
func (v Value) appendObject(dst []byte) []byte {
	dst = append(dst, '{')
	for at := 1; at < len(v.tape); at = v.after(at) {
		if at > 1 {
			dst = append(dst, ',')
		}
		name := int(v.tape[at].span)
		dst = append(v.appendText(dst, name), ':')
		dst = v.at(name + 1).AppendCanonical(dst)
	}
	return append(dst, '}')
}

func (v Value) appendArray(dst []byte) []byte {
	dst = append(dst, '[')
	for at := 1; at < len(v.tape); at += int(v.tape[at].span) {
		if at > 1 {
			dst = append(dst, ',')
		}
		dst = v.at(at).AppendCanonical(dst)
	}
	return append(dst, ']')
}

// appendText writes the string or name at tape[at]. One without escapes is
// canonical as it stands.
func (v Value) appendText(dst []byte, at int) []byte {
	if v.tape[at].count == 0 {
		return append(dst, v.raw(at)...)
	}
	var buf [64]byte
	return appendQuoted(dst, v.text(at, buf[:0]))
}

func (v Value) appendNumber(dst []byte) []byte {
	literal := v.Raw()
	switch {
	case v.tape[0].count == 1:
		return appendFloat(dst, toFloat(literal))
	case string(literal) == "-0":
		return append(dst, '0')
	}
	return append(dst, literal...)
}

// member is a name and where it is on the tape.
type member struct {
	name []byte
	at   uint32
}

// sortMembers writes into the names of an object where each of them is in
// canonical order. It returns its members in that order, appended to scratch.
func sortMembers(src []byte, tape []node, scratch []member) []member {
	v := Value{src, tape}
	for at := 1; at < len(tape); at = v.after(at) {
		scratch = append(scratch, member{v.text(at, nil), uint32(at)})
	}
	slices.SortFunc(scratch, func(a, b member) int { return compareUTF16(a.name, b.name) })
	at := 1
	for _, m := range scratch {
		tape[at].span = m.at
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
