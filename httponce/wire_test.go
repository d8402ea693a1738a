package httponce_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/httponce"
)

// till is a server that speaks TCP: it answers GETs, and takes the first few POSTs,
// all of each, and drops their connection. It counts what is on the wire.
type till struct {
	net.Listener
	mu    sync.Mutex
	drop  int
	conns []net.Conn
	keys  []string // of the POSTs that arrived
	sizes []int64  // of their bodies, as they were told
}

func newTill(t *testing.T, drop int) *till {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &till{Listener: l, drop: drop}
	var accepts, serves sync.WaitGroup
	accepts.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns = append(s.conns, c)
			serves.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepts.Wait()
		for _, c := range s.conns {
			c.Close()
		}
		serves.Wait()
	})
	return s
}

func (s *till) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		if r.Method == "POST" && s.took(r) {
			return // it has charged, and says nothing
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

// took counts a charge, and says whether its answer is lost.
func (s *till) took(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.sizes = append(s.keys, r.Header.Get("Idempotency-Key")), append(s.sizes, r.ContentLength)
	return len(s.keys) <= s.drop
}

func (s *till) charges() ([]string, []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys, s.sizes
}

// counting counts what is handed down.
type counting struct {
	http.RoundTripper
	tries int
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.tries++
	return c.RoundTripper.RoundTrip(r)
}

// charge warms a connection up, so that it is used again, and charges over it.
func chargeOver(t *testing.T, s *till, rt http.RoundTripper, body string) error {
	t.Helper()
	client := &http.Client{Transport: rt}
	defer client.CloseIdleConnections()
	url := "http://" + s.Addr().String()
	for _, method := range []string{"GET", "POST"} {
		var in io.Reader
		if body != "" && method == "POST" {
			in = strings.NewReader(body)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, url, in)
		if err != nil {
			t.Fatal(err)
		}
		if method == "POST" {
			r.Header.Set("Idempotency-Key", "k")
		}
		res, err := client.Do(r)
		if err != nil {
			return err
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	return nil
}

// net/http sends a POST that has a key a second time by itself, on a connection that
// was used before and is dropped, and says nothing of it. Through a Transport, what is
// on the wire is what it has sent: one request for each try.
func TestNothingIsSentTwiceInSilence(t *testing.T) {
	for name, body := range map[string]string{"without a body": "", "with a body": `{"amount":1}`} {
		t.Run(name, func(t *testing.T) {
			plain := newTill(t, 1)
			err := chargeOver(t, plain, &http.Transport{}, body)
			if keys, _ := plain.charges(); err != nil || len(keys) != 2 {
				t.Errorf("a plain http.Transport sends %d requests, with %v: then this is not needed any more", len(keys), err)
			}

			one := newTill(t, 1)
			err = chargeOver(t, one, &httponce.Transport{Base: &http.Transport{}, Tries: 1}, body)
			keys, sizes := one.charges()
			if call := (*httponce.CallError)(nil); !errors.As(err, &call) || call.Tries != 1 || call.Key != "k" || len(keys) != 1 {
				t.Errorf("with one try, %d requests are on the wire: %v", len(keys), err)
			}
			if len(sizes) > 0 && sizes[0] != int64(len(body)) {
				t.Errorf("a body of %d bytes is told to have %d", len(body), sizes[0])
			}

			more := newTill(t, 3)
			base := &counting{RoundTripper: &http.Transport{}}
			err = chargeOver(t, more, &httponce.Transport{Base: base, Pause: time.Millisecond}, body)
			keys, _ = more.charges()
			if err != nil || len(keys) != 4 || base.tries != 1+len(keys) || strings.Join(keys, "") != "kkkk" {
				t.Errorf("with more tries, %d requests for %d tries are on the wire, with the keys %q: %v", len(keys), base.tries-1, keys, err)
			}
		})
	}
}
