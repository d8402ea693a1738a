package demo

import "context"

// audit compares what was asked for with the gateway's books and with the ledger.
func (r *run) audit(ctx context.Context, orders []*order) (*Report, error) {
	report := &Report{
		Mode: r.cfg.Mode, Seed: r.cfg.Seed, Payments: r.cfg.Payments, Transfers: r.cfg.Transfers,
		Requests: r.net.requests.Load(), RequestsLost: r.net.requestsLost.Load(), AnswersLost: r.net.answersLost.Load(),
		Doubled: r.net.doubled.Load(), Suppressed: r.net.suppressed.Load(),
	}
	charged := map[string][]int64{}
	err := r.cfg.Charges(ctx, func(c Charge) { charged[c.Payment] = append(charged[c.Payment], c.Captured) })
	if err != nil {
		return nil, err
	}
	times, received, err := r.ledger.moved(ctx, r)
	if err != nil {
		return nil, err
	}
	var captured int64
	for _, o := range orders {
		if !o.settled {
			report.Uncertain++
		}
		if o.payment {
			captured += report.addPayment(o, charged[o.gateway])
		} else {
			report.addTransfer(o, times[o.id])
		}
	}
	report.CentsMissing += abs(captured - received)
	return report, nil
}

// addPayment judges a payment by its charges, and returns what they come to.
func (r *Report) addPayment(o *order, charges []int64) (captured int64) {
	for _, c := range charges {
		captured += c
	}
	want := o.amount
	if o.method == "pm_declined" {
		want = 0
	}
	r.Charges += len(charges)
	r.MostCharges = max(r.MostCharges, len(charges))
	if o.silent() {
		r.GatewaySilent++
	}
	switch {
	case len(charges) > 1:
		r.ChargedTwice++
	case want > 0 && captured == 0:
		r.NotCharged++
	case want == 0 && captured > 0:
		r.WronglyCharged++
	}
	if captured > want {
		r.Overcharged += captured - want
	} else {
		r.CentsMissing += want - captured
	}
	return captured
}

func (r *Report) addTransfer(o *order, times int) {
	switch {
	case times > 1:
		r.MovedTwice++
	case times == 0:
		r.NotMoved++
	}
	r.CentsMissing += abs(int64(times-1) * o.amount)
}

func abs(n int64) int64 { return max(n, -n) }
