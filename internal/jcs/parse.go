package jcs

import "fmt"

// Limits is how much of a text a caller is ready to take. The zero value takes
// nothing: what is enough depends on what the text is for.
type Limits struct {
	// Depth is how deep arrays and objects may be nested: a scalar has depth 0
	// and [] has depth 1. More than MaxDepth is taken for MaxDepth.
	Depth int

	// Nodes is how many values and names there may be, the text's own value
	// included: {"a":[1]} has 4. Each takes 16 bytes, and may take a byte of the
	// text only, so that a bound on bytes is no bound on memory.
	Nodes int
}

// Limits of every text, whatever the caller allows.
const (
	MaxLen   = 1 << 26 // the tape may be 8 times as long
	MaxDepth = 10_000  // each level is two calls on the stack
)

// Parse reads exactly one JSON text (RFC 8259); white space may stand around
// it. What is over a limit is refused where it is met, before memory is taken for
// it. The Value keeps src and 16 bytes for each value and name in it. The error
// is an [*Error]; if several things are wrong, it names one.
func Parse(src []byte, most Limits) (Value, error) {
	if len(src) > MaxLen {
		return Value{}, &Error{MaxLen, Syntax, "the text is too long"}
	}
	p := parser{
		src:  src,
		tape: make([]node, 0, max(0, min(len(src)/8+4, 1024, most.Nodes))),
		most: Limits{min(most.Depth, MaxDepth), most.Nodes},
	}
	if err := p.text(); err != nil {
		return Value{}, err
	}
	if err := sortObjects(src, p.tape); err != nil {
		return Value{}, err
	}
	return Value{src, p.tape}, nil
}

// parser reads src from left to right and lays its nodes on the tape.
type parser struct {
	src   []byte
	at    int // the next byte
	tape  []node
	depth int // arrays and objects that are open
	most  Limits
}

func (p *parser) text() *Error {
	if len(p.src) >= 3 && string(p.src[:3]) == "\xef\xbb\xbf" {
		return p.fail(Syntax, "a byte order mark is not allowed")
	}
	if err := p.value(); err != nil {
		return err
	}
	if p.space(); p.at < len(p.src) {
		return p.fail(TrailingData, "something follows the JSON text")
	}
	return nil
}

// value reads one value and the white space before it.
func (p *parser) value() *Error {
	p.space()
	switch c := p.peek(); c {
	case '"':
		return p.string()
	case '{':
		return p.object()
	case '[':
		return p.array()
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return p.number()
	}
	return p.fail(Syntax, "expected a value")
}

func (p *parser) object() *Error {
	self, err := p.open()
	if err != nil {
		return err
	}
	if p.space(); p.peek() == '}' {
		p.close(self, 0)
		return nil
	}
	for count := uint32(1); ; count++ {
		if err := p.member(); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.close(self, count)
			return nil
		default:
			return p.fail(Syntax, "expected a comma or a closing brace")
		}
	}
}

// member reads a name, a colon and a value.
func (p *parser) member() *Error {
	if p.space(); p.peek() != '"' {
		return p.fail(Syntax, "expected a member's name in double quotes")
	}
	if err := p.string(); err != nil {
		return err
	}
	if p.space(); p.peek() != ':' {
		return p.fail(Syntax, "expected a colon")
	}
	p.at++
	return p.value()
}

func (p *parser) array() *Error {
	self, err := p.open()
	if err != nil {
		return err
	}
	if p.space(); p.peek() == ']' {
		p.close(self, 0)
		return nil
	}
	for count := uint32(1); ; count++ {
		if err := p.value(); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.close(self, count)
			return nil
		default:
			return p.fail(Syntax, "expected a comma or a closing bracket")
		}
	}
}

// open begins an array or object and returns its place on the tape.
func (p *parser) open() (self int, err *Error) {
	if p.depth >= p.most.Depth {
		return 0, p.fail(TooDeep, fmt.Sprintf("nested deeper than %d levels", p.most.Depth))
	}
	p.depth++
	return len(p.tape), p.push(p.at, p.at+1, 0)
}

// close ends the array or object at self, whose closing bracket is next.
func (p *parser) close(self int, count uint32) {
	p.depth--
	p.at++
	n := &p.tape[self]
	n.end, n.count, n.span = uint32(p.at), count, uint32(len(p.tape)-self)
}

func (p *parser) literal(word string) *Error {
	end := p.at + len(word)
	if end > len(p.src) || string(p.src[p.at:end]) != word {
		return p.fail(Syntax, "expected a value")
	}
	return p.push(p.at, end, 0)
}

// push lays a node on the tape, if one more is allowed, and goes on after its
// end.
func (p *parser) push(start, end int, count uint32) *Error {
	if len(p.tape) >= p.most.Nodes {
		return &Error{start, TooMany, fmt.Sprintf("more than %d values and names", p.most.Nodes)}
	}
	p.tape = append(p.tape, node{uint32(start), uint32(end), count, 1})
	p.at = end
	return nil
}

// space skips white space.
func (p *parser) space() {
	for p.at < len(p.src) {
		switch p.src[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end: a NUL is valid nowhere outside
// strings either.
func (p *parser) peek() byte {
	if p.at < len(p.src) {
		return p.src[p.at]
	}
	return 0
}

// fail blames the next byte, or the end for being too early.
func (p *parser) fail(reason Reason, detail string) *Error {
	if p.at == len(p.src) {
		detail = "the text ends too early"
	}
	return &Error{p.at, reason, detail}
}
