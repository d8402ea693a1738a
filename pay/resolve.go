package pay

import (
	"cmp"
	"time"

	"github.com/oncepay/oncepay/ledger"
)

// ResolvePayment is a human's decision about what is in doubt: what the gateway's
// own records say, when it could not be learned otherwise. It opens a new epoch:
// what the gateway says from now on is joined with the decision.
type ResolvePayment struct {
	Ask
	Ref
	Operation string // "" is the first one that is in doubt
	Happened  bool   // it was captured (reserved, given up, given back); otherwise it certainly was not
	GatewayID string // what the gateway calls it; "" if that is not known
	Evidence  string // what the decision rests on, for the audit
	Actor     string // who decided
}

// Needs names the payment, then the accounts of its money and the key that waits.
func (c ResolvePayment) Needs(b *Book) {
	b.WantPayment(c.Ref)
	if p := b.payments.Get(c.Ref); p != nil {
		b.wantSettling(p, p.doubt(c.Operation))
	}
}

// Decide refuses with NotFound, InProgress, StateConflict or Invalid. Of a payment
// that is in doubt only because too much was captured, an operation that did not
// happen is decided if it is named.
func (c ResolvePayment) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payments.Get(c.Ref)
	if p == nil {
		return Result{}, noPayment()
	}
	o := p.doubt(c.Operation)
	switch {
	case o == nil:
		return Result{}, p.undoubted(c.Operation)
	case m.Now.Before(o.LeaseUntil):
		return Result{}, refuse(ledger.InProgress, "", "the %s %s is being sent; decide when its answer did not come", o.Kind, o.ID)
	case !c.Happened && m.Now.Before(c.arrivesBy(p, o)):
		return Result{}, refuse(ledger.InProgress, "", "what was sent of the %s %s may still arrive until %s, whatever the gateway's records show before; decide then that it did not happen",
			o.Kind, o.ID, c.arrivesBy(p, o).Format(time.RFC3339))
	case o.Kind == Void && c.Happened && p.Captured > 0:
		return Result{}, refuse(ledger.StateConflict, "", "the payment was captured; decide first that it was not")
	case c.Happened && p.settled(o):
		return Result{}, refuse(ledger.StateConflict, "", "the %s %s is known to have happened; refund what is too much", o.Kind, o.ID)
	case c.GatewayID != "" && o.GatewayID != "" && c.GatewayID != o.GatewayID:
		return Result{}, refuse(ledger.Invalid, "/gateway_id", "the gateway calls the %s %s %s; leave the id out if that is what is meant", o.Kind, o.ID, o.GatewayID)
	case !c.Happened && (o.Kind == Charge || o.Kind == Capture) && o.took() > 0 && p.Refundable() < o.took():
		return Result{}, refuse(ledger.StateConflict, "", "more was given back, or may have been, than was captured without the %s %s; decide first what did not happen of that", o.Kind, o.ID)
	}
	before := *o
	c.decide(p, o)
	b.note(p, m, "resolved", o, c.tell()).Actor = c.Actor
	r := b.settle(p, o, before, m, c.House)
	r.Verb = ToResolve
	b.Emit(m, p.Tenant, "payment.resolved", p.ID, p.AppendJSON(make([]byte, 0, usualJSON)))
	return r, nil
}

// arrivesBy is until when a send that nothing was heard of may still arrive at the
// gateway, as its contract has it: who decides before that that it did not happen
// frees the order for a payment that would be the second one.
func (c ResolvePayment) arrivesBy(p *Payment, o *Operation) time.Time {
	if o.Outcome != Unknown || !o.Exposed && o.LeaseUntil.IsZero() {
		return time.Time{}
	}
	ended := later(later(o.StoppedAt, o.SentAt), o.LeaseUntil)
	terms, known := c.House.Gateways[p.Gateway]
	if !known && o.InFlight > 0 { // who decides is no server: what was promised when that was sent holds
		return ended.Add(o.InFlight)
	}
	return ended.Add(terms.Contract.towards(o).InFlight)
}

