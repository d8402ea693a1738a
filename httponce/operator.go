package httponce

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// Operator lets those who operate a service see the keys that are at work or in doubt,
// and settle what nobody knows the outcome of. Mount it where clients cannot reach it:
//
//	mux.Handle("/internal/keys/", http.StripPrefix("/internal/keys", httponce.Operator{Engine: eng, Actor: signedIn}))
//
// GET / lists what is unfinished, of every tenant: {"data": […], "next": "…"}, with up to
// limit (1 to 1000, default 100) keys, and goes on after next. A page may be empty and
// not be the last. GET /key?tenant=&key= shows one key, whatever its state. POST /settle
// decides what became of one:
//
//	{"tenant": "acme", "key": "order-42", "as": "happened", "evidence": "settlement report, line 311",
//	 "answer": {"status": 201, "headers": [["Location", "/charges/7"]], "body": "…"}}
//
// As is "happened", and repeats get the answer from then on, or "absent", and the next
// request with the key runs. A body that is no text goes into body_base64. Answers that
// are kept are not shown: they are the client's. Where keys are hashed, a key is known by
// what its client sent and by what the list shows.
//
// oncepay keys (a command) speaks to it.
type Operator struct {
	// Engine is whose keys they are. It is needed.
	Engine *once.Engine

	// Actor says who asks, which is written down with what they decide, or an error if
	// they may not: they are answered 403, and are not told why. It is needed: whoever
	// settles keys decides what is executed again.
	Actor func(*http.Request) (string, error)
}

// What an Operator takes.
const (
	maxListed     = 1_000   // keys of a page: some hundred kilobytes
	defaultListed = 100     // a screen or three
	maxEvidence   = 1_000   // characters: a reference to what was found out, not the find itself
	maxSettlement = 2 << 20 // bytes of a body: an answer as long as an engine keeps one by default, in base64
)

// settlementLimits has room for the headers of an answer.
var settlementLimits = jcs.Limits{Depth: 4, Nodes: 1_000}

// settleTime is for how long it is tried to write a decision down: as long as somebody
// looks at a screen that does not change.
const settleTime = 10 * time.Second

// The problems that only an Operator answers with.
const (
	forbidden    Code = "forbidden"
	badJSON      Code = "bad_json"
	invalid      Code = "invalid"
	notFound     Code = "not_found"
	notAllowed   Code = "method_not_allowed"
	mediaType    Code = "unsupported_media_type"
	stateIsKnown Code = "state_conflict"
	notListed    Code = "not_listed"
)

var operatorProblems = map[Code]problem{
	forbidden:    {403, "This is for operators", false, true, "Sign in as somebody who may settle keys."},
	badJSON:      {400, "The body is no JSON of the right form", false, true, ""},
	invalid:      {422, "The request makes no sense", false, true, ""},
	notFound:     {404, "There is nothing here", false, true, "Nothing is known of this key, or there is no such path."},
	notAllowed:   {405, "The method is not allowed here", false, true, "Keys are read with GET and settled with POST."},
	mediaType:    {415, "The body is not JSON", false, true, "Send application/json."},
	stateIsKnown: {409, "There is nothing to decide", false, true, "The key is not in doubt. Look at it first."},
	notListed:    {501, "The store cannot list its keys", false, true, "Ask for a key by its name."},
	InProgress:   {409, "An attempt holds the key", true, true, "Somebody is at work on it. Wait for the end of its lease, and look again."},
	TooLarge:     {413, "The body is too large", false, true, "The answer is larger than what is taken here: settle it with a shorter one."},
	StoreUnavailable: {503, "The store of keys is not available", true, true,
		"It is not known whether anything was written. Look at the key, and decide again."},
	Internal: {500, "Something went wrong in the server", false, true, "Look at the server's log."},
}

