package sim

import (
	"time"

	"github.com/oncepay/oncepay/pay"
)

// settles is how long it takes at most until an operation has an outcome, if
// nothing goes wrong: two sends, each looked for until it must be seen.
func (c promise) settles() time.Duration { return 2*(c.lag+c.flight) + 3*c.timeout + 5*time.Minute }

// settle is what must be true of payments when nothing happens any more.
func (k *checker) settled() {
	booked := k.booked()
	for _, ref := range k.disk.kept.paid {
		p := k.disk.kept.payments[ref]
		if p.Status == pay.Processing {
			k.fail(liveness, "payment %s is processing for ever", p.ID)
		}
		for _, o := range p.Operations {
			k.rests(p, o)
		}
		k.agrees(p, booked[ref])
	}
	for _, s := range k.spanned {
		k.inTime(s)
	}
	if left := k.disk.kept.matchable(); len(left) > 0 {
		k.fail(liveness, "the notice %v is about the operation %s, and nobody looks into it", left[0].NoticeID, left[0].Operation)
	}
	k.references()
	k.witness.heeds(0)
}

// rests checks that an operation has come to its end.
func (k *checker) rests(p *pay.Payment, o *pay.Operation) {
	switch {
	case o.Outcome == pay.Unknown && o.Parked == "":
		k.fail(liveness, "the %s %s of payment %s has no outcome for ever: %+v", o.Kind, o.ID, p.ID, *o)
	case !o.DueAt.IsZero():
		k.fail(liveness, "the %s %s is due at %v, and nobody comes", o.Kind, o.ID, o.DueAt)
	case o.Key != "" || o.Followers != "":
		k.fail(liveness, "the keys %s %s wait for the %s %s, which is %s", o.Key, o.Followers, o.Kind, o.ID, o.Outcome)
	}
}

// inTime checks that an operation came to its end within the time that its gateway
// takes, not counting the time in which things went wrong, in which a sender was
// stuck, or in which the store's clock was slow.
func (k *checker) inTime(s *span) {
	from := max(s.since, k.calmSince)
	if t := k.witness.trails[s.operation]; t != nil {
		from = max(from, t.stopped)
	}
	bound := k.gatewayOf(k.disk.kept.payments[s.ref]).promise.settles() + k.setBack
	if took := s.till - from; took > bound {
		k.fail(liveness, "the operation %s had no outcome for %v after faults had stopped, more than %v", s.operation, took, bound)
	}
}
