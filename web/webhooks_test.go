package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/outbox"
)

const hook = `{"url":"https://shop.example.com/hooks","events":["payment.*","transfer.posted"],"description":"orders"}`

// member reads a member of an answer.
func (a answer) member(name string) any {
	var m map[string]any
	if json.Unmarshal([]byte(a.body), &m) != nil {
		return nil
	}
	return m[name]
}

// endpoint makes one, and returns where it is.
func (h *house) endpoint(key string) string {
	h.t.Helper()
	a := h.do("POST", endpointPath, hook, "Idempotency-Key", key)
	if a.status != 201 {
		h.t.Fatalf("%+v", a)
	}
	return a.header.Get("Location")
}

func TestEndpoints(t *testing.T) {
	h := newHouse(t, nil)
	at := h.endpoint("k")
	again := h.do("POST", endpointPath, hook, "Idempotency-Key", "k")
	if again.status != 201 || again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Location") != at {
		t.Errorf("a repeat: %+v", again)
	}
	if a := h.do("POST", endpointPath, strings.Replace(hook, "orders", "others", 1), "Idempotency-Key", "k"); a.status != 422 || a.member("code") != "key_reused" {
		t.Errorf("another request with the key: %+v", a)
	}
	if a := h.do("GET", at, ""); a.status != 200 || a.body != again.body {
		t.Errorf("it reads %+v, and was answered as %s", a, again.body)
	}
	if a := h.do("GET", endpointPath, ""); strings.Count(a.body, `"id"`) != 1 {
		t.Errorf("the list is %s", a.body)
	}
	for _, change := range []struct{ body, member, want string }{
		{`{"events":[]}`, "events", "[]"},
		{`{"status":"disabled"}`, "disabled_reason", "asked"},
		{`{"status":"enabled","url":"https://other.example.com/"}`, "url", "https://other.example.com/"},
		{`{}`, "status", "enabled"},
	} {
		a := h.do("PUT", at, change.body)
		if a.status != 200 || fmt.Sprint(a.member(change.member)) != change.want {
			t.Errorf("%s: %+v", change.body, a)
		}
	}
	for _, other := range []string{"GET", "PUT", "DELETE"} {
		if a := h.do(other, at, "", "Authorization", "Bearer sk_other"); a.status != 404 {
			t.Errorf("another tenant's %s: %+v", other, a)
		}
	}
	for _, want := range []int{204, 404} {
		if a := h.do("DELETE", at, ""); a.status != want {
			t.Errorf("DELETE: %+v", a)
		}
	}
	if a := h.do("POST", endpointPath, hook, "Idempotency-Key", "k"); a.status != 201 || a.header.Get("Location") != at {
		t.Errorf("a repeat after it was deleted: %+v", a)
	}
}

// TestEndpointMadeOnce: a key makes one endpoint, however many requests come at once.
func TestEndpointMadeOnce(t *testing.T) {
	h := newHouse(t, nil)
	var all sync.WaitGroup
	places := make([]string, 20)
	for i := range places {
		all.Go(func() {
			a := h.do("POST", endpointPath, hook, "Idempotency-Key", "k")
			places[i] = a.header.Get("Location")
		})
	}
	all.Wait()
	slices.Sort(places)
	if places = slices.Compact(places); len(places) != 1 || places[0] == "" {
		t.Errorf("they were told of %q", places)
	}
	if a := h.do("GET", endpointPath, ""); strings.Count(a.body, `"id"`) != 1 {
		t.Errorf("the list is %s", a.body)
	}
}

