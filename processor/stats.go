package processor

import (
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// Stats is what a processor has done and has at hand.
type Stats struct {
	Gateways  map[string]GatewayStats
	OldestDue time.Duration // for how long the longest due operation has been due
	Stranded  int           // operations that are due at gateways that are not configured, or have not said what they promise; of each gateway's up to 1,000 are counted
}

// GatewayStats is Stats of one gateway.
type GatewayStats struct {
	Sending  int64 // sends at work
	Checking int64 // checks at work
	Backlog  int64 // operations that are due and wait: to be looked at, or until the gateway can be asked about one more

	Sent    int64 // sends that were made
	Late    int64 // sends that were not made, because it was too late for them
	Checked int64 // checks that were made
	Gone    int64 // sends whose sender was gone, or lost, when they were looked at
	Settled int64 // operations that got a final outcome, by an answer or by a check
	Parked  int64 // operations that a human must decide
	Retried int64 // tries to record an answer that failed
	Panics  int64 // of the connector
	Notices int64 // webhooks that were taken
	Refused int64 // webhooks that the connector refused
}

// meter counts. Its methods are safe for concurrent use.
type meter struct {
	oldest   atomic.Int64 // a duration
	stranded atomic.Int64
}

type gatewayMeter struct {
	sending, checking                                                             atomic.Int64
	sent, late, checked, gone, settled, parked, retried, panics, notices, refused atomic.Int64
}

// due notes for how long the longest due of all gateways has been due.
func (m *meter) due(longest []pay.Due, now time.Time) {
	var oldest time.Duration
	for _, x := range longest {
		oldest = max(oldest, now.Sub(x.At))
	}
	m.oldest.Store(int64(oldest))
}

// filed counts what became of an operation.
func (p *Processor) filed(d *desk, f *filing, before *pay.Operation) {
	if f.Gone || f.Lost {
		d.meter.gone.Add(1)
	}
	p.callFor(d, f.review)
	if f.settled && !before.Outcome.Final() {
		d.meter.settled.Add(1)
	}
}

// Stats returns the counts so far.
func (p *Processor) Stats() Stats {
	s := Stats{
		Gateways:  make(map[string]GatewayStats, len(p.desks)),
		OldestDue: time.Duration(p.meter.oldest.Load()), Stranded: int(p.meter.stranded.Load()),
	}
	for name, d := range p.desks {
		s.Gateways[name] = d.stats()
	}
	return s
}

func (d *desk) stats() GatewayStats {
	m := &d.meter
	return GatewayStats{
		Sending: m.sending.Load(), Checking: m.checking.Load(), Backlog: int64(d.waiting()),
		Sent: m.sent.Load(), Late: m.late.Load(), Checked: m.checked.Load(), Gone: m.gone.Load(), Settled: m.settled.Load(),
		Parked: m.parked.Load(), Retried: m.retried.Load(), Panics: m.panics.Load(), Notices: m.notices.Load(), Refused: m.refused.Load(),
	}
}

// waiting is how many operations wait.
func (d *desk) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.due.Len() + d.asks.Len()
}
