package pay

import "fmt"

// derive sets what a payment shows: it is a function of its operations and of
// nothing else, so it does not matter in which order they got their outcomes.
func (p *Payment) derive() {
	p.Captured, p.Refunded, p.InDoubt = 0, 0, false
	for _, o := range p.Operations {
		p.InDoubt = p.InDoubt || o.doubtful()
		switch o.Kind {
		case Charge, Capture:
			p.Captured += o.took()
		case Refund:
			p.Refunded += o.took()
		}
	}
	p.InDoubt = p.InDoubt || p.clashes() || p.exceeds()
	p.Status = p.status()
}

// took is how much the gateway says it moved.
func (o *Operation) took() int64 {
	if o.Outcome == Done || o.Outcome == Conflict {
		return o.Moved
	}
	return 0
}

// status is the whole life of a payment, most urgent first.
func (p *Payment) status() Status {
	charge := p.Charge()
	switch {
	case charge == nil && p.Canceled:
		return Canceled
	case charge == nil:
		return RequiresConfirmation
	case p.contradicts(), p.exceeds():
		return NeedsReview
	case p.atWork() != nil:
		return Processing
	case p.voided(): // whose charge is called off at some gateways, and declined by that
		return Canceled
	case charge.Outcome == Declined:
		return Failed
	case charge.Outcome == ActionRequired:
		return RequiresAction
	case charge.Kind == Charge, p.Captured >= charge.Moved, p.capturedLast():
		return Succeeded
	default:
		return Authorized
	}
}

// contradicts says whether what is known of a payment is not certain: refunds
// aside, which have a status of their own.
func (p *Payment) contradicts() bool {
	for _, o := range p.Operations {
		if o.Kind != Refund && (o.Outcome == Conflict || o.Parked != "") {
			return true
		}
	}
	return p.clashes()
}

// Review says why a human must decide about the payment or a refund of it; "" if
// none must.
func (p *Payment) Review() string {
	for _, o := range p.Operations {
		if why := o.review(); why != "" {
			return why
		}
	}
	return p.amiss()
}

// amiss says why a human must decide about a payment each of whose operations is
// clear, "" if none must.
func (p *Payment) amiss() string {
	switch {
	case p.clashes():
		return "the payment was given up and charged"
	case p.exceeds():
		return "more was captured than the payment is about"
	}
	return ""
}

// review says why a human must decide about the operation, "" if none must. No
// word of it is a gateway's.
func (o *Operation) review() string {
	why := o.Parked
	switch {
	case why != "":
	case o.Outcome != Conflict:
		return ""
	case o.Epoch > 0:
		why = "the gateway contradicts what was decided"
	default:
		why = "the gateway contradicts itself"
	}
	return o.Kind.String() + ": " + why
}

// exceeds says whether the customer has paid more than the payment is about, and
// has not got it back.
func (p *Payment) exceeds() bool { return p.Captured-p.Refunded > p.Amount }

// clashes says whether the payment was given up and charged.
func (p *Payment) clashes() bool { return p.voided() && p.Captured > 0 }

// atWork returns the operation other than a refund that has no outcome yet, nil if
// there is none.
func (p *Payment) atWork() *Operation {
	for _, o := range p.Operations {
		if o.Kind != Refund && o.open() {
			return o
		}
	}
	return nil
}

func (p *Payment) voided() bool {
	return p.has(func(o *Operation) bool { return o.Kind == Void && o.Outcome == Done })
}

func (p *Payment) capturedLast() bool {
	return p.has(func(o *Operation) bool { return o.Kind == Capture && o.Last && o.Outcome == Done })
}

func (p *Payment) has(is func(*Operation) bool) bool {
	for _, o := range p.Operations {
		if is(o) {
			return true
		}
	}
	return false
}

// RefundStatus is where a refund stands.
func (o *Operation) RefundStatus() string {
	switch {
	case o.Outcome == Conflict || o.Parked != "":
		return "needs_review"
	case o.Outcome == Done:
		return "succeeded"
	case o.Outcome == Declined:
		return "failed"
	default:
		return "processing"
	}
}

// Check says what is wrong with p, if anything. It runs on every row that is
// read and before every write.
func (p *Payment) Check() error {
	shown := *p
	shown.derive()
	switch {
	case p.Amount < 1 || p.Amount > MaxAmount:
		return fmt.Errorf("pay: payment %s is about %d", p.ID, p.Amount)
	case p.Status != shown.Status || p.InDoubt != shown.InDoubt || p.Captured != shown.Captured || p.Refunded != shown.Refunded:
		return fmt.Errorf("pay: payment %s shows %s, %d captured, %d refunded; its operations come to %s, %d, %d",
			p.ID, p.Status, p.Captured, p.Refunded, shown.Status, shown.Captured, shown.Refunded)
	}
	for i, o := range p.Operations {
		if err := p.checkOperation(i, o); err != nil {
			return err
		}
	}
	return nil
}

// checkOperation bounds amounts by what any payment can be of, and not by what is
// known of this one: that can turn out to be less than when the operation began,
// and then nothing more could be written of it.
func (p *Payment) checkOperation(i int, o *Operation) error {
	switch {
	case o.Kind < Charge || o.Kind > Refund || o.Outcome > Conflict:
		return fmt.Errorf("pay: operation %s has the %s and the %s, which do not exist", o.ID, o.Kind, o.Outcome)
	case (i == 0) != (o.Kind == Charge || o.Kind == Authorize):
		return fmt.Errorf("pay: operation %s of payment %s is a %s at place %d", o.ID, p.ID, o.Kind, i)
	case o.Amount < 0 || o.Amount > MaxAmount || o.Moved < 0 || o.Booked < 0 || o.Suspended < 0:
		return fmt.Errorf("pay: operation %s of payment %s moves %d, moved %d", o.ID, p.ID, o.Amount, o.Moved)
	case o.Attempt > 0 && o.FirstSentAt.IsZero():
		return fmt.Errorf("pay: operation %s was sent %d times and never first", o.ID, o.Attempt)
	}
	return nil
}
