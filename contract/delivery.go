package contract

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/outbox"
)

// Deliveries is a store that has webhook endpoints and deliveries, and lists them.
type Deliveries interface {
	delivery.Store
	outbox.Store

	// WebhookEndpoints lists those of a tenant, newest first.
	WebhookEndpoints(ctx context.Context, tenant string, page engine.Page) (engine.List[delivery.Endpoint], error)

	// Deliveries lists those to an endpoint, of one status if it is not 0, by their events,
	// newest first.
	Deliveries(ctx context.Context, tenant, endpoint string, status delivery.Status, page engine.Page) (engine.List[delivery.Delivery], error)

	// DeliveryOf returns a delivery and its attempts, the oldest first; nil if there is none.
	DeliveryOf(ctx context.Context, tenant, endpoint, event string) (*delivery.Delivery, []delivery.Attempt, error)
}

// TestDelivery holds a store to what deliveries need of it: the stores of the fixture are
// [Deliveries].
func TestDelivery(t *testing.T, f Fixture) {
	for _, p := range []struct {
		name string
		keep func(*depot)
	}{
		{"an endpoint is as it was written", endpointAsWritten},
		{"a request makes one endpoint", requestMakesOne},
		{"a tenant has so many endpoints at most", endpointsAreBounded},
		{"an endpoint that was written since is not written", endpointIsFenced},
		{"a deleted endpoint is gone, and what was for it", deletedIsGone},
		{"a delivery is made once, for an endpoint that is there", deliveryMadeOnce},
		{"what is taken is not taken again until the lease is over", takenOnce},
		{"who was late writes nothing", lateWritesNothing},
		{"each delivery is taken once, however many take", takenByMany},
		{"an attempt is written with what came of it", attemptIsWritten},
		{"the last attempts are kept", lastAttemptsAreKept},
		{"an endpoint that takes nothing is known for how long", failingIsKnown},
		{"what is disabled gets nothing", disabledGetsNothing},
		{"a delivery can be made again", madeAgain},
		{"what is dead can be made again", deadMadeAgain},
		{"what was done long ago is forgotten", oldIsForgotten},
		{"deliveries are listed by their events", deliveriesListed},
		{"endpoints are listed", endpointsListed},
		{"the oldest that is pending is known", oldestIsKnown},
		{"endpoints and deliveries outlive the process", deliveriesOutlive},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := newBank(t, f)
			p.keep(&depot{post: &post{b, b.Store.(Outbox)}, Deliveries: b.Store.(Deliveries)})
		})
	}
}

// depot is a post whose events go to webhook endpoints.
type depot struct {
	*post
	Deliveries
	made int
}

// endpoint makes one.
func (d *depot) endpoint(change ...func(*delivery.Endpoint)) *delivery.Endpoint {
	d.Helper()
	d.made++
	e := delivery.Endpoint{ID: fmt.Sprintf("we_%03d", d.made), Tenant: tenant, URL: "https://example.com/hook", Generation: 1}
	for _, c := range change {
		c(&e)
	}
	made, err := d.AddEndpoint(d.ctx, e, sha256.Sum256([]byte(e.ID)), 100)
	d.must(err)
	return made
}

// deliver makes deliveries of n new events to an endpoint, and returns the events.
func (d *depot) deliver(e *delivery.Endpoint, n int) (events []outbox.Placed) {
	d.Helper()
	d.events(n)
	all := d.rest(0, 1000)
	events = all[len(all)-n:]
	var made []delivery.Delivery
	for _, p := range events {
		made = append(made, delivery.NewDelivery(e.ID, p))
	}
	d.must(d.AddDeliveries(d.ctx, made))
	return events
}

// taken takes what is due at an endpoint.
func (d *depot) taken(e *delivery.Endpoint, lease time.Duration, limit int) []delivery.Work {
	d.Helper()
	works, err := d.TakeDue(d.ctx, e.ID, lease, limit)
	d.must(err)
	return works
}

