package sim

import (
	"slices"
	"strings"

	"github.com/oncepay/oncepay/pay"
)

// account is what the gateways' books say of a payment.
type account struct {
	charges            []*execution
	captured, refunded int64
}

// executed judges the books when there is one more execution.
func (k *witness) executed(g *gateway, e *execution) {
	c := e.call
	if n := moved(g.known[c.Operation].executions); n > 1 {
		k.fail(chargeOnce, "the %s %s is executed %d times at %s", c.Kind, c.Operation, n, g.name)
	}
	a := k.account(pay.Ref{Tenant: c.Tenant, ID: c.Payment})
	if e.charge == nil {
		a.charges = append(a.charges, e)
	}
	k.judge(a, c)
}

// settled judges the books when a customer has come to a decision.
func (k *witness) settled(e *execution) {
	k.judge(k.account(pay.Ref{Tenant: e.call.Tenant, ID: e.call.Payment}), e.call)
}

func (k *witness) account(ref pay.Ref) *account {
	a := k.books[ref]
	if a == nil {
		a = &account{}
		k.books[ref] = a
	}
	return a
}

func (k *witness) judge(a *account, c pay.Call) {
	live := 0
	a.captured, a.refunded = 0, 0
	for _, e := range a.charges {
		if e.live() {
			live++
		}
		a.captured += e.captured
		a.refunded += e.refunded
	}
	amount := c.Amount
	if p := k.disk.kept.payments[pay.Ref{Tenant: c.Tenant, ID: c.Payment}]; p != nil {
		amount = p.Amount
	}
	switch {
	case a.captured > amount:
		k.fail(chargeOnce, "%d of %s was captured, which is of %d", a.captured, c.Payment, amount)
	case live > 1:
		k.fail(chargeOnce, "%d authorizations of %s are live", live, c.Payment)
	case a.refunded > a.captured:
		k.fail(chargeOnce, "%d of %s was refunded, and %d captured", a.refunded, c.Payment, a.captured)
	}
}

// moved counts the executions that were not declined.
func moved(all []*execution) (n int) {
	for _, e := range all {
		if e.outcome() != pay.Declined {
			n++
		}
	}
	return n
}

// agrees holds a payment, and what is booked of it, against the gateways' books.
func (k *checker) agrees(p *pay.Payment, b *booking) {
	if b == nil {
		b = &booking{}
	}
	var captured, refunded int64
	if a := k.witness.books[p.Ref]; a != nil {
		captured, refunded = a.captured, a.refunded
	}
	switch {
	case k.witness.liedOf(p) || k.waitsForHuman(p):
	case p.Captured != captured || p.Refunded != refunded:
		if !k.unheard(p) {
			k.fail(agreement, "payment %s is %s, %d captured, %d refunded; the gateways captured %d and refunded %d",
				p.ID, p.Status, p.Captured, p.Refunded, captured, refunded)
		}
	case b.merchant+b.suspense != captured-refunded:
		k.fail(conservation, "%d of payment %s is the merchant's and %d in suspense; the gateways captured %d and refunded %d",
			b.merchant, p.ID, b.suspense, captured, refunded)
	case p.Status != pay.NeedsReview && b.suspense != 0:
		k.fail(conservation, "payment %s is %s, and %d of it is in suspense", p.ID, p.Status, b.suspense)
	default:
		for _, o := range p.Operations {
			k.happened(p, o)
		}
	}
}

// happened holds what is known of an operation against the gateways' books. The
// gateway may have called a charge off since, as a void has it.
func (k *checker) happened(p *pay.Payment, o *pay.Operation) {
	var executions []*execution
	if in := k.gatewayOf(p).known[o.ID]; in != nil {
		executions = in.executions
	}
	n := moved(executions)
	switch {
	case o.Outcome == pay.Done && n == 0, o.Outcome == pay.Declined && n > 0:
		k.fail(agreement, "the %s %s is %s, and its gateway executed it %d times", o.Kind, o.ID, o.Outcome, n)
	case (p.Status == pay.Failed || p.Status == pay.Canceled) && o == p.Charge() && slices.ContainsFunc(executions, (*execution).live):
		k.fail(agreement, "payment %s is %s, and its gateway holds money for it", p.ID, p.Status)
	}
}

// waitsForHuman says whether an operation of a payment waits to be decided.
func (k *checker) waitsForHuman(p *pay.Payment) bool {
	return slices.ContainsFunc(p.Operations, func(o *pay.Operation) bool { return o.Parked != "" || o.Outcome == pay.Conflict })
}

// unheard says whether a customer's decision may be unknown for good: the gateway
// cannot be asked, or it was and did not answer, or not for long enough.
func (k *checker) unheard(p *pay.Payment) bool {
	g, charge := k.gatewayOf(p), p.Charge()
	if p.Status != pay.RequiresAction {
		return false
	}
	return !g.promise.lookup || k.lost || k.witness.trails[charge.ID].blank > g.known[charge.ID].executions[0].decided()
}

// booking is what the ledger has of a payment.
type booking struct{ merchant, suspense int64 }

func (k *checker) booked() map[pay.Ref]*booking {
	all := map[pay.Ref]*booking{}
	for _, ref := range k.disk.kept.made {
		t := k.disk.kept.transfers[ref]
		b := all[pay.Ref{Tenant: t.Tenant, ID: t.Reference}]
		if b == nil {
			b = &booking{}
			all[pay.Ref{Tenant: t.Tenant, ID: t.Reference}] = b
		}
		b.add(t.To, t.AmountPosted)
		b.add(t.From, -t.AmountPosted)
	}
	return all
}

func (b *booking) add(account string, amount int64) {
	switch {
	case strings.HasPrefix(account, "merchant:default"):
		b.merchant += amount
	case strings.HasPrefix(account, "suspense"):
		b.suspense += amount
	}
}

// references checks that an order is charged once, whatever its clients did.
func (k *checker) references() {
	charged := map[pay.ReferenceID]string{}
	for _, ref := range k.disk.kept.paid {
		p := k.disk.kept.payments[ref]
		a := k.witness.books[ref]
		if p.Reference == "" || a == nil || a.captured == 0 || k.witness.liedOf(p) {
			continue
		}
		id := pay.ReferenceID{Tenant: p.Tenant, Reference: p.Reference}
		if other := charged[id]; other != "" {
			k.fail(chargeOnce, "the order %s of %s is charged by %s and by %s", p.Reference, p.Tenant, other, p.ID)
		}
		charged[id] = p.ID
	}
}
