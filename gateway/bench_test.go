package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/oncepay/oncepay/pay"
)

// BenchmarkSend measures a send and its answer over loopback, the other side's
// work included.
func BenchmarkSend(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status":"succeeded"}`) }))
	defer s.Close()
	c := newCaller(b, s.URL)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if f := c.Send(b.Context(), request("att_1"), read); f.Outcome != pay.Done {
				b.Errorf("%+v", f)
				return
			}
		}
	})
}
