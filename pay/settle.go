package pay

import (
	"strings"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// charge begins what a payment is for: all of it at once, or a reservation.
func (b *Book) charge(p *Payment, m ledger.Moment, a Ask, v Verb) (Result, error) {
	o := &Operation{Kind: Charge, Amount: p.Amount, Last: true}
	if p.Manual {
		o.Kind, o.Last = Authorize, false
	}
	return b.begin(p, o, m, a, v)
}

// begin writes an operation down and has it sent. It refuses with Unavailable or
// StateConflict.
func (b *Book) begin(p *Payment, o *Operation, m ledger.Moment, a Ask, v Verb) (Result, error) {
	terms, err := a.House.terms(p.Gateway)
	unsure := a.House.mayHaveGoneOn(p, m)
	switch {
	case err != nil:
		return Result{}, err
	case unsure != nil && !p.CreatedAt.Equal(m.Now): // or it is made by this very request
		return Result{}, unsure
	case p.isFull(o.Kind):
		return Result{}, refuse(ledger.StateConflict, "", "a payment has at most %d captures and refunds, and as many that were declined", MaxOperations)
	}
	o.ID, o.CreatedAt, o.UpdatedAt = m.IDs.New(o.Kind.prefix(), m.Now), m.Now, m.Now
	o.Key, o.Asked, o.RequestID = a.Key.ID, v, a.RequestID
	if o.FirstSentAt = m.Now; !a.House.Jumped {
		o.ResendUntil = terms.Contract.resendUntil(m.Now)
	}
	p.Operations = append(p.Operations, o)
	b.noteRequest(p, m, a, verbNames[v]).Operation = o.ID
	order := b.send(p, o, m, terms.Contract, a.House)
	b.writePayment(p, m)
	if o.Kind == Refund {
		b.emitRefund(p, o, m, "created")
	}
	return Result{Verb: v, Payment: p, Operation: o, Interim: true, Order: order}, nil
}

// isFull says whether a payment has no place for one more operation of a kind. Its
// charge takes none.
func (p *Payment) isFull(k Kind) bool {
	charge, live := p.Charge(), 0
	for _, o := range p.Operations {
		if o != charge && o.Outcome != Declined {
			live++
		}
	}
	if k == Void {
		return len(p.Operations) > 2*MaxOperations+maxVoids
	}
	return live >= MaxOperations || len(p.Operations) > 2*MaxOperations
}

// send writes a send down: who, until when, and how often. What checks have told
// of earlier ones says nothing of it.
func (b *Book) send(p *Payment, o *Operation, m ledger.Moment, c Contract, h House) *Order {
	o.Attempt++
	o.Owner, o.SentAt, o.LeaseUntil = h.Process, m.Now, m.Now.Add(c.Lease())
	o.StoppedAt, o.AbsentAt, o.Lag, o.Blanks = time.Time{}, time.Time{}, 0, 0
	o.DueAt = o.LeaseUntil
	promised := c.towards(o)
	o.LookupLag, o.InFlight = promised.LookupLag, promised.InFlight
	b.note(p, m, "send", o, "")
	return &Order{Payment: p.Clone(), Operation: o.ID, Attempt: o.Attempt}
}

// verbNames are what requests are called in timelines.
var verbNames = [...]string{
	ToCreate: "created and confirmed", ToAdopt: "confirmed", ToConfirm: "confirmed", ToCapture: "capture", ToCancel: "cancel",
	ToRefund: "refund", ToResolve: "resolve",
}

func (b *Book) noteRequest(p *Payment, m ledger.Moment, a Ask, detail string) *Line {
	l := b.note(p, m, "request", nil, detail)
	l.Key = a.Key.ID
	return l
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
	status := p.Status
	b.writePayment(p, m)
	b.bookMoney(p, o, m)
	if o.Kind == Refund && before.RefundStatus() != o.RefundStatus() {
		b.emitRefund(p, o, m, o.RefundStatus())
	}
	switch {
	case before.review() == "" && o.review() != "":
		r.Review = o.review()
	case status != NeedsReview && p.Status == NeedsReview:
		r.Review = p.amiss()
	}
	r.Answers = b.release(p, o, m)
	return r
}

// release returns the keys that wait for an operation that came to something. One
// that was not loaded, since it was written while the command was under way, stays
// with the operation, which is looked at again.
func (b *Book) release(p *Payment, o *Operation, m ledger.Moment) (answers []Answer) {
	if o.open() || o.Key == "" && o.Followers == "" {
		return nil
	}
	if key := (once.Key{Tenant: p.Tenant, ID: o.Key}); b.keys.Knows(key) {
		answers = append(answers, Answer{Key: key, Verb: o.Asked, Operation: o})
		o.Key = ""
	}
	followers, left := strings.Fields(o.Followers), []string(nil)
	for _, id := range followers {
		if key := (once.Key{Tenant: p.Tenant, ID: id}); b.keys.Knows(key) && p.Status != Processing {
			answers = append(answers, Answer{Key: key, Verb: ToAdopt, Operation: p.Charge()})
		} else {
			left = append(left, id)
		}
	}
	if o.Followers = strings.Join(left, " "); o.Key != "" || o.Followers != "" {
		o.DueAt = m.Now
	}
	return answers
}

// plan decides what is next for an operation, and writes a send down if that is
// it and its time has come.
func (b *Book) plan(p *Payment, o *Operation, m ledger.Moment, h House) *Order {
	terms, known := h.Gateways[p.Gateway]
	if (o.unsettled() || o.Hinted) && (!known || terms.Untold) {
		o.DueAt = m.Now.Add(untoldPause) // nobody here knows what may be done about it
		return nil
	}
	if h.Jumped && o.open() {
		o.ResendUntil = time.Time{} // for good: nobody knows how slow the store's time was
	}
	o.Hinted = o.Hinted && terms.Contract.Lookup // or nobody can be asked
	switch move := terms.Next(o, h.Clock(m.Now)); {
	case move.Do == Send && !move.At.After(m.Now):
		o.Exposed = o.Exposed && !move.Anew
		return b.send(p, o, m, terms.Contract, h)
	case move.Do == Park:
		o.Parked, o.DueAt = move.Why, time.Time{}
		b.note(p, m, "parked", o, move.Why)
	case move.Do == Drop:
		o.Outcome, o.DueAt = Declined, time.Time{}
		o.Failure = Failure{Code: "gateway_unavailable", Message: "It was never carried out: " + move.Why + ", and it is too late to send it now."}
	default: // Rest has no time
		o.DueAt = move.At
	}
	return nil
}

// untoldPause is after how long it is looked again whether it is known what a gateway
// promises: the next look costs one small commit.
const untoldPause = time.Second
