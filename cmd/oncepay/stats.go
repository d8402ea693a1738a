package main

import (
	"context"
	"maps"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/processor"
	"github.com/oncepay/oncepay/web"
)

// stats are what the gateways and the processor have counted, and what is in doubt,
// for /metrics.
func (s *server) stats() (all []web.Stat) {
	counted := s.processor.Stats()
	all = append(all,
		web.Stat{Name: "payments_oldest_due_seconds", Help: "For how long the longest due operation has been due.", Value: counted.OldestDue.Seconds()},
		web.Stat{Name: "payments_stranded", Help: "Operations that are due at a gateway that is not configured, or has not said what it promises, of each up to 1,000.",
			Value: float64(counted.Stranded)},
	)
	all = append(all, s.caution.stat())
	all = append(all, s.doubts()...)
	all = append(all, s.sinkStats()...)
	all = append(all, s.hooks.stats()...)
	for name, g := range counted.Gateways {
		all = append(all, processorStats(name, g)...)
	}
	for name, c := range s.gateways.connectors {
		if c, ok := c.(interface{ Stats() gateway.Stats }); ok {
			all = append(all, callStats(name, c.Stats())...)
		}
	}
	return all
}

// Limits of what a look at /metrics costs.
const (
	mostCounted = 100_000     // of what is in doubt: more is an outage, whatever the number
	countTime   = time.Second // is waited for the store
)

// doubts are how much is in doubt now. What cannot be counted is left out: 0 would
// say that all is well.
func (s *server) doubts() []web.Stat {
	ctx, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	d, err := s.store.CountDoubts(ctx, mostCounted)
	if err != nil {
		s.log.Warn("what is in doubt could not be counted, and is not in /metrics", "err", err)
		return nil
	}
	return []web.Stat{
		{Name: "payments_in_doubt", Help: "Payments that are in doubt now, up to 100,000.", Value: float64(d.Payments)},
		{Name: "payments_needs_review", Help: "Payments that a human must decide now, up to 100,000.", Value: float64(d.Reviews)},
		{Name: "refunds_needs_review", Help: "Refunds that a human must decide now, up to 100,000.", Value: float64(d.Refunds)},
	}
}

// processorStats are what became of the operations of a gateway.
func processorStats(name string, g processor.GatewayStats) []web.Stat {
	stat := func(what, help string, n int64) web.Stat {
		return web.Stat{Name: "payments_" + what, Help: help, Labels: map[string]string{"gateway": name}, Value: float64(n)}
	}
	return []web.Stat{
		stat("due", "Operations that are due and wait: to be looked at, or until the gateway can be asked about one more.", g.Backlog),
		stat("settled_total", "Operations that got a final outcome.", g.Settled),
		stat("parked_total", "Operations that a human must decide.", g.Parked),
		stat("orphaned_total", "Sends whose sender was gone when they were looked at.", g.Gone),
		stat("late_total", "Sends that were not made, because it was too late for them.", g.Late),
		stat("record_retries_total", "Tries to write an answer down that failed.", g.Retried),
		stat("connector_panics_total", "Defects of the connector.", g.Panics),
		stat("notices_total", "Webhooks that were taken.", g.Notices),
		stat("notices_refused_total", "Webhooks that were refused.", g.Refused),
	}
}

// callStats are the calls to a gateway.
func callStats(name string, c gateway.Stats) []web.Stat {
	stat := func(what, help string, n int64, labels map[string]string) web.Stat {
		all := map[string]string{"gateway": name}
		maps.Copy(all, labels)
		return web.Stat{Name: "gateway_" + what, Help: help, Labels: all, Value: float64(n)}
	}
	breaker := func(state string) int64 {
		if c.Breaker == state {
			return 1
		}
		return 0
	}
	all := []web.Stat{
		stat("sends_in_flight", "Sends that wait for their answer.", c.SendsInFlight, nil),
		stat("checks_in_flight", "Checks that wait for their answer.", c.ChecksInFlight, nil),
		stat("sends_total", "Sends of which a byte went out.", c.Sends, nil),
		stat("checks_total", "Checks of which a byte went out.", c.Checks, nil),
		stat("others_total", "Requests about no operation of which a byte went out.", c.Others, nil),
		stat("breaker_open", "1 while the breaker is open: nothing new is taken.", breaker("open"), nil),
		stat("breaker_half_open", "1 while the breaker lets a few sends through, to see whether they are answered.", breaker("half_open"), nil),
	}
	for call, o := range map[string]gateway.Outcomes{"send": c.SendOutcomes, "check": c.CheckOutcomes} {
		for outcome, n := range map[string]int64{
			"succeeded": o.Done, "action_required": o.ActionRequired, "declined": o.Declined, "conflict": o.Conflict,
			"refused": o.Refused, "never_left": o.NeverLeft, "absent": o.Absent, "unknown": o.Unknown,
		} {
			all = append(all, stat("outcomes_total", "What calls came to.", n, map[string]string{"call": call, "outcome": outcome}))
		}
	}
	return all
}
