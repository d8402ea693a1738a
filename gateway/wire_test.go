package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/pay"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Whatever the other side does after it has a byte, the send was one request and
// its outcome is what the answer says, or unknown.
func TestSendIsOneRequestWhateverComesBack(t *testing.T) {
	long := `{"status":"succeeded"}` + strings.Repeat(" ", 70_000)
	for _, row := range []struct {
		name   string
		far    does
		want   pay.Finding
		detail string
	}{
		{"an answer that says it is done", fine, pay.Finding{Outcome: pay.Done, Amount: 1250}, "HTTP 200"},
		{"in pieces", says("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n16\r\n" + `{"status":"succeeded"}` + "\r\n0\r\n\r\n"), pay.Finding{Outcome: pay.Done, Amount: 1250}, "HTTP 200"},
		{"after an interim answer", then(says("HTTP/1.1 100 Continue"), says("HTTP/1.1 103 Early Hints\nLink: <x>"), fine), pay.Finding{Outcome: pay.Done, Amount: 1250}, "HTTP 200"},
		{"until the connection ends", then(says("HTTP/1.0 200 OK\n\n"+`{"status":"succeeded"}`), closes), pay.Finding{Outcome: pay.Done, Amount: 1250}, "HTTP 200"},
		{"a decline", answers("402 Payment Required", `{"status":"declined"}`), pay.Finding{Outcome: pay.Declined}, "HTTP 402"},
		{"a refusal", answers("400 Bad Request", `{"error":"no"}`), pay.Finding{Reach: pay.Refused, Failure: pay.Failure{Code: "gateway_rejected"}}, "HTTP 400"},
		{"a refusal that is a stranger's", answers("404 Not Found", `<html>`), pay.Finding{}, "HTTP 404 with an answer that cannot be relied on"},

		{"nothing at all", hangs, pay.Finding{}, "no answer in …"},
		{"the end of the connection", closes, pay.Finding{}, "the connection was closed"},
		{"a reset", resets, pay.Finding{}, "the connection was reset"},
		{"one byte, then a reset", then(func(c net.Conn, _ *http.Request) { io.WriteString(c, "H") }, pauses, resets), pay.Finding{}, "the connection was reset"},
		{"half a header", then(func(c net.Conn, _ *http.Request) { io.WriteString(c, "HTTP/1.1 200 OK\r\nConte") }, closes), pay.Finding{}, "the answer was cut off"},
		{"half a body", then(says("HTTP/1.1 200 OK\nContent-Length: 22\n\n{\"status\":\"suc"), closes), pay.Finding{}, "the answer was cut off"},
		{"half a body, then nothing", then(says("HTTP/1.1 200 OK\nContent-Length: 22\n\n{\"status\":\"suc"), hangs), pay.Finding{}, "no answer in …"},
		{"a header without an end", endless("X: y\r\n"), pay.Finding{}, "the answer is larger than one can be"},
		{"interim answers without an end", endless("HTTP/1.1 100 Continue\r\n\r\n"), pay.Finding{}, "what came is not HTTP"},
		{"a body that says it is too large", then(says("HTTP/1.1 200 OK\nContent-Length: 70022\n\n"+long), hangs), pay.Finding{}, "the answer is larger than one can be"},
		{"a body that is too large and does not say so", then(says("HTTP/1.1 200 OK\n\n"+long), closes), pay.Finding{}, "the answer is larger than one can be"},
		{"something that is not HTTP", says("220 mail.example ESMTP"), pay.Finding{}, "what came is not HTTP"},
		{"something that is not JSON", answers("200 OK", `<html>`), pay.Finding{}, "HTTP 200 with an answer that cannot be relied on"},
		{"a done that is an error", answers("402 Payment Required", `{"status":"succeeded"}`), pay.Finding{}, "HTTP 402 with an answer that cannot be relied on"},
		{"an error that is a success", answers("200 OK", `{"error":"no"}`), pay.Finding{}, "HTTP 200 with an answer that cannot be relied on"},
		{"no content", says("HTTP/1.1 204 No Content"), pay.Finding{}, "HTTP 204 with an answer that cannot be relied on"},
		{"another protocol", then(says("HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: upgrade"), hangs), pay.Finding{}, "HTTP 101"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := listen(t, row.far)
			c := newCaller(t, f.url())
			r := request("att_1")
			if strings.HasSuffix(row.detail, "…") {
				r.Timeout = time.Second
			}
			wantFinding(t, c.Send(t.Context(), r, read), row.want, row.detail)
			wantSeen(t, f, "att_1")
			if got := c.Stats().Sends; got != 1 {
				t.Errorf("it counts %d sends", got)
			}
		})
	}
}

