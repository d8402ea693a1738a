package pay

import "cmp"

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
	if f.Outcome == Declined && f.Failure.before(o.Failure) {
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

// before says which of two failures is kept: one that gives a reason before one
// that gives none, and otherwise always the same one, whichever came first.
func (f Failure) before(g Failure) bool {
	return cmp.Or(reasons(f.Code, g.Code), reasons(f.DeclineCode, g.DeclineCode), reasons(f.Message, g.Message)) < 0
}

// reasons compares two words; none at all is the last.
func reasons(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(b, a)
	}
	return cmp.Compare(a, b)
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
	case f.Outcome == Unknown && f.Reach == TooLate:
		what = "too late"
	}
	if f.Detail == "" {
		return what
	}
	return what + ": " + f.Detail
}
