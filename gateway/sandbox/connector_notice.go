package sandbox

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/webhook"
)

// ErrNotice means that a webhook is signed, but is none that a sandbox sends.
var ErrNotice = errors.New("sandbox: the webhook says nothing that is known")

// Notice reads a webhook that came for a tenant: the notice, and what it says of
// its operation. It fails with the errors of package webhook if somebody else may
// have sent it, a [webhook.ErrSignature] where the tenant has no secret, and with
// [ErrNotice].
func (c *Connector) Notice(tenant string, h http.Header, body []byte, now time.Time) (pay.Notice, pay.Finding, error) {
	secret, err := webhook.ParseSecret(c.cfg.Secret(tenant))
	if err != nil {
		return pay.Notice{}, pay.Finding{}, webhook.ErrSignature
	}
	msg, err := webhook.Verifier{Secrets: []webhook.Secret{secret}}.Verify(h, body, now)
	if err != nil {
		return pay.Notice{}, pay.Finding{}, err
	}
	v, err := jcs.Parse(msg.Body, answerLimits)
	if err != nil || text(v, "id") != msg.ID {
		return pay.Notice{}, pay.Finding{}, ErrNotice
	}
	n := pay.Notice{
		NoticeID: pay.NoticeID{Tenant: tenant, Gateway: c.cfg.Name, ID: msg.ID},
		Payment:  text(v, "payment"), Operation: text(v, "operation"), GatewayID: text(v, "gateway_id"), Type: text(v, "type"),
	}
	f, ok := noticed(v, n.GatewayID)
	if !ok || !isName(n.Payment) || !isName(n.Operation) || !isName(n.GatewayID) || n.Type != "operation."+text(v, "status") {
		return pay.Notice{}, pay.Finding{}, ErrNotice
	}
	return n, f, nil
}

// noticed is what a webhook says of its operation.
func noticed(v jcs.Value, id string) (pay.Finding, bool) {
	amount, ok := integer(v, "amount", pay.MaxAmount)
	currency, err := money.ParseCurrency(text(v, "currency"))
	f := pay.Finding{GatewayID: id, Amount: amount, Currency: currency}
	switch text(v, "status") {
	case statusSucceeded:
		f.Outcome = pay.Done
	case statusRequiresAction:
		f.Outcome = pay.ActionRequired
	case statusDeclined:
		f.Outcome, f.Failure = pay.Declined, declined("", "")
	default:
		return pay.Finding{}, false
	}
	if strings.HasPrefix(id, gatewayPrefix[kindVoid]) || f.Outcome == pay.Declined {
		f.Amount = 0
	}
	return f, ok && err == nil
}
