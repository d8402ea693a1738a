package pay

import (
	"strings"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Record writes down what a gateway said of an operation, or that nothing was
// heard of it, has the money follow, and decides what is next. It is idempotent
// by itself.
type Record struct {
	Ref
	Operation string
	House     House

	Finding *Finding  // what was said; nil: nothing was asked, it is only seen what is due
	Attempt int64     // of the send that it answers; 0: of a check
	Began   time.Time // when it was asked, by the store's clock
	Gone    bool      // whoever sent last is known to have stopped, and nothing was heard of it
	Lost    bool      // nothing was heard of it while its lease lasted, and it may still be at it
	Sender  int64     // Gone and Lost: the attempt that they are about; 0: the last one
	Alone   bool      // Gone: nor is anybody at it who sent it earlier, not even one that was lost
}

// Needs names the payment, then the accounts of its money and the key that waits.
func (c Record) Needs(b *Book) {
	b.WantPayment(c.Ref)
	if p := b.payments.Get(c.Ref); p != nil {
		b.wantSettling(p, p.Operation(c.Operation))
	}
}

// wantSettling names what is written when an operation gets its outcome. No key has
// a space in it.
func (b *Book) wantSettling(p *Payment, o *Operation) {
	b.wantAccounts(p)
	if o == nil {
		return
	}
	for _, id := range strings.Fields(o.Key + " " + o.Followers) {
		b.WantKey(once.Key{Tenant: p.Tenant, ID: id})
	}
}

// Decide refuses with NotFound.
func (c Record) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payments.Get(c.Ref)
	if p == nil || p.Operation(c.Operation) == nil {
		return Result{}, noPayment()
	}
	o := p.Operation(c.Operation)
	before := *o
	if c.Sender == 0 || c.Sender == o.Attempt {
		c.giveUp(b, p, o, m)
	}
	if c.Finding != nil {
		c.take(b, p, o, m)
	}
	return b.settle(p, o, before, m, c.House), nil
}

// giveUp ends a send that nothing was heard of. If its sender may still be at it,
// that the gateway has no trace of it proves nothing until it is heard of, or
// known to have stopped as well.
func (c Record) giveUp(b *Book, p *Payment, o *Operation, m ledger.Moment) {
	leased := !o.LeaseUntil.IsZero()
	switch {
	case c.Gone && leased:
		o.ended(m.Now, MayHaveArrived)
		b.note(p, m, "answer", o, "its sender is gone, and nothing was heard of it")
	case c.Lost && leased && !m.Now.Before(o.LeaseUntil):
		o.LeaseUntil, o.Exposed = time.Time{}, true
		if o.Adrift == 0 {
			o.Adrift = o.Attempt
		}
		b.note(p, m, "answer", o, "nothing was heard of its sender, which may still be at it")
	}
	if c.Gone && c.Alone && o.Adrift > 0 {
		o.Adrift, o.StoppedAt = 0, m.Now
		b.note(p, m, "answer", o, "the sender that was lost is gone")
	}
}

// take joins what was said with what is known.
func (c Record) take(b *Book, p *Payment, o *Operation, m ledger.Moment) {
	if c.Attempt > 0 {
		c.takeAnswer(b, p, o, m)
	} else {
		c.takeCheck(b, p, o, m)
	}
	before := o.Outcome
	o.join(p, c.Finding)
	one := before != Conflict && o.Outcome == Conflict && c.Finding.Outcome != Conflict
	if one && c.House.Gateways[p.Gateway].Contract.Lookup {
		o.hint(m) // executions that are heard of one at a time count as one: a check tells their sum
	}
}

// takeAnswer ends a send. The answer to one that was taken over ends nothing; but
// what it says is true all the same.
func (c Record) takeAnswer(b *Book, p *Payment, o *Operation, m ledger.Moment) {
	b.note(p, m, "answer", o, c.Finding.tell())
	if c.Attempt != o.Attempt || !o.StoppedAt.IsZero() {
		return
	}
	if o.Adrift == c.Attempt { // nobody else is
		o.Adrift = 0
	}
	o.ended(m.Now, c.Finding.Reach)
	switch refused := c.Finding.Reach == Refused; {
	case refused && !o.Exposed:
		o.join(p, &Finding{Outcome: Declined, Failure: c.Finding.Failure})
	case refused:
		o.ResendUntil = time.Time{} // it would be refused again; and an earlier one may still have arrived
	}
}

// takeCheck counts a check. Checks may overtake each other: the one that began
// last says most, and one that began before the last send says nothing of it.
func (c Record) takeCheck(b *Book, p *Payment, o *Operation, m ledger.Moment) {
	f := c.Finding
	if o.Hinted || o.Checks == 0 || o.news(p, f) {
		b.note(p, m, "check", o, f.tell()) // the same again is counted, not told
	}
	began := c.Began.UTC().Truncate(time.Microsecond) // stores keep no more, and earlier proves less
	o.Checks++
	o.CheckedAt = later(o.CheckedAt, began)
	if f.Outcome == Unknown && !began.Before(o.SentAt) {
		o.Blanks++
	}
	if f.Absent && o.LeaseUntil.IsZero() && began.After(later(o.SentAt, o.AbsentAt)) {
		o.AbsentAt, o.Lag = began, (f.Lag + time.Microsecond - 1).Truncate(time.Microsecond)
	}
	o.Hinted = o.Hinted && !o.answers(f, began, c.House.Gateways[p.Gateway].Contract)
}

// news says whether a check tells what was not known before.
func (o *Operation) news(p *Payment, f *Finding) bool {
	if f.Outcome == Unknown {
		return o.Blanks == 0 || f.Absent && o.AbsentAt.IsZero()
	}
	after := *o
	after.join(p, f)
	return after != *o
}

// answers says whether a check settles what a notice was about. One that was on
// its way when the notice came does not; nor, where no other check will follow,
// does one that the gateway did not answer, or that may have missed what the
// notice tells of.
func (o *Operation) answers(f *Finding, began time.Time, c Contract) bool {
	told := f.Outcome != Unknown || f.Absent && c.LagKnown && f.Lag == 0
	return !began.Before(o.DueAt) && (told || o.open() || o.Blanks >= hintChecks)
}

// ended notes that the last sender has stopped.
func (o *Operation) ended(now time.Time, reach Reach) {
	o.LeaseUntil, o.StoppedAt = time.Time{}, now
	o.Exposed = o.Exposed || reach == MayHaveArrived
}
