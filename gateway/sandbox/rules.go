package sandbox

import (
	"net/http"
	"slices"
)

// perform moves the money, as far as the rules allow: a capture is at most what
// was authorized, a refund at most what was captured, a void only of what was not
// captured. An execution that is declined moves none.
//
// A hostile gateway forgets what the same id did before: it executes a full
// capture or refund a second time, so that the books show it.
func (s *Server) perform(t *tx, in *instruction, e *execution) (*refusal, error) {
	if e.isCharge() {
		return nil, nil
	}
	if in.kind == kindVoid {
		return s.void(t, in, e)
	}
	c, r, err := t.chargeOf(in)
	if err != nil || r != nil {
		return r, err
	}
	e.target = c.gatewayID
	own, err := s.ownAmount(t, e)
	if err != nil {
		return nil, err
	}
	if r := s.allows(c, in, own); r != nil || e.status != statusSucceeded {
		return r, nil
	}
	if in.kind == kindRefund {
		c.refunded += e.amount
	} else {
		c.captured += e.amount
		c.closed = c.closed || in.final || s.cfg.OneCapture || c.captured >= c.amount
	}
	return nil, t.update(c)
}

// ownAmount is what the same operation moved before, to be forgotten.
func (s *Server) ownAmount(t *tx, e *execution) (own int64, err error) {
	if !s.cfg.Hostile {
		return 0, nil
	}
	err = t.row(`SELECT coalesce(sum(amount), 0) FROM executions WHERE operation = ? AND target = ? AND status = 'succeeded'`,
		[]any{e.operation, e.target}, &own)
	return own, err
}

// allows says what is against a capture or a refund of c.
func (s *Server) allows(c *execution, in *instruction, own int64) *refusal {
	switch {
	case c.status != statusSucceeded:
		return against("no_money", "the charge is %s", c.status)
	case c.currency != in.currency:
		return against("currency_mismatch", "the charge is in %s", c.currency)
	case c.voided:
		return against("voided", "the authorization was voided")
	case in.kind == kindRefund:
		return allowsRefund(c, in.amount, own)
	}
	return s.allowsCapture(c, in.amount, own)
}

func allowsRefund(c *execution, amount, own int64) *refusal {
	if left := c.captured - (c.refunded - own); amount > left {
		return against("refund_exceeds_captured", "%d can be refunded", left)
	}
	return nil
}

func (s *Server) allowsCapture(c *execution, amount, own int64) *refusal {
	left := c.amount - (c.captured - own)
	switch {
	case c.closed && own == 0:
		return against("already_captured", "nothing more can be captured")
	case amount > left:
		return against("capture_exceeds_authorized", "%d can be captured", left)
	case s.cfg.WholeCapture && amount != c.amount:
		return against("partial_capture", "only all of it can be captured")
	}
	return nil
}

func noCharge(target string) *refusal {
	return refused(http.StatusNotFound, "no_such_charge", "the payment has no charge %q", target)
}

// void releases an authorization, or calls off an action that nobody decided.
func (s *Server) void(t *tx, in *instruction, e *execution) (*refusal, error) {
	charges, r, err := t.chargesOf(in)
	if err != nil || r != nil {
		return r, err
	}
	again := false
	if s.cfg.Hostile {
		own, err := t.executionsOf(in.operation)
		if err != nil {
			return nil, err
		}
		again = len(own) > 0
	}
	live, r := voidable(charges, in, again)
	if r != nil {
		return r, nil
	}
	e.target, e.amount, e.currency = live[0].gatewayID, live[0].amount, live[0].currency
	if e.status != statusSucceeded {
		return nil, nil
	}
	for _, c := range live {
		if err := t.voidOne(c, e); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// chargeOf reads what a capture or a refund is of. An operation that was executed
// more than once made several charges: nobody can say which of them is meant, unless
// only one of them holds money.
func (t *tx) chargeOf(in *instruction) (*execution, *refusal, error) {
	all, r, err := t.chargesOf(in)
	if err != nil || r != nil {
		return nil, r, err
	}
	live := slices.DeleteFunc(slices.Clone(all), func(c *execution) bool { return !c.holdsMoney() })
	switch len(live) {
	case 0:
		return all[0], nil, nil // the rules say what is against it
	case 1:
		return live[0], nil, nil
	default:
		return nil, against("ambiguous_target", "the operation made %d charges: name one of them by its own id", len(live)), nil
	}
}

// chargesOf reads what an instruction is of: a charge, or all that an operation
// made.
func (t *tx) chargesOf(in *instruction) ([]*execution, *refusal, error) {
	if in.target != "" {
		c, err := t.charge(in.target)
		if err == nil && (c == nil || c.payment != in.payment) {
			return nil, noCharge(in.target), nil
		}
		return []*execution{c}, nil, err
	}
	all, err := t.executionsOf(in.targetOperation)
	if err == nil && (len(all) == 0 || all[0].payment != in.payment || !all[0].isCharge()) {
		return nil, refused(http.StatusNotFound, "no_such_operation", "the payment has no operation %q that charges", in.targetOperation), nil
	}
	return all, nil, err
}

// voidable returns those of the charges that can be voided. Again: also those
// that were.
func voidable(charges []*execution, in *instruction, again bool) ([]*execution, *refusal) {
	var live []*execution
	for _, c := range charges {
		switch {
		case in.currency != "" && in.currency != c.currency:
			return nil, against("currency_mismatch", "the charge is in %s", c.currency)
		case c.captured > 0:
			return nil, against("already_captured", "%d was captured", c.captured)
		case c.status == statusDeclined || c.voided && !again:
		default:
			live = append(live, c)
		}
	}
	if len(live) == 0 {
		return nil, against("nothing_to_void", "the charge holds no money")
	}
	return live, nil
}

func (t *tx) voidOne(c, e *execution) error {
	if c.status == statusRequiresAction {
		c.status, c.declineCode = statusDeclined, "canceled"
		if err := t.exec(`UPDATE actions SET outcome = 'canceled', decided_at = ? WHERE gateway_id = ?`, e.at.UnixMicro(), c.gatewayID); err != nil {
			return err
		}
	} else {
		c.voided = true
	}
	return t.update(c)
}
