package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
)

// A refusal is an answer which promises that this send did nothing.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string { return "sandbox: " + r.code + ": " + r.message }

func refused(status int, code, format string, args ...any) *refusal {
	return &refusal{status, code, fmt.Sprintf(format, args...)}
}

// invalid is a body that says nothing which could be done.
func invalid(format string, args ...any) *refusal {
	return refused(http.StatusBadRequest, "invalid", format, args...)
}

// against is an instruction that the rules forbid.
func against(code, format string, args ...any) *refusal {
	return refused(http.StatusUnprocessableEntity, code, format, args...)
}

// codeTooLate is of a send that nothing is against but its time.
const codeTooLate = "too_late"

func tooLate(at time.Time) *refusal {
	return refused(http.StatusPreconditionFailed, codeTooLate, "it could be executed until %s, and was not", at.UTC().Format(jcs.TimeFormat))
}

// errOverloaded is 429 and not 503: nothing began, and only a 4xx says so.
var errOverloaded = refused(http.StatusTooManyRequests, "overloaded", "more is asked at once than this sandbox takes; nothing began")

// refuse answers what is about no operation.
func refuse(w http.ResponseWriter, r *refusal) { refuseOperation(w, "", r) }

// refuseOperation answers that nothing was done for an operation.
func refuseOperation(w http.ResponseWriter, operation string, r *refusal) {
	if r.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, r.status, errorBody{Operation: operation, Error: problem{r.code, r.message}})
}

// writeJSON writes a whole answer.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(encode(body)) // a client that has left is no concern of ours
}

// encode returns body as JSON. All that is written here can be.
func encode(body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return append(text, '\n')
}
