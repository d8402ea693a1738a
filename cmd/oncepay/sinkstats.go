package main

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/web"
)

// sinkStats are how the sinks are doing: those that this server relays to, and how far each
// has come, whoever relays.
func (s *server) sinkStats() (all []web.Stat) {
	for name, r := range s.sinks.relays {
		n := r.Stats()
		all = append(all,
			sinkStat(name, "relaying", "1 if this server relays to the sink.", oneIf(n.Holding)),
			sinkStat(name, "in_flight", "Events that were published and are not acknowledged.", float64(n.InFlight)),
			sinkStat(name, "published_total", "Events that were published, repeats included.", float64(n.Published)),
			sinkStat(name, "acknowledged_total", "Events that were acknowledged, repeats included.", float64(n.Acknowledged)),
			sinkStat(name, "failed_total", "Publishes that were refused, or of which nothing was heard.", float64(n.Failed)),
		)
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	states, err := s.store.Sinks(ctx)
	if err != nil {
		s.log.Warn("how far sinks have come could not be read, and is not in /metrics", "err", err)
		return all
	}
	for _, state := range states {
		oldest := 0.0
		if !state.OldestAt.IsZero() {
			oldest = max(0, time.Since(state.OldestAt).Seconds())
		}
		all = append(all,
			sinkStat(state.Sink, "lag", "Events that the sink has not acknowledged: at most so many.", float64(state.Lag)),
			sinkStat(state.Sink, "oldest_unsent_seconds", "Age of the first event that the sink has not acknowledged; 0: there is none.", oldest),
		)
	}
	return all
}

func sinkStat(sink, what, help string, value float64) web.Stat {
	return web.Stat{Name: "sink_" + what, Help: help, Labels: map[string]string{"sink": sink}, Value: value}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