// finish writes an attempt.
func (d *depot) finish(w delivery.Work, n delivery.Next) {
	d.Helper()
	a := delivery.Attempt{Number: w.Attempts + 1, At: opening, Took: time.Millisecond, Status: 500, Answer: "no"}
	if n.Status == delivery.Delivered {
		a.Status = 204
	}
	d.must(d.Finish(d.ctx, []delivery.Done{{Endpoint: w.Endpoint, Event: w.Event, Fence: w.Fence, Attempt: a, Next: n}}))
}

// due says for which endpoints something is.
func (d *depot) due() []string {
	d.Helper()
	ids, err := d.DueEndpoints(d.ctx, "", 100)
	d.must(err)
	return ids
}

// status reads how a delivery is.
func (d *depot) status(e *delivery.Endpoint, event string) (*delivery.Delivery, []delivery.Attempt) {
	d.Helper()
	got, attempts, err := d.DeliveryOf(d.ctx, e.Tenant, e.ID, event)
	d.must(err)
	if got == nil {
		d.Fatalf("there is no delivery of %s", event)
	}
	return got, attempts
}

func (d *depot) read(e *delivery.Endpoint) *delivery.Endpoint {
	d.Helper()
	got, err := d.Endpoint(d.ctx, e.Tenant, e.ID)
	d.must(err)
	return got
}

const long = time.Hour // a lease that no test sees the end of

func endpointAsWritten(d *depot) {
	any, err := d.AnyEndpoint(d.ctx)
	d.must(err)
	d.same("anybody has one", false, any)
	e := d.endpoint(func(e *delivery.Endpoint) {
		e.Description, e.Types, e.Disabled, e.Generation = "Bücher \x01 und mehr", []string{"payment.*", "refund.failed"}, delivery.Asked, 3
	})
	if e.CreatedAt.IsZero() || !e.UpdatedAt.Equal(e.CreatedAt) || e.Version != 1 {
		d.Errorf("it was made at %v, written at %v, %d times", e.CreatedAt, e.UpdatedAt, e.Version)
	}
	d.same("the endpoint", e, d.read(e))
	any, err = d.AnyEndpoint(d.ctx)
	d.must(err)
	d.same("anybody has one", true, any)
	other, err := d.Endpoint(d.ctx, "other", e.ID)
	if err != nil || other != nil {
		d.Errorf("another tenant reads %+v, %v", other, err)
	}
}

func requestMakesOne(d *depot) {
	e := d.endpoint()
	again, err := d.AddEndpoint(d.ctx, delivery.Endpoint{ID: "we_other", Tenant: tenant, URL: "https://example.com/other", Generation: 1}, sha256.Sum256([]byte(e.ID)), 100)
	d.must(err)
	d.same("the endpoint", e, again)
	list, err := d.WebhookEndpoints(d.ctx, tenant, engine.Page{Limit: 100})
	d.must(err)
	d.same("endpoints", 1, len(list.Items))
}

func endpointsAreBounded(d *depot) {
	for i := range 3 {
		_, err := d.AddEndpoint(d.ctx, delivery.Endpoint{ID: fmt.Sprint("we_", i), Tenant: tenant, Generation: 1}, [32]byte{byte(i)}, 2)
		if want := i == 2; (err != nil) != want || want && !errors.Is(err, delivery.ErrTooMany) {
			d.Errorf("endpoint %d of 2: %v", i+1, err)
		}
	}
	_, err := d.AddEndpoint(d.ctx, delivery.Endpoint{ID: "we_9", Tenant: "other", Generation: 1}, [32]byte{9}, 2)
	d.must(err)
}

