package httponce

import (
	"iter"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/oncepay/oncepay/once"
)

// hopByHop are the header fields of a connection (RFC 9110, section 7.6.1), and
// those that are of the moment: an answer that is given again has its own.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade",
	"Date", "Content-Length", "Request-Id", "X-Request-Id", HeaderExpires, "Idempotency-Replayed",
}

// HeaderExpires is the header of every answer to a request with a key that says
// until when the key is kept (RFC 3339).
const HeaderExpires = "Idempotency-Expires"

// answer is what is kept of the handler's answer: trailers have the prefix that
// net/http knows them by.
func (w *recorder) answer(replayed string) once.Answer {
	a := once.Answer{Status: w.status, Header: w.fields(replayed), Body: w.body, Dropped: w.dropped}
	trailers := w.trailers()
	for _, name := range slices.Sorted(maps.Keys(trailers)) {
		for _, v := range trailers[name] {
			a.Header = append(a.Header, once.Field{Name: http.TrailerPrefix + name, Value: clean(v)})
		}
	}
	return a
}

// fields are the handler's header lines, by name, and in their order.
func (w *recorder) fields(replayed string) []once.Field {
	var buf [16]string
	names, lines := buf[:0], 0
	for name, values := range w.header {
		if w.isKept(name, values, replayed) {
			names, lines = append(names, name), lines+len(values)
		}
	}
	slices.Sort(names)
	fields := make([]once.Field, 0, lines)
	for _, name := range names {
		for _, v := range w.header[name] {
			fields = append(fields, once.Field{Name: name, Value: clean(v)})
		}
	}
	return fields
}

// isKept says whether a header line is the handler's, and is to be given again.
func (w *recorder) isKept(name string, values []string, replayed string) bool {
	if outer, found := w.outer[name]; found && slices.Equal(outer, values) {
		return false
	}
	if !isToken(name) || slices.Contains(hopByHop, name) || name == replayed {
		return false
	}
	return !listed(w.header["Connection"], name)
}

// trailers are the handler's: those that it announced, and those that it gave the
// prefix of net/http.
func (w *recorder) trailers() (found http.Header) {
	h := w.Header()
	add := func(name string, values []string) {
		if found == nil {
			found = http.Header{}
		}
		found[name] = append(found[name], values...)
	}
	for name, values := range h {
		if name, found := strings.CutPrefix(name, http.TrailerPrefix); found && isToken(name) {
			add(name, values)
		}
	}
	for name := range elements(w.header["Trailer"]) {
		if name = textproto.CanonicalMIMEHeaderKey(name); len(h[name]) > 0 {
			add(name, h[name])
		}
	}
	return found
}

// send sends the answer that was held back.
func (w *recorder) send(expires string) {
	h, trailers := w.Header(), w.trailers()
	restore(h, w.header)
	h[HeaderExpires] = []string{expires}
	delete(h, "Content-Length") // it may lie
	sendBody(w.ResponseWriter, w.status, w.body, trailers)
}

// replay sends an answer that was given before.
func replay(w http.ResponseWriter, a once.Answer) {
	h, values := w.Header(), make([]string, len(a.Header))
	trailers, typed := http.Header(nil), false
	for i := 0; i < len(a.Header); {
		name, from := a.Header[i].Name, i
		for ; i < len(a.Header) && a.Header[i].Name == name; i++ {
			values[i] = a.Header[i].Value
		}
		if trailer, found := strings.CutPrefix(name, http.TrailerPrefix); !found {
			h[name] = values[from:i:i]
		} else if trailers == nil {
			trailers = http.Header{trailer: values[from:i:i]}
		} else {
			trailers[trailer] = values[from:i:i]
		}
		typed = typed || name == "Content-Type"
	}
	if !typed {
		h["Content-Type"] = nil // it had none, and none is to be guessed
	}
	sendBody(w, a.Status, a.Body, trailers)
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

// restore makes h what it was.
func restore(h, was http.Header) {
	clear(h)
	maps.Copy(h, was)
}

// elements are those of lists, of which there may be several lines.
func elements(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for element := range strings.SplitSeq(line, ",") {
				if element = textproto.TrimString(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// listed says whether lists have a name.
func listed(lines []string, name string) bool {
	for element := range elements(lines) {
		if strings.EqualFold(element, name) {
			return true
		}
	}
	return false
}

// clean is a header's value as net/http writes it: on one line.
func clean(v string) string {
	return oneLine.Replace(v)
}

var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

// isToken says whether a name can be a header's (RFC 9110, section 5.6.2): others
// are not sent.
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		if alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'; !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}