// endless writes a header that has no end.
func endless(line string) does {
	return func(c net.Conn, _ *http.Request) {
		if line[0] == 'X' {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		}
		for err := error(nil); err == nil; {
			_, err = io.WriteString(c, line)
		}
	}
}

// An answer with a status that tells nothing is unknown, even where its body says
// that all is well, or that nothing was done.
func TestStatusThatTellsNothing(t *testing.T) {
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308, 408, 409, 425, 429, 500, 501, 502, 503, 504, 599} {
		for _, body := range []string{`{"status":"succeeded"}`, `{"error":"no"}`} {
			t.Run(fmt.Sprint(status, body), func(t *testing.T) {
				t.Parallel()
				other := listen(t, fine)
				f := listen(t, says(fmt.Sprintf("HTTP/1.1 %d x\nLocation: %s/v1/operations\nRetry-After: 0\nContent-Length: %d\n\n%s", status, other.url(), len(body), body)))
				wantFinding(t, newCaller(t, f.url()).Send(t.Context(), request("att_1"), read), pay.Finding{}, fmt.Sprint("HTTP ", status))
				wantSeen(t, f, "att_1")
				wantSeen(t, other)
			})
		}
	}
}

// http.Transport would send each of these twice: a POST with an Idempotency-Key
// on a connection that was used before and is dropped.
func TestDroppedConnectionIsNotTriedAgain(t *testing.T) {
	for name, body := range map[string][]byte{"with a body": []byte(`{"amount":1250}`), "with an empty body": {}, "with no body": nil} {
		for end, drop := range map[string]does{"closed": closes, "reset": resets} {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				f := listen(t, fine, drop, fine)
				c := newCaller(t, f.url())
				wantFinding(t, c.Send(t.Context(), request("att_1"), read), pay.Finding{Outcome: pay.Done, Amount: 1250}, "HTTP 200")
				r := request("att_2")
				r.Body = body
				wantFinding(t, c.Send(t.Context(), r, read), pay.Finding{}, "the connection was "+end)
				wantSeen(t, f, "att_1", "att_2")
				f.mu.Lock()
				defer f.mu.Unlock()
				if len(f.conns) != 1 {
					t.Errorf("%d connections were made: the second send was not on the first's", len(f.conns))
				}
			})
		}
	}
}

// What was said without being asked is no answer to the next question.
func TestStrayAnswerBelongsToNobody(t *testing.T) {
	stray := answers("400 Bad Request", `{"error":"no"}`)
	for name, far := range map[string]does{
		"right behind the answer": func(c net.Conn, _ *http.Request) {
			var both bytes.Buffer
			for _, do := range []does{fine, stray} {
				do(collect{c, &both}, nil)
			}
			c.Write(both.Bytes())
		},
		"right behind it, where a buffer ends": func(c net.Conn, _ *http.Request) {
			const begin, end = "HTTP/1.1 200 OK\r\nContent-Length: 22\r\nPad: ", "\r\n\r\n" + `{"status":"succeeded"}`
			both := begin + strings.Repeat("x", 4096-len(begin)-len(end)) + end + "HTTP/1.1 400 Bad Request\r\nContent-Length: 14\r\n\r\n" + `{"error":"no"}`
			io.WriteString(c, both)
		},
		"some time after it": func(c net.Conn, r *http.Request) {
			fine(c, r)
			go func() { time.Sleep(20 * time.Millisecond); stray(c, r) }()
		},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " tls=", secure), func(t *testing.T) {
				t.Parallel()
				f, c := listen(t, far, fine), (*gateway.Caller)(nil)
				if secure {
					front, trust := secured(t, f)
					c = newCaller(t, front, trust)
				} else {
					c = newCaller(t, f.url())
				}
				want := pay.Finding{Outcome: pay.Done, Amount: 1250}
				wantFinding(t, c.Send(t.Context(), request("att_1"), read), want, "HTTP 200")
				time.Sleep(60 * time.Millisecond) // the stray answer is there by now
				wantFinding(t, c.Send(t.Context(), request("att_2"), read), want, "HTTP 200")
				f.mu.Lock()
				defer f.mu.Unlock()
				if len(f.conns) != 2 {
					t.Errorf("%d connections were made: the second send was on one on which something else was said", len(f.conns))
				}
			})
		}
	}
}

