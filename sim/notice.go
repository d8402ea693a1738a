package sim

import (
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// notice is a webhook on its way.
type notice struct {
	pay.Notice
	finding pay.Finding
	tries   int
}

// changed has the gateway tell what became of an execution: once, more often,
// never; at once, later, in any order; and now and then what is not so.
func (g *gateway) changed(e *execution) {
	if g.chance(g.habits.loseNotice, "notice lost") {
		return
	}
	n := notice{finding: g.tell(e, e.outcome())}
	if g.luck.IntN(1000) < g.lies {
		n.finding = g.tell(e, g.lie(e))
		g.witness.doubt(e.call.Operation, !g.promise.lookup)
	}
	n.Notice = pay.Notice{
		NoticeID: pay.NoticeID{Tenant: e.call.Tenant, Gateway: g.name, ID: "notice-" + g.newID()},
		Payment:  e.call.Payment, Operation: e.call.Operation, GatewayID: e.id, Type: "operation." + n.finding.Outcome.String(),
	}
	switch g.luck.IntN(8) {
	case 0: // it names our payment by nothing but the gateway's id
		n.Payment, n.Operation = "", ""
	case 1: // it comes to another tenant's endpoint
		n.Tenant = g.tenants[g.luck.IntN(len(g.tenants))].name
	}
	g.post(n)
	for g.chance(g.habits.doubleNotice, "notice doubled") {
		g.post(n)
	}
}

// lie is what a notice says that is not so.
func (g *gateway) lie(e *execution) pay.Outcome {
	if e.charge == nil {
		return pick(g.loop, pay.Declined, pay.Done, pay.ActionRequired)
	}
	return pick(g.loop, pay.Declined, pay.Done)
}

// post sends a notice on its way.
func (g *gateway) post(n notice) {
	g.after(g.between(0, pick(g.loop, 0, time.Second, 5*time.Minute)), "network: notice", func() { g.deliver(n) })
}

// deliver brings a notice to the server, and again if it does not say that it has
// it.
func (g *gateway) deliver(n notice) {
	if n.tries++; n.tries > 5 {
		return
	}
	again := func() { g.after(g.between(time.Second, time.Minute), "network: notice again", func() { g.deliver(n) }) }
	if g.server.step == nil {
		again()
		return
	}
	g.notices++
	g.server.notice(g, n, again)
}

// notice takes a webhook in, as package processor does.
func (s *server) notice(g *gateway, n notice, again func()) {
	switch {
	case s.bug == NoticeBelieved && n.Notice.Payment != "":
		ref := pay.Ref{Tenant: n.Tenant, ID: n.Notice.Payment}
		s.order("believes "+n.ID, n.Tenant, pay.Record{Ref: ref, Operation: n.Operation, Finding: &n.finding, House: s.processor.house()}, nil)
		return
	case s.bug == NoticePostsTwice:
		s.postTwice(g, n)
	}
	if s.step == nil {
		return
	}
	take := pay.TakeNotice{Notice: n.Notice, Finding: n.finding, House: s.processor.house()}
	s.order("notice "+n.ID, n.Tenant, take, func(o *engine.Outcome) {
		if o.Err != nil {
			again()
		}
	})
}

// postTwice posts the money of a notice that was seen before: a planted bug.
func (s *server) postTwice(g *gateway, n notice) {
	if seen := s.disk.kept.notices[n.NoticeID]; seen == nil || n.finding.Outcome != pay.Done || n.finding.Amount == 0 || n.Notice.Payment == "" {
		return
	}
	s.receive(call{req: &request{
		kind: own, key: once.Key{Tenant: n.Tenant}, operation: "posts " + n.ID,
		command: ledger.CreateTransfer{
			Tenant: n.Tenant, From: "gateway:" + g.name + ":clearing", To: "merchant:default", Amount: n.finding.Amount,
			Currency: n.finding.Currency, Reference: n.Notice.Payment,
		},
	}})
}
