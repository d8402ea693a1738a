package sim

import (
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// due is an operation that has something to do.
type due struct {
	payment *pay.Payment
	o       *pay.Operation
	gateway *gateway
}

// takeOver looks at what earlier lives left behind: they are gone, so nothing is
// waited for.
func (p *processor) takeOver() {
	for _, d := range p.disk.kept.due(p.server.tick().Add(time.Hour)) {
		if d.o.Owner == p.name || d.o.LeaseUntil.IsZero() {
			continue
		}
		if p.attend(d); p.over() {
			return
		}
	}
	p.matchSoon()
	if p.warn(); !p.over() {
		p.look()
	}
}

// over says whether the life of the server that p belongs to has ended.
func (p *processor) over() bool { return p.server.processor != p }

// look does what is due.
func (p *processor) look() {
	for _, d := range p.disk.kept.due(p.server.tick()) {
		if p.attend(d); p.over() {
			return
		}
	}
	p.rest()
}

// attend does what there is to do about an operation, unless somebody is at it.
func (p *processor) attend(d due) {
	d.gateway = p.gatewayOf(d.payment)
	if p.writing[d.o.ID] > 0 || p.asking[d.o.ID] != nil {
		return
	}
	by := p.senderOf(d)
	house, now := p.house(), p.server.tick()
	terms := house.Gateways[d.gateway.name]
	move := terms.Next(d.o, house.Clock(now))
	switch {
	case (by.gone || by.lost) && terms.Contract.Lookup, move.Do == pay.Check && !move.At.After(now):
		p.ask(d, by)
	case !by.gone && !by.lost && !d.o.LeaseUntil.IsZero(): // a send is at work
	default:
		p.record(d, pay.Record{Gone: by.gone, Lost: by.lost, Alone: by.alone, Sender: d.o.Attempt}, func() {})
	}
}

// sender is what is known of whoever sent an operation last, and of whom nothing
// was heard; and whether, if it is gone, nobody is at it who sent it before.
type sender struct{ gone, lost, alone bool }

func (p *processor) senderOf(d due) (by sender) {
	over := !p.server.tick().Before(d.o.LeaseUntil)
	switch {
	case d.o.LeaseUntil.IsZero():
		by.gone = d.o.Adrift > 0 && !p.at(d.o)
	case d.o.Owner != p.name:
		by.gone = true
	case over && p.bug == TakenOverTooEarly:
		by.gone = true
	case over:
		by.lost = p.sending[attempt{d.o.ID, d.o.Attempt}] != nil
		by.gone = !by.lost
	}
	by.alone = by.gone && !p.at(d.o)
	return by
}

// at says whether a sender of this life is at an operation.
func (p *processor) at(o *pay.Operation) bool {
	for n := range o.Attempt {
		if p.sending[attempt{o.ID, n + 1}] != nil {
			return true
		}
	}
	return false
}

// rest sleeps until something is due.
func (p *processor) rest() {
	next := p.disk.kept.nextDue(func(o *pay.Operation) bool { return p.writing[o.ID] == 0 && p.asking[o.ID] == nil })
	if next.IsZero() {
		return
	}
	at := p.now + max(next.Sub(p.world.wall()), pollPeriod)
	if p.wake > p.now && p.wake <= at {
		return
	}
	p.wake = at
	p.server.later(at-p.now, "processor: looks at what is due", func() {
		if p.now == p.wake {
			p.look()
		}
	})
}

// pollPeriod is how often what is due is looked at at most.
const pollPeriod = 50 * time.Millisecond

// matchSoon takes notices that were kept and can now be matched, if there are any.
func (p *processor) matchSoon() {
	if p.matching || len(p.disk.kept.unmatched) == 0 {
		return
	}
	p.matching = true
	p.server.later(matchPeriod, "processor: matches notices", p.match)
}

const matchPeriod = time.Second

func (p *processor) match() {
	p.matching = false
	for _, n := range p.disk.kept.matchable() {
		take := pay.TakeNotice{Notice: n, Finding: n.Finding(), House: p.house()}
		again := func(o *engine.Outcome) {
			if o.Err != nil {
				p.matchSoon()
			}
		}
		if p.server.order("matches "+n.ID, n.Tenant, take, again); p.over() {
			return
		}
	}
}

// returns has the gateway asked when a customer comes back from it.
func (p *processor) returns(ref pay.Ref) {
	if of := p.disk.kept.payments[ref]; of != nil && of.Status == pay.RequiresAction {
		p.ask(due{of, of.Charge(), p.gatewayOf(of)}, sender{})
	}
}

// jolt is when somebody has set the machine's clock.
func (p *processor) jolt() {
	p.steady = p.server.tick()
	p.warn()
	p.rest()
}

// allOpen is by when all that is open is due, whatever it waits for.
const allOpen = 1000 * time.Hour

// warn has it written down of all that is open that the clock cannot be relied on,
// if so: for how long the store's time was slow is not known later.
func (p *processor) warn() {
	if !p.jumped() {
		return
	}
	for _, d := range p.disk.kept.due(p.server.tick().Add(allOpen)) {
		if d.o.Outcome == pay.Unknown && d.o.LeaseUntil.IsZero() {
			p.record(d, pay.Record{}, func() {})
		}
		if p.over() {
			return
		}
	}
}
