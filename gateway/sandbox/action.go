package sandbox

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed" // the page
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/oncepay/oncepay/money"
)

//go:embed action.html
var actionHTML string

var actionPage = template.Must(template.New("action").Parse(actionHTML))

// pagePolicy lets the page load nothing and be framed by nobody. It says nothing
// of where a form leads: browsers hold that against the redirect to the shop
// too.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

// What a customer can decide; it can also be called off.
const (
	approved   = "approved"
	turnedDown = "refused" // a refusal is something else here
	canceled   = "canceled"
)

// An action is a charge that waits for its customer, or waited.
type action struct {
	charge  *execution
	outcome string // "" while it waits
}

// action reads the action of a charge, and nil if it has none.
func (t *tx) action(gatewayID string) (*action, error) {
	a := &action{}
	err := t.row(`SELECT outcome FROM actions WHERE gateway_id = ?`, []any{gatewayID}, &a.outcome)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a.charge, err = t.charge(gatewayID)
	return a, err
}

// showAction is GET /sandbox/actions/{id}: the page that asks.
func (s *Server) showAction(w http.ResponseWriter, r *http.Request) {
	var a *action
	err := s.books.writer.do(r.Context(), func(t *tx) (err error) {
		a, err = t.action(r.PathValue("id"))
		return err
	})
	if err != nil {
		s.fail(w, err)
		return
	}
	s.showPage(w, http.StatusOK, a)
}

// decideAction is POST /sandbox/actions/{id} with outcome=approved or refused.
// The first decision counts; the same one again changes nothing.
func (s *Server) decideAction(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	outcome := r.PostFormValue("outcome")
	if outcome != approved && outcome != turnedDown {
		refuse(w, invalid("outcome is %s or %s", approved, turnedDown))
		return
	}
	a, err := s.decide(r.Context(), r.PathValue("id"), outcome)
	switch {
	case err != nil:
		s.fail(w, err)
	case a != nil && a.outcome != outcome:
		s.showPage(w, http.StatusConflict, a)
	case a != nil && a.charge.asked.ReturnURL != "":
		http.Redirect(w, r, a.charge.asked.ReturnURL, http.StatusSeeOther)
	default:
		s.showPage(w, http.StatusOK, a)
	}
}

// decide writes down what the customer said and does it: an approved charge
// takes or reserves its money now. It returns the action as it then is.
func (s *Server) decide(ctx context.Context, gatewayID, outcome string) (*action, error) {
	var a *action
	err := s.books.writer.do(context.WithoutCancel(ctx), func(t *tx) (err error) {
		if a, err = t.action(gatewayID); err != nil || a == nil || a.outcome != "" {
			return err
		}
		a.outcome = outcome
		return t.settle(a, s.cfg.Now())
	})
	return a, err
}

func (t *tx) settle(a *action, now time.Time) error {
	c := a.charge
	c.at = now
	if a.outcome == approved {
		c.status = statusSucceeded
		if c.kind == kindCharge {
			c.captured, c.closed = c.amount, true
		}
	} else {
		c.status, c.declineCode = statusDeclined, "authentication_failed"
	}
	if err := t.update(c); err != nil {
		return err
	}
	if err := t.exec(`UPDATE actions SET outcome = ?, decided_at = ? WHERE gateway_id = ?`, a.outcome, now.UnixMicro(), c.gatewayID); err != nil {
		return err
	}
	return t.announce(c, Webhooks{})
}

// titles of the page, by what was decided.
var titles = map[string]string{
	"": "Approve this payment?", approved: "The payment was approved", turnedDown: "The payment was refused", canceled: "The payment was canceled",
}

// showPage shows an action, or that there is none.
func (s *Server) showPage(w http.ResponseWriter, status int, a *action) {
	shown := map[string]any{"Title": "There is no such payment"}
	if a == nil {
		status = http.StatusNotFound
	} else {
		c := a.charge
		shown = map[string]any{
			"Title": titles[a.outcome], "Open": a.outcome == "", "Back": c.asked.ReturnURL,
			"Charge": map[string]string{
				"Amount":  money.Amount{Minor: c.amount, Currency: money.Currency(c.currency)}.String(),
				"Payment": c.payment, "Reference": c.asked.Reference, "Description": c.asked.Description,
			},
		}
	}
	var page bytes.Buffer
	if err := actionPage.Execute(&page, shown); err != nil {
		s.fail(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	page.WriteTo(w)
}
