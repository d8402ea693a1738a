package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// Every way in which a call can end without an answer, before and after a byte of
// it was written: what it says of the send, and in which words.
func TestFailuresBeforeAndAfterTheFirstByte(t *testing.T) {
	network := func(op string, err error) error {
		return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, err)}
	}
	for _, row := range []struct {
		name          string
		err           error
		before, after string
	}{
		{"connect: refused", network("dial", syscall.ECONNREFUSED), "the connection was refused", "the connection was refused"},
		{"connect: timed out by the kernel", network("dial", syscall.ETIMEDOUT), "the gateway cannot be reached", "the gateway cannot be reached"},
		{"connect: no route to the host", network("dial", syscall.EHOSTUNREACH), "the gateway cannot be reached", "the gateway cannot be reached"},
		{"connect: no route to the network", network("dial", syscall.ENETUNREACH), "the gateway cannot be reached", "the gateway cannot be reached"},
		{"connect: no file descriptor left", network("socket", syscall.EMFILE), "this server has no connection left to use", "this server has no connection left to use"},
		{"connect: no port left", network("dial", syscall.EADDRNOTAVAIL), "this server has no connection left to use", "this server has no connection left to use"},
		{"connect: forbidden", network("dial", syscall.EACCES), "the connection failed", "the connection failed"},
		{"name: there is none", &net.OpError{Op: "dial", Err: &net.DNSError{Name: "acme.example", IsNotFound: true}}, "the gateway's name cannot be resolved", "the gateway's name cannot be resolved"},
		{"name: the resolver is silent", &net.OpError{Op: "dial", Err: &net.DNSError{Name: "acme.example", IsTimeout: true}}, "the gateway's name cannot be resolved", "the gateway's name cannot be resolved"},
		{"TLS: something else is spoken", &handshakeError{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}}, "TLS could not be agreed on", "TLS could not be agreed on"},
		{"TLS: an alert", &handshakeError{tls.AlertError(40)}, "TLS could not be agreed on", "TLS could not be agreed on"},
		{"TLS: the end of the connection", &handshakeError{io.EOF}, "TLS could not be agreed on", "TLS could not be agreed on"},
		{"TLS: an unknown authority", &handshakeError{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, "the gateway's certificate is not trusted", "the gateway's certificate is not trusted"},
		{"write: broken pipe", network("write", syscall.EPIPE), "the connection was reset", "the connection was reset"},
		{"write: reset", network("write", syscall.ECONNRESET), "the connection was reset", "the connection was reset"},
		{"read: reset", network("read", syscall.ECONNRESET), "the connection was reset", "the connection was reset"},
		{"read: the end", io.EOF, "the connection was closed", "the connection was closed"},
		{"read: the end in the middle", io.ErrUnexpectedEOF, "the connection was closed", "the connection was closed"},
		{"read: a short body", errCutOff, "the answer was cut off", "the answer was cut off"},
		{"read: too large", errTooLarge, "the answer is larger than one can be", "the answer is larger than one can be"},
		{"read: not HTTP", errNoHTTP, "what came is not HTTP", "what came is not HTTP"},
		{"the time was up", timeoutError(3 * time.Second), "no connection in 3s", "no answer in 3s"},
		{"the caller has left", context.Canceled, "the call was given up", "the call was given up"},
		{"there was no place", errNoPlace, "too much was on its way already", "too much was on its way already"},
		{"it was too fast", errRate, "more was to be sent than the gateway takes in a second", "more was to be sent than the gateway takes in a second"},
		{"the request is none", errBadRequest, "the request cannot be written", "the request cannot be written"},
		{"something nobody thought of", errors.New("secret https://user:pw@acme.example?token=1"), "the connection failed", "the connection failed"},
	} {
		never := func(Answer) (pay.Finding, bool) { panic("an answer that did not come was read") }
		for _, side := range []struct {
			left   bool
			reach  pay.Reach
			detail string
		}{{false, pay.NeverLeft, row.before}, {true, pay.MayHaveArrived, row.after}} {
			t.Run(fmt.Sprintf("%s, left=%v", row.name, side.left), func(t *testing.T) {
				// A status that came before it went wrong changes nothing.
				for _, status := range []int{0, http.StatusOK, http.StatusPaymentRequired, http.StatusBadRequest} {
					a := Answer{Left: side.left, Err: fmt.Errorf("call: %w", row.err), Status: status}
					if got, want := a.ofSend(never), (pay.Finding{Reach: side.reach, Detail: side.detail}); got != want {
						t.Errorf("a send: got %+v, want %+v", got, want)
					}
					if got, want := a.ofCheck(never), (pay.Finding{Detail: side.detail}); got != want {
						t.Errorf("a check: got %+v, want %+v", got, want)
					}
				}
			})
		}
	}
}