func endpointIsFenced(d *depot) {
	e := d.endpoint()
	mine, other := d.read(e), d.read(e)
	mine.URL, mine.Generation = "https://example.com/new", 2
	d.must(d.PutEndpoint(d.ctx, mine, long))
	if left := time.Until(mine.FormerUntil); left < long-time.Minute || left > long+time.Minute {
		d.Errorf("the former secret is valid for %v, and an hour was wanted", left)
	}
	d.same("what was written", mine, d.read(e))
	if err := d.PutEndpoint(d.ctx, other, 0); !errors.Is(err, delivery.ErrChanged) {
		d.Errorf("it was written over: %v", err)
	}
	until := mine.FormerUntil
	d.must(d.PutEndpoint(d.ctx, mine, 0))
	d.same("until when", until, d.read(e).FormerUntil)
}

func deletedIsGone(d *depot) {
	e, other := d.endpoint(), d.endpoint()
	d.deliver(e, 3)
	d.deliver(other, 1)
	d.finish(d.taken(e, long, 1)[0], delivery.Next{Status: delivery.Delivered})
	if found, err := d.DeleteEndpoint(d.ctx, "other", e.ID); found || err != nil {
		d.Errorf("another tenant deleted it: %v", err)
	}
	for _, want := range []bool{true, false} {
		found, err := d.DeleteEndpoint(d.ctx, tenant, e.ID)
		d.must(err)
		d.same("there was one", want, found)
	}
	d.same("the endpoint", (*delivery.Endpoint)(nil), d.read(e))
	d.same("what is due", []string{other.ID}, d.due())
	d.same("what can be taken", 0, len(d.taken(e, long, 10)))
	d.must(d.AddDeliveries(d.ctx, []delivery.Delivery{delivery.NewDelivery(e.ID, d.rest(0, 1)[0])}))
	for _, want := range []int{2, 1, 0} {
		n, err := d.Prune(d.ctx, long, 2)
		d.must(err)
		d.same("forgotten", want, n)
	}
	list, err := d.WebhookEndpoints(d.ctx, tenant, engine.Page{Limit: 100})
	d.must(err)
	d.same("endpoints", 1, len(list.Items))
	d.same("what is due", []string{other.ID}, d.due())
}

func deliveryMadeOnce(d *depot) {
	e := d.endpoint()
	events := d.deliver(e, 2)
	d.finish(d.taken(e, long, 1)[0], delivery.Next{Status: delivery.Delivered})
	d.must(d.AddDeliveries(d.ctx, []delivery.Delivery{delivery.NewDelivery(e.ID, events[0]), delivery.NewDelivery("we_nobody", events[0])}))
	d.same("what is due", 1, len(d.taken(e, long, 10)))
	d.same("nobody's", 0, len(d.taken(&delivery.Endpoint{ID: "we_nobody"}, long, 10)))
}

func takenOnce(d *depot) {
	e := d.endpoint(func(e *delivery.Endpoint) { e.Generation = 2 })
	e.Generation = 3
	d.must(d.PutEndpoint(d.ctx, e, long))
	events := d.deliver(e, 3)
	works := d.taken(e, long, 2)
	d.same("taken", 2, len(works))
	w := works[0]
	d.same("the event", events[0].Event, w.OutboxEvent)
	if w.URL != e.URL || w.Generation != 3 || !w.Former || w.Tries != 0 || w.Attempts != 0 || w.FailingFor != 0 || w.Status != delivery.Pending {
		d.Errorf("what was taken is %+v", w)
	}
	d.same("the rest", events[2].Event, d.taken(e, time.Nanosecond, 10)[0].OutboxEvent)
	for !slices.Equal(d.due(), []string{e.ID}) {
		time.Sleep(time.Millisecond)
	}
	again := d.taken(e, long, 10)
	if len(again) != 1 || again[0].Event != events[2].ID {
		d.Errorf("what was given up is taken again: %+v", again)
	}
	d.same("nothing is left", 0, len(d.taken(e, long, 10)))
}

