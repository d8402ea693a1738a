package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/internal/outbound"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Webhooks is what is behind /v1/webhook_endpoints.
type Webhooks struct {
	Store   WebhookStore
	Secrets delivery.Secrets
	URLs    outbound.Rules
	Wake    func() // is called when something may be due
}

// WebhookStore has endpoints and deliveries, and lists them.
type WebhookStore interface {
	delivery.Store

	// WebhookEndpoints lists those of a tenant, newest first.
	WebhookEndpoints(ctx context.Context, tenant string, p engine.Page) (engine.List[delivery.Endpoint], error)

	// Deliveries lists those to an endpoint, of one status if it is not 0, by their events,
	// newest first.
	Deliveries(ctx context.Context, tenant, endpoint string, status delivery.Status, p engine.Page) (engine.List[delivery.Delivery], error)

	// DeliveryOf returns a delivery and its attempts, the oldest first; nil if there is none.
	DeliveryOf(ctx context.Context, tenant, endpoint, event string) (*delivery.Delivery, []delivery.Attempt, error)
}

const endpointPath = "/v1/webhook_endpoints"

// deed is something that is done beside the ledger, so that it cannot be one commit with its
// key. Doing it again changes nothing: it is done between looking the key up and keeping the
// answer under it, and again by a repeat if nobody came to the latter. It returns the id of what
// it is about, or an answer that refuses it and is not kept.
type deed struct {
	operation
	act func(ctx context.Context, o *order) (id string, body []byte, refused *once.Answer, err error)
}

// perform answers a keyed request for a deed.
func (x *exchange) perform(d *deed) {
	o := x.readOrder(&d.operation)
	if o == nil {
		return
	}
	most := x.keepsTo()
	o.NoWait = most == 0
	if _, wanted := o.Command.(ledger.Noted); !wanted { // it is refused, unless its key is known
		x.answer(x.do(&o.Job, most))
		return
	}
	o.refuse(once.Answer{})
	if came := x.do(&o.Job, most); came.Err != nil || came.Answer.Status != 0 {
		x.answer(came)
		return
	}
	made, body, refused, err := d.act(x.r.Context(), o)
	switch {
	case err != nil:
		x.failed(d.name, err)
		return
	case refused != nil:
		x.answer(engine.Outcome{Answer: *refused})
		return
	}
	o.Command = ledger.Noted{ID: made}
	o.Reply = func(r ledger.Result, _ *ledger.Refusal) once.Answer {
		a := once.Answer{Status: d.status, Header: jsonHeader, Body: body}
		if d.place != "" {
			a.Header = []once.Field{jsonHeader[0], {Name: "Location", Value: d.place + r.ID()}}
		}
		return a
	}
	x.answer(x.do(&o.Job, most))
}

// problem is an answer that refuses a deed.
func (x *exchange) problem(c code, detail string) *once.Answer {
	a := c.find().answer(x.id, detail, nil)
	return &a
}

// createEndpoint is POST /v1/webhook_endpoints.
func (x *exchange) createEndpoint() {
	wanted := delivery.Endpoint{Tenant: x.caller.tenant.id, Generation: 1}
	x.perform(&deed{
		operation: operation{
			name: "POST " + endpointPath, status: http.StatusCreated, place: endpointPath + "/",
			read: func(f *form, _, _ string, body jcs.Value) ledger.Command {
				x.readEndpoint(f, &wanted, body, nil)
				f.require(body, "url")
				return ledger.Noted{}
			},
		},
		act: func(ctx context.Context, o *order) (string, []byte, *once.Answer, error) {
			wanted.ID = id.NewSource(id.Seed()).New("we_", x.api.now())
			request := x.caller.tenant.fingerprint("KEY", endpointPath, []byte(o.Request.Key.ID)).Sum
			made, err := x.api.webhooks.Store.AddEndpoint(ctx, wanted, request, delivery.MaxEndpoints)
			switch {
			case errors.Is(err, delivery.ErrTooMany):
				return "", nil, x.problem(stateConflict, fmt.Sprintf("A tenant has at most %d webhook endpoints, and you have as many. Delete one that is not needed; nothing was kept under this key.", delivery.MaxEndpoints)), nil
			case err != nil:
				return "", nil, nil, err
			case made.URL != wanted.URL || made.Description != wanted.Description || !slices.Equal(made.Types, wanted.Types):
				a := x.failedAnswer(once.ErrMismatch)
				return "", nil, &a, nil
			}
			x.api.webhooks.Wake()
			return made.ID, appendEndpoint(nil, *made), nil, nil
		},
	})
}