// TestEndpointOfAnUnfinishedRequest: it was made, and its answer was not kept. The repeat finds it;
// another request with the key is told so.
func TestEndpointOfAnUnfinishedRequest(t *testing.T) {
	h := newHouse(t, nil)
	h.do("GET", endpointPath, "") // so that the API key is known
	h.store.set(false, true)
	if a := h.do("POST", endpointPath, hook, "Idempotency-Key", "k"); a.status != 503 {
		t.Fatalf("while nothing can be committed: %+v", a)
	}
	h.store.set(false, false)
	list := h.do("GET", endpointPath, "")
	if strings.Count(list.body, `"id"`) != 1 {
		t.Fatalf("nothing was made, so that this tests nothing: %s", list.body)
	}
	if a := h.do("POST", endpointPath, `{"url":"https://other.example.com"}`, "Idempotency-Key", "k"); a.status != 422 || a.member("code") != "key_reused" {
		t.Errorf("another request with the key: %+v", a)
	}
	if a := h.do("POST", endpointPath, hook, "Idempotency-Key", "k"); a.status != 201 || !strings.Contains(list.body, a.body) {
		t.Errorf("the repeat: %+v; there was %s", a, list.body)
	}
}

func TestEndpointsAreRefused(t *testing.T) {
	h := newHouse(t, nil)
	for body, pointer := range map[string]string{
		`{}`:                                             "/url",
		`{"url":"http://example.com"}`:                   "/url",
		`{"url":"https://127.0.0.1/x"}`:                  "/url",
		`{"url":"https://localhost"}`:                    "/url",
		`{"url":"https://2130706433/"}`:                  "/url",
		`{"url":"https://[::1]/"}`:                       "/url",
		`{"url":"https://a:b@example.com"}`:              "/url",
		`{"url":7}`:                                      "/url",
		`{"url":"https://example.com/4242424242424242"}`: "/url",
		`{"url":"https://example.com","events":["payment.exploded"]}`:                                  "/events/0",
		`{"url":"https://example.com","events":["payment.succeeded","*"]}`:                             "/events/1",
		`{"url":"https://example.com","events":[7]}`:                                                   "/events/0",
		`{"url":"https://example.com","events":"payment.*"}`:                                           "/events",
		`{"url":"https://example.com","events":[` + strings.Repeat(`"refund.*",`, 64) + `"refund.*"]}`: "/events",
		`{"url":"https://example.com","description":"` + strings.Repeat("x", 201) + `"}`:               "/description",
		`{"url":"https://example.com","secret":"whsec_"}`:                                              "/secret",
	} {
		a := h.do("POST", endpointPath, body, "Idempotency-Key", "k")
		if a.status != 422 || !strings.Contains(a.body, `"pointer":"`+pointer+`"`) {
			t.Errorf("%.60s: %+v", body, a)
		}
	}
	if a := h.do("POST", endpointPath, hook); a.status != 400 {
		t.Errorf("without a key: %+v", a)
	}
	for i := range delivery.MaxEndpoints {
		h.endpoint(fmt.Sprint("k", i))
	}
	a := h.do("POST", endpointPath, hook, "Idempotency-Key", "one-more")
	if a.status != 409 || a.member("code") != "state_conflict" {
		t.Errorf("one too many: %+v", a)
	}
	h.do("DELETE", h.endpoint("k1"), "")
	if a := h.do("POST", endpointPath, hook, "Idempotency-Key", "one-more"); a.status != 201 {
		t.Errorf("with room again, and the same key: %+v", a)
	}
}

