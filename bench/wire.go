package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/valyala/fasthttp"
)

// Limits of an answer: past them it is no answer of an oncepay.
const (
	maxHeader = 8 << 10
	maxAnswer = 64 << 20 // a batch of 1,000 with the longest metadata fits
)

// errNotSent means that there was no connection: certainly nothing happened.
var errNotSent = errors.New("bench: not sent")

// A wire is one HTTP/1.1 connection, dialed when it is needed, that carries one
// request at a time. It never sends a request twice: any error but errNotSent
// leaves the outcome unknown. It is for one goroutine.
//
// It is no http.Client, which resends a POST that carries an Idempotency-Key and
// costs as much time as a lean server does. Of fasthttp it takes the parser only:
// that client resends too.
type wire struct {
	ctx     context.Context // of the whole run: its end closes the connection
	addr    string
	tls     *tls.Config // nil for plain HTTP
	timeout time.Duration

	conn   net.Conn // nil while there is none
	unhook func() bool
	in     *bufio.Reader
	resp   fasthttp.Response
}

// An answer is what came back. Its body is valid until the next exchange.
type answer struct {
	status   int
	replayed bool // Idempotency-Replayed: true
	body     []byte
}

func newWire(ctx context.Context, target *url.URL, timeout time.Duration) *wire {
	w := &wire{ctx: ctx, addr: target.Host, timeout: timeout, in: bufio.NewReaderSize(nil, maxHeader)}
	port := "80"
	if target.Scheme == "https" {
		port, w.tls = "443", &tls.Config{ServerName: target.Hostname()}
	}
	if target.Port() == "" {
		w.addr = net.JoinHostPort(target.Hostname(), port)
	}
	return w
}

// exchange sends req, the bytes of a whole request, once, and reads its answer.
func (w *wire) exchange(req []byte) (answer, error) {
	if err := w.dial(); err != nil {
		return answer{}, err
	}
	err := w.send(req)
	if err != nil || w.resp.ConnectionClose() {
		w.close()
	}
	if err != nil {
		return answer{}, err
	}
	return answer{
		status:   w.resp.StatusCode(),
		replayed: string(w.resp.Header.Peek("Idempotency-Replayed")) == "true",
		body:     w.resp.Body(),
	}, nil
}

func (w *wire) send(req []byte) error {
	if err := w.conn.SetDeadline(time.Now().Add(w.timeout)); err != nil {
		return err
	}
	if _, err := w.conn.Write(req); err != nil {
		return err
	}
	return w.resp.ReadLimitBody(w.in, maxAnswer)
}

// dial connects if there is no connection.
func (w *wire) dial() error {
	if w.conn != nil {
		return nil
	}
	d := &net.Dialer{Timeout: w.timeout}
	conn, err := d.DialContext(w.ctx, "tcp", w.addr)
	if err == nil && w.tls != nil {
		secure := tls.Client(conn, w.tls)
		if err = secure.HandshakeContext(w.ctx); err != nil {
			_ = conn.Close()
		}
		conn = secure
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSent, err)
	}
	w.conn = conn
	w.unhook = context.AfterFunc(w.ctx, func() { _ = conn.Close() })
	w.in.Reset(conn)
	return nil
}

func (w *wire) close() {
	if w.conn == nil {
		return
	}
	w.unhook()
	_ = w.conn.Close() // whatever was on its way is unknown already
	w.conn = nil
}

// failure names what err means to whoever reads the report.
func failure(err error) string {
	var timeout interface{ Timeout() bool }
	var broken *net.OpError
	switch {
	case errors.Is(err, errNotSent):
		return "not_connected"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &broken), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "disconnected"
	default:
		return "malformed"
	}
}
