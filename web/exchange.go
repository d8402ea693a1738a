package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// exchange is one request on its way to its answer. It is the ResponseWriter
// that handlers are given, so that it sees every answer.
type exchange struct {
	http.ResponseWriter
	api    *API
	r      *http.Request
	id     string    // "req_…", new for every request
	end    *endpoint // nil until it is found
	caller caller    // zero until it is known
	status int       // 0 until it is answered
	room   int64     // bytes of the room for bodies that it has taken
	free   int64     // bytes of its body that take no room

	lines [6]string // values of header lines: one allocation for all
	used  int
}

// WriteHeader notes the status, and tells what is left of the caller's rate.
func (x *exchange) WriteHeader(status int) {
	x.status = status
	x.showRate()
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// set sets a header line. name is in canonical form: this saves the map's
// usual detours.
func (x *exchange) set(name, value string) {
	if x.used == len(x.lines) {
		x.Header()[name] = []string{value}
		return
	}
	x.lines[x.used] = value
	x.Header()[name] = x.lines[x.used : x.used+1 : x.used+1]
	x.used++
}

// expires advertises until when the key is kept.
func (x *exchange) expires(at time.Time) {
	x.set("Idempotency-Expires", at.UTC().Format(jcs.TimeFormat))
}

// keepsTo returns how long the request waits at most, and tells the client so if it
// has asked for that.
func (x *exchange) keepsTo() time.Duration {
	most, asked := readWait(x.r.Header)
	if asked {
		x.set("Preference-Applied", "wait="+strconv.Itoa(int(most/time.Second)))
	}
	return most
}

// send answers.
func (x *exchange) send(a once.Answer) {
	for _, f := range a.Header {
		x.set(f.Name, f.Value)
	}
	x.body(a.Status, a.Body)
}

// json answers 200 with a body of JSON that must not be kept by anybody between
// here and the client: it is how things are now.
func (x *exchange) json(body []byte) {
	x.set("Content-Type", typeJSON)
	x.set("Cache-Control", "no-store")
	x.body(http.StatusOK, body)
}

// buffered is up to how many bytes net/http counts by itself.
const buffered = 2048

func (x *exchange) body(status int, body []byte) {
	if len(body) >= buffered {
		x.set("Content-Length", strconv.Itoa(len(body)))
	}
	x.WriteHeader(status)
	x.Write(body) // a client that is gone reads no error either
}

// refuse answers with a problem.
func (x *exchange) refuse(c code, detail string) { x.refuseWith(c, detail, nil) }

// invalid answers that parameters of the request are wrong.
func (x *exchange) invalid(issues []issue) { x.refuseWith(invalid, summary(issues), issues) }

func (x *exchange) refuseWith(c code, detail string, issues []issue) {
	x.advertise()
	x.send(c.find().answer(x.id, detail, issues))
}

// advertise sets Idempotency-Expires on an answer that was given before the key
// was looked up: a request with this key would be kept until then.
func (x *exchange) advertise() {
	if x.end == nil || !x.end.keyed {
		return
	}
	if _, mistake := readKey(x.r.Header); mistake == nil {
		x.expires(x.api.now().Add(x.api.rules(x.caller.tenant.name()).Window))
	}
}
