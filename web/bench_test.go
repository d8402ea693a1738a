package web

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/oncepay/oncepay/engine"
)

// nobody is a ResponseWriter that costs next to nothing, so that what is
// measured is the handler.
type nobody struct {
	header http.Header
	status int
}

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) WriteHeader(status int)      { n.status = status }
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }

// benchCaller sends one POST over and over.
type benchCaller struct {
	api  *API
	r    *http.Request
	body *bytes.Reader
	w    nobody
}

const benchPayment = `{"amount":1250,"currency":"EUR","payment_method":"pm_ok","confirm":true}`

const benchBody = `{"from":"alice","to":"bob","amount":1250,"currency":"EUR","reference":"order-4711"}`

func newBenchCaller(b *testing.B, api *API) *benchCaller {
	return newBenchCallerOf(b, api, "/v1/transfers", benchBody)
}

func newBenchCallerOf(b *testing.B, api *API, path, body string) *benchCaller {
	c := &benchCaller{api: api, body: bytes.NewReader([]byte(body))}
	r, err := http.NewRequest("POST", "http://localhost"+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk_acme")
	r.Header.Set("Content-Type", "application/json")
	r.Body, r.ContentLength = io.NopCloser(c.body), int64(len(body))
	c.r = r
	return c
}

func (c *benchCaller) post(key string) int {
	c.body.Seek(0, io.SeekStart)
	c.r.Header["Idempotency-Key"] = []string{key}
	c.w.header = make(http.Header, 8)
	c.api.ServeHTTP(&c.w, c.r)
	return c.w.status
}

func openBenchAccounts(b *testing.B, h *house) {
	for _, body := range []string{`{"id":"alice","currency":"EUR","min_balance":null}`, `{"id":"bob","currency":"EUR"}`} {
		if res := h.post(body[7:12], "/v1/accounts", body); res.status != 201 {
			b.Fatal(res)
		}
	}
}

// A transfer with a key of its own, through the handler and the engine, on a
// store in memory: 64 callers at once, so that commits are shared.
func BenchmarkTransfer(b *testing.B) {
	h := newHouseOn(b, engine.NewMemory(), nil)
	openBenchAccounts(b, h)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		c := newBenchCaller(b, h.API)
		prefix := c.api.ids.next(c.api.now())
		for i := 0; pb.Next(); i++ {
			if status := c.post(prefix + strconv.Itoa(i)); status != 201 {
				b.Error(status)
				return
			}
		}
	})
}

// A transfer in a batch of its own: with nobody to share what a batch costs.
func BenchmarkTransferAlone(b *testing.B) {
	h := newHouseOn(b, engine.NewMemory(), nil)
	openBenchAccounts(b, h)
	c := newBenchCaller(b, h.API)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if status := c.post(strconv.Itoa(i)); status != 201 {
			b.Fatal(status)
		}
	}
}

// The answer to a repeat, from memory.
func BenchmarkReplay(b *testing.B) {
	h := newHouseOn(b, engine.NewMemory(), nil)
	openBenchAccounts(b, h)
	c := newBenchCaller(b, h.API)
	c.post("k")
	b.ReportAllocs()
	for b.Loop() {
		if status := c.post("k"); status != 201 {
			b.Fatal(status)
		}
	}
}

// A request that is refused for its body: everything but the engine's work.
func BenchmarkInvalid(b *testing.B) {
	h := newHouseOn(b, engine.NewMemory(), nil)
	c := newBenchCaller(b, h.API)
	b.ReportAllocs()
	for b.Loop() {
		if status := c.post("k"); status != 422 {
			b.Fatal(status)
		}
	}
}

// A payment that is created, confirmed, carried out by a gateway that answers at
// once, and answered: two commits, shared by 512 callers.
func BenchmarkPayment(b *testing.B) {
	h := newHouseOn(b, engine.NewMemory(), nil)
	b.ReportAllocs()
	b.SetParallelism(256)
	b.RunParallel(func(pb *testing.PB) {
		c := newBenchCallerOf(b, h.API, "/v1/payments", benchPayment)
		prefix := c.api.ids.next(c.api.now())
		for i := 0; pb.Next(); i++ {
			if status := c.post(prefix + strconv.Itoa(i)); status != 201 {
				b.Error(status)
				return
			}
		}
	})
}

// A payment that was answered before.
func BenchmarkPaymentReplay(b *testing.B) {
	h := newHouseOn(b, engine.NewMemory(), nil)
	c := newBenchCallerOf(b, h.API, "/v1/payments", benchPayment)
	c.post("k")
	b.ReportAllocs()
	for b.Loop() {
		if status := c.post("k"); status != 201 {
			b.Fatal(status)
		}
	}
}