func lateWritesNothing(d *depot) {
	e := d.endpoint()
	event := d.deliver(e, 1)[0].ID
	late := d.taken(e, long, 1)[0]
	found, err := d.Redeliver(d.ctx, tenant, e.ID, event)
	d.must(err)
	d.same("there is one", true, found)
	again := d.taken(e, long, 1)
	d.same("taken again", 1, len(again))
	d.finish(late, delivery.Next{Status: delivery.Dead, Disable: delivery.Gone})
	got, attempts := d.status(e, event)
	if got.Status != delivery.Pending || len(attempts) != 0 || d.read(e).Disabled != "" {
		d.Errorf("who was late wrote %+v, %v", got, attempts)
	}
	d.finish(again[0], delivery.Next{Status: delivery.Delivered})
	d.finish(again[0], delivery.Next{Status: delivery.Dead})
	if got, attempts = d.status(e, event); got.Status != delivery.Delivered || len(attempts) != 1 {
		d.Errorf("it is %+v, %v", got, attempts)
	}
}

func takenByMany(d *depot) {
	e := d.endpoint()
	const n = 60
	d.deliver(e, n)
	var mu sync.Mutex
	taken := map[string]int{}
	var takers sync.WaitGroup
	for range 4 {
		takers.Go(func() {
			for range n {
				works, err := d.TakeDue(d.ctx, e.ID, long, 5)
				if err != nil {
					d.Error(err)
					return
				}
				mu.Lock()
				for _, w := range works {
					taken[w.Event]++
				}
				mu.Unlock()
			}
		})
	}
	takers.Wait()
	for event, times := range taken {
		if times != 1 {
			d.Errorf("%s was taken %d times", event, times)
		}
	}
	d.same("taken", n, len(taken))
}

func attemptIsWritten(d *depot) {
	e := d.endpoint()
	event := d.deliver(e, 1)[0].ID
	w := d.taken(e, long, 1)[0]
	d.finish(w, delivery.Next{Status: delivery.Pending, After: time.Nanosecond})
	for len(d.due()) == 0 {
		time.Sleep(time.Millisecond)
	}
	w = d.taken(e, long, 1)[0]
	if w.Attempts != 1 || w.Tries != 1 {
		d.Errorf("after one attempt: %d, %d", w.Attempts, w.Tries)
	}
	d.finish(w, delivery.Next{Status: delivery.Pending, After: long})
	d.same("what is due", 0, len(d.due()))
	got, attempts := d.status(e, event)
	if left := time.Until(got.DueAt); got.Attempts != 2 || !got.DoneAt.IsZero() || left < long-time.Minute || left > long+time.Minute {
		d.Errorf("it is %+v", got)
	}
	d.same("attempts", []delivery.Attempt{
		{Number: 1, At: opening, Took: time.Millisecond, Status: 500, Answer: "no"},
		{Number: 2, At: opening, Took: time.Millisecond, Status: 500, Answer: "no"},
	}, attempts)
	other, _, err := d.DeliveryOf(d.ctx, "other", e.ID, event)
	if err != nil || other != nil {
		d.Errorf("another tenant reads %+v, %v", other, err)
	}
}

func lastAttemptsAreKept(d *depot) {
	e := d.endpoint()
	event := d.deliver(e, 1)[0].ID
	for range delivery.MaxAttempts + 3 {
		for len(d.due()) == 0 {
			time.Sleep(time.Millisecond)
		}
		d.finish(d.taken(e, long, 1)[0], delivery.Next{Status: delivery.Pending, After: time.Nanosecond})
	}
	got, attempts := d.status(e, event)
	if got.Attempts != delivery.MaxAttempts+3 || len(attempts) != delivery.MaxAttempts || attempts[0].Number != 4 {
		d.Errorf("of %d attempts %d are kept", got.Attempts, len(attempts))
	}
}

