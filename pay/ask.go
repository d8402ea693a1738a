package pay

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
