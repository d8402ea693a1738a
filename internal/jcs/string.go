package jcs

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a string in quotes. Bytes that mean themselves are most of what
// is ever read, so the inner loop is about them.
func (p *parser) string() *Error {
	start, escaped := p.at, uint32(0)
	for p.at++; ; {
		p.at += plainPrefix(p.src[p.at:])
		switch c := p.peek(); {
		case c == '"':
			return p.push(start, p.at+1, escaped)
		case c == '\\':
			escaped = 1
			if err := p.escape(); err != nil {
				return err
			}
		case c < ' ':
			return p.fail(Syntax, "a control character in a string must be escaped")
		default:
			_, size := utf8.DecodeRune(p.src[p.at:])
			if size == 1 {
				return p.fail(InvalidUTF8, "not valid UTF-8")
			}
			p.at += size
		}
	}
}

// plainPrefix returns how many bytes stand for themselves before one that needs
// a look.
func plainPrefix(s []byte) int {
	for i, c := range s {
		if !plain[c] {
			return i
		}
	}
	return len(s)
}

// escape reads one escape, which is two when it is a surrogate pair.
func (p *parser) escape() *Error {
	rest := p.src[p.at:]
	switch {
	case len(rest) == 1:
		p.at++
		return p.fail(Syntax, "")
	case short[rest[1]] != 0:
		p.at += 2
		return nil
	case rest[1] != 'u':
		return p.fail(Syntax, "no such escape")
	}
	unit, ok := hex4(rest)
	if !ok {
		return p.fail(Syntax, "expected four hexadecimal digits after \\u")
	}
	if !utf16.IsSurrogate(unit) {
		p.at += 6
		return nil
	}
	low, ok := hex4(rest[6:])
	if !ok || utf16.DecodeRune(unit, low) == utf8.RuneError {
		return p.fail(InvalidUTF8, "half of a surrogate pair is no character")
	}
	p.at += 12
	return nil
}

// hex4 reads \uXXXX.
func hex4(s []byte) (unit rune, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for _, c := range s[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}

// appendUnescaped decodes the inside of a string that the parser accepted.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		switch {
		case s[i] != '\\':
			dst = append(dst, s[i])
			i++
		case s[i+1] != 'u':
			dst = append(dst, short[s[i+1]])
			i += 2
		default:
			r, _ := hex4(s[i:])
			i += 6
			if utf16.IsSurrogate(r) {
				low, _ := hex4(s[i:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// AppendString appends s as a canonical JSON string (RFC 8785, section
// 3.2.2.2): nothing is escaped that need not be. Bytes that are not UTF-8
// become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return appendQuoted(dst, s)
}

func appendQuoted[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, c)
			from = i + 1
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '\b':
		c = 'b'
	case '\t':
		c = 't'
	case '\n':
		c = 'n'
	case '\f':
		c = 'f'
	case '\r':
		c = 'r'
	case '"', '\\':
	default:
		const hex = "0123456789abcdef"
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
	return append(dst, '\\', c)
}

// short has the meaning of the escapes of one letter.
var short = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// plain has the ASCII characters that stand for themselves in a string.
var plain = plainASCII()

func plainASCII() (plain [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}

// validPrefix cuts s to at most n bytes without cutting a character.
func validPrefix(s []byte, n int) []byte {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