// collect is a connection that writes elsewhere.
type collect struct {
	net.Conn
	to io.Writer
}

func (c collect) Write(p []byte) (int, error) { return c.to.Write(p) }

// secured puts TLS before a far side. It returns its address, and what makes a
// caller trust it.
func secured(t *testing.T, f *far) (url string, trust func(*gateway.Config)) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.StartTLS()
	t.Cleanup(s.Close)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: s.TLS.Certificates, DynamicRecordSizingDisabled: true})
	if err != nil {
		t.Fatal(err)
	}
	front := &far{Listener: l, t: t}
	front.serve(func(c net.Conn) {
		back, err := net.Dial("tcp", f.Addr().String())
		if err != nil {
			return
		}
		go func() { io.Copy(back, c); back.(*net.TCPConn).CloseWrite() }()
		io.Copy(c, back)
	})
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return "https://" + l.Addr().String(), func(cfg *gateway.Config) { cfg.TLS = &tls.Config{RootCAs: roots} }
}

// A connection over TLS is used again, one that was closed meanwhile is not.
func TestConnectionsAreUsedAgain(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls=", secure), func(t *testing.T) {
			f := listen(t, fine, fine, then(fine, closes), fine)
			c, conns := newCaller(t, f.url()), f
			if secure {
				url, trust := secured(t, f)
				c = newCaller(t, url, trust)
			}
			for i := range 4 {
				id := "att_" + itoa(i)
				wantFinding(t, c.Send(t.Context(), request(id), read), pay.Finding{Outcome: pay.Done, Amount: 1250}, "HTTP 200")
				time.Sleep(20 * time.Millisecond) // for the end of the third to be noticed
			}
			wantSeen(t, f, "att_0", "att_1", "att_2", "att_3")
			conns.mu.Lock()
			defer conns.mu.Unlock()
			if len(conns.conns) != 2 {
				t.Errorf("%d connections were made for three answers on one, and one more", len(conns.conns))
			}
		})
	}
}

// A connection that its server wants closed is not used again.
func TestConnectionIsClosedWhereItIsAskedFor(t *testing.T) {
	f := listen(t, says("HTTP/1.1 200 OK\nConnection: close\nContent-Length: 22\n\n"+`{"status":"succeeded"}`))
	c := newCaller(t, f.url())
	for range 2 {
		wantFinding(t, c.Send(t.Context(), request("att_1"), read), pay.Finding{Outcome: pay.Done, Amount: 1250}, "HTTP 200")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.conns) != 2 {
		t.Errorf("%d connections were made", len(f.conns))
	}
}

// What never left is known for certain, and the other side never saw a byte.
func TestNothingLeft(t *testing.T) {
	f := listen(t, fine)
	_, trust := secured(t, f)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	nobody := listen(t, fine)
	nobody.Close()
	for _, row := range []struct {
		name, url string
		ctx       context.Context
		change    func(*gateway.Request)
		with      func(*gateway.Config)
		detail    string
	}{
		{"nobody listens", nobody.url(), nil, nil, nil, "the connection was refused"},
		{"nobody picks up", deaf(t), nil, nil, nil, "no connection in …"},
		{"it does not speak TLS", strings.Replace(f.url(), "http", "https", 1), nil, nil, nil, "TLS could not be agreed on"},
		{"it says nothing in the handshake", "https://" + listenRaw(t, func(c net.Conn) { io.Copy(io.Discard, c) }), nil, nil, trust, "no connection in …"},
		{"it hangs up in the handshake", "https://" + listenRaw(t, func(net.Conn) {}), nil, nil, trust, "TLS could not be agreed on"},
		{"its certificate is a stranger's", func() string { u, _ := secured(t, f); return u }(), nil, nil, nil, "the gateway's certificate is not trusted"},
		{"its certificate is of another name", func() string { u, _ := secured(t, f); return strings.Replace(u, "127.0.0.1", "localhost", 1) }(), nil, nil, trust, "the gateway's certificate is not trusted"},
		{"its caller has left before", f.url(), gone, nil, nil, "the call was given up"},
		{"a header that cannot be written", f.url(), nil, func(r *gateway.Request) { r.Header = http.Header{"Idempotency-Key": {"att_1\r\nX: y"}} }, nil, "the request cannot be written"},
		{"a path that leads elsewhere", f.url(), nil, func(r *gateway.Request) { r.Path = "@evil.example/" }, nil, "the request cannot be written"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var with []func(*gateway.Config)
			if row.with != nil {
				with = append(with, row.with)
			}
			c := newCaller(t, row.url, with...)
			r := request("att_1")
			if strings.HasSuffix(row.detail, "…") {
				r.Timeout = short
			}
			if row.change != nil {
				row.change(&r)
			}
			if row.ctx == nil {
				row.ctx = t.Context()
			}
			wantFinding(t, c.Send(row.ctx, r, read), pay.Finding{Reach: pay.NeverLeft}, row.detail)
			wantSeen(t, f)
			if s := c.Stats(); s.Sends != 0 || s.SendOutcomes != (gateway.Outcomes{NeverLeft: 1}) {
				t.Errorf("it counts %+v", s)
			}
		})
	}
}

