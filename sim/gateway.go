package sim

import (
	"cmp"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// gateway plays the other side. It keeps what it declares; its books are the
// judge of what was charged.
type gateway struct {
	*world
	name     string
	contract pay.Contract
	promise  promise
	breaches bool // its lookup lags by more than it declared, and says so
	lies     int  // of a thousand notices so many say what is not so

	known     map[string]*instruction // by the idempotency key
	charges   map[string]*execution
	made      int
	downUntil time.Duration
	shutUntil time.Duration // our breaker is open
}

// promise is a contract as it is documented, its defaults filled in: what the
// gateway plays by, and what sends are judged by.
type promise struct {
	window, lag, flight, timeout time.Duration // W, H, L
	lookup, lagKnown             bool
}

// instruction is what came under one idempotency key.
type instruction struct {
	first      time.Duration // when it came first: it is remembered from then on
	executions []*execution
}

// newGateway draws what a gateway promises.
func newGateway(w *world, number int) *gateway {
	g := &gateway{world: w, name: "gateway-" + strconv.Itoa(number), known: map[string]*instruction{}, charges: map[string]*execution{}}
	ms, second, minute, hour := time.Millisecond, time.Second, time.Minute, time.Hour
	g.contract = pay.Contract{
		Window: pick(w.loop, 24*hour, 24*hour, hour, 20*minute, 2*minute), Lookup: true, Skew: w.habits.skew,
		LookupLag: pick(w.loop, 0, 200*ms, 200*ms, 4*second, 4*second, minute), InFlight: pick(w.loop, 0, second, second, 4*second, 4*second, minute),
		Timeout: pick(w.loop, 0, second, 3*second), LagKnown: w.luck.IntN(3) == 0,
		PartialCapture: w.luck.IntN(3) > 0, ResendFor: pick(w.loop, 0, 2*hour), Patience: pick(w.loop, 0, 3*hour, 3*hour, 3*hour),
	}
	g.contract.ManyCaptures = g.contract.PartialCapture && w.luck.IntN(2) == 0
	switch w.luck.IntN(10) {
	case 0, 1, 2:
		g.contract.Window = 0 // hostile: every send that arrives is one more charge
	case 3, 4, 7:
		g.contract.Lookup = false
		g.lies = pick(w.loop, 0, 0, 100)
	case 5:
		g.contract = pay.Contract{Skew: w.habits.skew} // it declares nothing
	case 6:
		g.contract.LagKnown, g.breaches, g.contract.Window = true, true, pick(w.loop, 0, 24*hour)
	}
	if g.contract.Lookup {
		g.lies = pick(w.loop, 0, 50, 300) // a notice is only a hint there
	}
	g.promise = promised(g.contract)
	return g
}

func promised(c pay.Contract) promise {
	return promise{
		window: c.Window, lookup: c.Lookup, lagKnown: c.LagKnown,
		lag: cmp.Or(c.LookupLag, 15*time.Minute), flight: cmp.Or(c.InFlight, 15*time.Minute), timeout: cmp.Or(c.Timeout, 30*time.Second),
	}
}

// terms are the gateway as commands see it; some bugs misread its contract.
func (g *gateway) terms() pay.Terms {
	t := pay.Terms{Contract: g.contract}
	switch g.bug {
	case AbsentTooEarly:
		t.Contract.LookupLag, t.Contract.InFlight, t.Contract.LagKnown = 1, 1, false
	case ResendAfterWindow:
		if t.Contract.Window > 0 {
			t.Contract.Window, t.Contract.ResendFor = 100*24*time.Hour, 50*24*time.Hour
		}
	}
	if g.now < g.shutUntil {
		t.Closed = "the gateway does not answer just now"
	}
	return t
}

// down says whether the gateway can be reached by nobody.
func (g *gateway) down() bool { return g.now < g.downUntil }

// fails has the gateway go down for a while.
func (g *gateway) fails() {
	g.downUntil = g.now + g.between(0, pick(g.loop, time.Second, time.Minute, 40*time.Minute))
	if g.luck.IntN(2) == 0 {
		g.shutUntil = g.now + g.between(0, g.downUntil-g.now+5*time.Second)
	}
	g.note("gateway", g.name+" is down")
}

// execute does what an operation asks: once, as long as it remembers its id. What
// is against its rules it refuses, and remembers nothing.
func (g *gateway) execute(c pay.Call) pay.Finding {
	if in := g.known[c.Operation]; in != nil && g.now < in.first+g.promise.window {
		return g.tell(in.executions[0], in.executions[0].outcome())
	}
	e := &execution{call: c, at: g.now}
	if against := g.perform(e); against != "" {
		return pay.Finding{Reach: pay.Refused, Failure: pay.Failure{Code: "gateway_rejected", Message: against}, Detail: against}
	}
	g.book(e)
	g.changed(e)
	if e.outcome() == pay.ActionRequired {
		g.customer(e)
	}
	return g.tell(e, e.outcome())
}

// book enters an execution in the books.
func (g *gateway) book(e *execution) {
	in := g.known[e.call.Operation]
	if in == nil {
		in = &instruction{first: g.now}
		g.known[e.call.Operation] = in
	}
	in.executions = append(in.executions, e)
	e.id = g.newID()
	if e.charge == nil {
		g.charges[e.id] = e
	}
	g.note("executed", e.id+" "+e.call.Kind.String()+" "+e.call.Operation+" "+e.outcome().String())
	g.witness.executed(g, e)
}

func (g *gateway) newID() string {
	g.made++
	return g.name + "-" + strconv.Itoa(g.made)
}

// tell is what the gateway says of an execution.
func (g *gateway) tell(e *execution, o pay.Outcome) pay.Finding {
	f := pay.Finding{Outcome: o, Currency: e.call.Currency, GatewayID: e.id}
	switch o {
	case pay.Done:
		f.Amount = e.call.Amount
	case pay.ActionRequired:
		f.Amount, f.ActionURL = e.call.Amount, "https://bank.example/"+e.id
	case pay.Declined:
		f.Failure = pay.Failure{Code: "card_declined", DeclineCode: "do_not_honor"}
	}
	return f
}

// lookup is what a check finds: the books as they were a while ago.
func (g *gateway) lookup(operation string) pay.Finding {
	lag := g.between(0, g.promise.lag)
	if g.breaches && !g.calm && g.luck.IntN(3) == 0 {
		lag *= 10
	}
	seen := g.seen(operation, g.now-lag)
	switch {
	case len(seen) == 1:
		return g.tell(seen[0], seen[0].before(g.now-lag))
	case len(seen) > 1:
		return g.both(seen)
	case g.promise.lagKnown:
		return pay.Finding{Absent: true, Lag: lag}
	}
	return pay.Finding{Absent: true}
}

// seen is what had been executed of an operation by then.
func (g *gateway) seen(operation string, by time.Duration) (seen []*execution) {
	if in := g.known[operation]; in != nil {
		for _, e := range in.executions {
			if e.at <= by {
				seen = append(seen, e)
			}
		}
	}
	return seen
}

// both is what a connector makes of more than one execution.
func (g *gateway) both(seen []*execution) pay.Finding {
	f := pay.Finding{Outcome: pay.Conflict, Currency: seen[0].call.Currency, GatewayID: seen[0].id}
	for _, e := range seen {
		f.Amount += e.call.Amount
	}
	return f
}
