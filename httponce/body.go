package httponce

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// body is what a request has brought. It is private: handlers get a reader.
type body struct {
	bytes  []byte
	reader bytes.Reader
}

// again returns what handlers read, from the beginning.
func (b *body) again() io.ReadCloser {
	b.reader.Reset(b.bytes)
	return b
}

func (b *body) Read(p []byte) (int, error)         { return b.reader.Read(p) }
func (b *body) WriteTo(w io.Writer) (int64, error) { return b.reader.WriteTo(w) }
func (b *body) Close() error                       { return nil }

// bodyLimits bound what is made of a body to tell it from others. One that exceeds
// them is told by its bytes.
var bodyLimits = jcs.Limits{Depth: 100, Nodes: 1 << 16}

// identify finds out whose key it is, and which one, if that is in a header. If it
// is not to be known, it has answered. Who asks comes first: nobody else is told
// anything.
func (x *exchange) identify() bool {
	tenant, err := x.Engine.Tenant(x.r.Context())
	if err != nil {
		x.req.Key.ID, _ = keyIn(x.r.Header[x.route.Header])
		x.w.Header().Set("WWW-Authenticate", x.Challenge)
		x.refuse(refusal{code: Unauthenticated})
		return false
	}
	x.req.Key.Tenant, x.req.Operation = tenant, x.route.name(x.r)
	if x.route.Pointer != "" {
		return true
	}
	return x.name(keyIn(x.r.Header[x.route.Header]))
}

// name takes the key, if it is one. If not, it has answered.
func (x *exchange) name(key string, err error) bool {
	if err == nil && x.route.UUIDv7 {
		if _, is := id.UUIDTime(key); !is {
			err = &KeyError{NoUUID}
		}
		key = strings.ToLower(key)
	}
	switch {
	case err == nil:
		x.req.Key.ID = key
		return true
	case !errors.Is(err, once.ErrMalformedKey) && x.route.Optional:
		r := x.r.WithContext(x.r.Context())
		r.Body = x.body.again()
		x.next.ServeHTTP(x.w, r)
	default:
		x.refuse(keyRefusal(err))
	}
	return false
}

func keyRefusal(err error) refusal {
	if !errors.Is(err, once.ErrMalformedKey) {
		return refusal{code: KeyMissing}
	}
	return refusal{code: KeyMalformed, detail: sentence(err)}
}

// sentence is an error for people: without where it comes from.
func sentence(err error) string {
	s := strings.TrimPrefix(err.Error(), "httponce: ")
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// read reads the body, and makes the fingerprint. If there is none, it has answered.
func (x *exchange) read() bool {
	var err error
	if x.body.bytes, err = readAll(x.r, x.MaxBody); err != nil {
		x.refuse(refusal{code: unreadable(err)})
		return false
	}
	return x.fingerprint()
}

// unreadable is what is said of a body that cannot be read.
func unreadable(err error) Code {
	if bounded := (*http.MaxBytesError)(nil); errors.As(err, &bounded) || errors.Is(err, errTooLarge) {
		return TooLarge
	}
	return BodyIncomplete
}

var (
	errTooLarge = errors.New("httponce: the body is too large")
	errMissing  = errors.New("httponce: the body is not there: somebody has read it before")
)

// readAll reads the body of a request, of up to most bytes.
func readAll(r *http.Request, most int64) ([]byte, error) {
	if r.ContentLength > most {
		return nil, errTooLarge
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	b := make([]byte, 0, min(max(r.ContentLength, 0), firstRead)+1) // the end, too, has to be read
	for {
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > most:
			return nil, errTooLarge
		case errors.Is(err, io.EOF) && len(b) == 0 && r.ContentLength > 0:
			return nil, errMissing
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, err
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, min(len(b), int(most)-len(b))+1)
		}
	}
}

// firstRead is how many bytes are taken for a body of which only its length has come.
const firstRead = 64 << 10

// forms are used for the canonical forms of bodies, one at a time.
var forms = sync.Pool{New: func() any { return new([]byte) }}

const keepForm = 64 << 10 // bytes: a larger one is not kept for the next body

// fingerprint makes the request's fingerprint: of its method, its path, its query,
// and its body, of which only the meaning counts if it is JSON.
func (x *exchange) fingerprint() bool {
	form := forms.Get().(*[]byte)
	defer func() {
		if cap(*form) <= keepForm {
			forms.Put(form)
		}
	}()
	told := x.body.bytes
	if x.route.Pointer != "" || isJSON(x.r.Header) {
		v, err := jcs.Parse(x.body.bytes, bodyLimits)
		if x.route.Pointer != "" && !x.name(x.keyIn(v, err)) {
			return false
		}
		if err == nil {
			*form = v.AppendCanonical((*form)[:0])
			told = *form
		}
	}
	x.req.Fingerprint = x.Engine.Fingerprint(x.req.Key.Tenant, x.r.Method, target(x.r), told)
	return true
}

// keyIn reads the key from a body that was parsed.
func (x *exchange) keyIn(v jcs.Value, err error) (string, error) {
	if err != nil && len(x.body.bytes) > 0 {
		return "", &KeyError{NotJSON}
	}
	member, there := find(v, x.route.Pointer)
	text, is := member.Text()
	switch {
	case !there, member.Kind() == jcs.Null, is && text == "":
		return "", &KeyError{NoKey}
	case !is:
		return "", &KeyError{NotText}
	}
	return ParseKey(text)
}

// target is what is asked for: the path, and the query, which changes what a POST means.
func target(r *http.Request) string {
	path := r.URL.EscapedPath()
	if r.URL.RawQuery == "" {
		return path
	}
	return path + "?" + r.URL.RawQuery
}

// isJSON says whether a body is said to be JSON that is not encoded.
func isJSON(h http.Header) bool {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return false
	}
	media := h.Get("Content-Type")
	if media == "application/json" { // what nearly everybody sends
		return true
	}
	media, _, err := mime.ParseMediaType(media)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}
