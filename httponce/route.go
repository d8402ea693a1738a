package httponce

import (
	"cmp"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/oncepay/oncepay/once"
)

// Route is what is wanted of requests: where their key is, what becomes of it, and
// which answers are final. It is data, and may be shared. The zero Route is [IETF07].
type Route struct {
	// Name is what the requests are called in the store and in events: an operation
	// that has several addresses has one name. It is part of the keys that
	// [once.Attempt.Derive] makes: to change it makes others.
	//
	// Defaults to the method and the path, escaped as in a URL, or to the pattern of a
	// [Table].
	Name string

	// Unkeyed requests pass as if this handler were not there. Their keys are ignored.
	Unkeyed bool

	// Optional lets requests pass that have no key: they run as often as they come.
	Optional bool

	// Header is the name of the request header that the key is in.
	//
	// Defaults to Idempotency-Key.
	Header string

	// Pointer is a JSON Pointer (RFC 6901) to the member of the body that is the key,
	// instead of a header: "/request_id". The body is then read as JSON, whatever it
	// is said to be. A member that is null or "" is no key.
	Pointer string

	// UUIDv7 takes only keys that are version 7 UUIDs (RFC 9562), in either case.
	UUIDv7 bool

	// Vanished says what becomes of a request of which nobody knows whether it
	// happened: its process died, it lost its lease, it panicked, or its status says
	// so (see Finality).
	//
	// Defaults to Park: a human decides, and until then it is answered outcome_unknown.
	Vanished once.Policy

	// Probe asks what became of such a request, where Vanished is [once.Probe]; with
	// none it is parked. It moves nothing. The answer is what a repeat is given, if it
	// happened.
	Probe func(*http.Request, *once.Attempt) (once.Answer, once.Found, error)

	// Wait is how long a duplicate waits for the first one's answer, if its Prefer:
	// wait does not say so; negative: not at all. A client may ask for MaxWait.
	//
	// Defaults to the engine's Config.Wait.
	Wait time.Duration

	// Finality says what an answer means for its key.
	//
	// Defaults to that of IETF07.
	Finality Finality

	// Replayed is the header that says of an answer that it was given before.
	//
	// Defaults to Idempotency-Replayed.
	Replayed string

	// Mismatch is the status of a request whose key was used for another one.
	//
	// Defaults to 422.
	Mismatch int
}

// MaxWait is the longest that a client may ask to wait: proxies give up soon after.
const MaxWait = 60 * time.Second

func (r Route) withDefaults() Route {
	r.Header = headerName(r.Header, HeaderKey)
	r.Replayed = headerName(r.Replayed, "Idempotency-Replayed")
	r.Mismatch = cmp.Or(r.Mismatch, http.StatusUnprocessableEntity)
	if r.Finality == nil {
		r.Finality = IETF07.Finality
	}
	if r.Vanished == once.Probe && r.Probe == nil {
		r.Vanished = once.Park
	}
	return r
}

// headerName is a header's name as net/http has it, for every request again: what it has by
// default need not be looked at.
func headerName(name, byDefault string) string {
	if name == "" {
		return byDefault
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// End is what an answer means for its key.
type End uint8

// The ends. The zero End is that nobody knows: where nothing is said, nothing runs
// twice.
const (
	Unknown End = iota // nobody knows whether it happened: see Route.Vanished
	Final              // it is the key's answer, given again to every repeat
	Nothing            // it was refused before anything began: the key is free
)

// Finality says what answers mean by their status. The first range that has the
// status counts; one that no range has is Unknown.
type Finality []Range

// Range is the statuses from First to Last, both included.
type Range struct {
	First, Last int
	End         End
}

func (f Finality) of(status int) End {
	for _, r := range f {
		if r.First <= status && status <= r.Last {
			return r.End
		}
	}
	return Unknown
}

// Table is a Handler.Route that finds routes by the patterns of [http.ServeMux], of
// which the most specific one counts: "POST /v1/charges", "/v1/hooks/". What no
// pattern has is the zero Route. It panics if a pattern or a route cannot be meant.
func Table(routes map[string]Route) func(*http.Request) Route {
	mux := http.NewServeMux()
	for pattern, route := range routes {
		if route.Pointer != "" && !strings.HasPrefix(route.Pointer, "/") {
			panic(fmt.Sprintf("httponce: %s: the JSON Pointer %q does not begin with a slash", pattern, route.Pointer))
		}
		if route.Vanished == once.Probe && route.Probe == nil {
			panic(fmt.Sprintf("httponce: %s: there is no Probe to ask", pattern))
		}
		mux.Handle(pattern, entry{route: route})
	}
	return func(r *http.Request) Route {
		h, pattern := mux.Handler(r)
		e, found := h.(entry)
		if !found {
			return Route{}
		}
		e.route.Name = cmp.Or(e.route.Name, nameOf(r.Method, pattern))
		return e.route
	}
}

// entry is a route in a ServeMux, which finds handlers.
type entry struct {
	http.Handler
	route Route
}

// nameOf is what requests are called by their pattern, with their method once.
func nameOf(method, pattern string) string {
	if strings.HasPrefix(pattern, method+" ") {
		return pattern
	}
	return method + " " + pattern
}

// maxName bounds the name of an operation: paths can be as long as their sender
// likes, and stores index it.
const maxName = 200

func (r *Route) name(req *http.Request) string {
	name := r.Name
	if name == "" {
		name = req.Method + " " + req.URL.EscapedPath() // a path has any bytes, this is text
	}
	return name[:min(len(name), maxName)]
}
