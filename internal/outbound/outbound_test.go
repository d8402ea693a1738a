package outbound_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/oncepay/oncepay/internal/outbound"
)

// trap is a server on this machine that nobody may reach.
func trap(t *testing.T) (port string, reached *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	reached = new(atomic.Int64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			c.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, reached
}

// names is a DNS server: each look-up of an address takes the next of a list, and the last
// again and again. Nothing of a name that it does not know exists.
func names(t *testing.T, known map[string][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	asked := map[string]int{}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m = dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RCode: dnsmessage.RCodeNameError}, Questions: m.Questions}
			if all := known[q.Name.String()]; len(all) > 0 {
				m.RCode = dnsmessage.RCodeSuccess
				at := netip.MustParseAddr(all[min(asked[q.Name.String()], len(all)-1)])
				head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
				switch {
				case at.Is4() && q.Type == dnsmessage.TypeA:
					asked[q.Name.String()]++
					m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: at.As4()}}}
				case at.Is6() && q.Type == dnsmessage.TypeAAAA:
					asked[q.Name.String()]++
					m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AAAAResource{AAAA: at.As16()}}}
				}
			}
			if out, err := m.Pack(); err == nil {
				conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// hostile are hosts that lead to something that is not public, or are meant to be read
// differently by a check and by what connects.
func hostile() (hosts []string) {
	hosts = []string{
		// this machine, by all its names and forms
		"localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "app.localhost", "a.b.localhost.", "ip6-localhost",
		"127.0.0.1", "127.0.0.1.", "127.0.0.2", "127.1.2.3", "127.255.255.254", "127.1", "127.0.1", "0", "0.0.0.0", "0.0.0.1", "0.1.2.3",
		"2130706433", "017700000001", "0x7f000001", "0x7F000001", "0x7f.0.0.1", "0x7f.1", "0177.0.0.1", "0177.1", "0177.0.0.01", "127.0.0.0x1", "127.0.0.01",
		"00.0.0.0", "0x0", "0x", "1.1.1.0x", "256.1.1.1", "1.2.3.4.5", "4294967296", "1.2.3", "99999999999999999999", "127.0.0.1%00", "127.0.0.1%2f",
		"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
		"[::ffff:0:127.0.0.1]", "[::1%25lo]", "[::1%25eth0]", "[fe80::1%25eth0]", "[::7f00:1]", "[::0]", "[0::1]", "[::ffff:0.0.0.0]",
		// private networks and their edges
		"10.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "172.20.10.5", "192.168.0.1", "192.168.255.255", "012.0.0.1", "0xa.0.0.1", "167772161",
		"100.64.0.1", "100.127.255.255", "[fc00::1]", "[fd00::1]", "[fdff:ffff::1]", "[fec0::1]", "[::ffff:10.0.0.1]", "[::ffff:192.168.1.1]", "[::10.0.0.1]",
		// link-local, and metadata of clouds
		"169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.255.255", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.16689662",
		"[fe80::1]", "[febf::1]", "[fd00:ec2::254]", "[fd20:ce::254]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::a9fe:a9fe]", "100.100.100.200", "192.0.0.192", "168.63.129.16",
		"metadata.google.internal", "metadata.google.internal.", "METADATA.google.INTERNAL", "instance-data", "metadata", "kubernetes.default.svc.cluster.local", "kubernetes", "redis", "db.internal", "router.lan", "nas.local", "host.docker.internal", "gateway.docker.internal", "vault.corp", "wiki.intranet", "pi.home", "printer.home.arpa",
		"hidden.onion", "x.test", "x.invalid", "x.example", "x.alt", "localdomain",
		// multicast, broadcast, benchmarks, documentation and what is reserved
		"224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1", "250.1.1.1", "198.18.0.1", "198.19.255.255", "192.0.2.1", "198.51.100.7", "203.0.113.9", "192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "192.0.0.8",
		"[ff02::1]", "[ff0e::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[2001:2::1]", "[2001:10::1]", "[2001:20::1]", "[5f00::1]", "[2620:4f:8000::1]", "[4000::1]", "[8000::1]", "[e000::1]", "[1::1]",
		// an IPv4 address within
		"[2002:7f00:1::]", "[2002:a00:1::]", "[2002:c0a8:101::1]", "[2002:a9fe:a9fe::]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]", "[2001:0:7f00:1::]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[::ffff:0:a00:1]",
		// what readers of URLs do not agree on
		"127。0。0。1", "１２７.0.0.1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ｌｏｃａｌｈｏｓｔ", "loc\u00adalhost", "127.0.0.1\t", "127.0.0.1\r\nHost: x", "127.0.0.1\x00.example.com", "example.com\\@127.0.0.1", "127.0.0.1\\.example.com",
		"example.com@127.0.0.1", "example.com:80@127.0.0.1", "user:pass@127.0.0.1", "@127.0.0.1", "127.0.0.1#.example.com", "127.0.0.1#@example.com", "127.0.0.1 .example.com", "[127.0.0.1]", "[::1", "::1", "::1]", "[]", "[:]", "[x]", "[::1]x", "[::1].example.com",
		"", ".", "..", ".example.com.", "example..com", "-a.com", "a-.com", "a b.com", "a%20b.com", "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "%6c%6f%63%61%6c%68%6f%73%74", "exam_ple!.com", "*.com", "a,b.com", "a;b.com", "a$b.com",
		"example.com:0", "example.com:65536", "example.com:99999", "example.com:-1", "example.com:8o", "example.com:0x50", "example.com:80:80", strings.Repeat("a", 64) + ".com", strings.Repeat("abcdefg.", 32) + "com",
	}
	for _, special := range []string{"10", "127", "169.254", "192.168", "172.16"} { // with each way to write the rest
		for _, rest := range []string{"65793", "0x10101", "0200401", "1.257", "1.0401", "0x1.1.1"} {
			hosts = append(hosts, special+"."+rest)
		}
	}
	return hosts
}

// TestNoHostileAddressIsReached gives each to a client that checks nothing before, too: no
// form of a check is what holds, but the address that is connected to.
func TestNoHostileAddressIsReached(t *testing.T) {
	port, reached := trap(t)
	client := outbound.New(outbound.Config{Timeout: time.Second, Resolver: names(t, nil)})
	defer client.Close()
	var urls []string
	for _, host := range hostile() {
		urls = append(urls, "http://"+host+"/hook")
		if !strings.Contains(host, ":") || strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
			urls = append(urls, "http://"+host+":"+port+"/hook")
		}
	}
	if len(urls) < 200 {
		t.Errorf("there are %d, and 200 at least were wanted", len(urls))
	}
	for _, u := range urls {
		if err := (outbound.Rules{HTTP: true}).Check(u); err == nil {
			t.Errorf("%q is taken for a URL that can be tried", u)
		}
		if parsed, err := url.Parse(u); err != nil || strings.ContainsFunc(parsed.Host, func(r rune) bool { return r > 126 }) {
			continue // nobody can ask it; or it is turned into another name, which is in the list
		}
		if a, err := client.Post(t.Context(), u, nil, nil); err == nil {
			t.Errorf("%q answers with %d", u, a.Status)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("this machine was connected to %d times", n)
	}
}

// TestGoodURLs says what is taken, so that the test of what is refused means something.
func TestGoodURLs(t *testing.T) {
	for _, u := range []string{
		"https://example.com", "https://example.com/", "https://hooks.example.co.uk:8443/a/b?c=d&e=%20f", "https://EXAMPLE.com/x", "https://example.com./x",
		"https://xn--bcher-kva.example.org/", "https://a_b.example.com/", "https://1.1.1.1/hook", "https://8.8.8.8:443/", "https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]:8443/x",
		"https://0x7f.com/", "https://127.0.0.1.example.com/", "https://1e100.net/", "https://172.32.0.1/", "https://172.15.0.1/", "https://100.128.0.1/", "https://11.0.0.1/",
	} {
		if err := (outbound.Rules{}).Check(u); err != nil {
			t.Errorf("%s %v", u, err)
		}
	}
	for _, u := range []string{"http://example.com", "ftp://example.com", "file:///etc/passwd", "gopher://example.com", "javascript:alert(1)", "//example.com", "example.com", "https:example.com", "https:///x", "unix:/run/x", "data:,x", "https://example.com/" + strings.Repeat("a", outbound.MaxURL)} {
		if err := (outbound.Rules{}).Check(u); err == nil {
			t.Errorf("%.40s is taken", u)
		}
	}
}

// TestNamesThatLeadInside: what a name leads to is looked at when it is connected to, also
// where it leads elsewhere the second time.
func TestNamesThatLeadInside(t *testing.T) {
	port, reached := trap(t)
	client := outbound.New(outbound.Config{Timeout: 2 * time.Second, Resolver: names(t, map[string][]string{
		"inside.example.com.":   {"127.0.0.1"},
		"rebinds.example.com.":  {"192.0.2.1", "127.0.0.1"},
		"mapped.example.com.":   {"::ffff:127.0.0.1"},
		"metadata.example.com.": {"169.254.169.254"},
		"six.example.com.":      {"::1"},
	})})
	defer client.Close()
	for _, name := range []string{"inside", "rebinds", "rebinds", "mapped", "metadata", "six"} {
		u := "http://" + name + ".example.com:" + port + "/"
		if err := (outbound.Rules{HTTP: true}).Check(u); err != nil {
			t.Fatalf("%s %v: the name alone is no reason", u, err)
		}
		_, err := client.Post(t.Context(), u, nil, nil)
		if !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: %v", u, err)
		}
		if err != nil && strings.Contains(err.Error(), "127.0") {
			t.Errorf("the error says where the name led: %v", err)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("this machine was connected to %d times", n)
	}
}

// inside is a client that may reach this machine.
func inside(t *testing.T, timeout time.Duration) *outbound.Client {
	c := outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: timeout})
	t.Cleanup(c.Close)
	return c
}

