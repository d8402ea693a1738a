package nats_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
)

// A broker that has lost its disk has what comes after that; a replay from the first event
// that is missing brings back the others, under their ids.
func TestAWipedBrokerIsFilledByAReplay(t *testing.T) {
	h := newHouse(t)
	m := engine.NewMemory()
	write := func(from, to int) {
		t.Helper()
		var some []outbox.Event
		for i := from; i < to; i++ {
			some = append(some, outbox.Event{
				ID: fmt.Sprintf("evt_%d", i), Tenant: "t", Type: "transfer.posted", Subject: fmt.Sprint("tr_", i), At: time.Unix(1, 0), Data: []byte("{}"),
			})
		}
		if err := m.Commit(t.Context(), &engine.Changes{At: time.Unix(1, 0), Ledger: &ledger.Changes{Events: some}}); err != nil {
			t.Fatal(err)
		}
	}
	r := outbox.New(outbox.Config{
		Name: "nats", Store: m, Sink: h.sink(), Lease: 2 * time.Second, Log: slog.New(slog.DiscardHandler),
		Limits: outbox.Limits{MaxBackoff: 200 * time.Millisecond},
	})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	defer wg.Wait()
	defer stop()
	kept := func() map[string]bool {
		ids := map[string]bool{}
		for _, k := range h.kept() {
			ids[k.ID] = true
		}
		return ids
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it does not come about that %s", what)
			}
		}
	}
	write(0, 100)
	until("all are kept", func() bool { return len(kept()) == 100 })
	until("the cursor is written", func() bool { all, err := m.Sinks(ctx); return err == nil && all[0].Lag == 0 })
	h.wipe()
	write(100, 150)
	until("those after the loss are kept", func() bool { return len(kept()) == 50 })
	place, found, err := m.PlaceOf(ctx, "evt_0")
	if err != nil || !found {
		t.Fatal(found, err)
	}
	if err := m.MoveSink(ctx, "nats", place-1); err != nil {
		t.Fatal(err)
	}
	until("all are there again", func() bool { return len(kept()) == 150 })
	if n := len(h.kept()); n != 150 {
		t.Errorf("%d are kept, some twice", n)
	}
}
