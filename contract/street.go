package contract

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// street is what lies between a connector and the other side. It is TCP and reads
// what is really sent, counts it, and lets something happen to it.
type street struct {
	t     testing.TB
	far   http.Handler
	reads func(*http.Request) (string, bool)
	addr  string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	passed   []passerby
	accident accident
	done     sync.WaitGroup
}

// passerby is a request about an operation.
type passerby struct {
	operation string
	asksFor   bool
	text      []byte // as it was on the wire
}

// accident is what happens to a request that came whole. Answer is what the other
// side said to it, in full; it is asked when it is first called.
type accident func(c net.Conn, answer func() []byte)

func newStreet(t testing.TB, far http.Handler, reads func(*http.Request) (string, bool)) *street {
	s := &street{t: t, far: far, reads: reads, conns: map[net.Conn]struct{}{}, addr: "127.0.0.1:0"}
	s.open()
	t.Cleanup(func() { s.close(); s.done.Wait() })
	return s
}

func (s *street) url() string { return "http://" + s.addr }

// open lets connections in, at the same address each time.
func (s *street) open() {
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.listener, s.addr = l, l.Addr().String()
	s.mu.Unlock()
	s.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.done.Go(func() { s.serve(c) })
		}
	})
}

// close lets nobody in any more, and drops who is there.
func (s *street) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener.Close()
	for c := range s.conns {
		c.Close()
	}
}

// happens has an accident happen to every request about an operation from now
// on; nil is that none does.
func (s *street) happens(a accident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accident = a
}

// sends returns the operations that the other side was asked for.
func (s *street) sends() (operations []string) {
	for _, p := range s.seen() {
		if p.asksFor {
			operations = append(operations, p.operation)
		}
	}
	return operations
}

func (s *street) seen() []passerby {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.passed)
}

func (s *street) serve(c net.Conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	defer func() {
		c.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	}()
	var text bytes.Buffer
	from := bufio.NewReader(io.TeeReader(c, &text))
	for s.pass(c, from, &text) {
	}
}

// pass takes one request over the street.
func (s *street) pass(c net.Conn, from *bufio.Reader, text *bytes.Buffer) (more bool) {
	text.Reset()
	r, err := http.ReadRequest(from)
	if err != nil {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	r.Body, r.RemoteAddr = io.NopCloser(bytes.NewReader(body)), c.RemoteAddr().String()
	operation, asksFor := s.reads(r)
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := sync.OnceValue(func() []byte { return s.ask(r) })
	if happens := s.note(passerby{operation, asksFor, bytes.Clone(text.Bytes())}); happens != nil {
		happens(c, answer)
		return false
	}
	_, err = c.Write(answer())
	return err == nil
}

// note writes down who passed, and says what is to happen.
func (s *street) note(p passerby) accident {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.operation == "" {
		return nil
	}
	s.passed = append(s.passed, p)
	return s.accident
}

// ask has the other side answer.
func (s *street) ask(r *http.Request) []byte {
	w := httptest.NewRecorder()
	s.far.ServeHTTP(w, r)
	res := w.Result()
	res.ContentLength = int64(w.Body.Len())
	var text bytes.Buffer
	if err := res.Write(&text); err != nil {
		s.t.Error("the other side's answer:", err)
	}
	return text.Bytes()
}

// secret stands in the bodies of answers that a connector must not repeat.
const secret = "4242424242424242 tok_51secret"

func containsSecret(s string) bool {
	return strings.Contains(s, "tok_51secret") || strings.Contains(s, "424242424242")
}

// Accidents.

// lost drops a request that the other side never gets to see.
func lost(c net.Conn, _ func() []byte) { reset(c) }

// unanswered has the other side do it, and then nothing is heard.
func unanswered(c net.Conn, answer func() []byte) {
	answer()
	c.Read(make([]byte, 1)) // until the connector leaves
}

// dropped has the other side do it, and closes the connection.
func dropped(_ net.Conn, answer func() []byte) { answer() }

// cut lets only the first part of an answer through, and then ends it somehow.
func cut(part func(answer []byte) []byte, end func(net.Conn)) accident {
	return func(c net.Conn, answer func() []byte) {
		c.Write(part(answer()))
		time.Sleep(20 * time.Millisecond) // to be read before a reset overtakes it
		end(c)
	}
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func closed(c net.Conn) { c.Close() }

// instead has the other side do it, and then something else is answered.
func instead(status int, header, body string) accident {
	return func(c net.Conn, answer func() []byte) {
		answer()
		fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), header, len(body), body)
	}
}

// restated has the other side do it and answer, with another status.
func restated(status int) accident {
	return func(c net.Conn, answer func() []byte) {
		_, rest, _ := bytes.Cut(answer(), []byte("\r\n"))
		fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%s", status, http.StatusText(status), rest)
	}
}
