package httponce_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

// An answer that is larger than what is kept goes to its client in full. Its key is
// done all the same: it never runs again, and a repeat is told so.
func TestAnAnswerThatIsNotKept(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter){
		"in one write":      func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat("x", 101)) },
		"in several writes": func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat("x", 100)); io.WriteString(w, "x") },
		"in a stream": func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			for range 101 {
				io.WriteString(w, "x")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eng := newEngine(t, once.NewMemory(), func(c *once.Config) { c.MaxAnswer = 100 })
			s := shopOn(eng, httponce.Route{}, func(_ int64, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/reports/1")
				w.Header().Set("X-Else", "1")
				w.WriteHeader(201)
				write(w)
			})
			for version, srv := range servers(t, s) {
				first, res := exchangeOver(t, srv, version)
				if first.status != 201 || len(first.body) != 101 || first.broken || first.header.Get("X-Else") != "1" || res.Header.Get("Idempotency-Expires") == "" {
					t.Errorf("%s: the first gets %+v", version, first)
				}
				if first.header.Get("Content-Type") == "" && !strings.HasSuffix(name, "stream") {
					t.Errorf("%s: what the first gets is of no type", version)
				}
				again, res := exchangeOver(t, srv, version)
				p := answer{again.status, again.header, again.body}.problem()
				if again.status != 409 || p.Code != httponce.AnswerNotKept || p.OriginalStatus != 201 || *p.Retryable || !*p.SameKey {
					t.Errorf("%s: a repeat gets %+v", version, again)
				}
				if again.header.Get("Location") != "/reports/1" || again.header.Get("X-Else") != "" || res.Header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("%s: a repeat has %v", version, res.Header)
				}
			}
			if rec, err := eng.Find(t.Context(), keyOf("HTTP/1.1")); err != nil || len(rec.Answer.Body) != 0 || !rec.Answer.Dropped {
				t.Errorf("kept are %d bytes of it: %v", len(rec.Answer.Body), err)
			}
			if s.runs.Load() != 2 {
				t.Errorf("it ran %d times for two keys", s.runs.Load())
			}
		})
	}
}

// The largest answer that is kept is given again.
func TestTheLargestAnswerThatIsKept(t *testing.T) {
	eng := newEngine(t, once.NewMemory(), func(c *once.Config) { c.MaxAnswer = 100 })
	s := shopOn(eng, httponce.Route{}, func(_ int64, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", 50))
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, strings.Repeat("x", 50))
	})
	for _, path := range []string{"/", "/stream"} {
		s.post(path, path, "")
		if a := s.post(path, path, ""); len(a.body) != 100 || !a.replayed() {
			t.Errorf("%s gets %+v", path, a)
		}
	}
}

// hungUp is the connection of a client that is gone.
type hungUp struct{ *httptest.ResponseRecorder }

var errHungUp = errors.New("the client hung up")

func (hungUp) Write([]byte) (int, error) { return 0, errHungUp }

// A stream whose client hangs up is written to its end, and kept, as long as there is
// room; then there is nobody to write for, and it is told so.
func TestTheClientHangsUpInAStream(t *testing.T) {
	eng := newEngine(t, once.NewMemory(), func(c *once.Config) { c.MaxAnswer = 100 })
	written := 0
	s := shopOn(eng, httponce.Route{}, func(_ int64, w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		for written = 0; written < 1000; written++ {
			if r.URL.Path == "/short" && written == 100 {
				return
			}
			if _, err := io.WriteString(w, "x"); err != nil {
				if !errors.Is(err, errHungUp) {
					t.Errorf("it is told %v", err)
				}
				return
			}
		}
	})
	s.ServeHTTP(hungUp{httptest.NewRecorder()}, request("POST", "/short", "", "Idempotency-Key", "a"))
	if a := s.post("a", "/short", ""); len(a.body) != 100 || !a.replayed() {
		t.Errorf("what fits is %+v", a)
	}
	s.ServeHTTP(hungUp{httptest.NewRecorder()}, request("POST", "/endless", "", "Idempotency-Key", "b"))
	if written != 100 {
		t.Errorf("an endless stream goes on for %d bytes", written)
	}
	if a := s.post("b", "/endless", ""); a.code() != httponce.AnswerNotKept || s.runs.Load() != 2 {
		t.Errorf("what does not fit is %+v after %d runs", a, s.runs.Load())
	}
}

// Streams may end in any status: what that means is the same.
func TestAStreamThatIsNotFinal(t *testing.T) {
	s := newShop(t, httponce.Route{}, func(_ int64, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		w.(http.Flusher).Flush()
	})
	for range 2 {
		if a := s.post("k", "/", ""); a.status != 503 || a.replayed() {
			t.Errorf("it gets %+v", a)
		}
	}
	if rec, err := s.engine.Find(context.Background(), keyOf("k")); err != nil || rec.State != once.Released {
		t.Errorf("the key is %v %v", rec.State, err)
	}
}
