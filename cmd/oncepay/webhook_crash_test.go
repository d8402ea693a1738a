//go:build integration

package main

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/store/sqlite"
	"github.com/oncepay/oncepay/webhook"
)

// hookServer takes webhooks of one endpoint: it refuses some, and remembers the rest.
type hookServer struct {
	*httptest.Server
	mu      sync.Mutex
	luck    *rand.Rand
	verify  webhook.Verifier
	taken   map[string]int    // how often, by id
	bodies  map[string]string // of the first that was taken
	refused int
	wrong   []string // what should never come
}

func startHook(t *testing.T, seed uint64) *hookServer {
	h := &hookServer{luck: rand.New(rand.NewPCG(seed, 1)), taken: map[string]int{}, bodies: map[string]string{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.take))
	t.Cleanup(h.Close)
	return h
}

func (h *hookServer) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil { // the sender was killed
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m, err := h.verify.Verify(r.Header, body, time.Now())
	if err != nil {
		h.wrong = append(h.wrong, err.Error())
	}
	if first, seen := h.bodies[m.ID]; seen && first != string(body) {
		h.wrong = append(h.wrong, m.ID+" has another body than before")
	}
	h.bodies[m.ID] = string(body)
	if h.taken[m.ID]++; h.taken[m.ID] == 1 && h.luck.IntN(10) == 0 { // it was done, and the answer is lost
		h.refused++
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Close()
		}
	}
}

const webhookKills = 6

// A server that is killed while it sends webhooks leaves none out, whatever step it was at: an
// event without a delivery, a delivery that was not sent, one that was sent without its outcome
// written down. All that an endpoint sees twice has one id, one body and a good signature.
func TestAKilledServerLeavesNoWebhookOut(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	luck := rand.New(rand.NewPCG(seed, 0))
	hook := startHook(t, seed)
	w := newCrashWorld(t, mustSelf(t))
	w.args = []string{"--dev", "--webhooks-timeout=2s"}
	s := w.start(t)
	op := &crashOp{key: "endpoint", path: "/v1/webhook_endpoints", body: `{"url":"` + hook.URL + `"}`}
	if s.send(op); op.status != http.StatusCreated {
		t.Fatalf("%d %s", op.status, op.answer)
	}
	var endpoint, secret struct{ ID, Secret string }
	if err := json.Unmarshal(op.answer, &endpoint); err != nil {
		t.Fatal(err)
	}
	if err := s.get("/v1/webhook_endpoints/"+endpoint.ID+"/secret", &secret); err != nil {
		t.Fatal(err)
	}
	parsed, err := webhook.ParseSecret(secret.Secret)
	if err != nil {
		t.Fatal(err)
	}
	hook.mu.Lock()
	hook.verify.Secrets = []webhook.Secret{parsed}
	hook.mu.Unlock()
	before := map[string]bool{} // the endpoint was made
	first := w.view(t)
	for _, e := range readEvents(t, first) {
		before[e.ID] = true
	}
	first.Close()
	var unspread, unsent, unwritten int
	for cycle := range webhookKills {
		if cycle > 0 {
			s = w.start(t)
		}
		w.load(t, s, seed+uint64(cycle), time.Duration(20+luck.IntN(200))*time.Millisecond)
		if err := s.cmd.Wait(); err == nil {
			t.Fatal("the server ended well before it was killed")
		}
		v := w.view(t)
		events, pending := readEvents(t, v), pendingOf(t, v, endpoint.ID)
		position := outbox.Position(0)
		for _, state := range sinks(t, v) {
			position = state.Position
		}
		v.Close()
		if len(events) > 0 && events[len(events)-1].Position > position {
			unspread++
		}
		hook.mu.Lock()
		for _, id := range pending {
			if hook.taken[id] == 0 {
				unsent++
			} else {
				unwritten++
			}
		}
		hook.mu.Unlock()
	}
	s = w.start(t)
	v := w.view(t)
	soon(t, "all is delivered", func() bool { return lag(t, v) == 0 && len(pendingOf(t, v, endpoint.ID)) == 0 })
	s.stop(t)
	hook.mu.Lock()
	defer hook.mu.Unlock()
	repeats := 0
	for _, e := range readEvents(t, v) {
		n := hook.taken[e.ID]
		if n == 0 && !before[e.ID] {
			t.Errorf("%s was left out", e.ID)
		}
		repeats += max(0, n-1)
		if want := string(outbox.AppendEnvelope(nil, outbox.DefaultSource, e.Event)); n > 0 && hook.bodies[e.ID] != want {
			t.Errorf("%s was sent as %s, want %s", e.ID, hook.bodies[e.ID], want)
		}
	}
	for _, wrong := range hook.wrong {
		t.Error(wrong)
	}
	t.Logf("%d kills: %d left events without a delivery or cursor, %d deliveries were not sent, %d were and it was not written; %d answers lost, %d repeats",
		webhookKills, unspread, unsent, unwritten, hook.refused, repeats)
	if unspread == 0 || unwritten == 0 || hook.refused == 0 || repeats < hook.refused {
		t.Error("no kill hit one of the steps: the test does not test what it is for")
	}
}

// pendingOf are the events on their way to an endpoint.
func pendingOf(t *testing.T, v *sqlite.View, endpoint string) (events []string) {
	t.Helper()
	for page := (engine.Page{Limit: 100}); ; {
		l, err := v.Deliveries(t.Context(), "dev", endpoint, delivery.Pending, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range l.Items {
			events = append(events, d.Event)
		}
		if page.Cursor = l.Next; l.Next == "" {
			return events
		}
	}
}