// As is what was decided, in the words that it was asked in.
func (c ResolvePayment) As() string {
	if c.Happened {
		return "captured"
	}
	return "absent"
}

// tell is what was decided, for the timeline.
func (c ResolvePayment) tell() string {
	if c.GatewayID != "" {
		return c.As() + " (" + c.GatewayID + "): " + c.Evidence
	}
	return c.As() + ": " + c.Evidence
}

// Resolution is a ResolvePayment that notes which operation was decided, for
// whoever asked and named none.
type Resolution struct {
	ResolvePayment
	Decided string // id of the operation; "" if nothing was
}

// Decide is the ResolvePayment's. It may be called again: the last time counts.
func (r *Resolution) Decide(b *Book, m ledger.Moment) (Result, error) {
	done, err := r.ResolvePayment.Decide(b, m)
	if r.Decided = ""; err == nil {
		r.Decided = done.Operation.ID
	}
	return done, err
}

// decide makes the decision what is known. Of a payment that was given up and
// charged, one is not true: who says that it was charged says what is not.
func (c ResolvePayment) decide(p *Payment, o *Operation) {
	o.resolve(c.Happened)
	o.GatewayID = cmp.Or(o.GatewayID, c.GatewayID)
	if !c.Happened || o.Kind != Charge && o.Kind != Capture {
		return
	}
	for _, v := range p.Operations {
		if v.Kind == Void && v.Outcome == Done {
			v.resolve(false)
		}
	}
}

// resolve sets what became of an operation. How much it moved is what the gateway
// said, at most what was asked, and all of it if the gateway said nothing.
func (o *Operation) resolve(happened bool) {
	o.Epoch++
	o.Parked, o.Hinted, o.LeaseUntil = "", false, time.Time{}
	if happened {
		o.Outcome, o.Moved, o.Failure = Done, min(cmp.Or(o.Moved, o.Amount), o.Amount), Failure{}
		return
	}
	o.Outcome, o.Moved = Declined, 0
	o.Failure = Failure{Code: "resolved_absent", Message: "A review found that it did not happen."}
}

// doubt returns the operation of that id, or without one the first, that a human
// can decide; nil if there is none.
func (p *Payment) doubt(id string) *Operation {
	for _, o := range p.Operations {
		if (id == "" || o.ID == id) && (o.open() || o.doubtful()) {
			return o
		}
	}
	if charge := p.Charge(); p.Status == RequiresAction && (id == "" || id == charge.ID) {
		return charge // nobody waits for the customer any more, or the gateway has forgotten
	}
	for _, o := range p.Operations {
		moved := o.Kind == Charge || o.Kind == Capture
		if p.clashes() && o.Outcome == Done && (o.ID == id && o.Kind == Void || (id == "" || o.ID == id) && moved) {
			return o
		}
		if p.exceeds() && moved && o.Outcome == Done && o.ID == id { // which of them is too much must be said
			return o
		}
	}
	return nil
}

// settled says whether nothing about an operation is in doubt, nor with another:
// there is only too much of it.
func (p *Payment) settled(o *Operation) bool {
	return o.Outcome.Final() && !o.doubtful() && !p.clashes()
}

// undoubted refuses to decide what is not in doubt. What was asked for is not
// repeated.
func (p *Payment) undoubted(operation string) *ledger.Refusal {
	switch o := p.Operation(operation); {
	case operation != "" && o == nil:
		return refuse(ledger.NotFound, "/operation", "the payment has no such operation")
	case operation != "":
		return refuse(ledger.StateConflict, "/operation", "the %s %s is settled: %s", o.Kind, o.ID, o.Outcome)
	case p.exceeds():
		return refuse(ledger.StateConflict, "", "%d more was captured than the payment is about: refund it, or say which operation did not happen", p.Captured-p.Refunded-p.Amount)
	default:
		return refuse(ledger.StateConflict, "", "nothing of the payment is in doubt; it is %s", p.Status)
	}
}
