package delivery

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/oncepay/oncepay/internal/outbound"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/webhook"
)

func TestDecide(t *testing.T) {
	for name, row := range map[string]struct {
		w    Work
		h    Heard
		want Next
	}{
		"it was taken":               {Work{}, Heard{Status: 200}, Next{Status: Delivered}},
		"it was taken at the last":   {Work{Tries: Tries - 1}, Heard{Status: 204}, Next{Status: Delivered}},
		"the first failure":          {Work{}, Heard{Status: 500}, Next{Status: Pending, After: 5 * time.Second}},
		"no answer":                  {Work{Tries: 1}, Heard{}, Next{Status: Pending, After: 5 * time.Minute}},
		"a redirect is a failure":    {Work{Tries: 8}, Heard{Status: 302}, Next{Status: Pending, After: 24 * time.Hour}},
		"the last failure":           {Work{Tries: Tries - 1}, Heard{Status: 500}, Next{Status: Dead}},
		"beyond the last":            {Work{Tries: 100}, Heard{Status: 500}, Next{Status: Dead}},
		"it is gone":                 {Work{}, Heard{Status: 410}, Next{Status: Dead, Disable: Gone}},
		"it wants to be left alone":  {Work{}, Heard{Status: 429, RetryAfter: time.Hour}, Next{Status: Pending, After: time.Hour}},
		"for less than it is anyway": {Work{Tries: 2}, Heard{Status: 503, RetryAfter: time.Second}, Next{Status: Pending, After: 30 * time.Minute}},
		"for ever":                   {Work{}, Heard{Status: 429, RetryAfter: 1 << 60}, Next{Status: Pending, After: 24 * time.Hour}},
		"it has failed for long":     {Work{FailingFor: FailingAfter + 1}, Heard{Status: 500}, Next{Status: Pending, After: 5 * time.Second, Disable: Failing}},
		"it has failed for a while":  {Work{FailingFor: FailingAfter}, Heard{Status: 500}, Next{Status: Pending, After: 5 * time.Second}},
	} {
		if got := Decide(&row.w, row.h, 0.5); got != row.want {
			t.Errorf("%s: %+v, and %+v was wanted", name, got, row.want)
		}
	}
	early, late := Decide(&Work{Tries: 1}, Heard{}, 0).After, Decide(&Work{Tries: 1}, Heard{}, 1).After
	if early != 270*time.Second || late != 330*time.Second {
		t.Errorf("after 5 minutes, with luck from %v to %v", early, late)
	}
}

func TestBreaker(t *testing.T) {
	now := time.Unix(0, 0)
	var b *breaker
	if b.room(now, 8) != 8 {
		t.Error("an endpoint that never failed has no room")
	}
	b = &breaker{}
	for range tolerated - 1 {
		b.failure(now)
	}
	if b.room(now, 8) != 8 {
		t.Error("it is left alone too early")
	}
	pause := firstPause
	for range 20 {
		b.failure(now)
		if b.room(now.Add(pause-1), 8) != 0 || b.room(now.Add(pause), 8) != 1 {
			t.Errorf("after %d failures it is not left alone for %v", b.failed, pause)
		}
		pause = min(2*pause, lastPause)
	}
}

