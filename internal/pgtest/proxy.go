//go:build integration

package pgtest

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Message is one of PostgreSQL's, as a [Proxy] sees it.
type Message struct {
	Answer bool // of the server
	Kind   byte
	Body   string
}

// proxy stands before a server.
type proxy struct {
	listener net.Listener
	server   string
	sees     func(Message) (pass bool)
	mu       sync.Mutex
}

// Proxy stands before the server of a database until the test ends, and returns the
// database's URL through it. It shows sees every message of both sides, one at a time,
// but for the first of a client; where that says no, both connections are cut before the
// message is passed.
func Proxy(t testing.TB, database string, sees func(Message) (pass bool)) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: u.Host, sees: sees}
	t.Cleanup(func() { l.Close() })
	go p.serve()
	u.Host = l.Addr().String()
	return u.String()
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		go p.pass(client, server, false)
		go p.pass(server, client, true)
	}
}

// pass copies messages until one is not to pass. The first of a client has no type.
func (p *proxy) pass(from, to net.Conn, answers bool) {
	defer from.Close()
	defer to.Close()
	first := 4
	if answers {
		first = 5
	}
	for head := first; ; head = 5 {
		m, err := readMessage(from, head)
		if err != nil || head == 5 && !p.passes(Message{answers, m[0], string(m[5:])}) {
			return
		}
		if _, err := to.Write(m); err != nil {
			return
		}
	}
}

func (p *proxy) passes(m Message) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sees(m)
}

// readMessage reads a message with a head of this length, which ends with its size.
func readMessage(from io.Reader, head int) ([]byte, error) {
	m := make([]byte, head)
	if _, err := io.ReadFull(from, m); err != nil {
		return nil, err
	}
	m = append(m, make([]byte, binary.BigEndian.Uint32(m[head-4:])-4)...)
	_, err := io.ReadFull(from, m[head:])
	return m, err
}
