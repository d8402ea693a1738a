package processor

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// Act carries an order out, in a goroutine of its own: it never waits. It is
// engine.Config.Act.
func (p *Processor) Act(o *pay.Order) {
	d := p.desks[o.Payment.Gateway]
	switch {
	case d == nil: // it stays written down, like all that is due there
	case o.Attempt == 0: // a check: it is due, so that it is found again if there is no place now
		d.put(pay.Due{Ref: o.Payment.Ref, Operation: o.Operation, Gateway: o.Payment.Gateway})
	default:
		if e := newErrand(d, o); p.beginSend(e.attempt) {
			go p.send(e)
		}
	}
}

// errand is a send: what it holds on to while it waits for its answer.
type errand struct {
	attempt
	desk  *desk
	ref   pay.Ref
	call  pay.Call
	lease time.Time // until when it is ours
	acted time.Time
}

func newErrand(d *desk, o *pay.Order) *errand {
	op := o.Payment.Operation(o.Operation)
	return &errand{
		attempt: attempt{op.ID, o.Attempt}, desk: d, ref: o.Payment.Ref, call: o.Payment.Call(op), lease: op.LeaseUntil, acted: time.Now(),
	}
}

// beginSend notes that this process is at a send, so that nobody takes it for
// gone. It says no to one that it is at already.
func (p *Processor) beginSend(a attempt) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, at := p.sending[a]; at || p.closing {
		return false
	}
	p.busy++
	p.sending[a] = struct{}{}
	return true
}

func (p *Processor) endSend(a attempt) {
	p.mu.Lock()
	delete(p.sending, a)
	p.mu.Unlock()
	p.leave()
}

// isSending says whether this process is at the operation's last send, and whether
// it is at any.
func (p *Processor) isSending(o *pay.Operation) (last, some bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := range o.Attempt {
		if _, at := p.sending[attempt{o.ID, n + 1}]; at {
			last, some = n+1 == o.Attempt, true
		}
	}
	return last, some
}

// send sends an operation and has its answer recorded.
func (p *Processor) send(e *errand) {
	defer p.endSend(e.attempt)
	began := p.exec.Now()
	f := p.sendOnce(e)
	p.record(e.desk, pay.Record{
		Ref: e.ref, Operation: e.operation, Attempt: e.number, Began: began, Finding: f,
	}, &pay.Operation{}) // what is sent has no outcome yet
}

// sendOnce makes the request. What is too late is not sent: this process was
// paused after it wrote the send down, and somebody may have taken it over.
func (p *Processor) sendOnce(e *errand) *pay.Finding {
	d, contract := e.desk, e.desk.conn.Terms().Contract
	if !p.exec.Now().Before(e.lease) || time.Since(e.acted) >= contract.Lease() {
		d.meter.late.Add(1)
		return &pay.Finding{Reach: pay.NeverLeft, Detail: "this server was paused before it could be sent"}
	}
	d.meter.sent.Add(1)
	d.meter.sending.Add(1)
	defer d.meter.sending.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), contract.Wait())
	defer cancel()
	return p.guarded(d, &e.call, func() pay.Finding { return d.conn.Send(ctx, e.call) })
}

// guarded makes a panic of a connector what it is to us: nothing was heard.
func (p *Processor) guarded(d *desk, c *pay.Call, ask func() pay.Finding) (f *pay.Finding) {
	defer func() {
		if cause := recover(); cause != nil {
			d.meter.panics.Add(1)
			p.cfg.Log.Error("the connector of a gateway has a defect; its answer counts as unknown",
				"gateway", d.name, "payment", c.Payment, "operation", c.Operation, "cause", cause, "stack", string(debug.Stack()))
			f = &pay.Finding{Detail: "the connector has a defect"}
		}
	}()
	return new(ask())
}