// listenRaw handles connections as they are.
func listenRaw(t *testing.T, handle func(net.Conn)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	(&far{Listener: l, t: t}).serve(handle)
	return l.Addr().String()
}

// deaf is an address whose connections nobody accepts: its queue is full.
func deaf(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprint("127.0.0.1:", name.(*syscall.SockaddrInet4).Port)
	for range 4 {
		if c, err := net.DialTimeout("tcp", addr, 50*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return "http://" + addr
}

// Calls that are given up at any moment, to a side that hangs up at any moment:
// where one says that it never left, the other side has not seen a byte of it.
func TestNeverLeftIsNeverWrong(t *testing.T) {
	const calls = 1500
	var mu sync.Mutex
	saw := map[string]bool{}
	addr := listenRaw(t, func(c net.Conn) {
		c.(*net.TCPConn).SetLinger(0)
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		c.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(2)) * time.Millisecond))
		text, _ := io.ReadAll(c)
		if _, rest, ok := strings.Cut(string(text), "Idempotency-Key: "); ok {
			mu.Lock()
			saw[strings.TrimSpace(rest[:len("att_0000")])] = true
			mu.Unlock()
		}
	})
	c := newCaller(t, "http://"+addr)
	never := make([]bool, calls)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := worker; i < calls; i += 4 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(1000))*time.Microsecond)
				f := c.Send(ctx, request(fmt.Sprintf("att_%04d", i)), read)
				never[i] = f.Reach == pay.NeverLeft
				cancel()
			}
		})
	}
	all.Wait()
	time.Sleep(20 * time.Millisecond) // what was written is read by now
	mu.Lock()
	defer mu.Unlock()
	left := 0
	for i, n := range never {
		id := fmt.Sprintf("att_%04d", i)
		if n && saw[id] {
			t.Errorf("%s came, and its call says that it never left", id)
		}
		if !n {
			left++
		}
	}
	if left == 0 || left == calls || len(saw) == 0 {
		t.Fatalf("of %d calls %d may have left, and %d came: that proves nothing", calls, left, len(saw))
	}
	if got := c.Stats().Sends; got != int64(left) {
		t.Errorf("it counts %d sends on the wire, and says of %d that they may have arrived", got, left)
	}
}

// What the kernel still held of a request does not go out after it was given up.
func TestNothingIsSentLater(t *testing.T) {
	halt, ended := make(chan struct{}), make(chan error, 1)
	ctx, leave := context.WithCancel(t.Context())
	addr := listenRaw(t, func(c net.Conn) {
		c.(*net.TCPConn).SetReadBuffer(1)
		c.Read(make([]byte, 1))
		time.AfterFunc(50*time.Millisecond, leave) // all buffers are full by then
		<-halt
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err := io.Copy(io.Discard, c)
		ended <- err
	})
	c := newCaller(t, "http://"+addr)
	r := request("att_1")
	r.Body, r.Timeout = bytes.Repeat([]byte("x"), 5<<20), time.Minute
	wantFinding(t, c.Send(ctx, r, read), pay.Finding{}, "the call was given up")
	close(halt)
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the rest of it kept coming, until: %v", err)
	}
}

// wantFinding compares what was found. An … at the end of the detail is anything.
func wantFinding(t *testing.T, got, want pay.Finding, detail string) {
	t.Helper()
	want.Detail = detail
	if begin, any := strings.CutSuffix(detail, "…"); any && strings.HasPrefix(got.Detail, begin) {
		want.Detail = got.Detail
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func wantSeen(t *testing.T, f *far, ids ...string) {
	t.Helper()
	if got := f.ids(); !slices.Equal(got, ids) {
		t.Errorf("the other side saw %q, want %q", got, ids)
	}
}