// ServeHTTP is http.Handler's. It panics without an Engine or an Actor.
func (o Operator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.Engine == nil || o.Actor == nil {
		panic("httponce: an Operator needs an Engine and an Actor")
	}
	w.Header().Set("Cache-Control", "no-store")
	actor, err := o.Actor(r)
	if err != nil || actor == "" {
		decline(w, forbidden, "")
		return
	}
	handle, method := o.route(r.URL.Path, actor)
	switch {
	case handle == nil:
		decline(w, notFound, "")
	case r.Method != method:
		w.Header().Set("Allow", method)
		decline(w, notAllowed, "")
	default:
		handle(w, r)
	}
}

func (o Operator) route(path, actor string) (handle http.HandlerFunc, method string) {
	switch path {
	case "", "/":
		return o.list, http.MethodGet
	case "/key":
		return o.show, http.MethodGet
	case "/settle":
		return func(w http.ResponseWriter, r *http.Request) { o.settle(w, r, actor) }, http.MethodPost
	}
	return nil, ""
}

func (o Operator) list(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query() // and not a form, whose body could be of any size
	limit := defaultListed
	if text := asked.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxListed {
			decline(w, invalid, fmt.Sprintf("limit is a number from 1 to %d.", maxListed))
			return
		}
		limit = n
	}
	after, err := base64.RawURLEncoding.DecodeString(asked.Get("after"))
	if err != nil {
		decline(w, invalid, badCursor)
		return
	}
	found, next, err := o.Engine.Unfinished(r.Context(), string(after), limit)
	switch {
	case errors.Is(err, once.ErrCursor):
		decline(w, invalid, badCursor)
		return
	case err != nil:
		fail(w, err)
		return
	}
	page := struct {
		Data []shownKey `json:"data"`
		Next string     `json:"next"`
	}{make([]shownKey, len(found)), base64.RawURLEncoding.EncodeToString([]byte(next))}
	for i, f := range found {
		page.Data[i] = shown(f)
	}
	show(w, page)
}

const badCursor = "after is the next of an earlier page, as it was given."

func (o Operator) show(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	key := once.Key{Tenant: asked.Get("tenant"), ID: asked.Get("key")}
	if why := missing(key); why != "" {
		decline(w, invalid, why)
		return
	}
	found, err := o.Engine.Find(r.Context(), key)
	switch {
	case err != nil:
		fail(w, err)
	case found.State == once.Absent:
		decline(w, notFound, "")
	default:
		show(w, shown(found))
	}
}

func missing(key once.Key) string {
	if key.Tenant == "" || key.ID == "" {
		return `A key is named by its tenant and its key: both are needed. An engine of a single tenant calls that "default".`
	}
	return ""
}

// settlement is the body of a decision.
type settlement struct {
	Tenant   string       `json:"tenant"`
	Key      string       `json:"key"`
	As       string       `json:"as"`
	Evidence string       `json:"evidence"`
	Answer   *shownAnswer `json:"answer"`
}

type shownAnswer struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
	Bytes   []byte      `json:"body_base64"`
}

func (o Operator) settle(w http.ResponseWriter, r *http.Request, actor string) {
	s, code, why := readSettlement(w, r)
	if code != "" {
		decline(w, code, why)
		return
	}
	decided := once.Settlement{Happened: s.As == "happened", Evidence: s.Evidence, Actor: actor}
	if s.Answer != nil {
		decided.Answer = s.Answer.answer()
	}
	ctx, cancel := context.WithTimeout(r.Context(), settleTime)
	defer cancel()
	found, err := o.Engine.Settle(ctx, once.Key{Tenant: s.Tenant, ID: s.Key}, decided)
	if err != nil {
		fail(w, err)
		return
	}
	show(w, shown(found))
}

func readSettlement(w http.ResponseWriter, r *http.Request) (s settlement, code Code, why string) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return s, mediaType, ""
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSettlement))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return s, TooLarge, ""
	}
	if err != nil {
		return s, badJSON, "The body did not arrive."
	}
	if _, err := jcs.Parse(body, settlementLimits); err != nil { // no member twice, which somebody might take for the other one
		return s, badJSON, err.Error()
	}
	if why := decode(body, &s); why != "" {
		return s, invalid, why
	}
	if why := s.wrong(); why != "" {
		return s, invalid, why
	}
	return s, "", ""
}

