package processor

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/oncepay/oncepay/pay"
)

const (
	scanPeriod  = 250 * time.Millisecond // a check or a send that is due begins about that late
	scanCost    = 4                      // a scan that took long is followed by a pause of so many times that
	matchPeriod = time.Second

	dueLimit = 4_096                // operations of a gateway that are taken up in a scan, beside those that are known
	allLimit = maxHeld + maxResting // where all of them are to be: as many as there can be room for

	lookAtOnce = 256 // operations that are loaded together: what a gateway is asked about next is not old
	matchLimit = 256 // notices of a gateway

	// What waits to be asked about is looked at again after so long: by then it may
	// have to be sent, or left to a human, instead. Of all that a desk can hold it is
	// some 1,100 loads a second.
	linePeriod = time.Minute
)

// Run looks after what is due until ctx ends: at first after all that other
// processes have left. Orders are carried out with or without it; but a payment
// whose gateway does not answer at once needs it. What was begun goes on when
// Run returns; see Close.
func (p *Processor) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, d := range p.desks {
		all.Go(func() { p.attend(ctx, d, &d.due, p.look) })
		all.Go(func() { p.attend(ctx, d, &d.asks, p.askInTurn) })
	}
	all.Go(func() { p.every(ctx, matchPeriod, p.match) })
	all.Go(func() { p.every(ctx, surveyPeriod, p.survey) })
	p.every(ctx, scanPeriod, p.scan)
	all.Wait()
}

// every does something now and then until ctx ends, and takes no more than its
// share of the machine and of the store.
func (p *Processor) every(ctx context.Context, period time.Duration, do func(context.Context)) {
	for {
		began := time.Now()
		do(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(period, scanCost*time.Since(began))):
		}
	}
}

// scan finds what is due, at each gateway by itself: however much that is at one,
// it hides nothing of another.
func (p *Processor) scan(ctx context.Context) {
	var errs []error
	for _, d := range p.desks {
		errs = append(errs, p.find(ctx, d))
	}
	p.unread(ctx, errors.Join(errs...))
}

// find has looked at what is due at a gateway. What is due at one that has not said
// yet what it promises is left as it is: nobody here knows what may be done about it.
func (p *Processor) find(ctx context.Context, d *desk) error {
	terms, lost := d.conn.Terms(), p.cfg.Jumped()
	d.warned = d.warned && lost
	if terms.Untold {
		return nil
	}
	ahead, limit := p.ahead(d, terms.Contract, lost), allLimit
	if ahead == 0 {
		limit = dueLimit + d.known()
	}
	due, err := p.cfg.Store.DueOperations(ctx, d.name, p.exec.Now().Add(ahead), limit)
	if err != nil {
		return err
	}
	if !p.cfg.Exclusive { // those who share the store begin at different ends of what is due
		rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	}
	d.put(due...)
	if ahead == allOpen || time.Since(d.looked) >= linePeriod {
		d.lookAgain()
		d.looked = time.Now()
	}
	d.open, d.warned = true, lost
	return nil
}

// ahead is how long before its time what is to be done at a gateway is looked at.
// What processes that are gone have left there is not waited for: their leases are
// void. When the clock is lost nothing is: what is written down then is not sent
// again by time later on, when nobody knows any more for how long the store's time
// was slow.
func (p *Processor) ahead(d *desk, c pay.Contract, lost bool) time.Duration {
	switch {
	case lost && !d.warned:
		return allOpen
	case !d.open && p.cfg.Exclusive:
		return c.Lease()
	default:
		return 0
	}
}

// allOpen is how long before its time all that is open is due, whatever it waits for.
const allOpen = 100 * 365 * 24 * time.Hour

func (p *Processor) unread(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		p.cfg.Log.Warn("what is due could not be read; it is read again", "err", err)
	}
}

// attend has something done about what waits in a queue of a desk, until ctx ends.
// What do returns waits again.
func (p *Processor) attend(ctx context.Context, d *desk, q *dueQueue, do func(context.Context, *desk) (again []pay.Due)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
		again := do(ctx, d)
		if len(again) == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(scanPeriod): // a store that fails is not asked in a tight loop
			d.wait(q, again...)
		}
	}
}
