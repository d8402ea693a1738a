package httponce

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/oncepay/oncepay/once"
)

// HeaderExpires is the header of every answer to a request with a key that says
// until when the key is kept (RFC 3339).
const HeaderExpires = "Idempotency-Expires"

// notKept are the header lines of a connection (RFC 9110, section 7.6.1), and those
// that are of the moment: an answer that is given again has its own.
var notKept = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade",
	"Date", "Content-Length", "Request-Id", "X-Request-Id", HeaderExpires, "Idempotency-Replayed",
}

// answer is what is kept of the handler's answer: trailers have the prefix that
// net/http knows them by.
func (w *recorder) answer(replayed string) once.Answer {
	a := once.Answer{Status: w.status, Header: w.kept(replayed), Body: w.body, Dropped: w.dropped}
	if trailers := w.trailers(); len(trailers) > 0 {
		for _, name := range slices.Sorted(maps.Keys(trailers)) {
			for _, v := range trailers[name] {
				a.Header = append(a.Header, once.Field{Name: http.TrailerPrefix + name, Value: oneLine.Replace(v)})
			}
		}
	}
	return a
}

// kept are the header lines that are given again: those that are the handler's.
func (w *recorder) kept(replayed string) []once.Field {
	connection, _ := w.header.of("Connection")
	leave := func(name string, group []once.Field) bool {
		return slices.Contains(notKept, name) || name == replayed || listed(connection, name) || w.isOuter(name, group)
	}
	all := true
	for name, group := range w.header.groups() {
		all = all && !leave(name, group)
	}
	if all { // nearly always: they are shared
		return slices.Clip(w.header.fields)
	}
	var fields []once.Field
	for name, group := range w.header.groups() {
		if !leave(name, group) {
			fields = append(fields, group...)
		}
	}
	return fields
}

// isOuter says whether a line is one that was there before the handler.
func (w *recorder) isOuter(name string, group []once.Field) bool {
	outer, found := w.outer[name]
	return found && slices.EqualFunc(outer, group, func(v string, f once.Field) bool { return v == f.Value })
}

// trailers are the handler's: those that it announced, and those that it gave the
// prefix of net/http.
func (w *recorder) trailers() (trailers http.Header) {
	h := w.Header()
	add := func(name string, values []string) {
		if trailers == nil {
			trailers = http.Header{}
		}
		trailers[name] = append(trailers[name], values...)
	}
	for name, values := range h {
		if name, found := strings.CutPrefix(name, http.TrailerPrefix); found && isToken(name) {
			add(name, values)
		}
	}
	announced, _ := w.header.of("Trailer")
	for name := range elements(announced) {
		if name = textproto.CanonicalMIMEHeaderKey(name); len(h[name]) > 0 {
			add(name, h[name])
		}
	}
	return trailers
}

// send sends the answer that was held back.
func (w *recorder) send() {
	h, trailers := w.Header(), w.trailers()
	w.header.put(h)
	w.expires(h)
	delete(h, "Content-Length") // it may lie
	sendBody(w.ResponseWriter, w.status, w.body, trailers)
}

// replay sends an answer that was given before.
func replay(w http.ResponseWriter, a once.Answer) {
	h := w.Header()
	first := slices.IndexFunc(a.Header, func(f once.Field) bool { return strings.HasPrefix(f.Name, http.TrailerPrefix) })
	trailers := http.Header(nil)
	if first >= 0 {
		trailers = http.Header{}
		for _, f := range a.Header[first:] {
			name := strings.TrimPrefix(f.Name, http.TrailerPrefix)
			trailers[name] = append(trailers[name], f.Value)
		}
		a.Header = a.Header[:first]
	}
	l := lines{fields: ours(a.Header)}
	if setLines(h, &l); !l.typed() {
		h["Content-Type"] = nil // it had none, and none is to be guessed
	}
	sendBody(w, a.Status, a.Body, trailers)
}

// ours are header lines in the form in which a recorder keeps them, which those of a
// [Route.Probe] and of a human need not have: by name, and none that is not kept.
func ours(fields []once.Field) []once.Field {
	byName := func(a, b once.Field) int { return strings.Compare(a.Name, b.Name) }
	leave := func(f once.Field) bool { return slices.Contains(notKept, f.Name) }
	if slices.IsSortedFunc(fields, byName) && !slices.ContainsFunc(fields, leave) { // nearly always
		return fields
	}
	fields = slices.DeleteFunc(slices.Clone(fields), leave)
	slices.SortStableFunc(fields, byName)
	return fields
}

// typed says whether there is a Content-Type.
func (l *lines) typed() bool {
	return slices.ContainsFunc(l.fields, func(f once.Field) bool { return f.Name == "Content-Type" }) || slices.Contains(l.silent, "Content-Type")
}

// counted is up to how many bytes net/http counts by itself.
const counted = 2048

// sendBody sends an answer whose header is set, with its length, and its trailers:
// who announced one sets it when the body was written, others have their prefix.
func sendBody(w http.ResponseWriter, status int, body []byte, trailers http.Header) {
	h := w.Header()
	announced := h["Trailer"]
	for name, values := range trailers {
		if !listed(announced, name) {
			h[http.TrailerPrefix+name] = values
		}
	}
	if len(body) >= counted && len(trailers) == 0 && len(announced) == 0 { // trailers come with chunks only
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	if len(body) > 0 {
		w.Write(body) // a client that is gone reads no error either
	}
	for name, values := range trailers {
		if listed(announced, name) {
			h[name] = values
		}
	}
}
