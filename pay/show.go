package pay

import "github.com/oncepay/oncepay/ledger"

// ShowPayment changes nothing: its result is the payment as it is. It is for
// requests that have their key kept though what they did was done elsewhere, such
// as to have the gateway asked.
type ShowPayment struct{ Ref }

// Needs names the payment.
func (c ShowPayment) Needs(b *Book) { b.WantPayment(c.Ref) }

// Decide refuses with NotFound.
func (c ShowPayment) Decide(b *Book, _ ledger.Moment) (Result, error) {
	p := b.payments.Get(c.Ref)
	if p == nil {
		return Result{}, noPayment()
	}
	return Result{Verb: ToCheck, Payment: p}, nil
}
