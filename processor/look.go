package processor

import (
	"context"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// doing is what the processor does about an operation that is due.
type doing uint8

const (
	leave doing = iota // a send of it is at work
	ask                // the gateway
	write              // down what is next: a send and its order, until when it waits, why a human must decide
)

// look loads operations that are due and does what there is to do about them. It
// waits for slots: who has many checks to make is not given more. It returns what
// must be looked at again, because the store did not do its part.
func (p *Processor) look(ctx context.Context, d *desk, due []pay.Due) (again []pay.Due) {
	if len(due) == 0 {
		return nil
	}
	payments, err := p.load(ctx, due)
	if err != nil {
		p.unread(ctx, err)
		return due
	}
	var asks, writes []question
	for _, x := range due {
		what := question{payment: payments[x.Ref]}
		switch p.next(d, &what, x.Operation) {
		case ask:
			asks = append(asks, what)
		case write:
			writes = append(writes, what)
		default:
			d.release(x.Operation)
		}
	}
	again = p.writeAll(ctx, d, writes)
	for _, what := range asks {
		p.askInTurn(ctx, d, what)
	}
	return again
}

// load loads the payments of what is due, all at once.
func (p *Processor) load(ctx context.Context, due []pay.Due) (map[pay.Ref]*pay.Payment, error) {
	payments := make(map[pay.Ref]*pay.Payment, len(due))
	var need engine.Need
	for _, x := range due {
		if _, named := payments[x.Ref]; !named {
			payments[x.Ref] = nil
			need.Payments.Payments = append(need.Payments.Payments, x.Ref)
		}
	}
	rows, err := p.cfg.Store.Load(ctx, need)
	for _, payment := range rows.Payments {
		payments[payment.Ref] = payment
	}
	return payments, err
}

// next completes the question, and says what to do about it.
func (p *Processor) next(d *desk, what *question, operation string) doing {
	if what.payment == nil {
		return leave
	}
	o := what.payment.Operation(operation)
	if o == nil {
		return leave
	}
	what.operation, what.fate = o, p.fateOf(o)
	terms, now := d.conn.Terms(), p.exec.Now()
	contract := terms.Contract
	move := terms.Next(o, pay.Clock{Now: now, Jumped: p.cfg.Jumped(), Steady: p.cfg.Steady()})
	switch {
	case terms.Untold:
		return leave
	case what.fate != fate{} && contract.Lookup:
		return ask
	case what.fate != fate{}:
		return write
	case move.Do == pay.Check && !move.At.After(now):
		return ask
	case !o.LeaseUntil.IsZero():
		return leave
	default:
		return write
	}
}

// writeAll has what is next written down, and returns what the store did not take.
func (p *Processor) writeAll(ctx context.Context, d *desk, all []question) (again []pay.Due) {
	if len(all) == 0 {
		return nil
	}
	house := p.House()
	jobs := make([]*engine.Job, len(all))
	filings := make([]*filing, len(all))
	for i, what := range all {
		filings[i] = &filing{Record: pay.Record{
			Ref: what.payment.Ref, Operation: what.operation.ID, House: house,
			Gone: what.fate.gone, Lost: what.fate.lost, Alone: what.fate.alone, Sender: what.operation.Attempt,
		}}
		jobs[i] = &engine.Job{Tenant: what.payment.Tenant, Payment: filings[i]}
	}
	for i, o := range p.exec.DoAll(ctx, jobs) {
		switch {
		case busy(o.Err):
			again = append(again, pay.Due{Ref: filings[i].Ref, Operation: filings[i].Operation, Gateway: d.name})
			continue
		case o.Err != nil:
			p.unrecorded(d, filings[i].Record, o.Err)
		default:
			p.filed(d, filings[i], all[i].operation)
		}
		d.release(filings[i].Operation)
	}
	return again
}

// askInTurn asks when there is a slot, in a goroutine of its own.
func (p *Processor) askInTurn(ctx context.Context, d *desk, what question) {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		d.release(what.operation.ID)
		return
	}
	q, begun := d.ask(what.operation.ID)
	if !begun || !p.enter() { // somebody asks already: what is still due then is found again
		if begun {
			d.answered(what.operation.ID, q, ErrClosed)
		}
		<-d.slots
		d.release(what.operation.ID)
		return
	}
	go func() {
		defer p.leave()
		defer func() { <-d.slots }()
		defer d.release(what.operation.ID)
		p.inquire(d, what, q)
	}()
}
