package sandbox

import (
	"context"
	"net/http"
	"time"
)

// lookUp tells what became of an operation.
func (s *Server) lookUp(w http.ResponseWriter, r *http.Request) {
	operation := r.PathValue("id")
	if !isName(operation) {
		refuse(w, invalid("the id is not 1 to 255 visible ASCII characters"))
		return
	}
	if s.cfg.NoLookup {
		refuseOperation(w, operation, refused(http.StatusNotImplemented, "no_lookup", "this gateway cannot be asked"))
		return
	}
	v, err := s.check(r.Context(), operation)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, r, s.replyToCheck(operation, v, r))
}

// A view is what a check sees.
type view struct {
	fault      Fault
	executions []*execution
	lag        time.Duration // something younger than this is not seen
}

// check counts a check and looks. Both are one transaction, so that the check
// comes before or after any send as a whole.
func (s *Server) check(ctx context.Context, operation string) (view, error) {
	var v view
	err := s.books.writer.do(ctx, func(t *tx) error {
		v = view{}
		op, err := t.countCheck(operation)
		if err != nil {
			return err
		}
		all, err := t.executionsOf(operation)
		if err != nil {
			return err
		}
		v.see(all, s.cfg.Now())
		a := arrival{on: Check, operation: operation, nth: op.checks}
		if len(all) > 0 {
			a.kind, a.payment, a.paymentMethod = all[0].kind, all[0].payment, all[0].asked.PaymentMethod
		}
		v.fault, _ = s.cfg.Script.pick(a)
		return nil
	})
	return v, err
}

// see leaves out what is not to be seen yet.
func (v *view) see(all []*execution, now time.Time) {
	for _, e := range all {
		if now.Before(e.visibleAt) {
			v.lag = max(v.lag, e.visibleAt.Sub(e.at))
		} else {
			v.executions = append(v.executions, e)
		}
	}
}

func (s *Server) replyToCheck(operation string, v view, r *http.Request) reply {
	lag := s.told(v.lag).Milliseconds()
	if len(v.executions) == 0 || v.fault.Missing {
		p := shaped(v.fault, http.StatusOK, errorBody{Operation: operation, Error: problem{"not_found", "no such operation is known"}, LagMillis: &lag})
		if p.status == http.StatusOK {
			p.status = http.StatusNotFound
		}
		return p
	}
	body := lookupBody{Operation: operation, LagMillis: lag}
	for _, e := range v.executions {
		body.Executions = append(body.Executions, s.body(e, v.fault, r))
	}
	return shaped(v.fault, http.StatusOK, body)
}

// told is what a lookup says of its lag: the truth, also if it is more than is
// declared. Who must lie is told to by a Script (Fault.Missing).
func (s *Server) told(lag time.Duration) time.Duration {
	if s.cfg.LagUntold {
		return 0
	}
	return lag
}
