package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// A reply is an answer and what becomes of it on its way.
type reply struct {
	status   int
	body     []byte
	location string
	after    time.Duration
	answer   Answer
}

// replyTo is the answer to a send.
func (s *Server) replyTo(o outcome, r *http.Request) reply {
	if o.execution == nil {
		return faulty(o.fault)
	}
	body := s.body(o.execution, o.fault, r)
	status := http.StatusOK
	if o.execution.status == statusDeclined {
		status = http.StatusPaymentRequired
	}
	return shaped(o.fault, status, body)
}

// shaped is an answer with a body, or with an error if the fault has a status
// that the body does not go with.
func shaped(f Fault, status int, body any) reply {
	status = cmp.Or(f.Status, status)
	if f.Redirect != "" || status != http.StatusOK && status != http.StatusPaymentRequired {
		return faulty(f)
	}
	return reply{status: status, body: encode(body), after: f.After, answer: f.Answer}
}

// faulty is an answer that tells nothing.
func faulty(f Fault) reply {
	status := http.StatusInternalServerError
	if f.Redirect != "" {
		status = http.StatusTemporaryRedirect
	}
	return reply{
		status: cmp.Or(f.Status, status), body: encode(errorBody{Error: problem{"fault", "this is a fault of the sandbox"}}),
		location: f.Redirect, after: f.After, answer: f.Answer,
	}
}

// body is what is said of an execution.
func (s *Server) body(e *execution, f Fault, r *http.Request) executionBody {
	b := executionBody{
		Operation: e.operation, Kind: e.kind, Status: cmp.Or(f.SayStatus, e.status), GatewayID: e.gatewayID,
		Amount: cmp.Or(f.SayAmount, e.amount), Currency: cmp.Or(f.SayCurrency, e.currency),
	}
	switch b.Status {
	case statusRequiresAction:
		b.ActionURL = cmp.Or(s.cfg.BaseURL, "http://"+r.Host) + "/sandbox/actions/" + e.gatewayID
	case statusDeclined:
		b.DeclineCode = cmp.Or(e.declineCode, "do_not_honor")
		b.Message = "The payment was declined: " + b.DeclineCode + "."
	}
	return b
}

// answer sends a reply, or what is left of it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, p reply) {
	s.wait(r.Context(), p.after)
	switch p.answer {
	case Hang:
		s.hang(r.Context())
	case ResetBefore:
		reset(w, "")
	case ResetWithin:
		reset(w, "H")
	case ResetInBody:
		reset(w, fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			p.status, http.StatusText(p.status), len(p.body), p.body[:len(p.body)/2]))
	}
	if p.location != "" {
		w.Header().Set("Location", p.location)
	}
	body := p.body
	if p.answer == Broken {
		body = body[:len(body)/2]
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.status)
	switch p.answer {
	case Truncated:
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Drip:
		s.drip(w, r.Context(), body)
	default:
		w.Write(body)
	}
}

// drip writes a byte at a time until the client has enough of it.
func (s *Server) drip(w http.ResponseWriter, ctx context.Context, body []byte) {
	rc := http.NewResponseController(w)
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil || ctx.Err() != nil {
			return
		}
		rc.Flush()
		s.wait(ctx, dripEvery)
	}
}

const dripEvery = 200 * time.Millisecond

// hang answers nothing: it waits until the client leaves, for a minute at most,
// and drops the connection. When too many hang it does so at once.
func (s *Server) hang(ctx context.Context) {
	defer s.hanging.Add(-1)
	if s.hanging.Add(1) <= int64(s.cfg.MaxHanging) {
		s.wait(ctx, hangFor)
	}
	panic(http.ErrAbortHandler) // net/http's way to drop a connection
}

// wait returns after d, when ctx is over, or when the server is closed.
func (s *Server) wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closing:
	}
}

// reset ends the connection with a RST after some bytes of an answer.
func reset(w http.ResponseWriter, first string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.Write([]byte(first)) // what is sent is read before a reset is seen
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
	panic(http.ErrAbortHandler)
}
