package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// eventPage is a page of events.
type eventPage struct {
	Data []struct{ ID, Type, Subject string }
	Next string `json:"next_cursor"`
}

func (h *house) tail(query, wait string) (p eventPage) {
	h.t.Helper()
	a := h.do("GET", "/v1/events/tail?"+query, "", "Prefer", "wait="+wait)
	if a.status != 200 {
		h.t.Fatalf("tail: %v", a)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Next == "" {
		h.t.Fatalf("tail: %v, %v", a, err)
	}
	return p
}

func (h *house) openAccount(name string) {
	h.t.Helper()
	if a := h.post("open-"+name, "/v1/accounts", fmt.Sprintf(`{"id":%q,"currency":"EUR"}`, name)); a.status != 201 {
		h.t.Fatalf("open: %v", a)
	}
}

// Who follows events begins now, is told all that happens in its order, and waits if
// nothing does.
func TestEventsAreFollowed(t *testing.T) {
	h := newHouse(t, nil)
	h.openAccount("before")
	p := h.tail("", "60") // who begins does not wait
	if len(p.Data) != 0 {
		t.Errorf("from now on there is %+v", p.Data)
	}
	for i := range 5 {
		h.openAccount(fmt.Sprint("a", i))
	}
	var got []string
	for len(got) < 5 {
		p = h.tail("limit=2&cursor="+p.Next, "60")
		for _, e := range p.Data {
			got = append(got, e.Subject)
		}
	}
	if strings.Join(got, " ") != "a0 a1 a2 a3 a4" {
		t.Errorf("it was told of %v", got)
	}
	if p = h.tail("cursor="+p.Next, "0"); len(p.Data) != 0 {
		t.Errorf("after that there is %+v", p.Data)
	}
	told := make(chan eventPage, 1)
	go func() { told <- h.tail("cursor="+p.Next, "60") }()
	h.openAccount("late")
	select {
	case p = <-told:
		if len(p.Data) != 1 || p.Data[0].Subject != "late" {
			t.Errorf("who waited was told %+v", p.Data)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("who waits is not told")
	}
}

// No more than maxTails wait; others are answered at once.
func TestTailsAreBounded(t *testing.T) {
	h := newHouse(t, nil)
	p := h.tail("", "0")
	h.API.tails.Store(maxTails)
	began := time.Now()
	h.tail("cursor="+p.Next, "60")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it waited for %v", took)
	}
	if n := h.API.tails.Load(); n != maxTails {
		t.Errorf("afterwards %d are counted", n)
	}
}