func failingIsKnown(d *depot) {
	e := d.endpoint()
	d.deliver(e, 4)
	works := d.taken(e, long, 3)
	d.finish(works[0], delivery.Next{Status: delivery.Dead})
	from := d.read(e).FailingFrom
	if since := time.Since(from); since < 0 || since > time.Minute {
		d.Errorf("it has failed from %v on", from)
	}
	d.finish(works[1], delivery.Next{Status: delivery.Dead})
	d.same("from when", from, d.read(e).FailingFrom)
	if w := d.taken(e, time.Nanosecond, 1)[0]; w.FailingFor <= 0 || w.FailingFor > time.Minute {
		d.Errorf("for how long: %v", w.FailingFor)
	}
	d.finish(works[2], delivery.Next{Status: delivery.Delivered})
	d.same("from when", time.Time{}, d.read(e).FailingFrom)
}

func disabledGetsNothing(d *depot) {
	e := d.endpoint()
	d.deliver(e, 2)
	w := d.taken(e, long, 1)[0]
	d.finish(w, delivery.Next{Status: delivery.Dead, Disable: delivery.Gone})
	e = d.read(e)
	if e.Disabled != delivery.Gone || e.Version != 2 {
		d.Errorf("it is %+v", e)
	}
	d.same("what is due", 0, len(d.due()))
	d.same("what can be taken", 0, len(d.taken(e, long, 10)))
	enabled, err := d.EnabledEndpoints(d.ctx, []string{"nobody", tenant})
	d.must(err)
	d.same("enabled", 0, len(enabled))
	e.Disabled = ""
	d.must(d.PutEndpoint(d.ctx, e, 0))
	d.same("what can be taken", 1, len(d.taken(e, long, 10)))
	enabled, err = d.EnabledEndpoints(d.ctx, []string{"nobody", tenant})
	d.must(err)
	d.same("enabled", []delivery.Endpoint{*d.read(e)}, enabled)
}

func madeAgain(d *depot) {
	e := d.endpoint()
	event := d.deliver(e, 1)[0].ID
	d.finish(d.taken(e, long, 1)[0], delivery.Next{Status: delivery.Delivered})
	for _, wrong := range [][3]string{{"other", e.ID, event}, {tenant, "we_nobody", event}, {tenant, e.ID, "evt_none"}} {
		if found, err := d.Redeliver(d.ctx, wrong[0], wrong[1], wrong[2]); found || err != nil {
			d.Errorf("%v: %v, %v", wrong, found, err)
		}
	}
	found, err := d.Redeliver(d.ctx, tenant, e.ID, event)
	d.must(err)
	d.same("there is one", true, found)
	w := d.taken(e, long, 1)
	if len(w) != 1 || w[0].Attempts != 1 || w[0].Tries != 0 || !w[0].DoneAt.IsZero() {
		d.Errorf("what is taken is %+v", w)
	}
}

func deadMadeAgain(d *depot) {
	e := d.endpoint()
	d.deliver(e, 5)
	for i, w := range d.taken(e, long, 5) {
		d.finish(w, delivery.Next{Status: []delivery.Status{delivery.Dead, delivery.Delivered}[i%2]})
	}
	n, err := d.RedeliverDead(d.ctx, "other", e.ID, 10)
	d.must(err)
	d.same("another tenant's", 0, n)
	for _, want := range []int{2, 1, 0} {
		n, err := d.RedeliverDead(d.ctx, tenant, e.ID, 2)
		d.must(err)
		d.same("made again", want, n)
	}
	d.same("what can be taken", 3, len(d.taken(e, long, 10)))
}

func oldIsForgotten(d *depot) {
	e := d.endpoint()
	d.deliver(e, 4)
	works := d.taken(e, long, 3)
	d.finish(works[0], delivery.Next{Status: delivery.Delivered})
	d.finish(works[1], delivery.Next{Status: delivery.Dead})
	d.finish(works[2], delivery.Next{Status: delivery.Pending, After: long})
	n, err := d.Prune(d.ctx, long, 10)
	d.must(err)
	d.same("forgotten after an hour", 0, n)
	for n = 0; n < 2; {
		more, err := d.Prune(d.ctx, time.Nanosecond, 10)
		d.must(err)
		n += more
	}
	d.same("forgotten", 2, n)
	gone, attempts, err := d.DeliveryOf(d.ctx, tenant, e.ID, works[0].Event)
	if gone != nil || attempts != nil || err != nil {
		d.Errorf("it is there: %v, %v, %v", gone, attempts, err)
	}
	list, err := d.Deliveries.Deliveries(d.ctx, tenant, e.ID, 0, engine.Page{Limit: 100})
	d.must(err)
	d.same("what is left", 2, len(list.Items))
}

