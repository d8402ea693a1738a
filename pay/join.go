package pay

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
