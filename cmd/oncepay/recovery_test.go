package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// order sends an order with a key, once, and returns its status and its answer.
func order(t *testing.T, url, key string) (int, string) {
	t.Helper()
	body := `{"amount":1000,"currency":"EUR","payment_method":"pm_ok","confirm":true,"reference":"` + key + `"}`
	req, err := http.NewRequest(http.MethodPost, url+"/v1/payments", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+devKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	return told(t, req)
}

func told(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(answer)
}

func page(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, text := told(t, req)
	return text
}

// wantTaken waits until a payment is taken whose key nobody has used.
func wantTaken(t *testing.T, url, key string) {
	t.Helper()
	var status int
	var answer string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if status, answer = order(t, url, key); status == http.StatusCreated {
			return
		}
	}
	t.Errorf("no payment is taken: %d %s", status, answer)
}

// An operator restores a backup of a file and says so: what the backup knows is replayed,
// nothing else is begun, and everybody can see why, until the operator ends it.
func TestRecoveryFromTheCommandLine(t *testing.T) {
	store := "--store=sqlite:" + filepath.Join(t.TempDir(), "x.db")
	if got := oncepay(nil, "migrate", store); got.status != exitGood {
		t.Fatalf("migrate: %+v", got)
	}
	if got := oncepay(nil, "recovery", "status", store); got.status != exitGood || !strings.Contains(got.stdout, "nothing was lost") {
		t.Errorf("status before: %+v", got)
	}
	serve := func() (url string, end func()) {
		ctx, stop := context.WithCancel(context.Background())
		var stderr bytes.Buffer
		status, url := serveInside(t, ctx, &stderr, store)
		return url, func() { stop(); <-status }
	}
	url, end := serve()
	_, known := order(t, url, "known")
	if got := oncepay(nil, "recovery", "begin", store, "--cause=disk failed"); got.status != exitBad || !strings.Contains(got.stderr, "stop it") {
		t.Errorf("begin beside a server: %+v", got)
	}
	end()
	if got := oncepay(nil, "recovery", "begin", store, "--cause=disk failed"); got.status != exitGood {
		t.Fatalf("begin: %+v", got)
	}
	url, end = serve()
	defer end()
	if _, again := order(t, url, "known"); again != known {
		t.Errorf("what is known was answered %s, and is now %s", known, again)
	}
	if status, answer := order(t, url, "new"); status != http.StatusServiceUnavailable || !strings.Contains(answer, "gateway_unavailable") {
		t.Errorf("what is not known: %d %s", status, answer)
	}
	for path, want := range map[string]string{"/readyz?verbose": "[!] recovery: ", "/metrics": "\noncepay_recovery 1\n"} {
		if got := page(t, url+path); !strings.Contains(got, want) {
			t.Errorf("%s does not say %q:\n%s", path, want, got)
		}
	}
	if got := oncepay(nil, "recovery", "status", store); got.status != exitBad || !strings.Contains(got.stdout, "disk failed") || !strings.Contains(got.stdout, "it lasts") {
		t.Errorf("status: %+v", got)
	}
	if got := oncepay(nil, "recovery", "end", store); got.status != exitUsage {
		t.Errorf("end without evidence: %+v", got)
	}
	if got := oncepay(nil, "recovery", "end", store, "--evidence=card 4242424242424242"); got.status != exitUsage || strings.Contains(got.stderr, "4242424242424242") {
		t.Errorf("end with a card's number: %+v", got)
	}
	if got := oncepay(nil, "recovery", "end", store, "--evidence=settlement report"); got.status != exitGood {
		t.Errorf("end: %+v", got)
	}
	wantTaken(t, url, "new")
	if got := page(t, url+"/metrics"); !strings.Contains(got, "\noncepay_recovery 0\n") {
		t.Error("/metrics says that the recovery lasts")
	}
	if got := oncepay(nil, "recovery", "status", store); got.status != exitGood || !strings.Contains(got.stdout, "settlement report") {
		t.Errorf("status after: %+v", got)
	}
	if got := oncepay(nil, "recovery", "end", store, "--evidence=again"); got.status != exitBad {
		t.Errorf("end of nothing: %+v", got)
	}
}
