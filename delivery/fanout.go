package delivery

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/oncepay/oncepay/outbox"
)

var _ outbox.Sink = (*FanOut)(nil)

// FanOut is a sink that makes deliveries of events. An event is acknowledged when each endpoint that
// wants it has one. Its methods are safe for concurrent use.
type FanOut struct {
	store Store
	wake  func()

	mu      sync.Mutex
	waiting []published
	working bool
	idle    sync.WaitGroup
}

type published struct {
	event outbox.Placed
	done  func(error)
}

// NewFanOut makes one. wake is called when there are new deliveries.
func NewFanOut(s Store, wake func()) *FanOut { return &FanOut{store: s, wake: wake} }

// fanOutTime is how long the store may take for what came together.
const fanOutTime = 10 * time.Second

// Publish is [outbox.Sink]'s.
func (f *FanOut) Publish(_ context.Context, m outbox.Message, done func(error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append(f.waiting, published{m.Placed, done})
	if !f.working {
		f.working = true
		f.idle.Go(f.work)
	}
}

// work does what came together, until nothing comes any more.
func (f *FanOut) work() {
	for {
		f.mu.Lock()
		all := f.waiting
		f.waiting = nil
		if f.working = len(all) > 0; !f.working {
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		err := f.spread(all)
		for _, p := range all {
			p.done(err)
		}
	}
}

// spread makes the deliveries of events. Endpoints are read after the events were, and anew
// each time: one that was made before an event was committed is seen.
func (f *FanOut) spread(all []published) error {
	ctx, cancel := context.WithTimeout(context.Background(), fanOutTime)
	defer cancel()
	var tenants []string
	for _, p := range all {
		tenants = append(tenants, p.event.Tenant)
	}
	slices.Sort(tenants)
	endpoints, err := f.store.EnabledEndpoints(ctx, slices.Compact(tenants))
	if err != nil {
		return err
	}
	var made []Delivery
	for _, p := range all {
		for i := range endpoints {
			if endpoints[i].Wants(p.event.Event) {
				made = append(made, NewDelivery(endpoints[i].ID, p.event))
			}
		}
	}
	if len(made) == 0 {
		return nil
	}
	if err := f.store.AddDeliveries(ctx, made); err != nil {
		return err
	}
	f.wake()
	return nil
}

// Close waits for what is at work. Nobody publishes any more.
func (f *FanOut) Close() { f.idle.Wait() }
