package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/pay"
)

// A far is the other side, byte by byte: it counts what came, whatever a library
// of ours says that it sent.
type far struct {
	net.Listener
	t testing.TB

	mu    sync.Mutex
	seen  []string // the ids of requests, in the order in which they came
	conns []net.Conn
	done  sync.WaitGroup
}

// A does is what a far side does with a request that it has read.
type does func(c net.Conn, r *http.Request)

// listen makes a far side on loopback. It handles the nth request as the nth of
// all says, and those after them as the last.
func listen(t testing.TB, all ...does) *far {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &far{Listener: l, t: t}
	f.serve(func(c net.Conn) { f.talk(c, all) })
	return f
}

// serve handles each connection until the test is over.
func (f *far) serve(handle func(net.Conn)) {
	f.done.Go(func() {
		for {
			c, err := f.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			f.done.Go(func() { defer c.Close(); handle(c) })
		}
	})
	f.t.Cleanup(func() {
		f.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		f.done.Wait()
	})
}

// talk reads requests, one after the other, and does what is to be done.
func (f *far) talk(c net.Conn, all []does) {
	from := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		f.mu.Lock()
		f.seen = append(f.seen, r.Header.Get("Idempotency-Key"))
		n := min(len(f.seen), len(all)) - 1
		f.mu.Unlock()
		all[n](c, r)
	}
}

// ids returns the ids of the requests that came.
func (f *far) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.seen...)
}

func (f *far) url() string { return "http://" + f.Addr().String() }

// What a far side can do.

// says writes something, with \n for a line's end in what stands before the body.
func says(text string) does {
	head, body, _ := strings.Cut(text, "\n\n")
	text = strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
	return func(c net.Conn, _ *http.Request) { io.WriteString(c, text) }
}

// answers is a whole answer.
func answers(status, body string) does {
	return says("HTTP/1.1 " + status + "\nContent-Type: application/json\nContent-Length: " + itoa(len(body)) + "\n\n" + body)
}

// fine is the answer of a gateway that did what it was asked.
var fine = answers("200 OK", `{"status":"succeeded"}`)

// then does one thing and then another.
func then(all ...does) does {
	return func(c net.Conn, r *http.Request) {
		for _, do := range all {
			do(c, r)
		}
	}
}

func closes(c net.Conn, _ *http.Request) { c.Close() }

func resets(c net.Conn, _ *http.Request) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// pauses gives the other side time to read what came before.
func pauses(net.Conn, *http.Request) { time.Sleep(20 * time.Millisecond) }

// hangs waits until the other side has left.
func hangs(c net.Conn, _ *http.Request) { c.Read(make([]byte, 1)) }

// newCaller makes a caller of a far side.
func newCaller(t testing.TB, url string, with ...func(*gateway.Config)) *gateway.Caller {
	t.Helper()
	cfg := gateway.Config{Name: "acme", URL: url, Breaker: gateway.Breaker{Off: true}}
	for _, w := range with {
		w(&cfg)
	}
	c, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// short is how long a call waits here, where none is answered.
const short = 150 * time.Millisecond

// request is a send of an operation.
func request(id string) gateway.Request {
	return gateway.Request{
		Path: "/v1/operations", Body: []byte(`{"kind":"charge","amount":1250}`), Timeout: 5 * time.Second,
		Header: http.Header{"Idempotency-Key": {id}, "Content-Type": {"application/json"}},
	}
}

// read is a connector's knowledge of a very small gateway.
func read(a gateway.Answer) (pay.Finding, bool) {
	switch string(a.Body) {
	case `{"status":"succeeded"}`:
		return pay.Finding{Outcome: pay.Done, Amount: 1250}, true
	case `{"status":"declined"}`:
		return pay.Finding{Outcome: pay.Declined}, true
	case `{"status":"nothing"}`:
		return pay.Finding{Absent: true}, true
	case `{"error":"no"}`:
		return pay.Finding{Reach: pay.Refused, Failure: pay.Failure{Code: "gateway_rejected"}}, true
	default:
		return pay.Finding{}, false
	}
}
