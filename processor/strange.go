package processor

import (
	"context"
	"maps"
	"time"
)

const (
	surveyPeriod  = time.Second
	strangeTime   = 5 * time.Second // how long a gateway may be strange before anybody is told
	strandedLimit = 1_000           // operations of a strange gateway that are counted: the one who is told looks after all of them
)

// strange is a gateway that something is due at and nobody here may touch: it is
// not configured, or has not said what it promises.
type strange struct {
	since time.Time
	told  bool
}

// survey notes for how long anything has been due, anywhere, and what is due at
// strange gateways.
func (p *Processor) survey(ctx context.Context) {
	now := p.exec.Now()
	longest, err := p.cfg.Store.LongestDue(ctx, now)
	if err != nil {
		p.unread(ctx, err)
		return
	}
	p.meter.due(longest, now)
	stranded := map[string]int{}
	for _, first := range longest {
		if d := p.desks[first.Gateway]; d != nil && !d.conn.Terms().Untold {
			continue
		}
		due, err := p.cfg.Store.DueOperations(ctx, first.Gateway, now, strandedLimit)
		if err != nil {
			p.unread(ctx, err)
			return
		}
		stranded[first.Gateway] = len(due)
	}
	p.tell(stranded)
}

// tell notes how many operations nobody here may touch, and logs it once of each
// gateway for as long as it lasts: a gateway that was just started needs a moment
// to say what it promises.
func (p *Processor) tell(stranded map[string]int) {
	maps.DeleteFunc(p.strange, func(name string, _ *strange) bool { return stranded[name] == 0 })
	all := 0
	for name, n := range stranded {
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
	p.meter.stranded.Store(int64(all))
}
