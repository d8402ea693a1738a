package bench

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var errReset = errors.New("connection reset")

func TestTheYardstickReadsAndWritesAWholeTransfer(t *testing.T) {
	rec := httptest.NewRecorder()
	Bare().ServeHTTP(rec, httptest.NewRequest("POST", "/any", strings.NewReader(`{"from":"a","to":"b","amount":7,"currency":"EUR"}`)))
	var got receipt
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != http.StatusCreated {
		t.Fatalf("%d %s, %v", rec.Code, rec.Body, err)
	}
	if got.From != "a" || got.To != "b" || got.Amount != 7 || got.AmountPosted != 7 || got.Currency != "EUR" || got.Status != "posted" {
		t.Errorf("the answer is %+v", got)
	}
	for _, name := range []string{"Content-Type", "Location", "Request-Id", "Idempotency-Expires"} {
		if rec.Header().Get(name) == "" {
			t.Errorf("no header %s", name)
		}
	}
	for _, bad := range []string{"", "{", `{"amount":1.5}`, `{"from":"a"} x`} {
		rec := httptest.NewRecorder()
		Bare().ServeHTTP(rec, httptest.NewRequest("POST", "/any", strings.NewReader(bad)))
		if rec.Code != http.StatusBadRequest {
			t.Errorf("%q is answered %d", bad, rec.Code)
		}
	}
}

func TestRawPostsToAnyURLAndAsksNothing(t *testing.T) {
	var paths []string
	h := Bare()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.Method+" "+r.URL.RequestURI())
		h.ServeHTTP(w, r)
	}))
	defer s.Close()
	report, err := Run(t.Context(), Config{Target: s.URL + "/some/where/?x=1", Scenario: Raw, Connections: 1, Requests: 50, Audit: true}, nil)
	if err != nil || report.Audit != nil || len(report.Classes) != 1 || report.Classes[0].Statuses["201"] != 50 {
		t.Fatalf("%+v, %v", report, err)
	}
	if len(paths) != 50 || paths[0] != "POST /some/where/?x=1" {
		t.Errorf("%d requests, such as %s", len(paths), paths[0])
	}
}

// BenchmarkBare is the ceiling: what this client gets out of the yardstick on 64
// connections, with the server in its own process and in another.
func BenchmarkBare(b *testing.B) {
	b.Run("one process", func(b *testing.B) {
		s := httptest.NewServer(Bare())
		defer s.Close()
		raw64(b, s.URL)
	})
	b.Run("two processes", func(b *testing.B) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestServeBare$")
		cmd.Env = append(os.Environ(), "BENCH_SERVE_BARE=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = in.Close(); _ = cmd.Wait() }()
		line := make([]byte, 100)
		n, err := out.Read(line)
		if err != nil {
			b.Fatal(err)
		}
		raw64(b, strings.TrimSpace(string(line[:n])))
	})
}

func raw64(b *testing.B, url string) {
	report, err := Run(b.Context(), Config{Target: url, Scenario: Raw, Requests: int64(max(b.N, 64)), Duration: time.Minute}, nil)
	if err != nil || len(report.Errors) > 0 {
		b.Fatal(report.Errors, err)
	}
	b.ReportMetric(report.PerSecond, "requests/s")
	b.ReportMetric(report.Classes[0].P99MS, "p99-ms")
}

// TestServeBare is the other process of BenchmarkBare; it ends with its input.
func TestServeBare(t *testing.T) {
	if os.Getenv("BENCH_SERVE_BARE") == "" {
		return
	}
	s := httptest.NewServer(Bare())
	defer s.Close()
	_, _ = os.Stdout.WriteString(s.URL + "\n")
	_, _ = os.Stdin.Read(make([]byte, 1))
}
