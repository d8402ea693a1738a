package pay

import (
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
	if p := b.payment(c.Ref); p != nil {
		b.wantSettling(p, p.Operation(c.Operation))
	}
}

// wantSettling names what is written when an operation gets its outcome.
func (b *Book) wantSettling(p *Payment, o *Operation) {
	b.wantAccounts(p)
	if o != nil && o.Key != "" {
		b.WantKey(once.Key{Tenant: p.Tenant, ID: o.Key})
	}
}

// Decide refuses with NotFound.
func (c Record) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payment(c.Ref)
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
		o.LeaseUntil, o.Exposed = zeroTime, true
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
	o.join(p, c.Finding)
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
		o.ResendUntil = zeroTime // it would be refused again; and an earlier one may still have arrived
	}
}

// takeCheck counts a check. Checks may overtake each other: the one that began
// last says most, and one that began before the last send says nothing of it.
func (c Record) takeCheck(b *Book, p *Payment, o *Operation, m ledger.Moment) {
	f := c.Finding
	if f.Outcome != Unknown || o.Blanks == 0 || f.Absent && o.AbsentAt.IsZero() {
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
	o.Hinted = o.Hinted && !o.answers(f, began)
}

// answers says whether a check settles what a notice was about. One that was on
// its way when the notice came does not; nor does one that the gateway did not
// answer, where no other check will follow.
func (o *Operation) answers(f *Finding, began time.Time) bool {
	told := f.Outcome != Unknown || f.Absent
	return !began.Before(o.DueAt) && (told || o.open() || o.Blanks >= hintChecks)
}

// ended notes that the last sender has stopped.
func (o *Operation) ended(now time.Time, reach Reach) {
	o.LeaseUntil, o.StoppedAt = zeroTime, now
	o.Exposed = o.Exposed || reach == MayHaveArrived
}

// join adds what a gateway said to what is known: only upward, so that it does
// not matter in which order and how often it is said. Of the action's address
// alone the latest counts: they expire.
func (o *Operation) join(p *Payment, f *Finding) {
	said := f.Outcome
	if said == Unknown {
		return
	}
	if !o.matches(p, f) || o.GatewayID != "" && f.GatewayID != "" && o.GatewayID != f.GatewayID {
		said = Conflict // another amount, or two executions
	}
	if o.GatewayID == "" || f.GatewayID != "" && f.GatewayID < o.GatewayID {
		o.GatewayID = f.GatewayID
	}
	if f.Outcome == Done || f.Outcome == Conflict {
		o.Moved = max(o.Moved, f.moved(p))
	}
	if said == ActionRequired && f.ActionURL != "" {
		o.ActionURL = f.ActionURL
	}
	if f.Outcome == Declined && (o.Failure == Failure{} || f.Failure.less(o.Failure)) {
		o.Failure = f.Failure
	}
	o.Outcome, o.Parked = o.Outcome.Join(said), ""
}

// matches says whether what the gateway did, or is about to do, is what was asked,
// or what a human has accepted instead.
func (o *Operation) matches(p *Payment, f *Finding) bool {
	want := o.Amount
	if o.Epoch > 0 && o.Outcome == Done && f.Outcome == Done {
		want = o.Moved
	}
	switch {
	case f.Outcome != Done && f.Outcome != ActionRequired:
		return true
	case f.Currency != "" && f.Currency != p.Currency:
		return false
	default:
		return o.Kind == Void || f.Amount == want
	}
}

// moved is how much a finding says has moved. What is not in the payment's
// currency is no amount of it: that there was some is all that is known. What is
// above every payment is nonsense that a balance must not wrap with.
func (f *Finding) moved(p *Payment) int64 {
	if f.Currency != "" && f.Currency != p.Currency {
		return 0
	}
	return min(f.Amount, MaxAmount)
}

func (f Failure) less(g Failure) bool {
	return f.Code+"\x00"+f.DeclineCode+"\x00"+f.Message < g.Code+"\x00"+g.DeclineCode+"\x00"+g.Message
}

// tell is what a finding was, for the timeline.
func (f *Finding) tell() string {
	what := f.Outcome.String()
	switch {
	case f.Absent:
		what = "not found"
	case f.Outcome == Unknown && f.Reach == NeverLeft:
		what = "not sent"
	case f.Outcome == Unknown && f.Reach == Refused:
		what = "refused"
	}
	if f.Detail == "" {
		return what
	}
	return what + ": " + f.Detail
}

// settle writes what an operation came to: what is next, money, event, answer.
func (b *Book) settle(p *Payment, o *Operation, before Operation, m ledger.Moment, h House) Result {
	r := Result{Payment: p, Operation: o, Order: b.plan(p, o, m, h)}
	if *o == before {
		return r
	}
	if o.Kind == Void && o.Outcome == Declined && before.Outcome != Declined {
		p.Charge().hint(m) // what could not be given up may have been taken
	}
	o.UpdatedAt = m.Now
	b.writePayment(p, m)
	b.bookMoney(p, o, m)
	if o.Kind == Refund && before.RefundStatus() != o.RefundStatus() {
		b.emitRefund(p, o, m, o.RefundStatus())
	}
	r.Answers = b.release(p, o)
	return r
}

// release returns the key that waits for an operation that came to something. A
// key that is not in the book stays with the operation: whoever comes with it is
// answered then.
func (b *Book) release(p *Payment, o *Operation) []Answer {
	key := once.Key{Tenant: p.Tenant, ID: o.Key}
	if _, here := b.Keys[key]; o.Key == "" || o.open() || !here {
		return nil
	}
	o.Key = ""
	return []Answer{{Key: key, Verb: o.Asked, Operation: o}}
}

// plan decides what is next for an operation, and writes a send down if that is
// it and its time has come.
func (b *Book) plan(p *Payment, o *Operation, m ledger.Moment, h House) *Order {
	terms, known := h.Gateways[p.Gateway]
	if o.unsettled() && (!known || terms.Untold) {
		o.DueAt = m.Now.Add(closedPause) // nobody here knows what may be done about it
		return nil
	}
	if h.Jumped && o.open() {
		o.ResendUntil = zeroTime // for good: nobody knows how long the store's time stood still
	}
	closed := terms.Closed != ""
	switch move := terms.Contract.Next(o, Clock{Now: m.Now, Jumped: h.Jumped, Steady: h.Steady}); {
	case move.Do == Send && !closed && !move.At.After(m.Now):
		o.Exposed = o.Exposed && !move.Anew
		return b.send(p, o, m, terms.Contract, h)
	case move.Do == Send && closed:
		o.DueAt = later(move.At, m.Now.Add(closedPause))
	case move.Do == Park:
		o.Parked, o.DueAt = move.Why, zeroTime
		b.note(p, m, "parked", o, move.Why)
	case move.Do == Drop:
		o.Outcome, o.DueAt = Declined, zeroTime
		o.Failure = Failure{Code: "gateway_unavailable", Message: "It was never carried out: " + move.Why + ", and it is too late to send it now."}
	default: // Rest has no time
		o.DueAt = move.At
	}
	return nil
}

// closedPause is how long a send waits for a gateway that takes nothing just now:
// the next look costs one small commit.
const closedPause = time.Second