func deliveriesListed(d *depot) {
	e := d.endpoint()
	events := d.deliver(e, 7)
	d.deliver(d.endpoint(), 2)
	for i, w := range d.taken(e, long, 7) {
		if i%2 == 0 {
			d.finish(w, delivery.Next{Status: delivery.Dead})
		}
	}
	list := func(status delivery.Status, limit int) (names []string) {
		for page := (engine.Page{Limit: limit}); ; {
			l, err := d.Deliveries.Deliveries(d.ctx, tenant, e.ID, status, page)
			d.must(err)
			for _, x := range l.Items {
				names = append(names, x.Event)
			}
			if page.Cursor = l.Next; l.Next == "" {
				return names
			}
		}
	}
	var all, dead []string
	for i, p := range slices.Backward(events) {
		if all = append(all, p.ID); i%2 == 0 {
			dead = append(dead, p.ID)
		}
	}
	for _, limit := range []int{1, 3, 7, 100} {
		d.same("all", all, list(0, limit))
		d.same("the dead", dead, list(delivery.Dead, limit))
	}
	other, err := d.Deliveries.Deliveries(d.ctx, "other", e.ID, 0, engine.Page{Limit: 100})
	d.must(err)
	d.same("another tenant's", 0, len(other.Items))
}

func endpointsListed(d *depot) {
	var want []delivery.Endpoint
	for range 5 {
		want = append(want, *d.endpoint())
	}
	slices.Reverse(want)
	var got []delivery.Endpoint
	for page := (engine.Page{Limit: 2}); ; {
		l, err := d.WebhookEndpoints(d.ctx, tenant, page)
		d.must(err)
		got = append(got, l.Items...)
		if page.Cursor = l.Next; l.Next == "" {
			break
		}
	}
	d.same("endpoints", want, got)
	other, err := d.WebhookEndpoints(d.ctx, "other", engine.Page{})
	d.must(err)
	d.same("another tenant's", 0, len(other.Items))
}

func oldestIsKnown(d *depot) {
	oldest := func() time.Time {
		at, err := d.OldestPending(d.ctx)
		d.must(err)
		return at
	}
	d.same("of none", time.Time{}, oldest())
	e := d.endpoint()
	events := d.deliver(e, 2)
	d.deliver(d.endpoint(), 1)
	first, _ := d.status(e, events[0].ID)
	d.same("the first", first.CreatedAt, oldest())
	for _, w := range d.taken(e, long, 2) {
		d.finish(w, delivery.Next{Status: delivery.Dead})
	}
	if at := oldest(); at.Before(first.CreatedAt) || at.IsZero() {
		d.Errorf("the oldest is of %v", at)
	}
}

func deliveriesOutlive(d *depot) {
	if d.fixture.Reopen == nil {
		return
	}
	e := d.endpoint()
	events := d.deliver(e, 2)
	d.finish(d.taken(e, time.Nanosecond, 1)[0], delivery.Next{Status: delivery.Delivered})
	d.Store = d.fixture.Reopen(d.T, d.Store)
	d.Deliveries, d.Outbox = d.Store.(Deliveries), d.Store.(Outbox)
	d.same("the endpoint", e.URL, d.read(e).URL)
	got, attempts := d.status(e, events[0].ID)
	if got.Status != delivery.Delivered || len(attempts) != 1 {
		d.Errorf("it is %+v, %v", got, attempts)
	}
	d.same("what is due", 1, len(d.taken(e, long, 10)))
}
