package sim

import (
	"slices"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// execution is one time that an operation was executed. One of a charge or of an
// authorization is also the charge that others are of.
type execution struct {
	call               pay.Call
	id                 string
	at                 time.Duration
	charge             *execution // of a capture, a void, a refund
	states             []state    // how it stood, the last of them is how it stands
	captured, refunded int64
	closed, voided     bool
}

// state is what a gateway says of an execution, and since when.
type state struct {
	since   time.Duration
	outcome pay.Outcome // Done, Declined or ActionRequired
}

func (e *execution) outcome() pay.Outcome { return e.states[len(e.states)-1].outcome }

// decided is when it came to stand as it does.
func (e *execution) decided() time.Duration { return e.states[len(e.states)-1].since }

// live says whether money is, or may still be, reserved or taken by a charge.
func (e *execution) live() bool { return e.outcome() != pay.Declined && !e.voided }

// before is how an execution stood at a time.
func (e *execution) before(at time.Duration) pay.Outcome {
	for _, s := range slices.Backward(e.states) {
		if s.since <= at {
			return s.outcome
		}
	}
	return e.states[0].outcome
}

// perform moves the money, as far as the rules allow. It returns what is against
// it, "" if nothing is.
func (g *gateway) perform(e *execution) (against string) {
	c := e.call
	if c.Kind == pay.Charge || c.Kind == pay.Authorize {
		e.states = []state{{g.now, g.bank(c)}}
		if c.Kind == pay.Charge && e.outcome() == pay.Done {
			e.captured, e.closed = c.Amount, true
		}
		return ""
	}
	if e.charge = g.charges[c.Target]; e.charge == nil {
		return "there is no such charge"
	}
	if against = g.against(e.charge, c); against != "" {
		return against
	}
	e.states = []state{{g.now, pay.Done}}
	if g.chance(g.habits.decline, "operation declined") {
		e.states[0].outcome = pay.Declined
		return ""
	}
	g.move(e)
	return ""
}

// bank draws what a customer's bank says of a charge.
func (g *gateway) bank(c pay.Call) pay.Outcome {
	switch n := g.luck.IntN(1000); {
	case n < g.habits.decline:
		return pay.Declined
	case n < g.habits.decline+g.habits.action:
		return pay.ActionRequired
	}
	return pay.Done
}

// against is what the rules have against an operation on a charge.
func (g *gateway) against(charge *execution, c pay.Call) string {
	left := charge.call.Amount - charge.captured
	switch {
	case c.Kind == pay.Void && charge.live() && charge.captured == 0:
		return ""
	case c.Kind == pay.Void:
		return "the charge holds no money"
	case charge.outcome() != pay.Done || charge.voided:
		return "the charge has no money"
	case c.Kind == pay.Refund && c.Amount > charge.captured-charge.refunded:
		return "more would be refunded than was captured"
	case c.Kind == pay.Capture && (charge.closed || c.Amount > left):
		return "more would be captured than was authorized"
	case c.Kind == pay.Capture && c.Amount < left && !g.contract.PartialCapture:
		return "only all of it is captured"
	}
	return ""
}

func (g *gateway) move(e *execution) {
	charge := e.charge
	switch e.call.Kind {
	case pay.Capture:
		charge.captured += e.call.Amount
		charge.closed = e.call.Last || !g.contract.ManyCaptures || charge.captured == charge.call.Amount
	case pay.Refund:
		charge.refunded += e.call.Amount
	case pay.Void:
		if charge.outcome() == pay.ActionRequired { // what was not decided is called off
			charge.states = append(charge.states, state{g.now, pay.Declined})
			g.changed(charge)
			return
		}
		charge.voided = true
	}
}

// customer has the customer come to a decision, or never.
func (g *gateway) customer(e *execution) {
	if g.luck.IntN(10) == 0 {
		return
	}
	g.after(g.between(0, pick(g.loop, time.Second, time.Minute, 20*time.Minute)), "customer: decides", func() {
		if e.outcome() != pay.ActionRequired {
			return // it was called off
		}
		said := pick(g.loop, pay.Done, pay.Done, pay.Declined)
		if e.states = append(e.states, state{g.now, said}); said == pay.Done && e.call.Kind == pay.Charge {
			e.captured, e.closed = e.call.Amount, true
		}
		g.note("customer", e.id+" "+said.String())
		g.witness.settled(e)
		g.changed(e)
	})
}
