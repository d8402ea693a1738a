package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Why there is no whole answer, beside what the network says.
var (
	errNoPlace    = errors.New("too much was on its way already")
	errRate       = errors.New("more was to be sent than the gateway takes in a second")
	errBadRequest = errors.New("the request cannot be written")
	errNoHTTP     = errors.New("what came is not HTTP")
	errTooLarge   = errors.New("the answer is larger than one can be")
	errCutOff     = errors.New("the answer was cut off")
)

// timeoutError is the time that was up.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	d := time.Duration(e)
	if d < time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// why is the reason for which a call ended: its context's, if that has ended.
func why(ctx context.Context, began time.Time, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case ctx.Err() != nil, timedOut(err):
		return timeoutError(time.Since(began))
	default:
		return err
	}
}

func timedOut(err error) bool {
	return is(err, os.ErrDeadlineExceeded, context.DeadlineExceeded)
}

// orCanceled tells a caller who has left from one whose time was up.
func orCanceled(err, otherwise error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return otherwise
}

// explain says what went wrong, for people. No text of the error itself is
// shown: an address, a URL or a piece of an answer can be in it.
func explain(err error, left bool) string {
	if t := timeoutError(0); errors.As(err, &t) {
		if left {
			return "no answer in " + t.Error()
		}
		return "no connection in " + t.Error()
	}
	for _, e := range explanations {
		if e.is(err) {
			return e.text
		}
	}
	return "the connection failed"
}

var explanations = []struct {
	is   func(error) bool
	text string
}{
	{one(errNoPlace), errNoPlace.Error()},
	{one(errRate), errRate.Error()},
	{one(errBadRequest), errBadRequest.Error()},
	{one(errNoHTTP), errNoHTTP.Error()},
	{one(errTooLarge), errTooLarge.Error()},
	{one(context.Canceled), "the call was given up"},
	{as[*net.DNSError], "the gateway's name cannot be resolved"},
	{untrusted, "the gateway's certificate is not trusted"},
	{as[*handshakeError], "TLS could not be agreed on"},
	{one(syscall.ECONNREFUSED), "the connection was refused"},
	{one(syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT), "the gateway cannot be reached"},
	{one(syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL), "this server has no connection left to use"},
	{one(syscall.ECONNRESET, syscall.EPIPE), "the connection was reset"},
	{one(errCutOff), errCutOff.Error()},
	{one(io.EOF, io.ErrUnexpectedEOF), "the connection was closed"},
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func untrusted(err error) bool {
	return as[*tls.CertificateVerificationError](err) || as[x509.UnknownAuthorityError](err) || as[x509.HostnameError](err)
}

func one(targets ...error) func(error) bool {
	return func(err error) bool { return is(err, targets...) }
}

func is(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}
