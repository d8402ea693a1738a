package gateway_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/pay"
)

// eventually waits for something that must happen, for at most five seconds.
func eventually(t *testing.T, what string, good func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !good(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen: " + what)
		}
	}
}

// A gateway that answers no send is asked all the same what became of them.
func TestSendsLeaveRoomForChecks(t *testing.T) {
	t.Parallel()
	f := listen(t, func(c net.Conn, r *http.Request) {
		if r.Method == http.MethodPost {
			hangs(c, r)
			return
		}
		answers("404 Not Found", `{"status":"nothing"}`)(c, r)
	})
	c := newCaller(t, f.url(), func(cfg *gateway.Config) { cfg.MaxSends, cfg.MaxChecks = 50, 2 })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var flood sync.WaitGroup
	for i := range 100 {
		flood.Go(func() {
			r := request("att_" + itoa(i))
			r.Timeout = 6 * time.Second
			c.Send(ctx, r, read)
		})
	}
	eventually(t, "fifty sends are on the wire", func() bool { return c.Stats().Sends == 50 })
	if got := c.Closed(); !strings.Contains(got, "as many requests") {
		t.Errorf("more would be taken: %q", got)
	}
	for range 10 {
		wantFinding(t, c.Check(t.Context(), gateway.Request{Path: "/v1/operations/att_1"}, read), pay.Finding{Absent: true}, "HTTP 404")
	}
	s := c.Stats()
	if s.SendsInFlight < 50 || s.Checks != 10 || s.CheckOutcomes != (gateway.Outcomes{Absent: 10}) {
		t.Errorf("it counts %+v", s)
	}
	eventually(t, "fifty have waited for long enough", func() bool { return c.Stats().SendOutcomes.NeverLeft == 50 })
	leave()
	flood.Wait()
	s = c.Stats()
	if s.Sends != 50 || s.SendsInFlight != 0 || s.SendOutcomes != (gateway.Outcomes{Unknown: 50, NeverLeft: 50}) {
		t.Errorf("afterwards it counts %+v", s)
	}
	if got := c.Closed(); got != "" {
		t.Errorf("it is empty and says %q", got)
	}
}

func TestChecksHaveABound(t *testing.T) {
	f := listen(t, hangs)
	c := newCaller(t, f.url(), func(cfg *gateway.Config) { cfg.MaxChecks = 3 })
	ctx, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			wantFinding(t, c.Check(ctx, request(""), read), pay.Finding{}, "the call was given up")
		})
	}
	eventually(t, "three checks came", func() bool { return len(f.ids()) == 3 })
	time.Sleep(20 * time.Millisecond)
	if got := len(f.ids()); got != 3 {
		t.Errorf("%d checks are at the other side at once", got)
	}
	leave()
	all.Wait()
}

// What is asked beside operations is counted beside them.
func TestOtherQuestions(t *testing.T) {
	f := listen(t, answers("200 OK", "{}"))
	c := newCaller(t, f.url())
	if a := c.Get(t.Context(), gateway.Request{Path: "/v1/contract"}); a.Status != 200 || string(a.Body) != "{}" || a.Err != nil {
		t.Errorf("%+v", a)
	}
	if s := c.Stats(); s.Others != 1 || s.Checks != 0 || s.CheckOutcomes != (gateway.Outcomes{}) {
		t.Errorf("it counts %+v", s)
	}
}

// Nothing of what an environment or an address says is followed.
func TestConfig(t *testing.T) {
	for _, row := range []struct {
		name string
		cfg  gateway.Config
		ok   bool
	}{
		{"a name and an address", gateway.Config{Name: "acme", URL: "https://api.acme.example"}, true},
		{"a path that all requests are under", gateway.Config{Name: "acme", URL: "https://acme.example/api/"}, true},
		{"no name", gateway.Config{URL: "https://acme.example"}, false},
		{"no address", gateway.Config{Name: "acme"}, false},
		{"another scheme", gateway.Config{Name: "acme", URL: "ftp://acme.example"}, false},
		{"no scheme", gateway.Config{Name: "acme", URL: "acme.example"}, false},
		{"a password in the address", gateway.Config{Name: "acme", URL: "https://user:hunter2@acme.example"}, false},
		{"a query", gateway.Config{Name: "acme", URL: "https://acme.example?key=hunter2"}, false},
		{"a limit below zero", gateway.Config{Name: "acme", URL: "https://acme.example", MaxSends: -1}, false},
		{"a share above all", gateway.Config{Name: "acme", URL: "https://acme.example", Breaker: gateway.Breaker{Failures: 2}}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := gateway.New(row.cfg)
			if (err == nil) != row.ok {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret is shown: %v", err)
			}
			if c != nil {
				c.Close()
			}
		})
	}
}

func TestRequestAsItIsOnTheWire(t *testing.T) {
	f := listen(t, func(c net.Conn, r *http.Request) {
		if r.URL.Path != "/api/v1/x y" || r.Method != "POST" || r.ContentLength != 2 || r.Header.Get("X-Mode") != "1" || r.Host != c.LocalAddr().String() {
			t.Errorf("%s %s %+v", r.Method, r.URL, r)
		}
		fine(c, r)
	})
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	c := newCaller(t, f.url()+"/api/")
	h := http.Header{"X-Mode": {"1"}}
	got := c.Send(t.Context(), gateway.Request{Path: "/v1/x%20y", Body: []byte("{}"), Header: h}, read)
	wantFinding(t, got, pay.Finding{Outcome: pay.Done, Amount: 1250}, "HTTP 200")
	if len(h) != 1 {
		t.Errorf("the caller's header became %v", h)
	}
}
