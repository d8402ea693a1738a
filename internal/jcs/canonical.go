package jcs

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
	return v.appendDecoded(dst, at)
}

// appendDecoded is apart from appendText so that only text with escapes pays
// for the buffer.
func (v Value) appendDecoded(dst []byte, at int) []byte {
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