// decode reads a body that is JSON, and says what is wrong with its form.
func decode(body []byte, s *settlement) string {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields() // a member that was misspelt decides nothing
	err := d.Decode(s)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return fmt.Sprintf("%s is a %s, which it cannot be.", cmp.Or(wrong.Field, "the body"), wrong.Value)
	}
	if err != nil {
		return strings.TrimPrefix(err.Error(), "json: ") + "."
	}
	return ""
}

// wrong says what is wrong with a decision, "" for nothing.
func (s *settlement) wrong() string {
	why := missing(once.Key{Tenant: s.Tenant, ID: s.Key})
	switch {
	case why != "":
		return why
	case s.As != "happened" && s.As != "absent":
		return `as says what became of it: "happened", or "absent" if it certainly did not.`
	case s.Evidence == "" || len([]rune(s.Evidence)) > maxEvidence:
		return fmt.Sprintf("evidence says in 1 to %d characters what the decision rests on: it is kept with the key.", maxEvidence)
	case s.As == "happened" && s.Answer == nil:
		return "answer is what repeats are told from now on: an object with status, and perhaps headers and body."
	case s.As == "absent" && s.Answer != nil:
		return "answer is for what happened: of what did not there is none, and the next request runs."
	case s.Answer != nil:
		return s.Answer.wrong()
	}
	return ""
}

func (a *shownAnswer) wrong() string {
	switch {
	case a.Status < 200 || a.Status > 599:
		return "answer.status is an HTTP status from 200 to 599."
	case a.Body != "" && a.Bytes != nil:
		return "answer has body and body_base64: give one of them."
	case slices.ContainsFunc(a.Headers, func(h [2]string) bool { return !isToken(h[0]) || oneLine.Replace(h[1]) != h[1] }):
		return "answer.headers is a list of pairs: the name of a header, and one line."
	}
	return ""
}

func (a *shownAnswer) answer() once.Answer {
	kept := once.Answer{Status: a.Status, Body: a.Bytes}
	if a.Bytes == nil {
		kept.Body = []byte(a.Body)
	}
	for _, h := range a.Headers {
		kept.Header = append(kept.Header, once.Field{Name: http.CanonicalHeaderKey(h[0]), Value: h[1]})
	}
	return kept
}

// shownKey is a key as operators see it.
type shownKey struct {
	Tenant     string     `json:"tenant"`
	Key        string     `json:"key"`
	Operation  string     `json:"operation"`
	State      string     `json:"state"`
	Attempt    int64      `json:"attempt"`
	Why        string     `json:"why"` // nobody knows what became of it, or who settled that
	Status     int        `json:"status,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	LeaseUntil *time.Time `json:"lease_until,omitempty"`
	ExpiresAt  time.Time  `json:"expires_at"`
}

func shown(r once.Record) shownKey {
	k := shownKey{
		Tenant: r.Key.Tenant, Key: r.Key.ID, Operation: r.Operation, State: r.State.String(), Attempt: r.Attempt, Why: r.Note,
		Status: r.Answer.Status, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
	}
	if r.State == once.Claimed {
		k.LeaseUntil = &r.LeaseUntil
	}
	return k
}

func show(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // a client that is gone reads no error either
}

// fail answers with what an engine failed with.
func fail(w http.ResponseWriter, err error) {
	code := Internal
	for _, c := range []struct {
		err  error
		code Code
	}{
		{once.ErrSettled, stateIsKnown}, {once.ErrBusy, InProgress}, {once.ErrNotListed, notListed},
		{once.ErrTooLarge, TooLarge}, {once.ErrFenced, stateIsKnown}, {once.ErrUnavailable, StoreUnavailable},
	} {
		if errors.Is(err, c.err) {
			code = c.code
			break
		}
	}
	decline(w, code, "")
}

// decline answers an operator with a problem.
func decline(w http.ResponseWriter, code Code, detail string) {
	about := operatorProblems[code]
	if detail != "" {
		about.detail = detail
	}
	w.Header().Set("Content-Type", "application/problem+json")
	if about.retryable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(about.status)
	w.Write(about.appendJSON(nil, "/docs/problems/", code, "", 0))
}