func TestAllowed(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.Header.Get("Webhook-Id") + " " + string(b)
		w.WriteHeader(202)
		fmt.Fprint(w, "thanks")
	}))
	defer s.Close()
	a, err := inside(t, time.Second).Post(t.Context(), s.URL, http.Header{"Webhook-Id": {"evt_1"}}, []byte("hello"))
	if err != nil || a.Status != 202 || string(a.Body) != "thanks" || got != "POST evt_1 hello" {
		t.Errorf("%+v, %v; the server got %q", a, err, got)
	}
	both := outbound.Config{Refuse: []netip.Prefix{netip.MustParsePrefix("1.1.1.0/24")}, Timeout: time.Second}
	if _, err := outbound.New(both).Post(t.Context(), "http://1.1.1.1:9/", nil, nil); !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("an address in Refuse: %v", err)
	}
}

// TestRedirectsAreNotFollowed, wherever they lead.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var asked atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			http.Redirect(w, r, "/elsewhere", status)
		}))
		a, err := inside(t, time.Second).Post(t.Context(), s.URL, nil, []byte("x"))
		if err != nil || a.Status != status || asked.Load() != 1 {
			t.Errorf("%+v, %v, asked %d times", a, err, asked.Load())
		}
		s.Close()
	}
}

// TestNothingIsSentTwice by itself: Go sends a request that can be read again once more when
// a kept connection ends.
func TestNothingIsSentTwice(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if asked.Add(1) > 1 {
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Close()
		}
	}))
	defer s.Close()
	c := inside(t, time.Second)
	key := http.Header{"Idempotency-Key": {"k"}}
	if _, err := c.Post(t.Context(), s.URL, key, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Post(t.Context(), s.URL, key, []byte("x")); err == nil || asked.Load() != 2 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

// TestHostileAnswers come back in time, and take little memory.
func TestHostileAnswers(t *testing.T) {
	drip := func(c net.Conn, head, drop string) {
		io.WriteString(c, head)
		for _, err := io.WriteString(c, drop); err == nil; _, err = io.WriteString(c, drop) {
			time.Sleep(10 * time.Millisecond)
		}
	}
	for name, answer := range map[string]struct {
		serve  func(net.Conn)
		status int // 0: an error
	}{
		"hangs":                      {func(c net.Conn) { io.Copy(io.Discard, c) }, 0},
		"drips its header":           {func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n") }, 0},
		"drips its body":             {func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x") }, 200},
		"never ends":                 {func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 1<<20)) }, 200},
		"has a huge header":          {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n") }, 0},
		"talks nonsense":             {func(c net.Conn) { io.WriteString(c, "hello\r\n\r\n"); c.Close() }, 0},
		"closes":                     {func(c net.Conn) { c.Close() }, 0},
		"closes in its body":         {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 204 Well\r\nContent-Length: 10\r\n\r\n"); c.Close() }, 204},
		"goes on for ever with 100s": {func(c net.Conn) { drip(c, "", "HTTP/1.1 100 Continue\r\n\r\n") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() { // an answer that comes before its request is none
						if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
							io.Copy(io.Discard, r.Body)
							answer.serve(c)
						}
					}()
				}
			}()
			const timeout = 300 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), 20*timeout)
			defer cancel()
			a, err := inside(t, timeout).Post(ctx, "http://"+l.Addr().String()+"/", nil, []byte("x"))
			switch {
			case ctx.Err() != nil:
				t.Error("it did not come back")
			case answer.status == 0 && err == nil:
				t.Errorf("it was taken for an answer of status %d", a.Status)
			case answer.status != 0 && (err != nil || a.Status != answer.status || len(a.Body) > outbound.MaxAnswer):
				t.Errorf("%v, or an answer of another status or of too many bytes", err)
			}
		})
	}
}

// FuzzCheck: whatever is taken for a URL that can be tried is one to who connects as well, and
// an address in it is public.
func FuzzCheck(f *testing.F) {
	for _, host := range hostile() {
		f.Add("https://" + host + "/hook")
	}
	f.Add("https://example.com/hook?a=b")
	f.Add("https://1.1.1.1:8443/")
	f.Fuzz(func(t *testing.T, raw string) {
		if (outbound.Rules{HTTP: true}).Check(raw) != nil {
			return
		}
		req, err := http.NewRequest("POST", raw, nil)
		if err != nil {
			t.Fatalf("%q is taken, and cannot be asked: %v", raw, err)
		}
		host := req.URL.Hostname()
		if a, err := netip.ParseAddr(strings.TrimSuffix(host, ".")); err == nil && !outbound.IsPublic(a) {
			t.Fatalf("%q is taken, and leads to %s", raw, a)
		}
		if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
			t.Fatalf("%q is taken", raw)
		}
	})
}
