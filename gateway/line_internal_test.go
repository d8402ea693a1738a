package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func testLine(t *testing.T, addr string) *line {
	t.Helper()
	base, err := url.Parse("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	return newLine(base, nil)
}

// counted is a connection that counts how many like it were closed.
type counted struct {
	net.Conn
	closed *atomic.Int64
}

func (c counted) Close() error {
	c.closed.Add(1)
	return nil
}

// Idle connections are few, and none is kept for as long as a server would.
func TestIdleConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, closed := testLine(t, "127.0.0.1:1"), &atomic.Int64{}
		put := func(n int) {
			for range n {
				l.put(&wire{Conn: counted{nil, closed}, tcp: &meter{TCPConn: &net.TCPConn{}}})
			}
		}
		want := func(n int64) {
			t.Helper()
			synctest.Wait()
			if got := closed.Load(); got != n {
				t.Errorf("%v: %d are closed, want %d", time.Now().Format("05"), got, n)
			}
		}
		put(100)
		time.Sleep(3 * time.Second)
		put(200)
		want(300 - maxIdle)
		time.Sleep(time.Second)
		want(300 - maxIdle + 100)
		time.Sleep(3*time.Second - time.Millisecond)
		want(300 - maxIdle + 100)
		time.Sleep(time.Millisecond)
		want(300)
		put(1)
		l.close()
		want(301)
		put(1)
		want(302)
	})
}

// server accepts connections and says nothing.
func server(t *testing.T) (addr string, accepted *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accepted = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go func() { defer c.Close(); io.Copy(io.Discard, c) }()
		}
	}()
	return l.Addr().String(), accepted
}

func TestOldConnectionsAreNotTaken(t *testing.T) {
	addr, _ := server(t)
	l := testLine(t, addr)
	defer l.close()
	w, err := l.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.put(w)
	if again, err := l.get(t.Context()); again != w {
		t.Errorf("a fresh one was not taken: %v", err)
	}
	l.put(w)
	w.since = time.Now().Add(-idleFor)
	other, err := l.get(t.Context())
	if err != nil || other == w {
		t.Fatalf("an old one was taken: %v", err)
	}
	other.Close()
}

// A connection that broke before a byte was written carried nothing.
func TestBrokenConnectionCarriesNothing(t *testing.T) {
	addr, _ := server(t)
	c, err := New(Config{Name: "acme", URL: "http://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, breaks := range map[string]func(*net.TCPConn) error{
		"it was closed":                   (*net.TCPConn).Close,
		"it can be written to no more":    (*net.TCPConn).CloseWrite,
		"the time was up before it began": func(c *net.TCPConn) error { return c.SetDeadline(longAgo) },
	} {
		w, err := c.sends.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := breaks(w.tcp.TCPConn); err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int64
		a, again := c.exchange(t.Context(), w, "POST", Request{Path: "/", Body: []byte("{}")}, &sent)
		if a.Left || a.Err == nil || again || sent.Load() != 0 {
			t.Errorf("%s: %+v, used again: %v, sent: %d", name, a, again, sent.Load())
		}
		w.Close()
	}
}

// Connections are made a few at a time, and who waits for one to be made takes one
// that becomes free.
func TestDialsAreBounded(t *testing.T) {
	addr, accepted := server(t)
	l := testLine(t, addr)
	defer l.close()
	w, err := l.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range maxDials {
		l.dials <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.get(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more was made: %v", err)
	}
	l.put(w)
	<-l.dials
	if again, err := l.get(t.Context()); again != w {
		t.Errorf("the one that was free was not taken: %v", err)
	}
	if got := accepted.Load(); got != 1 {
		t.Errorf("%d connections were made", got)
	}
}
