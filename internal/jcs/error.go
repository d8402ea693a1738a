package jcs

import "fmt"

// Reason is a class of errors.
type Reason uint8

// What can be wrong with a text.
const (
	Syntax          Reason = iota // it is not JSON, or longer than MaxLen
	DuplicateMember               // an object has a member twice
	InvalidUTF8                   // bytes that are not UTF-8, or half a surrogate pair
	TooDeep                       // arrays and objects nested deeper than allowed
	TrailingData                  // something follows the JSON text
	NumberRange                   // a float that no double can hold
	TooMany                       // more values and names than allowed
)

// Error says why [Parse] refused a text. Its message may be shown to whoever
// sent that text: it quotes nothing but the name of a duplicate member, cut to
// a bounded length.
type Error struct {
	Offset int // of the first byte that is wrong, from 0
	Reason Reason
	detail string
}

func (e *Error) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.detail)
}

// maxQuoted bytes of a name are enough to recognise it.
const maxQuoted = 64

func duplicate(offset int, name []byte) *Error {
	detail := fmt.Sprintf("member %q appears twice", name)
	if len(name) > maxQuoted {
		detail = fmt.Sprintf("member %q… appears twice", validPrefix(name, maxQuoted))
	}
	return &Error{offset, DuplicateMember, detail}
}