func TestSecrets(t *testing.T) {
	h := newHouse(t, nil)
	at := h.endpoint("k")
	first := h.do("GET", at+"/secret", "")
	if s, _ := first.member("secret").(string); first.status != 200 || !strings.HasPrefix(s, "whsec_") || first.member("former") != nil {
		t.Fatalf("%+v", first)
	}
	if other := h.do("GET", h.endpoint("k2")+"/secret", ""); other.member("secret") == first.member("secret") {
		t.Error("two endpoints have one secret")
	}
	if a := h.do("PUT", at+"/secret", `{"generation":3}`); a.status != 409 {
		t.Errorf("a generation too far: %+v", a)
	}
	if a := h.do("PUT", at+"/secret", `{"generation":2,"overlap_seconds":604801}`); a.status != 422 {
		t.Errorf("too long an overlap: %+v", a)
	}
	for range 2 { // it says the same a second time
		a := h.do("PUT", at+"/secret", `{"generation":2,"overlap_seconds":60}`)
		former, _ := a.member("former").(map[string]any)
		if a.status != 200 || a.member("secret") == first.member("secret") || former["secret"] != first.member("secret") {
			t.Errorf("after a change: %+v", a)
		}
	}
	a := h.do("PUT", at+"/secret", `{"generation":3,"overlap_seconds":0}`)
	if a.status != 200 || a.member("former") != nil {
		t.Errorf("without an overlap: %+v", a)
	}
	for name, answer := range map[string]answer{
		"another tenant": h.do("GET", at+"/secret", "", "Authorization", "Bearer sk_other"),
		"nobody":         h.do("GET", endpointPath+"/we_none/secret", ""),
	} {
		if answer.status != 404 {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

// TestDeliveriesAreShown and made again.
func TestDeliveriesAreShown(t *testing.T) {
	h := newHouse(t, nil)
	at := h.endpoint("k")
	id := at[len(endpointPath)+1:]
	store := h.store.backing.(interface {
		WebhookStore
		outbox.Store
	})
	h.open()
	h.do("POST", "/v1/transfers", `{"from":"alice","to":"bob","amount":1,"currency":"EUR"}`, "Idempotency-Key", "t")
	events, _, err := store.EventsAfter(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	p := events[len(events)-1]
	if err := store.AddDeliveries(t.Context(), []delivery.Delivery{delivery.NewDelivery(id, p)}); err != nil {
		t.Fatal(err)
	}
	give := func() {
		t.Helper()
		works, err := store.TakeDue(t.Context(), id, time.Minute, 10)
		if err != nil || len(works) != 1 {
			t.Fatalf("%v, %v", works, err)
		}
		w := works[0]
		err = store.Finish(t.Context(), []delivery.Done{{Endpoint: id, Event: w.Event, Fence: w.Fence,
			Attempt: delivery.Attempt{Number: w.Attempts + 1, At: time.Now(), Took: 41 * time.Millisecond, Status: 500, Answer: "out of order"}, Next: delivery.Next{Status: delivery.Dead}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	give()
	if a := h.do("GET", at+"/deliveries?status=dead", ""); a.status != 200 || !strings.Contains(a.body, p.ID) {
		t.Errorf("the dead: %+v", a)
	}
	if a := h.do("GET", at+"/deliveries?status=pending", ""); strings.Contains(a.body, p.ID) {
		t.Errorf("what is pending: %+v", a)
	}
	one := at + "/deliveries/" + p.ID
	if a := h.do("GET", one, ""); a.status != 200 || a.member("status") != "dead" || !strings.Contains(a.body, "out of order") {
		t.Errorf("%+v", a)
	}
	for i, target := range []string{one + "/redeliver", at + "/redeliver"} {
		first := h.do("POST", target, "", "Idempotency-Key", target)
		if first.status != 200 {
			t.Errorf("%s: %+v", target, first)
		}
		give()
		again := h.do("POST", target, "", "Idempotency-Key", target)
		if again.status != 200 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("a repeat: %+v", again)
		}
		if a := h.do("GET", one, ""); a.member("status") != "dead" || a.member("attempts") != float64(i+2) {
			t.Errorf("a repeat has done something: %+v", a)
		}
	}
	for _, target := range []string{one, one + "/redeliver", at + "/redeliver", at + "/deliveries"} {
		method := "GET"
		if strings.HasSuffix(target, "redeliver") {
			method = "POST"
		}
		if a := h.do(method, target, "", "Idempotency-Key", "x"+target, "Authorization", "Bearer sk_other"); a.status != 404 {
			t.Errorf("another tenant's %s %s: %+v", method, target, a)
		}
	}
	if a := h.do("GET", at+"/deliveries?status=lost", ""); a.status != 422 {
		t.Errorf("%+v", a)
	}
}
