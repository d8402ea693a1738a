package gateway

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what is read before the body of an answer, and of what is kept.
const (
	maxHeader  = 16 << 10
	maxInterim = 5 // answers 1xx before the one that counts

	maxSpare = 64 << 10 // a buffer that was made larger once is not kept for that
)

// spare are buffers. A call holds one while it writes and one while it reads, and
// none while it waits: that is what ten thousand do at once.
type spare struct{ texts, readers sync.Pool }

// call makes one request on one connection: it is written once, then its answer
// is read.
//
// This is not http.Transport, which sends a POST with an Idempotency-Key again by
// itself when it can, cannot tell exactly whether a byte of it has left, and
// keeps three goroutines with their buffers for each call that waits.
func (c *Caller) call(ctx context.Context, l *line, method string, r Request, sent *atomic.Int64) Answer {
	began := time.Now()
	w, err := l.get(ctx)
	if err != nil {
		return Answer{Err: why(ctx, began, err)}
	}
	a, again := c.exchange(ctx, w, method, r, sent)
	if a.Err != nil {
		a.Err = why(ctx, began, a.Err)
	}
	if again {
		l.put(w)
	} else {
		w.drop()
	}
	return a
}

// exchange writes a request and reads its answer. Again says that the connection
// can carry another one.
func (c *Caller) exchange(ctx context.Context, w *wire, method string, r Request, sent *atomic.Int64) (a Answer, again bool) {
	w.tcp.forget(r.timeout())
	release := w.hold(ctx)
	a.Left, a.Err = c.write(w, method, r)
	if a.Left {
		sent.Add(1)
	}
	if a.Err == nil {
		again, a.Err = c.read(w, method, &a)
	}
	return a, release() && again
}

// hold has a connection's reads and writes fail once ctx has ended. Release says
// whether that did not happen, and will not.
func (w *wire) hold(ctx context.Context) (release func() bool) {
	stop := context.AfterFunc(ctx, func() { w.SetDeadline(longAgo) }) // it fails where it is closed, and that is noticed
	return func() bool { return stop() && w.SetDeadline(time.Time{}) == nil }
}

// write writes a request. Left says whether the kernel took a byte of it.
func (c *Caller) write(w *wire, method string, r Request) (left bool, err error) {
	text, _ := c.spare.texts.Get().(*bytes.Buffer)
	if text == nil {
		text = &bytes.Buffer{}
	}
	defer func() {
		if text.Reset(); text.Cap() <= maxSpare {
			c.spare.texts.Put(text)
		}
	}()
	if err := c.render(text, method, r); err != nil {
		return false, err
	}
	before := w.tcp.wrote
	_, err = w.Write(text.Bytes())
	return w.tcp.wrote > before, err
}

// render writes a request into a buffer.
func (c *Caller) render(text *bytes.Buffer, method string, r Request) error {
	u, err := url.Parse(c.base.String() + r.Path)
	if err != nil || u.Host != c.base.Host || u.User != nil || !clean(r.Header) {
		return errBadRequest
	}
	req := &http.Request{Method: method, URL: u, Host: u.Host, Header: r.Header}
	if method == http.MethodPost {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(r.Body)), int64(len(r.Body))
	}
	return req.Write(text)
}

// clean says whether a header can be written as it is.
func clean(h http.Header) bool {
	for name, values := range h {
		if name == "" || strings.ContainsAny(name, "\r\n: \t") || strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
			return false
		}
	}
	return true
}

// read waits for an answer and reads it into a. Again says that it came whole,
// and that another may come on this connection.
func (c *Caller) read(w *wire, method string, a *Answer) (again bool, err error) {
	s := &source{from: w, most: maxHeader}
	if _, err := io.ReadFull(w, s.first[:]); err != nil {
		return false, err
	}
	from, _ := c.spare.readers.Get().(*bufio.Reader)
	if from == nil {
		from = bufio.NewReader(nil)
	}
	from.Reset(s)
	defer func() {
		from.Reset(nil)
		c.spare.readers.Put(from)
	}()
	res, err := header(from, method)
	if err != nil {
		return false, cmp.Or(s.failed, errNoHTTP)
	}
	defer res.Body.Close()
	if a.Status = res.StatusCode; !a.tells() {
		return false, nil
	}
	s.most = 2 * c.cfg.MaxAnswer // it may come in pieces, each with a line of its own
	if a.Body, err = c.body(res); err != nil {
		return false, cmp.Or(s.failed, err)
	}
	return !res.Close && from.Buffered() == 0, nil
}

// source is what an answer is read from: a byte that was read, and what comes
// after it, up to a bound. It keeps why it failed: net/http takes what came until
// then for bad HTTP.
type source struct {
	first  [1]byte
	begun  bool
	from   io.Reader
	most   int64
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		return copy(p, s.first[:]), nil
	}
	if s.most <= 0 {
		s.failed = errTooLarge
		return 0, s.failed
	}
	n, err := s.from.Read(p[:min(int64(len(p)), s.most)])
	s.most -= int64(n)
	if err != nil && err != io.EOF {
		s.failed = err
	} else if err != nil {
		s.failed = errCutOff // unless that is how an answer ends
	}
	return n, err
}

// header reads the answer that counts, but for its body.
func header(from *bufio.Reader, method string) (*http.Response, error) {
	for range maxInterim {
		res, err := http.ReadResponse(from, &http.Request{Method: method})
		if err != nil || res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, err
		}
	}
	return nil, errNoHTTP
}

// body reads a whole body, if it is not too large.
func (c *Caller) body(res *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, c.cfg.MaxAnswer+1))
	switch {
	case int64(len(body)) > c.cfg.MaxAnswer:
		return nil, errTooLarge
	case err != nil:
		return nil, errNoHTTP
	}
	return body, nil
}
