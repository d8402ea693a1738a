package processor

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// doing is what the processor does about an operation that is due.
type doing uint8

const (
	letBe     doing = iota // a send of it is at work
	askAbout               // at the gateway
	writeDown              // what is next: a send and its order, until when it waits, why a human must decide
)

// look looks at what is due, and does what there is to do about it. Nothing waits
// for a slot here: what the gateway is to be asked about when there is none is put
// in line, and what has only to be written is written. It returns what must be
// looked at again, because the store did not do its part.
func (p *Processor) look(ctx context.Context, d *desk) (again []pay.Due) {
	due := d.take(&d.due, lookAtOnce)
	asks, writes, err := p.sort(ctx, d, due)
	if err != nil {
		return due
	}
	for len(asks) > 0 && d.seize() {
		p.ask(d, asks[0])
		asks = asks[1:]
	}
	d.wait(&d.asks, dueOf(asks)...)
	return p.writeAll(ctx, d, writes)
}

// askInTurn asks about what is in line as slots get free. It has waited, for
// however long: so it is loaded again, and only what is still to be asked about
// is. It returns what stays in line, because the store did not do its part.
func (p *Processor) askInTurn(ctx context.Context, d *desk) (again []pay.Due) {
	slots := d.reserve(ctx, lookAtOnce)
	due := d.take(&d.asks, slots)
	asks, writes, err := p.sort(ctx, d, due)
	d.free(slots - len(asks))
	if err != nil {
		return due
	}
	for _, what := range asks {
		p.ask(d, what)
	}
	d.wait(&d.due, dueOf(writes)...)
	return nil
}

// sort loads operations and says what there is to do about them. Those that are
// left alone are released.
func (p *Processor) sort(ctx context.Context, d *desk, due []pay.Due) (asks, writes []question, err error) {
	if len(due) == 0 {
		return nil, nil, nil
	}
	payments, err := p.load(ctx, due)
	if err != nil {
		p.unread(ctx, err)
		return nil, nil, err
	}
	for _, x := range due {
		what := question{payment: payments[x.Ref]}
		switch p.next(d, &what, x.Operation) {
		case askAbout:
			asks = append(asks, what)
		case writeDown:
			writes = append(writes, what)
		default:
			d.release(x.Operation)
		}
	}
	return asks, writes, nil
}

// dueOf is what was to be looked at.
func dueOf(all []question) []pay.Due {
	due := make([]pay.Due, len(all))
	for i, what := range all {
		due[i] = pay.Due{Ref: what.payment.Ref, Operation: what.operation.ID, Gateway: what.payment.Gateway}
	}
	return due
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
		return letBe
	}
	o := what.payment.Operation(operation)
	if o == nil {
		return letBe
	}
	what.operation, what.fate = o, p.fateOf(o)
	terms := d.conn.Terms()
	clock := p.House().Clock(p.exec.Now())
	move := terms.Next(o, clock)
	atWork := !o.LeaseUntil.IsZero() && what.fate == fate{}
	if pause := p.others(o, clock); pause > 0 {
		d.rest(o.ID, time.Now().Add(pause))
		return letBe
	}
	switch {
	case terms.Untold:
		return letBe
	case clock.Jumped && o.Repeatable() && !atWork: // that the clock is lost must not wait for an answer
		return writeDown
	case what.fate != fate{} && terms.Contract.Lookup:
		return askAbout
	case move.Do == pay.Check && !move.At.After(clock.Now):
		return askAbout
	case atWork:
		return letBe
	default:
		return writeDown
	}
}

// others is for how long what is due is left to whoever shares the store. The process
// that sent an operation is the one that looks after it. Only if it has not done so
// for a while is it gone, or too busy, and then the others come one after the other:
// when the second one comes, the first has seen to it. Nothing but the number of
// checks depends on that: what comes of them is fenced.
func (p *Processor) others(o *pay.Operation, k pay.Clock) time.Duration {
	if p.cfg.Exclusive || k.Jumped || o.Owner == p.cfg.Process {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(p.cfg.Process))
	h.Write([]byte(o.ID))
	turn := leftTime + time.Duration(h.Sum32()%1024)*(turnTime/1024)
	return o.DueAt.Add(turn).Sub(k.Now)
}

const (
	leftTime = time.Second     // after which whoever sent it should have looked: four scans
	turnTime = 2 * time.Second // within which each of the others has its turn: few checks take a tenth of that
)

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

// ask asks about an operation, in a goroutine of its own. The caller has taken a
// slot for it.
func (p *Processor) ask(d *desk, what question) {
	id := what.operation.ID
	q, begun := d.ask(id)
	if !begun || !p.enter() { // somebody asks already: what is still due then is found again
		if begun {
			d.answered(id, q, ErrClosed)
		}
		d.free(1)
		d.release(id)
		return
	}
	go func() {
		defer p.leave()
		defer d.free(1)
		defer d.release(id)
		p.inquire(d, what, q)
	}()
}
