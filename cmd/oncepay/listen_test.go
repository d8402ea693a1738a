package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/webhook"
)

const listenSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// TestListen forwards what happens to a program that starts late, signed.
func TestListen(t *testing.T) {
	serving, end := context.WithCancel(context.Background())
	defer end()
	_, url := serveInside(t, serving, io.Discard)
	l, err := net.Listen("tcp", "127.0.0.1:0") // an address that nobody listens at, for a while
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(listenSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out := &pipeText{}
	var running sync.WaitGroup
	running.Go(func() {
		run(ctx, []string{"listen", "--dev", "--at", url, "--forward-to", address + "/hook", "--secret-file", secretFile, "--type", "account.opened"}, nil, strings.NewReader(""), out, out)
	})
	defer running.Wait()
	defer stop()
	soon(t, "it listens", func() bool { return strings.Contains(out.String(), listenSecret) })
	var mu sync.Mutex
	var got []webhook.Message
	var wrong []string
	secret, err := webhook.ParseSecret(listenSecret)
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m, err := webhook.Verifier{Secrets: []webhook.Secret{secret}}.Verify(r.Header, body, time.Now())
		mu.Lock()
		defer mu.Unlock()
		if err != nil || r.URL.Path != "/hook" || r.Header.Get("Content-Type") != outbox.ContentType {
			wrong = append(wrong, r.URL.Path+" "+r.Header.Get("Content-Type"))
		}
		got = append(got, m)
		w.WriteHeader(http.StatusAccepted)
	}))
	// The cursor of "from now on" is asked for first: an account that is opened before is not told.
	for i := 0; !strings.Contains(out.String(), "evt_"); i++ {
		openAccount(t, url, "a"+string(rune('a'+i%26))+string(rune('a'+i/26)))
		if i == 3 { // nobody has listened so far
			hook.Listener, err = net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			hook.Start()
			defer hook.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	mu.Lock()
	defer mu.Unlock()
	if len(got) == 0 || len(wrong) > 0 || !strings.Contains(string(got[0].Body), `"type":"account.opened"`) || !strings.Contains(string(got[0].Body), "/tenants/dev") {
		t.Errorf("it got %v, and of that was wrong %v", got, wrong)
	}
	if line := out.String(); !strings.Contains(line, got[0].ID+" account.opened a") || !strings.Contains(line, "202 Accepted") {
		t.Errorf("it says\n%s", line)
	}
}

func TestListenWrongly(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("whsec_short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"listen", "--dev"}, {"listen", "--dev", "--forward-to", "ftp://x"}, {"listen", "--dev", "--forward-to", "http://a:b@localhost/"},
		{"listen", "--forward-to", "localhost:1"}, {"listen", "--dev", "--forward-to", "localhost:1", "--secret-file", bad},
	} {
		if o := oncepay(nil, args...); o.status != exitUsage {
			t.Errorf("%v: %d %s%s", args, o.status, o.stdout, o.stderr)
		}
	}
}
