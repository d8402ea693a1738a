package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// slow is a body that stops before its end until it is let go on.
type slow struct {
	part string
	left int // how often part comes before it stops
	stop chan struct{}
}

func (s *slow) Read(b []byte) (int, error) {
	if s.left == 0 {
		<-s.stop
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(b, s.part)
	s.part = s.part[n:] + s.part[:n]
	s.left--
	return n, nil
}

// slowRequest is a batch of nothing but zeros of 8 MiB, told or not.
func slowRequest(told bool, stop chan struct{}) *http.Request {
	r := request("POST", "/v1/transfers/batch", "-")
	const part = 64 << 10
	r.Body = io.NopCloser(&slow{strings.Repeat("0,", part/2), MaxBatchBody/part - 1, stop})
	r.ContentLength = -1
	if told {
		r.ContentLength = MaxBatchBody
	}
	return r
}

// Of forty clients that send the largest bodies at once, as many are let in as
// there is room for in their tenant's part. The others are told so at once,
// before their bodies take memory, and other tenants notice nothing.
func TestBodiesInFlightAreBounded(t *testing.T) {
	for name, told := range map[string]bool{"their length is told": true, "they are chunked": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, nil)
				h.open()
				const most = MaxTenantBodies + 8<<20 // bytes of heap, where forty bodies are ten times that
				before := liveHeap()
				stop, answers := make(chan struct{}), make(chan *httptest.ResponseRecorder, 40)
				for range cap(answers) {
					go func() {
						w := httptest.NewRecorder()
						h.ServeHTTP(w, slowRequest(told, stop))
						answers <- w
					}()
				}
				synctest.Wait()
				if took := liveHeap() - before; took > most {
					t.Errorf("%d bytes are on the heap, want %d at most", took, most)
				}
				if n := cap(answers) - len(answers); n < 2 || n > MaxTenantBodies/MaxBatchBody {
					t.Errorf("%d bodies are let in", n)
				}
				for range len(answers) {
					w := <-answers
					if w.Code != 503 || !strings.Contains(w.Body.String(), `"code":"overloaded"`) || w.Header().Get("Retry-After") == "" {
						t.Fatalf("got %d %s", w.Code, w.Body)
					}
				}
				if a := h.do("POST", "/v1/accounts", `{"currency":"EUR"}`, "Authorization", "Bearer sk_other", "Idempotency-Key", "k"); a.status != 201 {
					t.Errorf("another tenant: %v", a)
				}
				close(stop)
				synctest.Wait()
				if left := h.bodies.used.Load(); left != 0 {
					t.Errorf("%d bytes of room were not given back", left)
				}
			})
		})
	}
}

func liveHeap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A body of the largest size that is nothing but values takes little more than
// its bytes: it is refused where there are too many of them.
func TestManyValuesTakeLittleMemory(t *testing.T) {
	h := newHouse(t, nil)
	const most = 4 * MaxBatchBody // the body is one of them, or two with -race; four million values would be eight more
	body := `{"transfers":[` + strings.Repeat("0,", MaxBatchBody/2-10) + `0]}`
	r := request("POST", "/v1/transfers/batch", body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	if w.Code != 413 || !strings.Contains(w.Body.String(), fmt.Sprintf("more than %d values", MaxBatchValues)) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("%d bytes were taken, want %d at most", took, most)
	}
}

// A body keeps its place until its request is answered, since its job keeps what
// was in it; then the place is free again.
func TestBodiesKeepTheirRoomUntilTheyAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.open()
		padded := transferBody("1") + strings.Repeat(" ", 1000)
		const fit = 5
		h.bodies.size = int64(fit * len(padded))
		h.store.set(true, false)
		var waiting sync.WaitGroup
		for i := range fit {
			waiting.Go(func() {
				if a := h.post(fmt.Sprint(i), "/v1/transfers", padded); a.status != 201 {
					t.Errorf("request %d: %v", i, a)
				}
			})
		}
		synctest.Wait()
		a := h.post("new", "/v1/transfers", transferBody("1"))
		if a.code() != "overloaded" || a.header.Get("Retry-After") == "" || a.header.Get("Idempotency-Expires") == "" {
			t.Errorf("one more: %v, want overloaded", a)
		}
		if a := h.do("PUT", "/v1/accounts/bob", `{}`); a.code() != "overloaded" {
			t.Errorf("one more, without a key: %v, want overloaded", a)
		}
		if a := h.do("GET", "/v1/accounts/bob", ""); a.status != 200 {
			t.Errorf("a request without a body: %v", a)
		}
		h.store.set(false, false)
		waiting.Wait()
		if a := h.post("new", "/v1/transfers", transferBody("1")); a.status != 201 {
			t.Errorf("one more, later: %v", a)
		}
	})
}

// What a handler that panics has taken is given back.
func TestRoomIsGivenBackAfterAPanic(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	r := request("POST", "/v1/transfers", "-", "Idempotency-Key", "k")
	r.Body = io.NopCloser(broken{})
	h.ServeHTTP(httptest.NewRecorder(), r)
	if left := h.bodies.used.Load(); left != 0 {
		t.Errorf("%d bytes of room were not given back", left)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { panic(errors.New("a defect")) }
