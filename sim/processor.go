package sim

import (
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// processor does with events what package processor does with goroutines: it
// carries orders out, has written down what came of them, and looks after what is
// due. There is a new one in every life of the server.
type processor struct {
	*world
	name     string // owns what it sends
	sending  map[attempt]*sending
	asking   map[string]*asking // by operation
	all      []*sending         // in the order in which they began
	writing  map[string]int     // what is being written down of an operation
	wake     time.Duration      // when it next looks at what is due
	matching bool               // kept notices are about to be matched

	wall, up time.Duration // the machine's clock and the loop's when it began
	steady   time.Time     // since when nobody has set the clock, by the store's time
}

// attempt is a send of an operation.
type attempt struct {
	operation string
	number    int64
}

func newProcessor(w *world) *processor {
	return &processor{
		world: w, name: fmt.Sprintf("life-%d", w.server.life), sending: map[attempt]*sending{}, asking: map[string]*asking{},
		writing: map[string]int{}, wall: w.now + w.skew, up: w.now, steady: w.server.tick(),
	}
}

// house is what commands must know.
func (p *processor) house() pay.House {
	h := pay.House{Process: p.name, Jumped: p.jumped(), Steady: p.steady, Gateways: map[string]pay.Terms{}}
	for _, g := range p.gateways {
		h.Gateways[g.name] = g.terms()
	}
	if p.bug == ClockTrusted {
		h.Jumped, h.Steady = false, time.Time{}
	}
	return h
}

// jumped says whether the clock was set in this life, or the store's is ahead of the
// machine's, as engine.Executor.ClockLost does.
func (p *processor) jumped() bool {
	ahead := (p.now + p.world.skew - p.wall) - (p.now - p.up)
	lost := ahead.Abs() > p.habits.skew || p.server.tick().Sub(p.world.wall()) > p.habits.skew
	p.lost = p.lost || lost
	return lost
}

// act carries an order out.
func (p *processor) act(o *pay.Order) {
	d := due{o.Payment, o.Payment.Operation(o.Operation), p.gatewayOf(o.Payment)}
	if o.Attempt == 0 {
		p.ask(d, sender{})
		return
	}
	s := &sending{world: p.world, gateway: d.gateway, call: o.Payment.Call(d.o), attempt: o.Attempt, life: p.server.life}
	if p.bug == NewIDPerSend && o.Attempt > 1 {
		s.call.Operation += fmt.Sprint("-", o.Attempt)
	}
	s.then = func(f pay.Finding) { p.heard(d, s, f) }
	p.sending[attempt{o.Operation, o.Attempt}] = s
	p.all = append(p.all, s)
	pause := p.between(0, p.habits.latency)
	if p.chance(p.habits.pause, "order carried out late") {
		pause = p.between(0, 3*d.gateway.contract.Lease())
	}
	p.server.later(pause, "processor: sends", func() { p.send(d, s) })
}

// send makes the request, unless it is too late: then somebody may have taken it
// over. What comes between that look and the first byte nobody can keep away.
func (p *processor) send(d due, s *sending) {
	if p.server.crashes(p.habits.crash, "before a send") {
		return
	}
	if !p.server.tick().Before(d.o.LeaseUntil) && p.bug != LeaseUnchecked {
		s.end(pay.Finding{Reach: pay.NeverLeft, Detail: "too late"})
		return
	}
	p.witness.begins(s, d)
	if p.chance(p.habits.pause, "sender paused before the first byte") {
		s.stuck(p.habits.skew, s.leave)
		return
	}
	s.leave()
	p.server.crashes(p.habits.crash, "after a send")
}

// heard writes down what came of a send.
func (p *processor) heard(d due, s *sending, f pay.Finding) {
	if p.server.crashes(p.habits.crash, "before an answer is written down") {
		return
	}
	forget := func() { delete(p.sending, attempt{d.o.ID, s.attempt}) }
	if p.bug == LateAnswerDropped && !p.server.tick().Before(d.o.LeaseUntil) {
		forget()
		return
	}
	p.record(d, pay.Record{Attempt: s.attempt, Finding: &f}, forget)
}

// ask asks the gateway what became of an operation, unless it is being asked, and
// writes down what it said, with what is known of its sender.
func (p *processor) ask(d due, by sender) {
	if p.asking[d.o.ID] != nil || !d.gateway.contract.Lookup {
		return
	}
	r := pay.Record{Began: p.server.tick(), Gone: by.gone, Lost: by.lost, Alone: by.alone, Sender: d.o.Attempt}
	a := &asking{world: p.world, gateway: d.gateway, call: d.payment.Call(d.o), began: p.now}
	p.asking[d.o.ID] = a
	life := p.server.life
	a.then = func(f pay.Finding) {
		if p.server.life != life {
			return
		}
		p.note("asked", d.o.ID+" "+said(&f))
		p.witness.asked(a, f)
		r.Finding = &f
		p.record(d, r, func() { delete(p.asking, d.o.ID) })
	}
	if p.bug == CheckSkipped {
		a.then(pay.Finding{Absent: true})
		return
	}
	p.checks++
	a.leave()
}

// record has something written down, however long that takes, and then says so.
func (p *processor) record(d due, r pay.Record, done func()) {
	r.Ref, r.Operation = d.payment.Ref, d.o.ID
	p.writing[r.Operation]++
	p.file(r, 0, func() {
		p.writing[r.Operation]--
		done()
		p.rest()
	})
}

func (p *processor) file(r pay.Record, try int, done func()) {
	r.House = p.house()
	p.server.order("record "+r.Operation, r.Tenant, r, func(o *engine.Outcome) {
		if o.Err == nil {
			done()
			return
		}
		p.server.later(p.between(0, 10*time.Millisecond<<min(try, 8)), "processor: records again", func() { p.file(r, try+1, done) })
	})
}

// crash ends everything that is at work.
func (p *processor) crash() {
	for _, s := range p.all {
		if !s.stopped {
			s.died()
			p.witness.died(s)
		}
	}
}
