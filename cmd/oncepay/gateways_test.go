package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/oncepay/oncepay/web"
)

// That a sandbox elsewhere is not there is for the server's log, and for nobody
// else's.
func TestARelayThatFailsTellsTheServersLog(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + l.Addr().String()
	l.Close() // nobody is there any more
	logged, elsewhere := standardLog(t)
	h, err := relay(at, logged.logger())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/sandbox/charges", nil))
	if w.Code != http.StatusBadGateway || !strings.Contains(logged.String(), "level=DEBUG") || elsewhere.String() != "" {
		t.Errorf("it answers %d; the log has %q, the standard logger's %q", w.Code, logged.String(), elsewhere.String())
	}
}

// A command of ours that finds a defect has it logged where the server logs.
func TestADefectBehindTheSocketIsLogged(t *testing.T) {
	store := t.TempDir() + "/x.db"
	l, err := listenOwner(store)
	if err != nil {
		t.Fatal(err)
	}
	logged, elsewhere := standardLog(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		serveOwner(ctx, l, nil, nil, logged.logger()) // no keyring: to ask it panics
	}()
	if _, err := newOwner(store).APIKeys(t.Context()); err == nil {
		t.Error("it answered")
	}
	stop()
	<-ended
	if !strings.Contains(logged.String(), `level=ERROR msg="http: panic serving`) || elsewhere.String() != "" {
		t.Errorf("the log has %q, the standard logger's %q", logged.String(), elsewhere.String())
	}
}

// lines are what a logger wrote.
type lines struct {
	mu      sync.Mutex
	written bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written.String()
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// standardLog returns what is to be logged to, and what the standard logger writes
// until the test ends.
func standardLog(t *testing.T) (logged *lines, elsewhere *lines) {
	logged, elsewhere = new(lines), new(lines)
	before := log.Writer()
	log.SetOutput(elsewhere)
	t.Cleanup(func() { log.SetOutput(before) })
	return logged, elsewhere
}

// The process that the sandbox's pages are fetched from learns nobody's API key,
// and still gets what it is sent.
func TestRelayKeepsSecrets(t *testing.T) {
	var got *http.Request
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer far.Close()
	pages, err := relay(far.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/sandbox/actions/ch_1?from=shop", strings.NewReader("outcome=approved"))
	for name, value := range map[string]string{
		"Authorization": "Bearer sk_dev", "Proxy-Authorization": "Basic c2s=", "Cookie": "session=sk_dev", "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin",
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	pages.ServeHTTP(w, r)
	if w.Code != http.StatusOK || got.URL.String() != "/sandbox/actions/ch_1?from=shop" || got.Header.Get("Sec-Fetch-Site") == "" || got.Header.Get("Content-Type") == "" {
		t.Errorf("it was answered %d, and %s %v was asked", w.Code, got.URL, got.Header)
	}
	for _, secret := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		if got.Header.Get(secret) != "" {
			t.Errorf("it learns the %s", secret)
		}
	}
}

// What the API takes, the gateway takes too: a payment with all that there can be
// in it, each as long as it may be and in characters that are long on the wire, is
// charged. What is longer is refused before it is one.
func TestTheLargestPaymentIsCharged(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var stderr bytes.Buffer
	status, url := serveInside(t, ctx, &stderr)
	body := largestPayment()
	if code, answer := postPayment(t, url, "k", body); code != http.StatusCreated || !strings.Contains(answer, `"status":"succeeded"`) {
		t.Errorf("it was answered %d %.300s", code, answer)
	}
	body["return_url"] = body["return_url"].(string) + "x"
	if code, answer := postPayment(t, url, "l", body); code != http.StatusUnprocessableEntity || !strings.Contains(answer, `"pointer":"/return_url"`) {
		t.Errorf("with a longer address it was answered %d %.300s", code, answer)
	}
	stop()
	if got := <-status; got != exitGood {
		t.Errorf("exit %d\n%s", got, &stderr)
	}
}

func largestPayment() map[string]any {
	text := func(n int) string { return strings.Repeat("😀", n) }
	options := map[string]string{}
	for i := range web.MaxMetadata { // six bytes for each of these, escaped
		options[fmt.Sprintf("%02d", i)+strings.Repeat("<", web.MaxMetadataName-2)] = strings.Repeat("<", web.MaxMetadataValue)
	}
	const shop = "https://shop.example/"
	return map[string]any{
		"amount": 999_999_999_999, "currency": "EUR", "payment_method": "pm_ok", "confirm": true,
		"reference": text(web.MaxReference), "customer": text(web.MaxCustomer), "description": text(web.MaxDescription),
		"statement_descriptor": text(web.MaxDescriptor), "return_url": shop + strings.Repeat("x", web.MaxReturnURL-len(shop)),
		"gateway_options": options,
	}
}

func postPayment(t *testing.T, url, key string, body any) (int, string) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, url+"/v1/payments", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer sk_dev"}, "Content-Type": {"application/json"}, "Idempotency-Key": {key}}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}
