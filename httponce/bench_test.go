package httponce_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

// BenchmarkHandler is what a Handler on the memory store adds to a request: compare
// first and replay with bare, of the same run, and with BenchmarkFiber. At most 20
// allocations are added to a first request, and fewer to a repeat: TestAllocations holds
// that.
func BenchmarkHandler(b *testing.B) {
	for _, row := range []struct {
		name string
		wrap func(testing.TB) http.Handler
		key  func() string
	}{
		{"bare", func(testing.TB) http.Handler { return charge }, freshKey},
		{"first", keyedCharge, freshKey},
		{"replay", keyedCharge, func() string { return "order-0" }},
	} {
		b.Run(row.name, func(b *testing.B) {
			h, c := row.wrap(b), newCall()
			b.ReportAllocs()
			for n := 1; b.Loop(); n++ {
				c.send(h, row.key())
				if n%benchKeys == 0 {
					b.StopTimer()
					h = row.wrap(b)
					b.StartTimer()
				}
			}
			if c.status != 201 {
				b.Fatalf("got %d", c.status)
			}
		})
	}
}

// benchKeys is how many keys the store of a benchmark has at most: it is the time of
// a request that is measured, and not that of a collector in a heap which only grows.
const benchKeys = 10_000

// What a Handler takes is bounded: at most 20 allocations for a first request on the
// memory store, and fewer for a repeat. Under the race detector pools lose what they
// have, so that it takes more.
func TestAllocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties pools
	bare, keyed := http.Handler(charge), keyedCharge(t)
	c := newCall()
	count := func(h http.Handler, key func() string) float64 {
		return testing.AllocsPerRun(1000, func() { c.send(h, key()) })
	}
	without := count(bare, freshKey)
	first, replay := count(keyed, freshKey)-without, count(keyed, func() string { return "order-0" })-count(bare, func() string { return "order-0" })
	most := 20.0
	if !poolsKeep() {
		most = 40
	}
	if first > most || replay >= first {
		t.Errorf("a first request takes %v allocations, a repeat %v", first, replay)
	}
}

// poolsKeep says whether a sync.Pool keeps what is put into it.
func poolsKeep() bool {
	var p sync.Pool
	for range 100 {
		if p.Put(new(int)); p.Get() == nil {
			return false
		}
	}
	return true
}

// charge is a handler that does nothing.
var charge = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(201)
	w.Write(receipt)
})

var receipt = bytes.Repeat([]byte("x"), 256)

func keyedCharge(t testing.TB) http.Handler {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		t.Fatal(err)
	}
	return httponce.Handler{Engine: eng}.Wrap(charge)
}

var orders int

// freshKey is a key that nobody has used.
func freshKey() string {
	orders++
	return "order-" + strconv.Itoa(orders)
}

// call is a request that is sent again and again, and its ResponseWriter: it takes no
// memory of its own.
type call struct {
	r      *http.Request
	body   *bytes.Reader
	header http.Header
	status int
}

func newCall() *call {
	const body = `{"from":"world","to":"alice","amount":1000,"currency":"EUR","reference":"order-42"}`
	c := &call{header: http.Header{}, body: bytes.NewReader([]byte(body))}
	c.r, _ = http.NewRequest("POST", "/v1/transfers", nil)
	c.r.Header["Content-Type"] = []string{"application/json"}
	c.r.Header["Idempotency-Key"] = []string{""}
	c.r.Body, c.r.ContentLength = io.NopCloser(c.body), int64(len(body))
	return c
}

func (c *call) send(h http.Handler, key string) {
	clear(c.header)
	c.body.Seek(0, io.SeekStart)
	c.r.Header["Idempotency-Key"][0] = key
	h.ServeHTTP(c, c.r)
}

func (c *call) Header() http.Header         { return c.header }
func (c *call) WriteHeader(status int)      { c.status = status }
func (c *call) Write(p []byte) (int, error) { return len(p), nil }