// Every status, with every thing that a gateway can say in its body.
func TestStatusAndWords(t *testing.T) {
	done := pay.Finding{Outcome: pay.Done, Amount: 1}
	action := pay.Finding{Outcome: pay.ActionRequired, Amount: 1}
	declined := pay.Finding{Outcome: pay.Declined}
	conflict := pay.Finding{Outcome: pay.Conflict, Amount: 2}
	refused := pay.Finding{Reach: pay.Refused}
	tooLate := pay.Finding{Reach: pay.TooLate}
	nothing := pay.Finding{}
	said := map[string]struct {
		f  pay.Finding
		ok bool
	}{
		"done": {done, true}, "action required": {action, true}, "declined": {declined, true}, "conflict": {conflict, true},
		"refused": {refused, true}, "too late": {tooLate, true}, "done and too late": {pay.Finding{Outcome: pay.Done, Reach: pay.TooLate}, true}, "absent": {pay.Finding{Absent: true}, true}, "nothing": {nothing, true},
		"never left": {pay.Finding{Reach: pay.NeverLeft}, true}, "done and refused": {pay.Finding{Outcome: pay.Done, Reach: pay.Refused}, true},
		"something unreadable": {done, false},
	}
	for status := 100; status < 600; status++ {
		for words, s := range said {
			want := nothing
			switch ok := status/100 == 2; {
			case ok && (words == "done" || words == "action required" || words == "declined" || words == "conflict"):
				want = s.f
			case words == "declined" && status == 402:
				want = s.f
			case (words == "refused" || words == "too late") && status/100 == 4 && status != 408 && status != 409 && status != 425 && status != 429:
				want = s.f
			}
			got := Answer{Left: true, Status: status}.ofSend(func(Answer) (pay.Finding, bool) { return s.f, s.ok })
			if got.Detail = ""; got != want {
				t.Errorf("HTTP %d that says %s: got %+v, want %+v", status, words, got, want)
			}
		}
	}
}

// A check is no send: what it says has no reach, and nothing was ever proven by
// an answer that is not of the gateway's own.
func TestCheckIsReadAsOne(t *testing.T) {
	absent := pay.Finding{Absent: true, Lag: time.Second}
	for _, row := range []struct {
		name   string
		status int
		said   pay.Finding
		ok     bool
		want   pay.Finding
	}{
		{"a gateway that knows nothing of it", 404, absent, true, absent},
		{"a 404 that is not the gateway's", 404, absent, false, pay.Finding{}},
		{"a 404 while it is busy", 429, absent, true, pay.Finding{}},
		{"an error", 500, absent, true, pay.Finding{}},
		{"a redirect", 302, pay.Finding{Outcome: pay.Done}, true, pay.Finding{}},
		{"done", 200, pay.Finding{Outcome: pay.Done, Reach: pay.NeverLeft}, true, pay.Finding{Outcome: pay.Done}},
		{"declined", 200, pay.Finding{Outcome: pay.Declined}, true, pay.Finding{Outcome: pay.Declined}},
		{"absent and done", 200, pay.Finding{Outcome: pay.Done, Absent: true}, true, pay.Finding{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := Answer{Left: true, Status: row.status}.ofCheck(func(Answer) (pay.Finding, bool) { return row.said, row.ok })
			if got.Detail = ""; got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"what is short is left as it is", "The card has expired.", "The card has expired."},
		{"a card's number is hidden", "card 4242 4242-4242 4242 declined", "card 4242 42**-**** **** declined"},
		{"a year and an amount are not", "12.50 EUR at 2026", "12.50 EUR at 2026"},
		{"lines become one", "a\nb\x00c\u202ed", "a b c d"},
		{"bytes that are no text vanish", "a\xffb", "ab"},
		{"it is cut at characters", "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü", "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä"},
	} {
		if got := Clean(row.in, 40); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}
