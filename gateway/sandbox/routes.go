package sandbox

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/operations", s.operate)
	mux.HandleFunc("GET /v1/operations/{id}", s.lookUp)
	mux.HandleFunc("GET /v1/contract", s.contract)
	mux.HandleFunc("GET /sandbox/charges", s.listCharges)
	mux.HandleFunc("GET /sandbox/operations/{id}", s.showCounts)
	mux.HandleFunc("GET /sandbox/actions/{id}", s.showAction)
	// A page of another site must not approve for the customer.
	mux.Handle("POST /sandbox/actions/{id}", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.decideAction)))
	return mux
}

// contract says what this gateway promises.
func (s *Server) contract(w http.ResponseWriter, _ *http.Request) {
	c := contractBody{
		WindowMillis: s.cfg.Window.Milliseconds(), Lookup: !s.cfg.NoLookup, LookupLagMillis: s.cfg.LookupLag.Milliseconds(),
		InFlightMillis: s.cfg.InFlight.Milliseconds(), TimeoutMillis: s.cfg.Timeout.Milliseconds(),
		LagKnown: !s.cfg.LagUntold, Captures: "many", PartialCapture: !s.cfg.WholeCapture,
	}
	if s.cfg.OneCapture {
		c.Captures = "one"
	}
	writeJSON(w, http.StatusOK, c)
}

// operate takes a send.
func (s *Server) operate(w http.ResponseWriter, r *http.Request) {
	operation, no := idempotencyKey(r.Header)
	if no != nil {
		refuse(w, no)
		return
	}
	in, no := readInstruction(w, r, operation)
	if no != nil {
		s.count(context.WithoutCancel(r.Context()), operation)
		refuseOperation(w, operation, no)
		return
	}
	o, err := s.send(r.Context(), in)
	switch {
	case err != nil:
		s.fail(w, err)
	case o.refusal != nil:
		refuseOperation(w, operation, o.refusal)
	default:
		s.answer(w, r, s.replyTo(o, r))
	}
}

// send executes an instruction. What has begun is finished, also if the sender
// leaves.
func (s *Server) send(ctx context.Context, in *instruction) (outcome, error) {
	var o outcome
	err := s.books.writer.do(ctx, func(t *tx) (err error) {
		o = outcome{}
		if err = s.arrive(t, in, &o); err != nil || o.fault.Before > 0 {
			return err
		}
		return s.execute(t, in, &o)
	})
	if err != nil || o.fault.Before == 0 {
		return o, err
	}
	ctx = context.WithoutCancel(ctx)
	s.wait(ctx, o.fault.Before)
	return o, s.books.writer.do(ctx, func(t *tx) error { return s.execute(t, in, &o) })
}

// count counts a send that says nothing which could be done. It is not worth an
// error: the send is refused in any case.
func (s *Server) count(ctx context.Context, operation string) {
	err := s.books.writer.do(ctx, func(t *tx) error {
		_, err := t.countSend(operation)
		return err
	})
	if err != nil {
		s.cfg.Log.Warn("a send was not counted", "operation", operation, "err", err)
	}
}

// idempotencyKey reads the id of an operation: one header, as it stands.
func idempotencyKey(h http.Header) (string, *refusal) {
	keys := h.Values("Idempotency-Key")
	if len(keys) != 1 || !isName(keys[0]) {
		return "", invalid("one Idempotency-Key of 1 to 255 visible ASCII characters is needed")
	}
	return keys[0], nil
}

func isName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 255
}

// readInstruction reads all of the body, so that the server notices when the
// client leaves.
func readInstruction(w http.ResponseWriter, r *http.Request, operation string) (*instruction, *refusal) {
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(bodyTimeout)) // where the connection has none, there is none to set
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, refused(http.StatusRequestEntityTooLarge, "too_large", "a body has at most %d bytes", maxBody)
	}
	if err != nil {
		return nil, refused(http.StatusBadRequest, "bad_json", "the body did not arrive in full")
	}
	rc.SetReadDeadline(time.Time{})
	in, no := parseInstruction(operation, body)
	if no == nil {
		in.notAfter, no = readNotAfter(r.Header)
	}
	return in, no
}

// notAfter is the header that says until when a send may be executed.
const notAfter = "Sandbox-Not-After"

func readNotAfter(h http.Header) (time.Time, *refusal) {
	lines := h.Values(notAfter)
	if len(lines) == 0 {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, lines[0])
	if len(lines) > 1 || err != nil {
		return time.Time{}, invalid("%s is one time, as RFC 3339 has it", notAfter)
	}
	return at, nil
}

// fail answers what went wrong on this side. Whether anything was executed is
// then not known, but for a refusal.
func (s *Server) fail(w http.ResponseWriter, err error) {
	if no := (*refusal)(nil); errors.As(err, &no) {
		refuse(w, no)
		return
	}
	status := http.StatusInternalServerError
	if errors.Is(err, errClosed) || errors.Is(err, errStopped) || errors.Is(err, context.Canceled) {
		status = http.StatusServiceUnavailable
	} else {
		s.cfg.Log.Error("the books failed", "err", err)
	}
	writeJSON(w, status, errorBody{Error: problem{"internal", "the sandbox failed; nobody can say what became of it"}})
}

// limit reads ?limit=, 1 to most.
func limit(r *http.Request, most int) (int, *refusal) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return most, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, invalid("limit is a number from 1 to %d", most)
	}
	return n, nil
}
