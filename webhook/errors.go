package webhook

import (
	"errors"
	"fmt"
	"time"
)

// What is wrong with a webhook. None is worth sending the same again, but for
// an [ErrTimestamp] of a slow sender.
var (
	ErrMissing   = errors.New("webhook: a header is missing")
	ErrMalformed = errors.New("webhook: a header is malformed")
	ErrTimestamp = errors.New("webhook: the timestamp is out of tolerance")
	ErrSignature = errors.New("webhook: no signature matches")
)

var errNoSecret = errors.New("webhook: there is no secret to sign with")

// HeaderError says which header is missing or malformed. It never quotes it.
type HeaderError struct {
	Header string
	err    error
}

func (e *HeaderError) Error() string { return fmt.Sprintf("%v: %s", e.err, e.Header) }

// Unwrap returns [ErrMissing] or [ErrMalformed].
func (e *HeaderError) Unwrap() error { return e.err }

// TimestampError is an [ErrTimestamp] that says how far off the clocks are.
type TimestampError struct {
	At, Now time.Time
}

func (e *TimestampError) Error() string {
	off := e.Now.Sub(e.At).Round(time.Second)
	if off < 0 {
		return fmt.Sprintf("%v: it is %v ahead", ErrTimestamp, -off)
	}
	return fmt.Sprintf("%v: it is %v old", ErrTimestamp, off)
}

// Is makes it an [ErrTimestamp].
func (e *TimestampError) Is(target error) bool { return target == ErrTimestamp }