func TestWants(t *testing.T) {
	at := time.Unix(1e9, 0)
	o := outbox.Event{Tenant: "acme", Type: "payment.succeeded", At: at}
	for name, row := range map[string]struct {
		e    Endpoint
		want bool
	}{
		"all":                      {Endpoint{Tenant: "acme", CreatedAt: at}, true},
		"that type":                {Endpoint{Tenant: "acme", CreatedAt: at, Types: []string{"refund.*", "payment.succeeded"}}, true},
		"that resource":            {Endpoint{Tenant: "acme", CreatedAt: at, Types: []string{"payment.*"}}, true},
		"another type":             {Endpoint{Tenant: "acme", CreatedAt: at, Types: []string{"payment.failed", "pay.*"}}, false},
		"another tenant":           {Endpoint{Tenant: "other", CreatedAt: at}, false},
		"disabled":                 {Endpoint{Tenant: "acme", CreatedAt: at, Disabled: Asked}, false},
		"made just after":          {Endpoint{Tenant: "acme", CreatedAt: at.Add(early)}, true},
		"made long after":          {Endpoint{Tenant: "acme", CreatedAt: at.Add(early + 1)}, false},
		"a prefix is not the type": {Endpoint{Tenant: "acme", CreatedAt: at, Types: []string{"payment"}}, false},
	} {
		if got := row.e.Wants(o); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, want := range map[string]bool{
		"payment.succeeded": true, "payment.*": true, "account.*": true, "*": false, ".*": false, "": false, "payment": false,
		"payment.**": false, "pay.*": false, "payment.exploded": false, "*.succeeded": false, "payment.succeeded.*": false,
	} {
		if IsType(name) != want {
			t.Errorf("%q is a type: %v", name, !want)
		}
	}
}

// TestSecretsAreApart: nothing that tells two endpoints apart can be moved to the other part.
func TestSecretsAreApart(t *testing.T) {
	s, seen := NewSecrets([]byte("root")), map[string]string{}
	for _, of := range [][]any{{"a", "b", 1}, {"ab", "", 1}, {"", "ab", 1}, {"a", "b", 2}, {"b", "a", 1}, {"a", "c", 1}} {
		secret := s.Of(of[0].(string), of[1].(string), int64(of[2].(int))).Reveal()
		if other, found := seen[secret]; found {
			t.Errorf("%v and %v have one secret", of, other)
		}
		seen[secret] = fmt.Sprint(of)
	}
	if NewSecrets([]byte("other")).Of("a", "b", 1).Reveal() == s.Of("a", "b", 1).Reveal() {
		t.Error("two stores have one secret")
	}
}

// shelf is a store of one endpoint or more, whose deliveries are in memory: what a courier needs of a
// store and no more.
type shelf struct {
	Store
	mu      sync.Mutex
	urls    map[string]string // of endpoints
	due     map[string][]Work
	done    []Done
	failing atomic.Bool
	changed chan struct{}
}

func newShelf() *shelf {
	return &shelf{urls: map[string]string{}, due: map[string][]Work{}, changed: make(chan struct{}, 1<<16)}
}

func (s *shelf) add(endpoint, url string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urls[endpoint] = url
	for range n {
		id := fmt.Sprintf("evt_%s_%d", endpoint, len(s.due[endpoint]))
		e := outbox.Event{ID: id, Tenant: "acme", Type: "transfer.posted", Subject: "tr_1", At: time.Unix(1e9, 0), Data: []byte(`{"n":1}`)}
		s.due[endpoint] = append(s.due[endpoint], Work{Delivery: Delivery{Endpoint: endpoint, Tenant: "acme", Event: id}, URL: url, Generation: 2, Former: true, OutboxEvent: e})
	}
}

func (s *shelf) DueEndpoints(_ context.Context, after string, limit int) (ids []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.due {
		if id > after && len(s.due[id]) > 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (s *shelf) TakeDue(_ context.Context, endpoint string, _ time.Duration, limit int) ([]Work, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(limit, len(s.due[endpoint]))
	taken := s.due[endpoint][:n]
	s.due[endpoint] = s.due[endpoint][n:]
	return taken, nil
}

func (s *shelf) Finish(_ context.Context, all []Done) error {
	if s.failing.Load() {
		return fmt.Errorf("the disk is full")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, all...)
	for range all {
		s.changed <- struct{}{}
	}
	return nil
}

// courier runs one until the test is over.
func courier(t *testing.T, s Store, timeout time.Duration) *Courier {
	t.Helper()
	client := outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: timeout})
	c := New(Config{Store: s, Client: client, Secrets: NewSecrets([]byte("root")), Poll: 10 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait(); client.Close() })
	return c
}

func (s *shelf) await(t *testing.T, n int) []Done {
	t.Helper()
	for range n {
		select {
		case <-s.changed:
		case <-time.After(20 * time.Second):
			t.Fatalf("of %d attempts %d came back", n, len(s.done))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Done(nil), s.done...)
}

// TestWhatIsSent is an envelope with the event's id, signed with each secret that is valid.
func TestWhatIsSent(t *testing.T) {
	var mu sync.Mutex
	var got []*http.Request
	var bodies []string
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got, bodies = append(got, r), append(bodies, string(b))
		w.WriteHeader(500)
		io.WriteString(w, "card 4242 4242 4242 4242 \x00\xff refused")
	}))
	defer hook.Close()
	s := newShelf()
	s.add("we_1", hook.URL+"/hook", 1)
	courier(t, s, time.Second)
	d := s.await(t, 1)[0]
	r, body := got[0], bodies[0]
	secrets := NewSecrets([]byte("root"))
	for generation, valid := range map[int64]bool{1: true, 2: true, 3: false} {
		v := webhook.Verifier{Secrets: []webhook.Secret{secrets.Of("acme", "we_1", generation)}}
		m, err := v.Verify(r.Header, []byte(body), time.Now())
		if (err == nil) != valid || valid && m.ID != d.Event {
			t.Errorf("by generation %d: %+v, %v", generation, m, err)
		}
	}
	want := string(outbox.AppendEnvelope(nil, outbox.DefaultSource, s.event(d)))
	if body != want || r.Header.Get("Content-Type") != outbox.ContentType || r.Method != "POST" || r.URL.Path != "/hook" {
		t.Errorf("%s %s %s: %s", r.Method, r.URL, r.Header, body)
	}
	if d.Attempt.Status != 500 || d.Number != 1 || d.Next.Status != Pending || !strings.Contains(d.Answer, "refused") || strings.Contains(d.Answer, "4242 4242") || strings.Contains(d.Answer, "\x00") || !utf8.ValidString(d.Answer) {
		t.Errorf("it was written down as %+v", d)
	}
}

