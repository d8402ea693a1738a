package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/webhook"
)

// Payments carries payments out and knows the gateways. Its methods are safe for
// concurrent use.
type Payments interface {
	// House says who we are, and the terms of every gateway just now. Nobody
	// changes what it returned.
	House() pay.House

	// Check asks the gateway what became of a payment, and returns when the answer
	// is written down, or ctx ends.
	Check(ctx context.Context, r pay.Ref) error

	// Notice takes a gateway's webhook in, and returns when it is written down:
	// once, however often it comes. An error of package webhook means that it is
	// not the gateway's, or not now; a store that fails has the engine's errors;
	// any other error means that it cannot be read.
	Notice(ctx context.Context, gateway, tenant string, h http.Header, body []byte) error
}

// noPayments is Payments without a gateway.
type noPayments struct{}

func (noPayments) House() pay.House                     { return pay.House{} }
func (noPayments) Check(context.Context, pay.Ref) error { return errNoGateway }
func (noPayments) Notice(context.Context, string, string, http.Header, []byte) error {
	return errNoGateway
}

var errNoGateway = errors.New("web: there is no gateway")

// usualGateway is the gateway of payments that name none: the one that was
// chosen, or the only one; "" if it must be named.
func (a *API) usualGateway(h pay.House) string {
	if a.gateway != "" || len(h.Gateways) != 1 {
		return a.gateway
	}
	for name := range h.Gateways {
		return name
	}
	return ""
}

// takeNotice is POST /v1/gateways/{gateway}/webhooks/{endpoint}. The endpoint is
// the tenant's name. A signature that is wrong is answered alike whether there
// is such a tenant or not.
func (x *exchange) takeNotice() {
	gateway, tenant := x.r.PathValue("gateway"), x.r.PathValue("endpoint")
	terms, known := x.api.payments.House().Gateways[gateway]
	if !known {
		x.refuse(notFound, "There is no such gateway.")
		return
	}
	body, bad := x.readNotice()
	if bad != nil {
		x.refuse(bad.code, bad.detail)
		return
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), DefaultWait)
	defer cancel()
	if err := x.api.payments.Notice(ctx, gateway, tenant, x.r.Header, body); err != nil {
		x.refuseNotice(err, terms.Untold)
		return
	}
	x.send(once.Answer{Status: http.StatusOK, Header: jsonHeader, Body: received})
}

var received = []byte(`{"received":true}`)

// refuseNotice says what a gateway has to know: whether to send it again. Untold
// is that it has not said yet what it promises, so that nothing of it is taken.
func (x *exchange) refuseNotice(err error, untold bool) {
	for _, unsigned := range []error{webhook.ErrMissing, webhook.ErrMalformed, webhook.ErrTimestamp, webhook.ErrSignature} {
		if errors.Is(err, unsigned) {
			x.api.log.Debug("a webhook was refused", "request", x.id, "path", x.r.URL.Path, "err", err) // anybody can send one
			x.set("Www-Authenticate", `StandardWebhooks realm="oncepay"`)
			x.refuse(unauthenticated, "The webhook is not signed by this gateway for this endpoint, or its timestamp is too far from the server's clock.")
			return
		}
	}
	switch {
	case errors.Is(err, engine.ErrInProgress), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		x.refuse(storeUnavailable, "The webhook is not written down yet. Send it again, which does no harm.")
	case findFailure(err).code != internal:
		x.refuse(x.refusal(err))
	case untold:
		x.refuse(gatewayUnavailable, "It is not known yet what this gateway promises. Send the webhook again.")
	default:
		x.api.log.Warn("a webhook cannot be read", "request", x.id, "path", x.r.URL.Path, "err", err)
		x.refuse(badJSON, "The webhook is signed, but it is not one of this gateway's, or it cannot be read.")
	}
}

// lookAgain has the gateway asked about a payment whose customer was to do
// something, since they may have done it, and does the job again. A gateway that
// says nothing while p lasts changes nothing.
func (x *exchange) lookAgain(p *patience, r pay.Ref, j *engine.Job, o engine.Outcome) engine.Outcome {
	ctx, cancel := context.WithDeadline(x.r.Context(), p.until) // p itself is used again when others may still look at it
	defer cancel()
	if err := x.api.payments.Check(ctx, r); err != nil {
		x.api.log.Debug("the gateway was not asked", "request", x.id, "payment", r.ID, "err", err)
		return o
	}
	if again := x.api.executor.Do(p, j); again.Err == nil {
		return x.settled(p, j, again)
	}
	return o
}

// whyNotAsked answers for a check that failed. What the gateway says may come
// later, or be lost on its way to the store: so it does not say that nothing
// changed.
func (x *exchange) whyNotAsked(r pay.Ref, err error) {
	if f := findFailure(err); f.code != internal && !errors.Is(err, engine.ErrInProgress) {
		x.refuse(x.refusal(err))
		return
	}
	if errors.Is(err, engine.ErrInternal) {
		x.api.log.Error("what a gateway answered could not be written down", "request", x.id, "payment", r.ID, "err", err)
		x.refuse(internal, "The gateway answered, and the server has a defect that kept it from writing the answer down; its log says more under this request_id. The payment stays in doubt, and is checked again.")
		return
	}
	level := slog.LevelWarn
	if x.r.Context().Err() != nil { // nobody is there any more; the gateway may be well
		level = slog.LevelDebug
	}
	x.api.log.Log(x.r.Context(), level, "a gateway could not be asked", "request", x.id, "payment", r.ID, "err", err)
	x.refuse(gatewayUnavailable, NotAsked)
}

// NotAsked is what somebody is told whose check of a payment came to nothing.
const NotAsked = "The gateway could not be asked, or it took too long. If it answers later, that is written down."
