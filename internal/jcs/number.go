package jcs

import (
	"math"
	"strconv"
)

// number reads a number as RFC 8259, section 6, spells it.
func (p *parser) number() *Error {
	start, float := p.at, uint32(0)
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		if p.at++; isDigit(p.peek()) {
			return p.fail(Syntax, "a number has no leading zeros")
		}
	} else if err := p.digits(); err != nil {
		return err
	}
	if p.peek() == '.' {
		float = 1
		p.at++
		if err := p.digits(); err != nil {
			return err
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		float = 1
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if err := p.digits(); err != nil {
			return err
		}
	}
	end := p.at
	if float == 1 && math.IsInf(toFloat(p.src[start:end]), 0) {
		return &Error{start, NumberRange, "the number is too large for a double"}
	}
	return p.push(start, end, float)
}

// digits reads one digit or more.
func (p *parser) digits() *Error {
	if !isDigit(p.peek()) {
		return p.fail(Syntax, "expected a digit")
	}
	for isDigit(p.peek()) {
		p.at++
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// toFloat returns the double nearest to a literal of valid form, and an
// infinity for one that is too large.
func toFloat(literal []byte) float64 {
	f, _ := strconv.ParseFloat(string(literal), 64)
	return f
}

// appendFloat writes f as ECMAScript's Number::toString does (RFC 8785, section
// 3.2.2.3): the shortest digits that read back as f, and an exponent below 1e-6
// and from 1e21 on.
func appendFloat(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs == 0 {
		return append(dst, '0') // minus zero too
	}
	if 1e-6 <= abs && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // Go writes e-07 for e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
