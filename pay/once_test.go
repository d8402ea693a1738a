package pay_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/pay"
)

// side is a gateway that keeps its contract and nothing else: it does what it is
// sent every time, but for the same id inside its window, by its own clock; what it
// is sent may be on its way for L; its lookup may miss what happened less than H
// ago; it answers as it likes, and never the untruth.
type side struct {
	t        *rapid.T
	contract pay.Contract
	window   time.Duration // by our clock
	coming   []arrival
	first    map[string]time.Time // when it remembers an id from
	done     []time.Time
}

// arrival is a send that arrives, or is going to.
type arrival struct {
	id string
	at time.Time
}

func newSide(t *rapid.T, c pay.Contract) *side {
	drift := rapid.SampledFrom([]time.Duration{0, 5 * time.Minute}).Draw(t, "its clock is ahead after W")
	return &side{t: t, contract: c, window: c.Window - drift, first: map[string]time.Time{}}
}

// arrive has everything arrive that is on its way until then.
func (s *side) arrive(until time.Time) {
	var still []arrival
	slices.SortStableFunc(s.coming, func(a, b arrival) int { return a.at.Compare(b.at) })
	for _, a := range s.coming {
		if a.at.After(until) {
			still = append(still, a)
			continue
		}
		if first, knows := s.first[a.id]; !knows || !a.at.Before(first.Add(s.window)) {
			s.first[a.id], s.done = a.at, append(s.done, a.at)
		}
	}
	s.coming = still
}

// truth is what it says when it says something.
func (s *side) truth(of int) *pay.Finding {
	f := done(100 * int64(of))
	if of > 1 {
		f.Outcome = pay.Conflict
	}
	return &f
}

// lookup is what a check finds that began then.
func (s *side) lookup(began time.Time) *pay.Finding {
	s.arrive(began)
	seen := 0
	for _, at := range s.done {
		if !at.After(began.Add(-s.contract.LookupLag)) || rapid.Bool().Draw(s.t, "seen already") {
			seen++
		}
	}
	switch {
	case rapid.IntRange(0, 2).Draw(s.t, "no answer") == 0:
		return &silence
	case seen > 0:
		return s.truth(seen)
	default:
		return &absent
	}
}

// soon is a gateway that forgets after six minutes, and cannot be asked.
var soon = with(blind, func(c *pay.Contract) { c.Window = 6 * time.Minute })

// line is a payment, its gateway, and what is known of the sends on their way.
type line struct {
	*world
	side  *side
	p     *pay.Payment
	mute  int64 // the send that nobody heard of; 0: none
	stays bool  // its sender has not stopped
}

// send carries an order out, with whatever fate.
func (l *line) send(o *pay.Order) {
	wait := l.side.contract.Wait()
	end := l.now.Add(rapid.SampledFrom([]time.Duration{0, wait / 2, wait}).Draw(l.side.t, "takes"))
	arrives := l.now.Add(rapid.SampledFrom([]time.Duration{0, wait / 2, wait, end.Sub(l.now) + l.side.contract.InFlight}).Draw(l.side.t, "arrives"))
	var f *pay.Finding
	switch rapid.SampledFrom([]string{"silence", "silence", "answer", "unsent", "refused", "vanishes", "stays"}).Draw(l.side.t, "fate") {
	case "silence":
		f = &silence
		if rapid.Bool().Draw(l.side.t, "arrives at all") {
			l.side.coming = append(l.side.coming, arrival{o.Operation, arrives})
		}
	case "answer":
		l.side.coming = append(l.side.coming, arrival{o.Operation, l.now})
		l.side.arrive(l.now)
		f = l.side.truth(1)
	case "unsent":
		f = &unsent
	case "refused":
		f = &refusedF
	case "vanishes": // with its process, nobody knows when
		l.mute = o.Attempt
		return
	case "stays": // it is paused, and will send when nobody expects it
		l.mute, l.stays = o.Attempt, true
		wakes := l.now.Add(rapid.SampledFrom([]time.Duration{30 * time.Second, 10 * time.Minute}).Draw(l.side.t, "wakes up after"))
		if l.side.contract.Window == 0 || wakes.Before(noon.Add(l.side.window)) { // after that nobody can fence it
			l.side.coming = append(l.side.coming, arrival{o.Operation, wakes})
		}
		return
	}
	l.now = end
	l.side.arrive(l.now)
	l.do(l.side.t, pay.Record{Ref: l.p.Ref, Operation: o.Operation, House: l.house, Finding: f, Attempt: o.Attempt})
}

