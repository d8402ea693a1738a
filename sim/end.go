package sim

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/pay"
)

// quiet is what must be true when nothing happens any more.
func (w *world) quiet() {
	for _, c := range w.clients {
		if c.op != nil || c.left > 0 {
			w.fail("liveness", "client %d waits for ever: %s", c.number, c.waitsFor())
		}
	}
	switch {
	case w.server.step == nil:
		w.fail("liveness", "the server is down for ever")
	case len(w.server.jobs) > 0 || !w.server.step.Idle():
		w.fail("liveness", "%d requests are never answered", len(w.server.jobs))
	case w.check.busy() != nil:
		w.fail("liveness", "key %v is in progress for ever", *w.check.busy())
	case len(w.disk.unsynced)+len(w.disk.waiting) > 0 && w.bug != SyncIgnored:
		w.fail("liveness", "%d commits never end", len(w.disk.unsynced)+len(w.disk.waiting))
	default:
		w.check.settled()
	}
}

// review has a human decide what waits for one, by the gateways' books.
func (w *world) review() {
	for _, ref := range w.disk.kept.paid {
		for _, o := range w.disk.kept.payments[ref].Operations {
			if o.Parked != "" {
				w.resolve(ref, o)
			}
		}
	}
}

func (w *world) resolve(ref pay.Ref, o *pay.Operation) {
	g := w.gatewayOf(w.disk.kept.payments[ref])
	r := pay.ResolvePayment{Ref: ref, Operation: o.ID, Evidence: "the gateway's books", Actor: "somebody"}
	if known := g.known[o.ID]; known != nil {
		switch known.executions[0].outcome() {
		case pay.ActionRequired:
			return // it is for the customer to decide
		case pay.Done:
			r.Happened = true
		}
	}
	w.after(w.between(0, time.Minute), "operator: decides", func() {
		if w.server.processor != nil {
			r.House = w.server.processor.house()
		}
		w.server.order("resolve "+o.ID, ref.Tenant, r, nil)
	})
}

// askAgain crashes the server once more and asks for every key that was
// answered: it must be known, whatever happened.
func (w *world) askAgain() {
	w.stop()
	w.note("crash", "at the end")
	w.server.crash()
	for i, f := range w.check.told {
		again := call{req: f.req, from: w.clients[0]}
		w.after(5*time.Second+time.Duration(i)*100*time.Millisecond, "client: asks again", func() { w.send(again) })
	}
	w.after(4*time.Second, "server: upkeep", w.server.upkeep)
}

// audit reads the final store from end to end.
func (w *world) audit() {
	w.check.kept()
	r, err := audit.Run(context.Background(), &w.disk.kept, audit.Config{Buckets: 64, MaxFindings: 3})
	if err != nil || !r.OK() {
		w.fail("the audit finds the store in order", "%v %v", err, r.Findings)
	}
}
