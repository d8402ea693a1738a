package processor

import (
	"context"
	"sync"
	"time"

	"github.com/oncepay/oncepay/pay"
)

const (
	scanPeriod  = 250 * time.Millisecond // a check or a send that is due begins about that late
	scanCost    = 4                      // a scan that took long is followed by a pause of so many times that
	matchPeriod = time.Second

	dueLimit   = 4_096  // operations that are taken up in a scan, beside those that are known
	startLimit = 16_384 // in the first scan, and doubled as long as there are more
	startMost  = 131_072

	lookAtOnce = 256 // operations that are loaded together: what a gateway is asked about next is not old
	matchLimit = 256
)

// Run looks after what is due until ctx ends: at first after all that other
// processes have left. Orders are carried out with or without it; but a payment
// whose gateway does not answer at once needs it. What was begun goes on when
// Run returns; see Close.
func (p *Processor) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, d := range p.desks {
		all.Go(func() { p.attend(ctx, d) })
	}
	all.Go(func() { p.every(ctx, matchPeriod, p.match) })
	p.takeOver(ctx)
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

// takeOver looks at what processes that are gone have left: their leases are
// void, so nothing is waited for.
func (p *Processor) takeOver(ctx context.Context) {
	if !p.cfg.Exclusive {
		return
	}
	horizon := p.exec.Now().Add(p.longestLease())
	for limit := startLimit; ; limit *= 2 {
		due, err := p.cfg.Store.DueOperations(ctx, horizon, limit)
		if err != nil {
			p.cfg.Log.Warn("what is due could not be read; it is read again", "err", err)
			return
		}
		if len(due) < limit || limit >= startMost {
			p.put(due)
			return
		}
	}
}

func (p *Processor) longestLease() (longest time.Duration) {
	for _, d := range p.desks {
		longest = max(longest, d.conn.Terms().Contract.Lease())
	}
	return longest
}

// scan finds what is due.
func (p *Processor) scan(ctx context.Context) {
	limit := dueLimit + int(p.meter.strangers.Load())
	for _, d := range p.desks {
		limit += d.known()
	}
	now := p.exec.Now()
	due, err := p.cfg.Store.DueOperations(ctx, now, limit)
	if err != nil {
		if ctx.Err() == nil {
			p.cfg.Log.Warn("what is due could not be read; it is read again", "err", err)
		}
		return
	}
	p.meter.due(due, now)
	p.put(due)
}

// put has what is due looked at. What is due at a gateway that is not configured
// is left as it is: nothing is known of its contract.
func (p *Processor) put(due []pay.Due) {
	strangers := 0
	for _, x := range due {
		if d := p.desks[x.Gateway]; d != nil {
			d.put(x)
			continue
		}
		if strangers++; strangers == 1 && p.meter.strangers.Load() == 0 {
			p.cfg.Log.Error("payments are due at a gateway that is not configured", "gateway", x.Gateway, "payment", x.ID)
		}
	}
	p.meter.strangers.Store(int64(strangers))
}

// attend looks at what is due at a gateway until ctx ends.
func (p *Processor) attend(ctx context.Context, d *desk) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
		p.look(ctx, d, d.take(lookAtOnce))
	}
}
