//go:build integration

package pgkeys_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands before a server, and sees every message of both sides.
type proxy struct {
	listener net.Listener
	server   string
	sees     func(m message) (pass bool) // called by one at a time; false: both connections are cut
	mu       sync.Mutex
}

// message is one of PostgreSQL's: its type, and which one of its side and connection.
type message struct {
	answer     bool
	kind       byte
	connection int64 // counted from 1
}

// startProxy starts one before the server of a database, and returns it with the
// database's URL through it. It passes what sees lets pass, nil being everything.
func startProxy(t testing.TB, database string, sees func(message) bool) string {
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
	var connections atomic.Int64
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
		n := connections.Add(1)
		go p.pass(client, server, message{connection: n})
		go p.pass(server, client, message{connection: n, answer: true})
	}
}

// pass copies messages until one is not to pass. The first of a client has no type.
func (p *proxy) pass(from, to net.Conn, m message) {
	defer from.Close()
	defer to.Close()
	head := make([]byte, 5)
	if !m.answer {
		if !copyMessage(from, to, head[1:]) {
			return
		}
	}
	for {
		if _, err := io.ReadFull(from, head[:1]); err != nil {
			return
		}
		m.kind = head[0]
		p.mu.Lock()
		passes := p.sees(m)
		p.mu.Unlock()
		if !passes {
			return
		}
		if !copyMessage(from, to, head) {
			return
		}
	}
}

// copyMessage reads the size into the last four bytes of head, and copies the message.
func copyMessage(from, to net.Conn, head []byte) bool {
	size := head[len(head)-4:]
	if _, err := io.ReadFull(from, size); err != nil {
		return false
	}
	rest := make([]byte, binary.BigEndian.Uint32(size)-4)
	if _, err := io.ReadFull(from, rest); err != nil {
		return false
	}
	_, err := to.Write(append(append([]byte(nil), head...), rest...))
	return err == nil
}
