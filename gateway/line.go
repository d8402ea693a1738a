package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"syscall"
	"time"
)

const (
	// maxIdle is how many connections are kept for the next calls.
	maxIdle = 256

	// idleFor is shorter than any server of note keeps one (Node: 5 s): one that
	// its server closes while we write to it makes a send that may have arrived.
	idleFor = 4 * time.Second

	// maxDials is how many connections are made at once. A server that has a
	// thousand to pick up drops some (a listener's backlog is 4,096 at most on
	// Linux), and each of those costs a second.
	maxDials = 256

	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
)

// line is the connections to one host, each of which carries one request at a
// time. Its methods are safe for concurrent use.
type line struct {
	addr   string
	tls    *tls.Config // nil: it is plain
	dialer net.Dialer
	dials  chan struct{} // one for each connection that is being made

	mu     sync.Mutex
	idle   []*wire // the longest idle first
	closed bool
	broom  *time.Timer
}

func newLine(base *url.URL, cfg *tls.Config) *line {
	l := &line{dialer: net.Dialer{Timeout: dialTimeout, Control: mortal}, dials: make(chan struct{}, maxDials)}
	port := "80"
	if base.Scheme == "https" {
		port = "443"
		l.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if cfg != nil {
			l.tls = cfg.Clone()
		}
		l.tls.ServerName = cmp.Or(l.tls.ServerName, base.Hostname())
		l.tls.NextProtos = []string{"http/1.1"}
	}
	l.addr = net.JoinHostPort(base.Hostname(), cmp.Or(base.Port(), port))
	return l
}

// wire is a connection.
type wire struct {
	net.Conn        // what HTTP is spoken on
	tcp      *meter // what is under it
	since    time.Time
}

// meter counts what the kernel took of what was written. Not even TLS hides from
// it whether a byte has left.
type meter struct {
	*net.TCPConn
	wrote    int64
	patience time.Duration // see forget
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.TCPConn.Write(p)
	m.wrote += int64(n)
	return n, err
}

// get returns a connection that nothing was heard on since it was used last, or a
// new one.
func (l *line) get(ctx context.Context) (*wire, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w := l.used(); w != nil {
		return w, nil
	}
	select {
	case l.dials <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.dials }()
	if w := l.used(); w != nil { // it became free while this call waited
		return w, nil
	}
	return l.dial(ctx)
}

// used returns a connection that was used before and can be again, or nil.
func (l *line) used() *wire {
	for w := l.take(); w != nil; w = l.take() {
		if time.Since(w.since) < idleFor && w.silent() {
			return w
		}
		w.part()
	}
	return nil
}

// take takes the connection that was used last: it is the least likely to have
// been closed. It returns nil if there is none.
func (l *line) take() *wire {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.idle) - 1
	if n < 0 {
		return nil
	}
	w := l.idle[n]
	l.idle[n] = nil
	l.idle = l.idle[:n]
	return w
}

// put keeps a connection for the next call.
func (l *line) put(w *wire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.idle) >= maxIdle {
		w.part()
		return
	}
	w.since = time.Now()
	l.idle = append(l.idle, w)
	if l.broom == nil {
		l.broom = time.AfterFunc(idleFor, l.sweep)
	}
}

// sweep closes what is idle for too long.
func (l *line) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := 0
	for old < len(l.idle) && time.Since(l.idle[old].since) >= idleFor {
		l.idle[old].part()
		old++
	}
	l.idle = append([]*wire(nil), l.idle[old:]...)
	l.broom = nil
	if len(l.idle) > 0 {
		l.broom = time.AfterFunc(idleFor-time.Since(l.idle[0].since), l.sweep)
	}
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, w := range l.idle {
		w.part()
	}
	l.idle = nil
	if l.broom != nil {
		l.broom.Stop()
	}
}

func (l *line) dial(ctx context.Context) (*wire, error) {
	c, err := l.dialer.DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return nil, err
	}
	m := &meter{TCPConn: c.(*net.TCPConn)}
	if l.tls == nil {
		return &wire{Conn: m, tcp: m}, nil
	}
	secure := tls.Client(m, l.tls)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(&handshakeError{err}, c.Close())
	}
	return &wire{Conn: secure, tcp: m}, nil
}

// part closes a connection whose last answer came whole: nothing of ours is in
// it any more.
func (w *wire) part() {
	w.tcp.SetLinger(-1) // a reset would do no harm, but look like one
	w.Close()
}

// drop closes a connection of which the kernel may still hold something: it
// forgets that, and the other side sees a reset. TLS says no goodbye, which would
// have to wait for its turn.
func (w *wire) drop() { w.tcp.Close() }

// silent says whether the other side has said nothing since its last answer. A
// connection on which it has, or which it has closed, must not carry a request:
// what is read there would be taken for the answer.
func (w *wire) silent() bool {
	if w.Conn != net.Conn(w.tcp) {
		w.SetReadDeadline(longAgo) // TLS gives what it has read already all the same
		n, err := w.Read(make([]byte, 1))
		if n > 0 || !timedOut(err) || w.SetReadDeadline(time.Time{}) != nil {
			return false
		}
	}
	raw, err := w.tcp.SyscallConn()
	if err != nil {
		return false
	}
	nothing := false
	err = raw.Read(func(fd uintptr) bool {
		_, err := syscall.Read(int(fd), make([]byte, 1)) // the connection does not block
		nothing = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && nothing
}

var longAgo = time.Unix(1, 0)

// handshakeError says at which step a connection failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }
