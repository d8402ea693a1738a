package once

import (
	"context"
	"crypto/rand"
	"sync"
)

// Within returns the engine as it works within something that ends as a whole, such
// as a transaction that store is a view of: a claim that is not committed is nobody's.
// So nothing waits there, no lease is renewed, nothing is tried again, and nothing is
// told to Config.Observe before [Engine.Tell]. What is begun with it ends with it.
func (e *Engine) Within(store Store) *Engine {
	inner := &held{}
	cfg := e.cfg
	cfg.Wait, cfg.Observe = -1, inner.note
	inner.tell = e.cfg.Observe
	return &Engine{
		store: store, cfg: cfg, rules: e.rules, owner: rand.Text() + ".", prints: e.prints, seals: e.seals,
		within: inner, flights: map[Key]*flight{},
	}
}

// Tell tells Config.Observe what has happened within, now that it is durable. If it is
// not, it never happened, and Tell is not called.
func (e *Engine) Tell(ctx context.Context) {
	if e.within != nil {
		e.within.flush(ctx)
	}
}

// held are events that are not told yet.
type held struct {
	tell func(context.Context, Event)

	mu     sync.Mutex
	events []Event
}

func (h *held) note(_ context.Context, e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *held) flush(ctx context.Context) {
	h.mu.Lock()
	events := h.events
	h.events = nil
	h.mu.Unlock()
	for _, e := range events {
		h.tell(ctx, e)
	}
}
