package httponce

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"github.com/oncepay/oncepay/internal/id"
)

// Transport is an [http.RoundTripper] for clients of servers that honour idempotency
// keys: it gives each request a key, and sends it again with that key when its answer
// is lost, or asks for that. Its zero value works; it is safe for concurrent use, and
// nothing of it may change once it is used. See the package for what it promises.
//
//	client := &http.Client{Transport: &httponce.Transport{}}
type Transport struct {
	// Base sends requests, each time that it is asked to, once.
	//
	// Defaults to a clone of http.DefaultTransport. That waits for an answer for
	// ever: let requests have a context that ends.
	Base http.RoundTripper

	// Keyed says which requests have a key. It must be true of those only of which
	// the server promises to do them once: they are sent again.
	//
	// Defaults to POST and PATCH. GET, HEAD, OPTIONS, TRACE, PUT and DELETE are
	// idempotent by definition, and sent again without a key; others pass.
	Keyed func(*http.Request) bool

	// Header is the name of the header that the key is in.
	//
	// Defaults to Idempotency-Key.
	Header string

	// MaxBody is how large a body may be to be sent again, in bytes: it is kept in
	// memory. The request of a larger one is sent once.
	//
	// Defaults to 1 MiB.
	MaxBody int64

	// Tries is how often a request is sent at most.
	//
	// Defaults to 8.
	Tries int

	// MaxTime is for how long a request is sent again. It must be less than the
	// server's window, by far.
	//
	// Defaults to one minute.
	MaxTime time.Duration

	// Pause is the longest pause before the second try, and doubles with each one,
	// up to MaxPause. How much of it passes is chance, so that clients that have
	// failed together do not come back together. Retry-After makes it longer.
	//
	// They default to 200 milliseconds and 10 seconds.
	Pause, MaxPause time.Duration

	once sync.Once
	base http.RoundTripper
}

// WithKey returns a context for one request, that gives it this key: somebody who
// keeps the key beside an order can send that again after a crash. A key in the
// request's header counts for more.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, callKey{}, key)
}

type callKey struct{}

// CallError is the error of a request that was given up. If it had a key, it may have
// been executed: that key, in [WithKey], finds out.
type CallError struct {
	Key   string // "" if it had none
	Tries int    // how often it was sent
	Err   error  // of the last one
}

func (e *CallError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("httponce: given up after %d tries: %v", e.Tries, e.Err)
	}
	return fmt.Sprintf("httponce: given up after %d tries with the key %s: %v", e.Tries, e.Key, e.Err)
}

// Unwrap returns the error of the last try.
func (e *CallError) Unwrap() error { return e.Err }

// Timeout says whether the last try was too late, for those who ask a [net.Error].
func (e *CallError) Timeout() bool {
	slow, is := e.Err.(interface{ Timeout() bool })
	return is && slow.Timeout()
}

// RoundTrip is http.RoundTripper's. It fails with a *CallError, or with a *KeyError
// if the caller's own key is none.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.once.Do(t.open)
	keyed := t.keyed(r)
	if !keyed && !idempotent[r.Method] {
		return t.base.RoundTrip(r)
	}
	c := &outgoing{Transport: t, ctx: r.Context(), told: r.Clone(r.Context())}
	if keyed {
		if err := c.name(); err != nil {
			if r.Body != nil {
				r.Body.Close()
			}
			return nil, err
		}
	}
	if err := c.prepare(r); err != nil {
		return nil, fmt.Errorf("httponce: read the request's body: %w", err)
	}
	return c.send()
}

func (t *Transport) open() {
	if t.base = t.Base; t.base == nil {
		t.base = http.DefaultTransport
		if std, is := t.base.(*http.Transport); is {
			t.base = std.Clone()
		}
	}
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] looks for.
func (t *Transport) CloseIdleConnections() {
	t.once.Do(t.open)
	if base, is := t.base.(interface{ CloseIdleConnections() }); is {
		base.CloseIdleConnections()
	}
}

// idempotent are the methods that may be sent again as they are (RFC 9110, section 9.2.2).
var idempotent = map[string]bool{"": true, "GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PUT": true, "DELETE": true}

func (t *Transport) keyed(r *http.Request) bool {
	if t.Keyed != nil {
		return t.Keyed(r)
	}
	return r.Method == http.MethodPost || r.Method == http.MethodPatch
}

// outgoing is a request on its way, as often as that takes.
type outgoing struct {
	*Transport
	ctx   context.Context
	told  *http.Request // as its sender may see it: with its key, and no body
	r     *http.Request // as it is sent
	key   string        // "" if it has none
	body  []byte
	large bool // the body is too large to be sent again: r has it
	tries int
	ends  time.Time
}

// name gives the request its key.
func (c *outgoing) name() (err error) {
	name := textproto.CanonicalMIMEHeaderKey(cmp.Or(c.Header, HeaderKey))
	if _, given := c.told.Header[name]; !given {
		key, _ := c.ctx.Value(callKey{}).(string)
		c.told.Header[name] = []string{cmp.Or(key, id.NewUUID(time.Now()))}
	}
	c.key, err = keyIn(c.told.Header[name])
	return err
}

// prepare makes what is sent of what came. A body is handed down in a way in which
// it cannot be got again: net/http has nothing to send twice.
func (c *outgoing) prepare(came *http.Request) error {
	c.told.Body, c.told.GetBody = nil, nil
	c.r = c.told.WithContext(c.ctx)
	if came.Body == nil || came.Body == http.NoBody {
		c.r.Header = hidden(c.told.Header)
		return nil
	}
	most := cmp.Or(c.MaxBody, 1<<20)
	if c.r.ContentLength > most {
		c.large, c.r.Body = true, came.Body
		return nil
	}
	var err error
	if c.body, err = io.ReadAll(io.LimitReader(came.Body, most+1)); err == nil && int64(len(c.body)) > most {
		c.large, c.r.Body = true, readCloser{io.MultiReader(bytes.NewReader(c.body), came.Body), came.Body}
		return nil
	}
	came.Body.Close()
	if c.r.ContentLength, c.r.TransferEncoding = int64(len(c.body)), nil; len(c.body) == 0 {
		c.r.Header = hidden(c.told.Header)
	}
	return err
}

type readCloser struct {
	io.Reader
	io.Closer
}

// hidden spells the names of keys so that servers know them, and net/http does not: a
// request without a body, it would send again by itself if it knew. Names of header
// fields are the same in any case.
func hidden(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range [...]string{HeaderKey, "X-Idempotency-Key"} {
		if lines, has := h[name]; has {
			delete(h, name)
			h[strings.ToLower(name)] = lines
		}
	}
	return h
}

// request is what is handed down for one try.
func (c *outgoing) request() *http.Request {
	r := c.r.WithContext(c.ctx)
	if len(c.body) > 0 && !c.large {
		r.Body = io.NopCloser(bytes.NewReader(c.body))
	}
	return r
}