// look does what is due, as recovery does.
func (l *line) look(o *pay.Operation) {
	l.now = later(l.now, o.DueAt).Add(rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Minute}).Draw(l.side.t, "late"))
	l.side.arrive(l.now)
	r := pay.Record{Ref: l.p.Ref, Operation: o.ID, House: l.house}
	switch {
	case !o.LeaseUntil.IsZero() && o.Attempt == l.mute:
		r.Sender, r.Gone, r.Lost = o.Attempt, !l.stays, l.stays
		if r.Gone && rapid.Bool().Draw(l.side.t, "it sent something before") {
			began := o.SentAt // or at any time before it ended, but not after its lease
			if rapid.Bool().Draw(l.side.t, "it began late") {
				began = o.LeaseUntil.Add(-1)
			}
			arrives := began.Add(rapid.SampledFrom([]time.Duration{0, l.side.contract.InFlight}).Draw(l.side.t, "arrives"))
			l.side.coming = append(l.side.coming, arrival{o.ID, arrives})
		}
	case l.side.contract.Next(o, pay.Clock{Now: l.now}).Do == pay.Check:
		r.Finding, r.Began = l.side.lookup(l.now), l.now
		l.now = l.now.Add(rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(l.side.t, "the check takes"))
		l.side.arrive(l.now)
	}
	l.do(l.side.t, r)
}

// Whatever happens to sends, answers and checks: a gateway that keeps its contract
// does the operation once at most, and what is known of it in the end is true.
func TestAtMostOnce(t *testing.T) {
	ends := map[pay.Status]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			c := rapid.SampledFrom([]pay.Contract{prompt, forgets, blind, silent, hourLong, soon}).Draw(t, "gateway")
			w := newWorld(c)
			l := &line{world: w, side: newSide(t, c), p: w.confirmed(t)}
			ends[l.run(t)]++
		}
	})
	for _, status := range []pay.Status{pay.Succeeded, pay.Failed, pay.NeedsReview} {
		if ends[status] == 0 {
			t.Errorf("no payment ended as %s: the test says little", status)
		}
	}
}

func (l *line) run(t *rapid.T) pay.Status {
	for range 10_000 {
		o := l.last(l.p)
		if len(l.orders) > 0 {
			order := l.orders[0]
			l.orders = nil
			l.send(order)
		} else if !o.DueAt.IsZero() {
			l.look(o)
		} else {
			l.end(t, o)
			return l.at(l.p).Status
		}
		if len(l.side.done) > 1 {
			t.Fatalf("it was done %d times", len(l.side.done))
		}
	}
	t.Fatalf("there is no end to it")
	return 0
}

// end holds what is known when nothing is due any more to what happened.
func (l *line) end(t *rapid.T, o *pay.Operation) {
	l.side.arrive(l.now.Add(1000 * time.Hour))
	switch n := len(l.side.done); {
	case n > 1:
		t.Fatalf("it was done %d times", n)
	case o.Outcome == pay.Done && n != 1, o.Outcome == pay.Declined && n != 0:
		t.Fatalf("it is %s, and was done %d times", o.Outcome, n)
	case o.Outcome != pay.Done && o.Outcome != pay.Declined && o.Parked == "":
		t.Fatalf("it ended as %+v", o)
	}
}
