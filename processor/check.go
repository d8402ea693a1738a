package processor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// question is what a gateway is to be asked.
type question struct {
	payment   *pay.Payment
	operation *pay.Operation
	fate      fate
}

// fate is what is known of whoever sent an operation last, if nothing was heard
// of it; and, if it is gone, whether those are too that were lost before.
type fate struct{ gone, lost, alone bool }

// fateOf judges by the lease, and by what this process is at. The order matters:
// if this process was paused between writing a send down and beginning it, and
// the lease is over when it is looked at, then it is over for the send as well.
func (p *Processor) fateOf(o *pay.Operation) (f fate) {
	over := !p.exec.Now().Before(o.LeaseUntil)
	last, some := p.isSending(o)
	switch {
	case o.LeaseUntil.IsZero(): // its last sender was heard of, or is lost itself
		f.gone = o.Adrift > 0 && p.cfg.Exclusive && !some
	case o.Owner != p.cfg.Process && p.cfg.Exclusive:
		f.gone = true
	case over:
		f.lost = o.Owner != p.cfg.Process || last
		f.gone = !f.lost
	}
	f.alone = f.gone && p.cfg.Exclusive && !some
	return f
}

// inquire asks a gateway, and has recorded what it said. The caller has a slot of
// the desk, and has begun q.
func (p *Processor) inquire(d *desk, what question, q *inquiry) {
	o := what.operation
	r := pay.Record{
		Ref: what.payment.Ref, Operation: o.ID, Began: p.exec.Now(),
		Gone: what.fate.gone, Lost: what.fate.lost, Alone: what.fate.alone, Sender: o.Attempt,
	}
	r.Finding = p.checkOnce(d, new(what.payment.Call(o)))
	d.answered(o.ID, q, p.record(d, r, o))
}

func (p *Processor) checkOnce(d *desk, c *pay.Call) *pay.Finding {
	d.meter.checked.Add(1)
	d.meter.checking.Add(1)
	defer d.meter.checking.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), d.conn.Terms().Contract.Wait())
	defer cancel()
	return p.guarded(d, c, func() pay.Finding { return d.conn.Check(ctx, *c) })
}

// Check asks the gateway what became of a payment: see pay.Payment.Questions. It
// returns when the answers are recorded, or ctx ends; what was begun goes on. It
// fails with ErrNoPayment, ErrNoGateway, ErrUntold, ErrCannotAsk or ErrClosed, or
// because the store does.
func (p *Processor) Check(ctx context.Context, ref pay.Ref) error {
	rows, err := p.cfg.Store.Load(ctx, engine.Need{Payments: pay.Rows{Payments: []pay.Ref{ref}}})
	if err != nil {
		return fmt.Errorf("check %s: %w", ref.ID, err)
	}
	if len(rows.Payments) == 0 {
		return ErrNoPayment
	}
	payment := rows.Payments[0]
	d := p.desks[payment.Gateway]
	switch {
	case d == nil:
		return fmt.Errorf("%w: %s", ErrNoGateway, payment.Gateway)
	case d.conn.Terms().Untold:
		return fmt.Errorf("%w: %s", ErrUntold, d.name)
	case !d.conn.Terms().Contract.Lookup:
		return fmt.Errorf("%w: %s", ErrCannotAsk, d.name)
	}
	return p.checkAll(ctx, d, payment)
}

// checkAll asks about all of a payment's questions at once, as far as the desk has
// slots: each may take as long as the gateway may, and somebody waits for the last.
func (p *Processor) checkAll(ctx context.Context, d *desk, payment *pay.Payment) error {
	questions := payment.Questions()
	wrong := make([]error, len(questions))
	var all sync.WaitGroup
	for i, o := range questions {
		all.Go(func() { wrong[i] = p.checkNow(ctx, d, question{payment, o, p.fateOf(o)}) })
	}
	all.Wait()
	return errors.Join(wrong...)
}

// checkNow asks, or waits for somebody who does. One who began before may have
// seen less, so only the second one that is waited for counts.
func (p *Processor) checkNow(ctx context.Context, d *desk, what question) error {
	for range 2 {
		q, begun := d.ask(what.operation.ID)
		if begun {
			go p.inquireInTurn(ctx, d, what, q)
		}
		select {
		case <-q.done:
			if begun || q.err != nil {
				return q.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// inquireInTurn asks when there is a slot, unless the caller gave up before.
func (p *Processor) inquireInTurn(ctx context.Context, d *desk, what question, q *inquiry) {
	if !p.enter() {
		d.answered(what.operation.ID, q, ErrClosed)
		return
	}
	defer p.leave()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
		p.inquire(d, what, q)
	case <-ctx.Done():
		d.answered(what.operation.ID, q, ctx.Err())
	}
}
