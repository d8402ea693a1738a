package httponce_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/httponce"
)

// wire is an answer as a client reads it.
type wire struct {
	status  int
	header  http.Header // without what is of the moment, or of the connection
	length  int64
	body    string
	trailer http.Header
	broken  bool // the body, or the answer, broke off
	info    []string
}

// ofTheMoment is not compared.
var ofTheMoment = []string{"Date", "Content-Length", "Idempotency-Expires", "Idempotency-Replayed", "X-Request-Id", "X-Moment"}

// exchangeOver sends a request over a real connection.
func exchangeOver(t *testing.T, srv *httptest.Server, key string) (wire, *http.Response) {
	t.Helper()
	var got wire
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		got.info = append(got.info, fmt.Sprint(code, h["Link"]))
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, "POST", srv.URL+"/charges", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("As", "acme")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		got.broken = true
		return got, &http.Response{Header: http.Header{}}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	got.status, got.header, got.length, got.body, got.broken = res.StatusCode, res.Header.Clone(), res.ContentLength, string(body), err != nil
	if len(got.body) > 1000 {
		got.body = fmt.Sprintf("%d bytes: %x", len(body), sha256.Sum256(body))
	}
	for _, name := range ofTheMoment {
		delete(got.header, name)
	}
	if len(res.Trailer) > 0 {
		got.trailer = res.Trailer
	}
	return got, res
}

// servers are real ones, of both versions of HTTP.
func servers(t *testing.T, h http.Handler) map[string]*httptest.Server {
	t.Helper()
	one := httptest.NewServer(h)
	two := httptest.NewUnstartedServer(h)
	two.EnableHTTP2 = true
	two.StartTLS()
	for _, srv := range []*httptest.Server{one, two} {
		srv.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	return map[string]*httptest.Server{"HTTP/1.1": one, "HTTP/2.0": two}
}

// shapes are answers that are hard to give twice.
var shapes = map[string]func(w http.ResponseWriter, r *http.Request){
	"a handler that writes nothing": func(http.ResponseWriter, *http.Request) {},
	"no content": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.WriteHeader(204)
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	},
	"a cookie with a comma, and others": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "z=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT")
		w.Header().Add("Set-Cookie", "a=2; Path=/, c")
		w.Header().Add("Set-Cookie", "a=2; Path=/, c")
		io.WriteString(w, "ok")
	},
	"many lines of one name, in order": func(w http.ResponseWriter, _ *http.Request) {
		for _, v := range []string{"b", "a", "", "c, d", " blanks ", "ünlaut", "b"} {
			w.Header().Add("X-Lines", v)
		}
		w.Header().Add("Vary", "Origin")
		w.WriteHeader(201)
	},
	"bytes that are no text": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0, 0xff, '\r', '\n', 0, 1}) },
	"a type that is guessed": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html><body>hi</body></html>") },
	"a type that is guessed from several writes": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "<ht")
		io.WriteString(w, "ml>")
	},
	"a type that is not to be guessed": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "<html>")
	},
	"a compressed body": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		w.Write([]byte{1, 2, 3})
	},
	"a see-other": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/charges/1")
		w.WriteHeader(303)
	},
	"a refusal": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "declined", http.StatusPaymentRequired) },
	"a large body": func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			fmt.Fprintf(w, "%5000d", i)
		}
	},
	"a length that is right": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "right")
	},
	"trailers that were announced": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Trailer", "X-Sum, X-Count")
		w.Header().Add("Trailer", "X-Never")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "abc")
		w.Header().Add("X-Count", "1")
		w.Header().Add("X-Count", "2")
	},
	"trailers that were not": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("body", 1000))
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Sum", "abc")
	},
	"a stream with a trailer and a header that is set too late": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(http.TrailerPrefix+"X-Sum", "abc")
		w.WriteHeader(201)
		w.Header().Set("X-Late", "1")
		w.(http.Flusher).Flush()
	},
	"a header that is set too late": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Early", "1")
		h := w.Header()
		w.WriteHeader(201)
		h.Set("X-Early", "2")
		h.Set("X-Late", "1")
	},
	"an empty stream": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
	"a stream": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		for i := range 10 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
		}
	},
	"early hints": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Set("Link", "</b.css>; rel=preload")
		w.WriteHeader(103)
		io.WriteString(w, "ok")
	},
	"a header that others have set": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-Outer", "inner, too")
		w.Header().Set("X-Replaced", "inner")
		io.WriteString(w, "ok")
	},
}

// outer is what stands around a Handler: it sets header lines of its own.
func outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", "outer")
		w.Header().Set("X-Replaced", "outer")
		for _, name := range []string{"X-Request-Id", "X-Moment"} {
			w.Header().Set(name, fmt.Sprint(time.Now().UnixNano()))
		}
		next.ServeHTTP(w, r)
	})
}

