package sim

import (
	"time"

	"github.com/oncepay/oncepay/pay"
)

// sending is one send of an operation, from when a sender takes it up until it
// has stopped.
type sending struct {
	*world
	gateway *gateway
	call    pay.Call
	attempt int64
	then    func(pay.Finding) // the sender is told once, if it lives

	life      int
	begun     bool
	repeats   bool // an earlier one may have arrived
	left      bool // the first byte of it did
	arrived   bool
	stopped   bool
	stoppedAt time.Duration
}

// leave puts the request on the wire, in one of the ways that it can go.
func (s *sending) leave() {
	g := s.gateway
	if s.chance(s.habits.unreachable, "gateway unreachable") || g.down() && s.luck.IntN(2) == 0 {
		s.stop(pay.Finding{Reach: pay.NeverLeft, Detail: "connection refused"})
		return
	}
	s.left = true
	s.witness.left(s)
	s.within(s.gateway.promise.timeout, "sender: no answer", func() { s.stop(s.timeout()) })
	switch {
	case g.down():
		s.cut("HTTP 503")
	case s.chance(s.habits.vanish, "send lost"):
	case s.chance(s.habits.late, "send late"): // its sender has given up by then
		s.after(g.promise.timeout+s.between(0, g.promise.flight), "network: send arrives late", s.arrive)
	case s.chance(s.habits.early, "send broken"): // an error comes back, and the request arrives all the same, or not
		s.cut("connection reset")
		if s.luck.IntN(2) == 0 {
			s.after(s.between(0, g.promise.flight), "network: send arrives after the error", s.arrive)
		}
	default:
		s.after(s.swift(), "network: send", s.arrive)
	}
}

// swift is how long a request or an answer takes that is neither lost nor late.
func (s *sending) swift() time.Duration {
	most := s.habits.latency
	if s.chance(s.habits.slow, "gateway slow") {
		most = s.gateway.promise.timeout
	}
	return s.between(0, most)
}

func (s *sending) cut(how string) {
	s.within(s.between(0, s.habits.latency), "network: "+how, func() { s.stop(pay.Finding{Detail: how}) })
}

// within has something happen to the sender, unless it has stopped by then.
func (s *sending) within(d time.Duration, name string, run func()) {
	s.after(d, name, func() {
		if !s.stopped {
			run()
		}
	})
}

// arrive is when the gateway has the request: at most L after its sender stopped.
func (s *sending) arrive() {
	if s.stopped && s.now > s.stoppedAt+s.gateway.promise.flight || s.gateway.down() {
		return
	}
	s.arrived = true
	answer := s.gateway.execute(s.call)
	switch {
	case s.chance(s.habits.garble, "answer garbled"):
		s.cut(pick(s.loop, "HTTP 500", "not JSON", "HTTP 302", "cut off"))
	case s.chance(s.habits.vanish, "answer of a gateway lost"):
	default:
		s.within(s.swift(), "network: answer of a gateway", func() { s.stop(answer) })
	}
}

func (s *sending) timeout() pay.Finding {
	if s.bug == TimeoutIsFailure {
		return pay.Finding{Outcome: pay.Declined, Failure: pay.Failure{Code: "gateway_unavailable"}}
	}
	return pay.Finding{Detail: "no answer"}
}

// stop ends the send: its sender knows what it will ever know. It may take it a
// while to say so.
func (s *sending) stop(f pay.Finding) {
	if s.chance(s.habits.pause, "sender paused") {
		s.stuck(pick(s.loop, s.habits.skew, 40*time.Minute), func() { s.end(f) })
		return
	}
	s.end(f)
}

// stuck lets a while pass, and then goes on if nothing has ended it.
func (s *sending) stuck(most time.Duration, run func()) {
	s.within(s.between(0, most), "sender: goes on", run)
}

func (s *sending) end(f pay.Finding) {
	s.died()
	s.note("answered", s.call.Operation+" "+said(&f))
	s.witness.ended(s, f)
	s.then(f)
}

// died ends the sender without a word.
func (s *sending) died() { s.stopped, s.stoppedAt = true, s.now }

// asking is one check.
type asking struct {
	*world
	gateway *gateway
	call    pay.Call
	began   time.Duration
	over    bool
	then    func(pay.Finding)
}

func (a *asking) leave() {
	end := func(f pay.Finding) func() {
		return func() {
			if !a.over {
				a.over = true
				a.then(f)
			}
		}
	}
	a.after(a.gateway.promise.timeout, "checker: no answer", end(pay.Finding{Detail: "no answer"}))
	if a.gateway.down() || a.chance(a.habits.blank, "check fails") {
		a.after(a.between(0, a.habits.latency), "network: check fails", end(pay.Finding{Detail: "HTTP 503"}))
		return
	}
	a.after(a.between(0, a.habits.latency), "network: check", func() {
		found := a.gateway.lookup(a.call.Operation)
		a.after(a.between(0, a.habits.latency), "network: what a check found", end(found))
	})
}

// said says a finding in a line.
func said(f *pay.Finding) string {
	if f.Absent {
		return "not found"
	}
	return f.Outcome.String() + " " + f.Detail
}
