//go:build integration

package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// proxy stands before a server, and cuts connections at a message of its choice.
type proxy struct {
	net.Listener
	to   string
	over chan struct{} // closed when the test is

	mu  sync.Mutex
	cut *cut
}

// cut is where a connection is cut: before the message that comes after so many, in one
// direction.
type cut struct {
	server bool // of those that the server sends
	after  int
	of     byte // if it is there: of the messages of this type; of Syncs those that end what was executed

	// hold, if it is there, has the message and those up to the next Sync reach the server
	// after all, when it is closed: the client is gone by then.
	hold chan struct{}
}

// before has a proxy before the server of a URL, and returns the URL that leads through it.
func before(t *testing.T, url, addr string) (*proxy, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, to: addr, over: make(chan struct{})}
	t.Cleanup(func() { l.Close(); close(p.over) })
	go p.serve()
	return p, strings.Replace(url, addr, l.Addr().String(), 1)
}

func (p *proxy) serve() {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		go p.pump(client, server, client, false)
		go p.pump(server, client, client, true)
	}
}

// arm has the next so manieth message cut.
func (p *proxy) arm(c *cut) *cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = c
	return c
}

// disarm says whether the cut was made.
func (p *proxy) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.cut
	p.cut = nil
	return c == nil
}

// hit counts a message, and says whether it is cut. last is the one before.
func (p *proxy) hit(server bool, last, message []byte) *cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.cut
	if c == nil || c.server != server || c.of != 0 && c.of != message[0] || c.of == syncs && last[0] != 'E' {
		return nil
	}
	if c.after--; c.after >= 0 {
		return nil
	}
	p.cut = nil
	return c
}

// pump passes messages on. A client's first has no type; one that asks to cancel what another
// connection does gets lost.
func (p *proxy) pump(from, to, client net.Conn, server bool) {
	defer from.Close()
	defer to.Close()
	head := 4
	if server {
		head = 5
	}
	last := []byte{0}
	for {
		message, err := read(from, head)
		if err != nil || head == 4 && len(message) == cancelLen {
			return
		}
		head = 5
		if c := p.hit(server, last, message); c != nil {
			for c.hold != nil && message[len(message)-syncLen] != syncs { // all of it has left the client
				more, err := read(from, head)
				if err != nil {
					return
				}
				message = append(message, more...)
			}
			client.Close()
			if c.hold == nil {
				return
			}
			<-c.hold
			to.Write(message)
			<-p.over // the server's session goes on: its answer is nobody's
			return
		}
		last = message
		if _, err := to.Write(message); err != nil {
			io.Copy(io.Discard, from) // who was to have it is gone, and whoever sends does not know yet
			return
		}
	}
}

const (
	cancelLen = 16
	syncLen   = 5
)

// Types of messages that clients send.
const (
	binds = 'B' // begins a statement
	syncs = 'S' // ends a transaction
)

func read(from io.Reader, head int) ([]byte, error) {
	message := make([]byte, head)
	if _, err := io.ReadFull(from, message); err != nil {
		return nil, err
	}
	rest := make([]byte, int(binary.BigEndian.Uint32(message[head-4:]))-4)
	_, err := io.ReadFull(from, rest)
	return append(message, rest...), err
}
