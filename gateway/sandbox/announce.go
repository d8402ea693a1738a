package sandbox

import (
	"time"
)

// announce puts the webhooks of an execution among the deliveries, in the same
// transaction.
func (t *tx) announce(e *execution, w Webhooks) error {
	if e.asked.NotifyURL == "" || w.None {
		return nil
	}
	status := e.status
	if w.Say != "" {
		status = w.Say
	}
	due := e.at.Add(w.Delay)
	news := t.event(e, status, e.at)
	if !w.Stale {
		return t.deliver(e, news, due, w.Copies)
	}
	// The first copy of what is new, then what was before, then the other copies.
	old := t.event(e, statusRequiresAction, e.at.Add(-time.Millisecond))
	if err := t.deliver(e, news, due, 1); err != nil {
		return err
	}
	if err := t.deliver(e, old, due.Add(betweenCopies), w.Copies); err != nil {
		return err
	}
	return t.deliver(e, news, due.Add(2*betweenCopies), w.Copies-1)
}

// betweenCopies puts them in order; that they arrive in it is the courier's
// business.
const betweenCopies = 10 * time.Millisecond

func (t *tx) event(e *execution, status string, at time.Time) eventBody {
	return eventBody{
		ID: t.ids.New("sevt_", at), Type: "operation." + status, Operation: e.operation, Payment: e.payment, GatewayID: e.gatewayID,
		Status: status, Amount: e.amount, Currency: e.currency, At: at.UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
	}
}

// deliver puts copies of an event among the deliveries.
func (t *tx) deliver(e *execution, event eventBody, due time.Time, copies int) error {
	body := encode(event)
	for i := range max(copies, 1) {
		err := t.exec(`INSERT INTO deliveries (event, operation, url, secret, body, attempts, due, result) VALUES (?, ?, ?, ?, ?, 0, ?, '')`,
			event.ID, e.operation, e.asked.NotifyURL, e.asked.NotifySecret, body, due.Add(time.Duration(i)*betweenCopies).UnixMicro())
		if err != nil {
			return err
		}
	}
	t.news = true
	return nil
}
