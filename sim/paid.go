package sim

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// The promises about payments, in the words of a failure.
const (
	onlyForward = "what is known of a payment only grows"
	agreement   = "the store agrees with the gateways' books"
	liveness    = "liveness"
	noReason    = "a human is called only where there is a cause"
)

// span is how long an operation had no outcome, by the loop's clock.
type span struct {
	ref         pay.Ref
	operation   string
	since, till time.Duration
	open        bool
}

// paid checks the payments of a commit that becomes durable, before it is on the
// disk.
func (k *checker) paid(c *engine.Changes) {
	for _, p := range c.Payments.Payments {
		old := k.disk.kept.payments[p.Ref]
		if err := p.Check(); err != nil {
			k.fail("a payment is what its operations come to", "%v", err)
		}
		if old == nil {
			old = &pay.Payment{Status: pay.RequiresConfirmation, Version: 0}
			f := k.fate(once.Key{Tenant: p.Tenant, ID: p.Metadata["key"]})
			if f.made++; f.made > 1 {
				k.fail(oneEffect, "%s %s made %d payments", f.key.Tenant, f.key.ID, f.made)
			}
		}
		k.follows(old, p)
		for i, o := range p.Operations {
			if i < len(old.Operations) {
				k.grows(p, old.Operations[i], o)
			} else {
				k.begun(p, o)
			}
		}
	}
}

// next says which statuses may follow each. What is final is left only when a
// human must look.
var next = map[pay.Status][]pay.Status{
	pay.RequiresConfirmation: {pay.Processing, pay.Canceled},
	pay.Processing:           {pay.RequiresAction, pay.Authorized, pay.Succeeded, pay.Failed, pay.Canceled, pay.NeedsReview},
	pay.RequiresAction:       {pay.Processing, pay.Authorized, pay.Succeeded, pay.Failed, pay.NeedsReview},
	pay.Authorized:           {pay.Processing, pay.NeedsReview},
	pay.Succeeded:            {pay.NeedsReview},
	pay.Failed:               {pay.NeedsReview},
	pay.Canceled:             {pay.NeedsReview},
	pay.NeedsReview:          {pay.Processing, pay.RequiresAction, pay.Authorized, pay.Succeeded, pay.Failed, pay.Canceled},
}

func (k *checker) follows(old, p *pay.Payment) {
	if old.Status != p.Status && !slices.Contains(next[old.Status], p.Status) {
		k.fail(onlyForward, "payment %s was %s and is now %s", p.ID, old.Status, p.Status)
	}
	if p.Amount != old.Amount && old.Amount != 0 || len(p.Operations) < len(old.Operations) {
		k.fail(onlyForward, "payment %s is another one: %+v, then %+v", p.ID, old, p)
	}
	if p.Captured-p.Refunded > p.Amount && p.Status != pay.NeedsReview || p.Refunded > p.Captured && !k.witness.liedOf(p) {
		k.fail(agreement, "payment %s of %d shows %d captured, %d refunded", p.ID, p.Amount, p.Captured, p.Refunded)
	}
}

// begun counts what a key has begun.
func (k *checker) begun(p *pay.Payment, o *pay.Operation) {
	if o.Key != "" {
		f := k.fate(once.Key{Tenant: p.Tenant, ID: o.Key})
		if f.begun++; f.begun > 1 {
			k.fail(oneEffect, "%s %s began %d operations", p.Tenant, o.Key, f.begun)
		}
	}
	s := &span{ref: p.Ref, operation: o.ID, since: k.now, till: k.now, open: true}
	k.spans[o.ID] = s
	k.spanned = append(k.spanned, s)
	k.grows(p, &pay.Operation{ID: o.ID, Kind: o.Kind, Amount: o.Amount, FirstSentAt: o.FirstSentAt}, o)
}

// grows checks what became of an operation.
func (k *checker) grows(p *pay.Payment, old, o *pay.Operation) {
	s := k.spans[o.ID]
	if open := o.Outcome == pay.Unknown && o.Parked == ""; s.open && !open {
		s.open, s.till = false, k.now
	} else if s.open = open; open {
		s.till = k.now
	}
	switch {
	case o.ID != old.ID || o.Kind != old.Kind || o.Amount != old.Amount || !o.FirstSentAt.Equal(old.FirstSentAt) || o.Attempt < old.Attempt:
		k.fail(onlyForward, "the %s %s is another one: %+v, then %+v", o.Kind, o.ID, *old, *o)
	case o.Epoch == old.Epoch && old.Outcome.Join(o.Outcome) != o.Outcome:
		k.fail(onlyForward, "the %s %s was %s and is now %s", o.Kind, o.ID, old.Outcome, o.Outcome)
	case o.Outcome == pay.Conflict && old.Outcome != pay.Conflict && !k.witness.lied(o.ID):
		k.fail(noReason, "the %s %s contradicts itself, and its gateway never did", o.Kind, o.ID)
	case o.Parked != "" && old.Parked == "" && !k.parks(p, o):
		k.fail(noReason, "the %s %s waits for a human: %s", o.Kind, o.ID, o.Parked)
	case !o.StoppedAt.Equal(old.StoppedAt) && !o.StoppedAt.IsZero() && o.Adrift == 0 && k.witness.senders(o.ID) > 0:
		k.fail("who is at work is not taken for gone", "the sender of the %s %s has not stopped", o.Kind, o.ID)
	}
}

// parks says whether there is a reason to have a human decide: the gateway cannot
// be asked, or it broke its contract, or the clock was set, or things went wrong
// for so long that there was too little time to find out.
func (k *checker) parks(p *pay.Payment, o *pay.Operation) bool {
	g, since := k.gatewayOf(p), k.spans[o.ID].since
	trouble := k.now - since
	if k.calm {
		trouble = max(0, k.calmSince-since)
	}
	patience := cmp.Or(g.contract.Patience, 24*time.Hour)
	return !g.promise.lookup || g.breaches || k.lost || trouble+k.setForward+g.promise.settles() > patience
}

// paidAsTold says whether a payment is what an answer told of it, or what may have
// become of that since.
func (k *checker) paidAsTold(f *fate) bool {
	body := string(f.answer.Body)
	p := k.disk.kept.payments[pay.Ref{Tenant: f.key.Tenant, ID: idOf(f.answer.Body)}]
	if f.req.kind == refund {
		p = k.disk.kept.payments[pay.Ref{Tenant: f.key.Tenant, ID: f.req.target}]
	}
	switch {
	case p == nil:
		return false
	case f.req.kind == refund:
		return p.Operation(idOf(f.answer.Body)) != nil
	case f.req.kind == buy && p.Reference != f.req.buys.reference:
		return false
	}
	_, rest, _ := strings.Cut(body, `"status":"`)
	name, _, _ := strings.Cut(rest, `"`)
	told, known := pay.ParseStatus(name)
	return known && (p.Status == told || slices.Contains(later(told), p.Status))
}

// later is what a payment of a status may have become.
func later(s pay.Status) (all []pay.Status) {
	all = append(all, next[s]...)
	for i := 0; i < len(all); i++ {
		for _, n := range next[all[i]] {
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	return all
}
