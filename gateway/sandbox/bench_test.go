package sandbox_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

// BenchmarkCharge is charges over HTTP from 64 callers at once, each durable
// before it is answered.
func BenchmarkCharge(b *testing.B) {
	s, err := sandbox.Open(sandbox.Config{Books: filepath.Join(b.TempDir(), "sandbox.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	web := httptest.NewServer(s)
	defer web.Close()
	callers := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	text := []byte(`{"kind":"charge","payment":"pay_1","amount":1250,"currency":"EUR","payment_method":"pm_ok"}`)
	var n atomic.Int64
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, err := http.NewRequest("POST", web.URL+"/v1/operations", bytes.NewReader(text))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Idempotency-Key", fmt.Sprintf("att_%d", n.Add(1)))
			res, err := callers.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != 200 {
				b.Errorf("answered %d", res.StatusCode)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "charges/s")
}
