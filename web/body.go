package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

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

// readBody reads the body, of limit bytes at most, and parses it. An absent body
// is an empty object. The value lives as long as s is borrowed.
func readBody(r *http.Request, s *scratch, limit int64) (jcs.Value, *mistake) {
	if r.ContentLength > limit {
		return jcs.Value{}, &mistake{tooLarge, fmt.Sprintf("A body has at most %d bytes here, this one has %d.", limit, r.ContentLength)}
	}
	if r.ContentLength > 0 && !isJSON(r.Header) {
		return jcs.Value{}, &mistake{unsupportedMedia, wantJSON}
	}
	var err error
	s.body, err = appendAll(s.body[:0], r.Body, limit)
	switch {
	case errors.Is(err, errTooLarge):
		return jcs.Value{}, &mistake{tooLarge, fmt.Sprintf("A body has at most %d bytes here, this one has more.", limit)}
	case err != nil:
		return jcs.Value{}, &mistake{badJSON, "The body did not arrive in full."}
	case len(s.body) == 0:
		s.body = append(s.body, "{}"...)
	case !isJSON(r.Header): // a chunked body: only now is it known to be one
		return jcs.Value{}, &mistake{unsupportedMedia, wantJSON}
	}
	v, err := jcs.Parse(s.body, MaxDepth)
	if err != nil {
		return jcs.Value{}, parseMistake(err)
	}
	return v, nil
}

// parseMistake tells a body that is no JSON from one that is, with a number in it
// that nothing can be made of, not even a fingerprint.
func parseMistake(err error) *mistake {
	var wrong *jcs.Error
	if errors.As(err, &wrong) && wrong.Reason == jcs.NumberRange {
		return &mistake{invalid, sentence(err.Error())}
	}
	return &mistake{badJSON, sentence(err.Error())}
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

var errTooLarge = errors.New("web: the body is too large")

// appendAll reads all of r, but no more than limit bytes.
func appendAll(b []byte, r io.Reader, limit int64) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
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
