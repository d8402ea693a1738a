package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/oncepay/oncepay/pay"
)

// Answer is what came of a request: an answer, or why there is none.
type Answer struct {
	Status int    // of HTTP; 0 if none came
	Body   []byte // all of it; nil if the status alone says that it tells nothing
	Left   bool   // a byte of the request may have left, or may yet
	Err    error  // why there is no whole answer
}

// Reader says what an answer means that came whole, with a status that a gateway
// can tell something with: 2xx, or 4xx but for 408, 409, 425 and 429. It says
// false for everything that is not, in each point, what this gateway says of
// just this operation.
//
// Of a 4xx to a send it returns what is in Failure: Declined, or Refused with
// Reach; or, with nothing in Failure, TooLate.
type Reader func(Answer) (pay.Finding, bool)

// ofSend is what a send came to. Only a byte that cannot have left, or a gateway
// that says so, makes it certain that nothing happened.
func (a Answer) ofSend(read Reader) pay.Finding {
	switch {
	case !a.Left:
		return pay.Finding{Reach: pay.NeverLeft, Detail: a.Detail()}
	case a.Err != nil || !a.tells():
		return pay.Finding{Detail: a.Detail()}
	}
	f, ok := read(a)
	if !ok || !a.allows(&f) {
		return pay.Finding{Detail: a.unreadable()}
	}
	f.Detail = cmp.Or(f.Detail, a.Detail())
	return f
}

// allows says whether a status may come with what was read: an answer that
// contradicts itself tells nothing.
func (a Answer) allows(f *pay.Finding) bool {
	if f.Reach == pay.NeverLeft || f.Absent {
		return false
	}
	refused := f.Reach == pay.Refused || f.Reach == pay.TooLate
	if a.Status < 300 {
		return !refused && f.Outcome != pay.Unknown
	}
	return refused && f.Outcome == pay.Unknown || f.Outcome == pay.Declined && a.Status == http.StatusPaymentRequired
}

// ofCheck is what a check came to.
func (a Answer) ofCheck(read Reader) pay.Finding {
	if !a.Left || a.Err != nil || !a.tells() {
		return pay.Finding{Detail: a.Detail()}
	}
	f, ok := read(a)
	if !ok || f.Absent && f.Outcome != pay.Unknown {
		return pay.Finding{Detail: a.unreadable()}
	}
	f.Reach, f.Detail = pay.MayHaveArrived, cmp.Or(f.Detail, a.Detail())
	return f
}

// tells says whether the status is one that a gateway can tell something with.
// 408 and 425 are about the connection, 409 is what a gateway says while it is at
// work on the same id, 429 may come from something that stands before it.
func (a Answer) tells() bool {
	switch a.Status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return 200 <= a.Status && a.Status < 300 || 400 <= a.Status && a.Status < 500
}

// Detail says what came, for people: never anything from a body.
func (a Answer) Detail() string {
	if a.Err != nil {
		return explain(a.Err, a.Left)
	}
	return fmt.Sprintf("HTTP %d", a.Status)
}

func (a Answer) unreadable() string {
	return fmt.Sprintf("HTTP %d with an answer that cannot be relied on", a.Status)
}

// ours says whether it was not the gateway that ended it.
func (a Answer) ours() bool {
	return is(a.Err, errNoPlace, errRate, errBadRequest, context.Canceled)
}