func (s *shelf) event(d Done) outbox.Event {
	return outbox.Event{ID: d.Event, Tenant: "acme", Type: "transfer.posted", Subject: "tr_1", At: time.Unix(1e9, 0), Data: []byte(`{"n":1}`)}
}

// TestOneThatHangsHoldsUpNobody, and has few attempts on their way.
func TestOneThatHangsHoldsUpNobody(t *testing.T) {
	var hanging atomic.Int64
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
			hanging.Add(1)
			t.Cleanup(func() { c.Close() })
		}
	}()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }))
	defer good.Close()
	s := newShelf()
	s.add("we_hangs", "http://"+l.Addr().String(), 1000)
	s.add("we_well", good.URL, 500)
	courier(t, s, 5*time.Second)
	for _, d := range s.await(t, 500) {
		if d.Endpoint != "we_well" || d.Next.Status != Delivered {
			t.Fatalf("%+v came back", d)
		}
	}
	if n := hanging.Load(); n == 0 || n > maxEach {
		t.Errorf("%d attempts hang, and %d may", n, maxEach)
	}
}

// TestOneThatFailsIsLeftAlone, and its deliveries are not used up meanwhile.
func TestOneThatFailsIsLeftAlone(t *testing.T) {
	var asked atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); w.WriteHeader(503) }))
	defer hook.Close()
	s := newShelf()
	s.add("we_1", hook.URL, 1000)
	c := courier(t, s, time.Second)
	s.await(t, tolerated)
	c.mu.Lock()
	resting := c.ill["we_1"].next
	c.mu.Unlock()
	time.Sleep(time.Until(resting.Add(-100 * time.Millisecond)))
	if n := asked.Load(); n < tolerated || n > tolerated+maxEach {
		t.Errorf("it was asked %d times", n)
	}
}

// TestWhatCannotBeWritten leaves room for more: the delivery comes again when its lease is over.
func TestWhatCannotBeWritten(t *testing.T) {
	var asked atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1) }))
	defer hook.Close()
	s := newShelf()
	s.failing.Store(true)
	s.add("we_1", hook.URL, 100)
	courier(t, s, time.Second)
	for asked.Load() < 100 {
		time.Sleep(time.Millisecond)
	}
	s.failing.Store(false)
	s.add("we_1", hook.URL, 3)
	for _, d := range s.await(t, 3) {
		if d.Next.Status != Delivered {
			t.Errorf("%+v", d)
		}
	}
}

// fans is a store for what comes in.
type fans struct {
	Store
	endpoints []Endpoint
	fail      atomic.Int64 // so many times
	made      []Delivery
}

func (f *fans) EnabledEndpoints(_ context.Context, tenants []string) (all []Endpoint, err error) {
	for _, e := range f.endpoints {
		for _, t := range tenants {
			if e.Tenant == t {
				all = append(all, e)
			}
		}
	}
	return all, nil
}

func (f *fans) AddDeliveries(_ context.Context, all []Delivery) error {
	if f.fail.Add(-1) >= 0 {
		return fmt.Errorf("the disk is full")
	}
	f.made = append(f.made, all...)
	return nil
}

func TestFanOut(t *testing.T) {
	at := time.Unix(1e9, 0)
	store := &fans{endpoints: []Endpoint{
		{ID: "we_1", Tenant: "acme", CreatedAt: at}, {ID: "we_2", Tenant: "acme", CreatedAt: at, Types: []string{"payment.*"}}, {ID: "we_3", Tenant: "other", CreatedAt: at},
	}}
	woken := 0
	f := NewFanOut(store, func() { woken++ })
	publish := func(tenant, typ string) (err error) {
		heard := make(chan error)
		f.Publish(t.Context(), outbox.Message{Placed: outbox.Placed{Event: outbox.Event{ID: "evt_1", Tenant: tenant, Type: typ, At: at}, Position: 7}}, func(err error) { heard <- err })
		return <-heard
	}
	store.fail.Store(1)
	if err := publish("acme", "payment.succeeded"); err == nil || woken != 0 {
		t.Errorf("it was acknowledged, and not written: %v", err)
	}
	for _, m := range [][2]string{{"acme", "payment.succeeded"}, {"acme", "transfer.posted"}, {"nobody", "payment.succeeded"}} {
		if err := publish(m[0], m[1]); err != nil {
			t.Errorf("%v: %v", m, err)
		}
	}
	f.Close()
	var to []string
	for _, d := range store.made {
		to = append(to, d.Endpoint)
		if d.Event != "evt_1" || d.Place != 7 || d.Status != Pending {
			t.Errorf("%+v was made", d)
		}
	}
	if fmt.Sprint(to) != "[we_1 we_2 we_1]" || woken != 2 {
		t.Errorf("deliveries to %v, woken %d times", to, woken)
	}
}