// readEndpoint reads what a body says of an endpoint. more reads members that are not in every
// such body.
func (x *exchange) readEndpoint(f *form, e *delivery.Endpoint, body jcs.Value, more func(name string, v jcs.Value) bool) {
	for name, v := range body.Members() {
		switch name {
		case "url":
			e.URL = x.hookURL(f, "/url", v)
		case "description":
			e.Description = f.prose("/description", v, delivery.MaxDescription)
		case "events":
			e.Types = f.eventTypes("/events", v)
		default:
			if more == nil || !more(name, v) {
				f.unknown(name)
			}
		}
	}
}

func (x *exchange) hookURL(f *form, pointer string, v jcs.Value) string {
	s, ok := v.Text()
	if !ok {
		f.fail(pointer, "A URL is a string, not %s.", kindName(v))
		return ""
	}
	if err := x.api.webhooks.URLs.Check(s); err != nil {
		f.fail(pointer, "This URL %s.", err)
		return ""
	}
	f.noCard(pointer, s)
	return s
}

// eventTypes reads which events are wanted; none is all.
func (f *form) eventTypes(pointer string, v jcs.Value) (types []string) {
	if v.Kind() != jcs.Array {
		f.fail(pointer, "This is a list of types of events, not %s.", kindName(v))
		return nil
	}
	for i, item := range v.Elements() {
		name, ok := item.Text()
		if !ok || !delivery.IsType(name) {
			f.fail(fmt.Sprintf("%s/%d", pointer, i), "There is no such type of events; write one such as payment.succeeded, or all of a resource as payment.*")
		}
		if types = append(types, name); len(types) > delivery.MaxTypes {
			f.fail(pointer, "An endpoint names at most %d types; leave them out to be sent all.", delivery.MaxTypes)
			return nil
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// listEndpoints is GET /v1/webhook_endpoints.
func (x *exchange) listEndpoints() {
	q := x.query(paging...)
	page := q.page()
	if x.mistaken(q) {
		return
	}
	list, err := x.api.webhooks.Store.WebhookEndpoints(x.r.Context(), x.caller.tenant.id, page)
	answerList(x, list, err, appendEndpoint)
}

// endpoint reads the endpoint in the path. If there is none it has answered.
func (x *exchange) endpoint() *delivery.Endpoint {
	e, err := x.api.webhooks.Store.Endpoint(x.r.Context(), x.caller.tenant.id, x.r.PathValue("id"))
	switch {
	case err != nil:
		x.failed("read a webhook endpoint", err)
		return nil
	case e == nil:
		x.refuse(notFound, "There is no such webhook endpoint.")
	}
	return e
}

// showEndpoint is GET /v1/webhook_endpoints/{id}.
func (x *exchange) showEndpoint() {
	if x.hasQuery() {
		return
	}
	if e := x.endpoint(); e != nil {
		x.json(appendEndpoint(nil, *e))
	}
}

// updateEndpoint is PUT /v1/webhook_endpoints/{id}: idempotent by itself.
func (x *exchange) updateEndpoint() {
	x.change(func(f *form, e *delivery.Endpoint, body jcs.Value) (time.Duration, bool) {
		before := *e
		x.readEndpoint(f, e, body, func(name string, v jcs.Value) bool {
			switch {
			case name != "status":
				return false
			case f.choice("/status", v, "enabled", "disabled") == "enabled":
				e.Disabled, e.FailingFrom = "", time.Time{}
			case e.Disabled == "":
				e.Disabled = delivery.Asked
			}
			return true
		})
		return 0, e.URL != before.URL || e.Description != before.Description || e.Disabled != before.Disabled || !slices.Equal(e.Types, before.Types)
	}, func(e *delivery.Endpoint) {
		x.send(once.Answer{Status: http.StatusOK, Header: jsonHeader, Body: appendEndpoint(nil, *e)})
	})
}

// changeTries is how often a change is made again that others came between.
const changeTries = 5

// change reads the endpoint in the path, has it changed as the body says, and writes it.
func (x *exchange) change(apply func(*form, *delivery.Endpoint, jcs.Value) (overlap time.Duration, changed bool), show func(*delivery.Endpoint)) {
	if x.hasQuery() {
		return
	}
	s := x.api.borrow()
	defer x.api.giveBack(s)
	body, bad := x.readBody(s, oneBody)
	if bad != nil {
		x.refuseBody(bad)
		return
	}
	for range changeTries {
		e := x.endpoint()
		if e == nil {
			return
		}
		var f form
		var overlap time.Duration
		changed := false
		if f.object(body) {
			overlap, changed = apply(&f, e, body)
		}
		if len(f.issues) > 0 {
			x.invalid(f.issues)
			return
		}
		if changed {
			err := x.api.webhooks.Store.PutEndpoint(x.r.Context(), e, overlap)
			if errors.Is(err, delivery.ErrChanged) {
				continue
			}
			if err != nil {
				x.failed("write a webhook endpoint", err)
				return
			}
			x.api.webhooks.Wake()
		}
		show(e)
		return
	}
	x.refuse(inProgress, "Others are changing this endpoint. Send the same request again.")
}

// deleteEndpoint is DELETE /v1/webhook_endpoints/{id}: idempotent by itself.
func (x *exchange) deleteEndpoint() {
	if x.hasQuery() {
		return
	}
	found, err := x.api.webhooks.Store.DeleteEndpoint(x.r.Context(), x.caller.tenant.id, x.r.PathValue("id"))
	switch {
	case err != nil:
		x.failed("delete a webhook endpoint", err)
	case !found:
		x.refuse(notFound, "There is no such webhook endpoint, or none any more.")
	default:
		x.body(http.StatusNoContent, nil)
	}
}

// maySeeSecrets says whether the caller may: who only reads could sign as we do. If not, it has
// answered.
func (x *exchange) maySeeSecrets() bool {
	if x.caller.role == access.Full {
		return true
	}
	x.refuse(forbidden, "An API key with the role read may not see a secret. Use one with the role full.")
	return false
}

// showSecret is GET /v1/webhook_endpoints/{id}/secret.
func (x *exchange) showSecret() {
	if x.hasQuery() || !x.maySeeSecrets() {
		return
	}
	if e := x.endpoint(); e != nil {
		x.secret(e)
	}
}

// rotateSecret is PUT /v1/webhook_endpoints/{id}/secret: idempotent by itself, since it names
// the generation that is wanted.
func (x *exchange) rotateSecret() {
	conflict := false
	x.change(func(f *form, e *delivery.Endpoint, body jcs.Value) (time.Duration, bool) {
		wanted, overlap := int64(0), int64(24*60*60)
		for name, v := range body.Members() {
			switch name {
			case "generation":
				wanted = f.integer("/generation", v)
			case "overlap_seconds":
				if overlap = f.integer("/overlap_seconds", v); overlap < 0 || overlap > int64(delivery.MaxOverlap/time.Second) {
					f.fail("/overlap_seconds", "The secret before stays valid for 0 to %d seconds.", int64(delivery.MaxOverlap/time.Second))
				}
			default:
				f.unknown(name)
			}
		}
		f.require(body, "generation")
		conflict = wanted != e.Generation && wanted != e.Generation+1
		if conflict || wanted == e.Generation {
			return 0, false
		}
		e.Generation, e.FormerUntil = wanted, time.Time{}
		return time.Duration(overlap) * time.Second, true
	}, func(e *delivery.Endpoint) {
		if conflict {
			x.refuse(stateConflict, fmt.Sprintf("The secret is of generation %d: name the next one to change it.", e.Generation))
			return
		}
		x.secret(e)
	})
}

// secret shows the secrets of an endpoint that are valid.
func (x *exchange) secret(e *delivery.Endpoint) {
	of := func(generation int64) string {
		return x.api.webhooks.Secrets.Of(e.Tenant, e.ID, generation).Reveal()
	}
	b := jcs.AppendString([]byte(`{"secret":`), of(e.Generation))
	b = fmt.Appendf(b, `,"generation":%d,"former":`, e.Generation)
	if x.api.now().Before(e.FormerUntil) {
		b = jcs.AppendString(append(b, `{"secret":`...), of(e.Generation-1))
		b = append(jcs.AppendTime(append(b, `,"valid_until":`...), e.FormerUntil), '}')
	} else {
		b = append(b, "null"...)
	}
	x.json(append(b, '}'))
}

// listDeliveries is GET /v1/webhook_endpoints/{id}/deliveries.
func (x *exchange) listDeliveries() {
	q := x.query("status", "limit", "cursor")
	page, status := q.page(), delivery.Status(0)
	if name := q.get("status"); name != "" {
		var ok bool
		if status, ok = delivery.ParseStatus(name); !ok {
			q.fail("status", "This must be pending, delivered or dead.")
		}
	}
	if x.mistaken(q) {
		return
	}
	e := x.endpoint()
	if e == nil {
		return
	}
	list, err := x.api.webhooks.Store.Deliveries(x.r.Context(), e.Tenant, e.ID, status, page)
	answerList(x, list, err, func(b []byte, d delivery.Delivery) []byte { return append(appendDelivery(b, &d), '}') })
}

// showDelivery is GET /v1/webhook_endpoints/{id}/deliveries/{event}.
func (x *exchange) showDelivery() {
	if x.hasQuery() {
		return
	}
	e := x.endpoint()
	if e == nil {
		return
	}
	d, attempts, err := x.api.webhooks.Store.DeliveryOf(x.r.Context(), e.Tenant, e.ID, x.r.PathValue("event"))
	switch {
	case err != nil:
		x.failed("read a delivery", err)
	case d == nil:
		x.refuse(notFound, noDelivery)
	default:
		x.json(appendAttempts(appendDelivery(nil, d), attempts))
	}
}

const noDelivery = "There is no delivery of this event to this endpoint: it was not wanted, or it was done more than 30 days ago."

// redeliver is POST /v1/webhook_endpoints/{id}/deliveries/{event}/redeliver.
func (x *exchange) redeliver() {
	event := x.r.PathValue("event")
	x.perform(&deed{
		operation: operation{name: "POST " + endpointPath + "/{id}/deliveries/{event}/redeliver", status: http.StatusOK, read: readNothing},
		act: func(ctx context.Context, _ *order) (string, []byte, *once.Answer, error) {
			tenant, endpoint := x.caller.tenant.id, x.r.PathValue("id")
			found, err := x.api.webhooks.Store.Redeliver(ctx, tenant, endpoint, event)
			if err != nil {
				return "", nil, nil, err
			}
			d, attempts, err := x.api.webhooks.Store.DeliveryOf(ctx, tenant, endpoint, event)
			if err != nil || !found || d == nil {
				return "", nil, x.problem(notFound, noDelivery), err
			}
			x.api.webhooks.Wake()
			return event, appendAttempts(appendDelivery(nil, d), attempts), nil, nil
		},
	})
}

const (
	// maxRedelivered is how many dead deliveries one request makes again at most, and
	// redeliverAtOnce how many in one commit: others write meanwhile.
	maxRedelivered, redeliverAtOnce = 10_000, 500
)

// redeliverDead is POST /v1/webhook_endpoints/{id}/redeliver.
func (x *exchange) redeliverDead() {
	x.perform(&deed{
		operation: operation{name: "POST " + endpointPath + "/{id}/redeliver", status: http.StatusOK, read: readNothing},
		act: func(ctx context.Context, _ *order) (string, []byte, *once.Answer, error) {
			tenant, endpoint := x.caller.tenant.id, x.r.PathValue("id")
			if e, err := x.api.webhooks.Store.Endpoint(ctx, tenant, endpoint); err != nil || e == nil {
				return "", nil, x.problem(notFound, "There is no such webhook endpoint."), err
			}
			made := 0
			for n := redeliverAtOnce; n == redeliverAtOnce && made < maxRedelivered; made += n {
				var err error
				if n, err = x.api.webhooks.Store.RedeliverDead(ctx, tenant, endpoint, redeliverAtOnce); err != nil {
					return "", nil, nil, err
				}
			}
			x.api.webhooks.Wake()
			return endpoint, fmt.Appendf(nil, `{"redelivered":%d}`, made), nil, nil
		},
	})
}

func readNothing(f *form, _, _ string, body jcs.Value) ledger.Command {
	f.empty(body)
	return ledger.Noted{}
}

func appendEndpoint(b []byte, e delivery.Endpoint) []byte {
	b = jcs.AppendString(append(b, `{"id":`...), e.ID)
	b = jcs.AppendString(append(b, `,"url":`...), e.URL)
	b = jcs.AppendString(append(b, `,"description":`...), e.Description)
	b = append(b, `,"events":[`...)
	for i, t := range e.Types {
		if i > 0 {
			b = append(b, ',')
		}
		b = jcs.AppendString(b, t)
	}
	status, reason := "enabled", []byte("null")
	if e.Disabled != "" {
		status, reason = "disabled", jcs.AppendString(nil, string(e.Disabled))
	}
	b = jcs.AppendString(append(b, `],"status":`...), status)
	b = append(append(b, `,"disabled_reason":`...), reason...)
	b = jcs.AppendTime(append(b, `,"created_at":`...), e.CreatedAt)
	return append(jcs.AppendTime(append(b, `,"updated_at":`...), e.UpdatedAt), '}')
}

// appendDelivery leaves the object open.
func appendDelivery(b []byte, d *delivery.Delivery) []byte {
	b = jcs.AppendString(append(b, `{"event":`...), d.Event)
	b = jcs.AppendString(append(b, `,"type":`...), d.Type)
	b = jcs.AppendString(append(b, `,"subject":`...), d.Subject)
	b = jcs.AppendString(append(b, `,"status":`...), d.Status.String())
	b = fmt.Appendf(b, `,"attempts":%d`, d.Attempts)
	b = jcs.AppendTime(append(b, `,"next_attempt_at":`...), d.DueAt)
	b = jcs.AppendTime(append(b, `,"created_at":`...), d.CreatedAt)
	return jcs.AppendTime(append(b, `,"done_at":`...), d.DoneAt)
}

// appendAttempts closes the object.
func appendAttempts(b []byte, attempts []delivery.Attempt) []byte {
	b = append(b, `,"log":[`...)
	for i, a := range attempts {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"attempt":%d,"at":`, a.Number)
		b = fmt.Appendf(jcs.AppendTime(b, a.At), `,"took_ms":%d,"status":`, a.Took.Milliseconds())
		if a.Status == 0 {
			b = append(b, "null"...)
		} else {
			b = fmt.Appendf(b, "%d", a.Status)
		}
		b = jcs.AppendString(append(b, `,"error":`...), a.Error)
		b = append(jcs.AppendString(append(b, `,"answer":`...), strings.ToValidUTF8(a.Answer, "")), '}')
	}
	return append(b, "]}"...)
}
