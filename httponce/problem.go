package httponce

import (
	"net/http"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
)

// Code names a problem, in words that clients may rely on.
type Code string

// The problems that a Handler answers with.
const (
	KeyMissing       Code = "key_missing"
	KeyMalformed     Code = "key_malformed"
	BodyIncomplete   Code = "body_incomplete"
	Unauthenticated  Code = "unauthenticated"
	InProgress       Code = "in_progress"
	KeyExpired       Code = "key_expired"
	OutcomeUnknown   Code = "outcome_unknown"
	AnswerNotKept    Code = "answer_not_kept"
	TooLarge         Code = "too_large"
	KeyReused        Code = "key_reused"
	Internal         Code = "internal"
	StoreUnavailable Code = "store_unavailable"
)

// problem is what is said of a code (RFC 9457).
type problem struct {
	status    int
	title     string
	retryable bool // the same request may succeed later, unmended
	sameKey   bool // with this key; otherwise only with a new one
	detail    string
}

var problems = map[Code]problem{
	KeyMissing: {400, "The idempotency key is missing", false, true,
		"This request needs an idempotency key, so that it can be repeated safely."},
	KeyMalformed: {400, "The idempotency key is malformed", false, true,
		"A key is 1 to 255 visible ASCII characters, bare or as a quoted string."},
	BodyIncomplete: {400, "The body did not arrive", true, true,
		"The body did not arrive in full. Nothing was executed; send it again with the same key."},
	Unauthenticated: {401, "It is not known who sends the request", false, true,
		"Send credentials: a key belongs to whoever sends it. Nothing was executed."},
	InProgress: {409, "The first request is still in progress", true, true,
		"The first request with this key has no final answer yet. Send the same request again, with the same key, after the time in Retry-After."},
	KeyExpired: {409, "The key's window is over", false, false,
		"This key was used, or made, longer ago than answers are kept: it is never executed again. Find out what became of it before you try with a new key."},
	OutcomeUnknown: {409, "It is not known what became of the request", false, true,
		"An earlier request with this key began, and nobody knows whether it had its effect. It is not executed again, and must not be sent under another key, before somebody has found out; then this key has the answer."},
	AnswerNotKept: {409, "The request was executed, and its answer is not kept", false, true,
		"An earlier request with this key was executed and answered with original_status. Its answer was too large to be kept, and is not executed again: read what it made."},
	TooLarge: {413, "The body is too large", false, true,
		"The body is larger than what is taken here. Nothing was executed."},
	KeyReused: {422, "The key was used for another request", false, false,
		"Another request was sent with this key before. Use a new key for a new request; to repeat the first one, send exactly what was sent then."},
	Internal: {500, "Something went wrong in the server", true, true,
		"This is a defect of the server. Send the same request again with the same key: it happens at most once."},
	StoreUnavailable: {503, "The store of keys is not available", true, true,
		"Nothing was executed. Send the same request again, with the same key, after the time in Retry-After."},
}

// refusal is a problem as it is answered.
type refusal struct {
	code     Code
	detail   string        // "": the code's own
	after    time.Duration // when to come again, of a problem that passes
	original int           // the status of an answer that is not kept
}

// refuse answers with a problem.
func (x *exchange) refuse(p refusal) {
	about := problems[p.code]
	if p.detail != "" {
		about.detail = p.detail
	}
	if p.code == KeyReused {
		about.status = x.route.Mismatch
	}
	h := x.w.Header()
	if h[HeaderExpires] == nil && x.req.Key.ID != "" {
		x.expires(x.Engine.Expiry()) // a request with this key would be kept until then
	}
	h["Content-Type"] = []string{"application/problem+json"}
	if about.retryable && p.code != Internal {
		seconds := int64((p.after + time.Second - 1) / time.Second)
		h["Retry-After"] = []string{strconv.FormatInt(max(seconds, 1), 10)}
	}
	x.w.WriteHeader(about.status)
	x.w.Write(about.appendJSON(nil, x.Problems, p.code, x.requestID(), p.original)) // a client that is gone reads no error either
}

func (p *problem) appendJSON(b []byte, base string, code Code, requestID string, original int) []byte {
	b = jcs.AppendString(append(b, `{"type":`...), base+string(code))
	b = jcs.AppendString(append(b, `,"title":`...), p.title)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(p.status), 10)
	b = jcs.AppendString(append(b, `,"detail":`...), p.detail)
	b = jcs.AppendString(append(b, `,"code":`...), string(code))
	if requestID != "" {
		b = jcs.AppendString(append(b, `,"request_id":`...), requestID)
	}
	b = strconv.AppendBool(append(b, `,"retryable":`...), p.retryable)
	b = strconv.AppendBool(append(b, `,"same_key":`...), p.sameKey)
	if original != 0 {
		b = strconv.AppendInt(append(b, `,"original_status":`...), int64(original), 10)
	}
	return append(b, '}')
}

// requestID is the request's id, if it has one: what is in the answer already counts
// for more than what the client chose.
func (x *exchange) requestID() string {
	for _, h := range [...]http.Header{x.w.Header(), x.r.Header} {
		for _, name := range [...]string{"Request-Id", "X-Request-Id"} {
			if id := h.Get(name); id != "" {
				return id[:min(len(id), maxRequestID)]
			}
		}
	}
	return ""
}

const maxRequestID = 200 // bytes of a client's id that are told back
