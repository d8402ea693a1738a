package pay

import "github.com/oncepay/oncepay/ledger"

// AskGateway has the gateway asked what became of a payment, by whoever comes to
// it: see [Payment.Questions]. Its result is the payment as it is; it is final only
// where nothing was ever asked of the gateway.
type AskGateway struct {
	Ref
	House House
}

// Needs names the payment.
func (c AskGateway) Needs(b *Book) { b.WantPayment(c.Ref) }

// Decide refuses with NotFound, Unavailable or StateConflict.
func (c AskGateway) Decide(b *Book, m ledger.Moment) (Result, error) {
	p := b.payments.Get(c.Ref)
	if p == nil {
		return Result{}, noPayment()
	}
	r := Result{Verb: ToCheck, Payment: p}
	questions := p.Questions()
	if len(questions) == 0 {
		return r, nil
	}
	terms, known := c.House.Gateways[p.Gateway]
	switch {
	case !known || terms.Untold:
		return Result{}, refuse(ledger.Unavailable, "", "the gateway %s is not configured at this server, or has not said yet what it promises", p.Gateway)
	case !terms.Contract.Lookup:
		return Result{}, refuse(ledger.StateConflict, "", "the gateway %s cannot be asked what became of something", p.Gateway)
	}
	for _, o := range questions {
		o.hint(m)
	}
	b.writePayment(p, m)
	// One of them is asked about at once, the others when they are found to be due.
	r.Interim, r.Order = true, &Order{Payment: p.Clone(), Operation: questions[0].ID}
	return r, nil
}

// Questions are the operations that the gateway is asked about when somebody wants
// to know what became of a payment: those whose outcome is open or in doubt. Where
// each is settled and together they are in doubt, it is all of them; and where
// nothing is, it is the charge alone: that may have been settled wrongly, by the
// gateway or by a human.
func (p *Payment) Questions() (all []*Operation) {
	for _, o := range p.Operations {
		if !o.Outcome.Final() || o.Parked != "" {
			all = append(all, o)
		}
	}
	switch {
	case len(all) > 0:
		return all
	case p.InDoubt || p.Charge() == nil:
		return p.Operations
	default:
		return []*Operation{p.Charge()}
	}
}
