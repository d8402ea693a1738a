package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// What came of deliveries cannot be written on a full disk. They are not due at once all the same: their
// endpoint would be sent them without end.
func TestAFullDiskSendsNothingAgainAtOnce(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "once.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 64
	x := engine.New(s, engine.Config{})
	var jobs []*engine.Job
	for i := range n {
		jobs = append(jobs, &engine.Job{
			Tenant: "acme", Command: ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: fmt.Sprint("a", i)}, Currency: "EUR"},
			Reply: func(ledger.Result, *ledger.Refusal) once.Answer { return once.Answer{Status: 201} },
		})
	}
	x.DoAll(t.Context(), jobs)
	if err := x.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	events, _, err := s.EventsAfter(t.Context(), 0, n)
	if err != nil || len(events) != n {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if _, err := s.AddEndpoint(t.Context(), delivery.Endpoint{ID: "we_1", Tenant: "acme", Generation: 1}, [32]byte{}, 1); err != nil {
		t.Fatal(err)
	}
	var made []delivery.Delivery
	for _, e := range events {
		made = append(made, delivery.NewDelivery("we_1", e))
	}
	if err := s.AddDeliveries(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	works, err := s.TakeDue(t.Context(), "we_1", time.Hour, n)
	if err != nil || len(works) != n {
		t.Fatalf("%d were taken, %v", len(works), err)
	}
	var done []delivery.Done
	for _, w := range works {
		done = append(done, delivery.Done{Endpoint: w.Endpoint, Event: w.Event, Fence: w.Fence,
			Attempt: delivery.Attempt{Number: 1, At: time.Now(), Status: 500, Answer: strings.Repeat("x", delivery.MaxExcerpt)}, Next: delivery.Next{Status: delivery.Dead}})
	}
	limit := func(pages int64) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.w.c.script(fmt.Sprint("PRAGMA max_page_count = ", pages)); err != nil {
			t.Fatal(err)
		}
	}
	pages, err := s.w.c.integer("PRAGMA page_count")
	if err != nil {
		t.Fatal(err)
	}
	limit(pages)
	if err := s.Finish(t.Context(), done); err == nil {
		t.Fatal("it was written on a full disk")
	}
	if again, err := s.TakeDue(t.Context(), "we_1", time.Hour, n); len(again) != 0 || err != nil {
		t.Errorf("%d are due again at once, %v", len(again), err)
	}
	limit(1 << 30)
	if err := s.Finish(t.Context(), done); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
