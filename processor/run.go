package processor

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/oncepay/oncepay/pay"
)

const (
	scanPeriod  = 250 * time.Millisecond // a check or a send that is due begins about that late
	scanCost    = 4                      // a scan that took long is followed by a pause of so many times that
	matchPeriod = time.Second

	dueLimit   = 4_096   // operations that are taken up in a scan, beside those that are known
	startLimit = 16_384  // in the first scan, and doubled as long as there are more
	startMost  = 131_072 // some 20 MB

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
		all.Go(func() { p.attend(ctx, d, &d.due, p.look) })
		all.Go(func() { p.attend(ctx, d, &d.asks, p.askInTurn) })
	}
	all.Go(func() { p.every(ctx, matchPeriod, p.match) })
	p.every(ctx, scanPeriod, func(ctx context.Context) {
		p.takeOver(ctx)
		p.scan(ctx)
	})
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

// takeOver looks at what processes that are gone have left at gateways that were
// not open until now: those leases are void, so their end is not waited for.
func (p *Processor) takeOver(ctx context.Context) {
	var longest time.Duration
	opened := map[string]*desk{}
	for name, d := range p.desks {
		if terms := d.conn.Terms(); !d.open && !terms.Untold {
			opened[name] = d
			longest = max(longest, terms.Contract.Lease())
		}
	}
	if len(opened) == 0 {
		return
	}
	var left []pay.Due
	if p.cfg.Exclusive {
		var err error
		if left, err = p.allDue(ctx, p.exec.Now().Add(longest)); err != nil {
			p.unread(ctx, err)
			return
		}
	}
	byGateway := sorted(left)
	for name, d := range opened {
		d.put(byGateway[name]...)
		d.open = true
	}
}

// sorted puts what is due with its gateway.
func sorted(due []pay.Due) map[string][]pay.Due {
	byGateway := map[string][]pay.Due{}
	for _, x := range due {
		byGateway[x.Gateway] = append(byGateway[x.Gateway], x)
	}
	return byGateway
}

// allDue reads all operations that are due by then, as far as there is room for
// them: what is left then is found when its lease is over.
func (p *Processor) allDue(ctx context.Context, by time.Time) ([]pay.Due, error) {
	for limit := startLimit; ; limit *= 2 {
		due, err := p.cfg.Store.DueOperations(ctx, by, limit)
		if err != nil || len(due) < limit || limit >= startMost {
			return due, err
		}
	}
}

// scan finds what is due. What is due at a gateway that is not configured, or has
// not said yet what it promises, is left as it is: nobody here knows what may be
// done about it.
func (p *Processor) scan(ctx context.Context) {
	p.warn(ctx)
	limit := dueLimit + min(int(p.meter.strangers.Load()), startMost)
	for _, d := range p.desks {
		limit += d.known()
	}
	now := p.exec.Now()
	due, err := p.cfg.Store.DueOperations(ctx, now, limit)
	if err != nil {
		p.unread(ctx, err)
		return
	}
	p.meter.due(due, now)
	strangers := map[string]int{}
	for name, at := range sorted(due) {
		if d := p.desks[name]; d != nil && d.open {
			d.put(at...)
		} else {
			strangers[name] = len(at)
		}
	}
	p.tell(strangers)
}

// tell notes how many operations nobody here may touch, and logs it once of each
// gateway for as long as it lasts: a gateway that was just started needs a moment
// to say what it promises.
func (p *Processor) tell(strangers map[string]int) {
	maps.DeleteFunc(p.strange, func(name string, _ *strange) bool { return strangers[name] == 0 })
	all := 0
	for name, n := range strangers {
		all += n
		s := p.strange[name]
		if s == nil {
			s = &strange{since: time.Now()}
			p.strange[name] = s
		}
		if !s.told && time.Since(s.since) >= strangeTime {
			s.told = true
			p.cfg.Log.Error("payments are due at a gateway that is not configured, or has not said yet what it promises",
				"gateway", name, "payments", n)
		}
	}
	p.meter.strangers.Store(int64(all))
}

// strange is a gateway that nothing may be done about.
type strange struct {
	since time.Time
	told  bool
}

// strangeTime is how long a gateway may be strange before anybody is told.
const strangeTime = 5 * time.Second

// warn has all that is open looked at when the clock is lost, due or not: what is
// written down then is not sent again by time later on, when nobody knows any more
// for how long the store's time stood still.
func (p *Processor) warn(ctx context.Context) {
	lost := p.cfg.Jumped()
	if !lost || p.warned {
		p.warned = lost
		return
	}
	open, err := p.allDue(ctx, p.exec.Now().Add(allOpen))
	if err != nil {
		p.unread(ctx, err)
		return
	}
	for name, at := range sorted(open) {
		if d := p.desks[name]; d != nil && d.open {
			d.put(at...)
			d.lookAgain()
		}
	}
	p.warned = true
}

// allOpen is by when all that is open is due, whatever it waits for.
const allOpen = 100 * 365 * 24 * time.Hour

func (p *Processor) unread(ctx context.Context, err error) {
	if ctx.Err() == nil {
		p.cfg.Log.Warn("what is due could not be read; it is read again", "err", err)
	}
}

// attend has something done about what waits in a queue of a desk, until ctx ends.
// What do returns waits again.
func (p *Processor) attend(ctx context.Context, d *desk, q *fairQueue, do func(context.Context, *desk) (again []pay.Due)) {
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
