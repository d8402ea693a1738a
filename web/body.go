package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
)

// scratch is memory that a request borrows: for its body, for the canonical
// form of it, and for an answer that is not kept.
type scratch struct{ body, out []byte }

// keepScratch is the largest scratch that is kept for the next request: bodies
// are small, and a large one should not stay for ever.
const keepScratch = 64 << 10

func (a *API) borrow() *scratch {
	if s, ok := a.scratches.Get().(*scratch); ok {
		return s
	}
	return &scratch{body: make([]byte, 0, 1024), out: make([]byte, 0, 1024)}
}

func (a *API) giveBack(s *scratch) {
	if cap(s.body) <= keepScratch && cap(s.out) <= keepScratch {
		a.scratches.Put(s)
	}
}

// mistake is why a body cannot be read.
type mistake struct {
	code   code
	detail string
}

// bodyLimits is how large a body may be.
type bodyLimits struct {
	bytes  int64
	values int // and names
}

var (
	oneBody   = bodyLimits{MaxBody, MaxValues}
	batchBody = bodyLimits{MaxBatchBody, MaxBatchValues}
)

// readBody reads the body and parses it. An absent body is an empty object. The
// value lives as long as s is borrowed.
//
// A body for which there is no room is refused before it is read, even if its
// key is known: a repeat is told from another request by its body, so there is
// no answer without reading it.
func (x *exchange) readBody(s *scratch, most bodyLimits) (jcs.Value, *mistake) {
	r := x.r
	if r.ContentLength > most.bytes {
		x.linger()
		return jcs.Value{}, &mistake{tooLarge, fmt.Sprintf("A body has at most %d bytes here, this one has %d.", most.bytes, r.ContentLength)}
	}
	if r.ContentLength > 0 && !isJSON(r.Header) {
		return jcs.Value{}, &mistake{unsupportedMedia, wantJSON}
	}
	var err error
	first := r.ContentLength
	if first < 0 {
		first = int64(cap(s.body))
	}
	s.body, err = x.fill(s.body[:0], first, most.bytes)
	switch {
	case errors.Is(err, errTooLarge):
		x.linger()
		return jcs.Value{}, &mistake{tooLarge, fmt.Sprintf("A body has at most %d bytes here, this one has more.", most.bytes)}
	case errors.Is(err, errNoRoom):
		return jcs.Value{}, &mistake{overloaded, "The server has more bodies at work than it has room for. Nothing began; send the same request again a little later."}
	case err != nil:
		return jcs.Value{}, &mistake{badJSON, "The body did not arrive in full."}
	case len(s.body) == 0:
		s.body = append(s.body, "{}"...)
	case !isJSON(r.Header): // a chunked body: only now is it known to be one
		return jcs.Value{}, &mistake{unsupportedMedia, wantJSON}
	}
	v, err := jcs.Parse(s.body, jcs.Limits{Depth: MaxDepth, Nodes: most.values})
	if err != nil {
		return jcs.Value{}, parseMistake(err)
	}
	return v, nil
}

// readNotice reads the body of a webhook, of which every byte counts. Who sends it
// is not known yet: it borrows nothing, takes room for what comes after the first
// bytes as they come, and has not much time.
func (x *exchange) readNotice() ([]byte, *mistake) {
	tooMuch := &mistake{tooLarge, fmt.Sprintf("A body has at most %d bytes here, this one has more.", MaxNotice)}
	if x.r.ContentLength > MaxNotice {
		x.linger()
		return nil, tooMuch
	}
	x.free = FreeNotice
	if told := x.r.ContentLength; told >= 0 {
		x.free = min(told, FreeNotice)
	}
	x.readBy(noticeTime)
	body, err := x.fill(nil, x.free, MaxNotice)
	switch {
	case errors.Is(err, errTooLarge):
		x.linger()
		return nil, tooMuch
	case errors.Is(err, errNoRoom):
		return nil, &mistake{overloaded, "The server has more webhooks at work than it has room for. Send it again a little later."}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &mistake{requestTimeout, fmt.Sprintf("The body did not arrive within %d seconds.", noticeTime/time.Second)}
	case err != nil:
		return nil, &mistake{badJSON, "The body did not arrive in full."}
	}
	return body, nil
}

// readBy has reading the body fail after a while. Once it is read, net/http sets
// no store by it.
func (x *exchange) readBy(most time.Duration) {
	// Every connection has deadlines, but for a test's that is none.
	_ = http.NewResponseController(x.ResponseWriter).SetReadDeadline(time.Now().Add(most))
}

const (
	lingerBytes = 32 << 20
	lingerTime  = time.Second
)

// linger reads on for a while, and drops what it reads, before a body that is too
// large is refused. A client that is still sending when the connection is closed
// sees a reset and not the answer: it would take a refusal for an unknown, and
// send it again. Who asked whether to send (Expect) reads the answer first.
func (x *exchange) linger() {
	if x.r.Header.Get("Expect") != "" {
		return
	}
	x.readBy(lingerTime)
	_, _ = io.CopyN(io.Discard, x.r.Body, lingerBytes) // an error ends the wait, and that is all there is to do about it
}

// parseMistake tells a body that is no JSON from one that is, but has a number in
// it that nothing can be made of, not even a fingerprint, or too much of
// everything, which is a matter of size.
func parseMistake(err error) *mistake {
	c := badJSON
	var wrong *jcs.Error
	if errors.As(err, &wrong) {
		switch wrong.Reason {
		case jcs.NumberRange:
			c = invalid
		case jcs.TooMany:
			c = tooLarge
		}
	}
	return &mistake{c, sentence(err.Error())}
}

// refuseBody answers for a body that cannot be read.
func (x *exchange) refuseBody(m *mistake) {
	if m.code == invalid {
		x.invalid([]issue{{detail: m.detail}})
		return
	}
	x.refuse(m.code, m.detail)
}

const wantJSON = "Send the body with Content-Type: application/json, in UTF-8 and without a Content-Encoding."

// isJSON says whether a body is said to be plain JSON.
func isJSON(h http.Header) bool {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return false
	}
	lines := h["Content-Type"]
	if len(lines) != 1 {
		return false
	}
	if lines[0] == typeJSON { // what nearly everybody sends
		return true
	}
	media, params, err := mime.ParseMediaType(lines[0])
	charset, has := params["charset"]
	return err == nil && media == typeJSON && (!has || strings.EqualFold(charset, "utf-8"))
}

var (
	errTooLarge = errors.New("web: the body is too large")
	errNoRoom   = errors.New("web: there is no room for the body")
)

// fill reads all of the body into b, but no more than limit bytes. It takes room
// for what it is about to read: for so many bytes first, and for as many again as
// it has whenever they are there.
func (x *exchange) fill(b []byte, first, limit int64) ([]byte, error) {
	if !x.takeRoom(first) {
		return b, errNoRoom
	}
	b = slices.Grow(b, int(first)+1) // the end, too, has to be read
	for {
		if len(b) == cap(b) {
			part := min(int64(len(b)), limit-int64(len(b))) + 1
			if !x.takeRoom(part) {
				return b, errNoRoom
			}
			b = slices.Grow(b, int(part))
		}
		n, err := x.r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return b, errTooLarge
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		}
	}
}
