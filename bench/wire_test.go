package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// answering returns a wire to a server that reads one request on each
// connection, writes answer, and closes or falls silent.
func answering(t *testing.T, answer string, silent bool) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, answer)
			if silent {
				_, _ = conn.Read(make([]byte, 1)) // until the client gives up
			}
			_ = conn.Close()
		}
	}()
	w := newWire(t.Context(), &url.URL{Scheme: "http", Host: l.Addr().String()}, 50*time.Millisecond)
	t.Cleanup(func() { w.close(); _ = l.Close(); <-done })
	return w
}

var get = []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")

func TestAnAnswerIsReadInEveryForm(t *testing.T) {
	for name, row := range map[string]struct {
		answer   string
		status   int
		body     string
		replayed bool
		keeps    bool
	}{
		"with a length":                {"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nhi", 201, "hi", false, true},
		"in chunks":                    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", 200, "hi", false, true},
		"until the end":                {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", 200, "hi", false, false},
		"with nothing":                 {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, true},
		"a replay":                     {"HTTP/1.1 201 Created\r\nidempotency-replayed: true\r\nContent-Length: 0\r\n\r\n", 201, "", true, true},
		"no replay":                    {"HTTP/1.1 201 Created\r\nIdempotency-Replayed: false\r\nContent-Length: 0\r\n\r\n", 201, "", false, true},
		"the last one of a connection": {"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 201, "hi", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := answering(t, row.answer, false)
			ans, err := w.exchange(get)
			if err != nil || ans.status != row.status || string(ans.body) != row.body || ans.replayed != row.replayed {
				t.Errorf("got %+v, %v", ans, err)
			}
			if kept := w.conn != nil; kept != row.keeps {
				t.Errorf("the connection is kept: %v, want %v", kept, row.keeps)
			}
		})
	}
}

func TestABrokenAnswerIsNamedAndItsConnectionDropped(t *testing.T) {
	for name, row := range map[string]struct {
		answer string
		silent bool
		want   string
	}{
		"no answer at all is a timeout":         {"", true, "timeout"},
		"a body that stops is a timeout":        {"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nh", true, "timeout"},
		"headers that stop are a timeout":       {"HTTP/1.1 201 Created\r\nConte", true, "timeout"},
		"a closed connection":                   {"", false, "disconnected"},
		"a body cut short":                      {"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nh", false, "disconnected"},
		"something that is not HTTP":            {"SSH-2.0-OpenSSH_9.2\r\n\r\n", false, "malformed"},
		"a status that is no number":            {"HTTP/1.1 abc\r\n\r\n", false, "malformed"},
		"a header without end":                  {"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n", false, "malformed"},
		"a body longer than any answer of ours": {"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", false, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := answering(t, row.answer, row.silent)
			_, err := w.exchange(get)
			if err == nil || failure(err) != row.want || errors.Is(err, errNotSent) {
				t.Errorf("err is %v, which is called %q; want %q", err, failure(err), row.want)
			}
			if w.conn != nil {
				t.Error("the connection is kept")
			}
		})
	}
}

func TestWhoCannotConnectHasCertainlySentNothing(t *testing.T) {
	w := newWire(t.Context(), &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, time.Second)
	_, err := w.exchange(get)
	if !errors.Is(err, errNotSent) || failure(err) != "not_connected" || verdictOf(answer{}, err) != refused {
		t.Errorf("err is %v", err)
	}
}

func TestTheEndOfTheRunFreesWhoWaitsForAnAnswer(t *testing.T) {
	w := answering(t, "", true)
	ctx, cancel := context.WithCancel(t.Context())
	w.ctx, w.timeout = ctx, 10*time.Second
	if err := w.dial(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := w.exchange(get); err == nil || failure(err) != "disconnected" || verdictOf(answer{}, err) != unknown {
		t.Errorf("err is %v, want one before the timeout that leaves the outcome unknown", err)
	}
}

func TestHTTPSIsSpoken(t *testing.T) {
	s := httptest.NewTLSServer(Bare())
	defer s.Close()
	target, _ := url.Parse(s.URL)
	w := newWire(t.Context(), target, time.Second)
	defer w.close()
	if _, err := w.exchange(get); !errors.Is(err, errNotSent) {
		t.Errorf("err is %v: a stranger's certificate was accepted", err)
	}
	w.tls = &tls.Config{ServerName: "example.com", RootCAs: x509.NewCertPool()}
	w.tls.RootCAs.AddCert(s.Certificate())
	if ans, err := w.exchange(get); err != nil || ans.status != http.StatusBadRequest {
		t.Errorf("got %+v, %v", ans, err)
	}
}

func TestAStandardPortNeedNotBeWritten(t *testing.T) {
	for target, want := range map[string]string{
		"http://pay.example": "pay.example:80", "https://pay.example": "pay.example:443", "http://[::1]": "[::1]:80", "http://pay.example:81": "pay.example:81",
	} {
		u, _ := url.Parse(target)
		if got := newWire(t.Context(), u, 0).addr; got != want {
			t.Errorf("%s is dialed at %s, want %s", target, got, want)
		}
	}
}

// canned is a connection that has the same answer to everything.
type canned struct {
	net.Conn
	answer string
	at     int
}

func (*canned) SetDeadline(time.Time) error { return nil }
func (*canned) Write(b []byte) (int, error) { return len(b), nil }
func (*canned) Close() error                { return nil }
func (c *canned) Read(b []byte) (int, error) {
	n := copy(b, c.answer[c.at:])
	c.at = (c.at + n) % len(c.answer)
	return n, nil
}

// cannedWorker is a worker whose server costs nothing, so that what is measured
// is the client.
func cannedWorker(tb testing.TB, cfg Config) *worker {
	tb.Helper()
	var answer strings.Builder
	rec := httptest.NewRecorder()
	Bare().ServeHTTP(rec, httptest.NewRequest("POST", "/", strings.NewReader(`{"from":"bench-0123456789abcdef-123","to":"bench-0123456789abcdef-45","amount":678,"currency":"EUR"}`)))
	whole := rec.Result()
	whole.ContentLength = int64(rec.Body.Len())
	if err := whole.Write(&answer); err != nil {
		tb.Fatal(err)
	}
	cfg.Target, cfg.Connections = "http://127.0.0.1:1", 1
	r, err := newRun(tb.Context(), cfg.withDefaults(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	w := r.workers[0]
	w.wire.conn, w.wire.unhook = &canned{answer: answer.String()}, func() bool { return true }
	w.wire.in.Reset(w.wire.conn)
	return w
}

func TestARequestAllocatesNothing(t *testing.T) {
	w := cannedWorker(t, Config{})
	w.outcomes.kept = make([]outcome, 0, 2_000) // its growth is no cost of a request
	n := uint64(0)
	got := testing.AllocsPerRun(1_000, func() {
		if err := w.request(t.Context(), n, time.Now()); err != nil {
			t.Fatal(err)
		}
		n++
	})
	if got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
	if w.outcomes.acked != n {
		t.Errorf("%d acknowledged of %d", w.outcomes.acked, n)
	}
}

func BenchmarkClient(b *testing.B) {
	w := cannedWorker(b, Config{})
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		_ = w.request(b.Context(), n, time.Now())
	}
}