// Through the Handler an answer is what it is without, and so is its repeat: status,
// bytes, every header line in order, trailers. But for 1xx: those are of the moment.
func TestAReplayIsFaithful(t *testing.T) {
	for name, handle := range shapes {
		t.Run(name, func(t *testing.T) {
			runs := 0
			s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, r *http.Request) { runs++; handle(w, r) })
			bare := servers(t, outer(http.HandlerFunc(handle)))
			for version, srv := range servers(t, outer(s)) {
				want, _ := exchangeOver(t, bare[version], "")
				first, res := exchangeOver(t, srv, version)
				if !reflect.DeepEqual(first, want) && (first.length == want.length || want.length >= 0) || first.broken || res.Proto != version {
					t.Errorf("%s: the first gets\n%+v, without a Handler\n%+v", version, first, want)
				}
				again, repeat := exchangeOver(t, srv, version)
				want.info = nil
				if want.length = first.length; first.length < 0 {
					want.length = again.length
				}
				if !reflect.DeepEqual(again, want) || repeat.Header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("%s: a repeat gets\n%+v, want\n%+v", version, again, want)
				}
				for _, name := range []string{"X-Request-Id", "X-Moment"} {
					if a, b := res.Header.Get(name), repeat.Header.Get(name); a == b {
						t.Errorf("%s: the repeat has the %s of the first", version, name)
					}
				}
			}
			if runs != 2 {
				t.Errorf("it ran %d times for two keys", runs)
			}
		})
	}
}

// A handler that says how long its answer is, and is wrong, has written what it has
// written: that is kept, and sent with its right length.
func TestAContentLengthThatLies(t *testing.T) {
	for name, row := range map[string]struct {
		length, body string
		flush        bool
	}{
		"more than there is":            {"100", "short", false},
		"less than there is":            {"2", "longer", false},
		"more than there is, in stream": {"100", "short", true},
		"less than there is, in stream": {"2", "longer", true},
		"no number":                     {"many", "longer", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", row.length)
				if row.flush {
					w.(http.Flusher).Flush()
				}
				if n, err := io.WriteString(w, row.body); n != len(row.body) || err != nil {
					t.Errorf("the handler wrote %d %v", n, err)
				}
			})
			for version, srv := range servers(t, s) {
				first, _ := exchangeOver(t, srv, version)
				if !row.flush && (first.body != row.body || first.broken) {
					t.Errorf("%s: the first gets %+v", version, first)
				}
				if again, _ := exchangeOver(t, srv, version); again.body != row.body || again.length != int64(len(row.body)) || again.broken {
					t.Errorf("%s: a repeat gets %+v", version, again)
				}
			}
		})
	}
}

// Header lines of a connection are of that connection.
func TestHopByHopHeadersAreNotKept(t *testing.T) {
	s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{
			"Connection": "close, X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5", "Proxy-Connection": "close", "Upgrade": "h2c",
			"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Request-Id": "first", "X-End": "1", "Idempotency-Replayed": "true",
			"Idempotency-Expires": "never", "Bad Name": "1",
		} {
			w.Header()[name] = []string{value}
		}
		w.Header().Set("X-Split", "a\r\nX-Evil: 1")
		io.WriteString(w, "ok")
	})
	first := s.post("k", "/", "")
	if first.header.Get("X-Hop") != "1" || first.header.Get("Connection") != "close, X-Hop" || first.header.Get("Idempotency-Expires") == "never" {
		t.Errorf("the first gets %v", first.header)
	}
	again := s.post("k", "/", "")
	for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Proxy-Connection", "Upgrade", "Date", "Request-Id", "Bad Name"} {
		if values, found := again.header[name]; found {
			t.Errorf("a repeat has %s: %v", name, values)
		}
	}
	if again.header.Get("X-End") != "1" || again.header.Get("X-Split") != "a  X-Evil: 1" || again.body != "ok" {
		t.Errorf("a repeat gets %+v", again)
	}
}

// What a handler may do with its connection, and what not.
func TestResponseController(t *testing.T) {
	s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("a read deadline: %v", err)
		}
		if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("a write deadline: %v", err)
		}
		if _, _, err := rc.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("taking the connection over: %v", err)
		}
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("taking the connection over: %v", err)
		}
		if err := rc.Flush(); err != nil {
			t.Errorf("a flush: %v", err)
		}
	})
	for version, srv := range servers(t, s) {
		if a, _ := exchangeOver(t, srv, version); a.status != 200 {
			t.Errorf("%s: it gets %+v", version, a)
		}
	}
}

// A stream goes out as it is written, and an answer that is not one when it is kept.
func TestWhenAnAnswerGoesOut(t *testing.T) {
	next := make(chan struct{})
	s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "one\n")
		w.(http.Flusher).Flush()
		<-next
		io.WriteString(w, "two\n")
		w.(http.Flusher).Flush()
		<-next
	})
	srv := servers(t, s)["HTTP/1.1"]
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nAs: acme\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Idempotency-Expires") == "" {
		t.Error("a stream does not say until when its key is kept")
	}
	lines := bufio.NewReader(res.Body)
	for _, want := range []string{"one\n", "two\n"} {
		if line, err := lines.ReadString('\n'); line != want || err != nil {
			t.Fatalf("it reads %q %v, want %q while the handler waits", line, err, want)
		}
		rec, err := s.engine.Find(context.Background(), keyOf("k"))
		if err != nil || rec.State.String() != "claimed" {
			t.Errorf("meanwhile the key is %v %v", rec.State, err)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil {
		t.Errorf("then it reads %q %v", rest, err)
	}
}
