package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// What a connection may hold. Ten thousand can wait at once, each with two
// buffers: a request and an answer of ours fit.
const (
	writeBuffer = 2 << 10
	readBuffer  = 1 << 10
	maxHeader   = 16 << 10

	// maxIdle is how many connections are kept for the next calls.
	maxIdle = 256

	// idleFor is shorter than any server of note keeps one (Node: 5 s): one that
	// its server closes while we write to it makes a send that may have arrived.
	idleFor = 4 * time.Second

	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
)

// newTransport makes what speaks HTTP: version 1.1 only, through no proxy that an
// environment names, with connections that know what they wrote.
func newTransport(cfg Config) *http.Transport {
	d := &dialer{net: net.Dialer{Timeout: dialTimeout}, tls: cfg.TLS.Clone()}
	if d.tls == nil {
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	d.tls.NextProtos = []string{"http/1.1"}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		DialContext: d.dial, DialTLSContext: d.dialTLS, Protocols: &http1, DisableCompression: true,
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleFor,
		MaxResponseHeaderBytes: maxHeader, WriteBufferSize: writeBuffer, ReadBufferSize: readBuffer,
	}
}

// call makes one request. It calls the transport itself and no http.Client, which
// would follow redirects.
func (c *Caller) call(ctx context.Context, t http.RoundTripper, method string, r Request, wire *atomic.Int64) Answer {
	d := &departure{wire: wire}
	req, err := c.request(ctx, method, r)
	if err != nil {
		return Answer{Err: err}
	}
	res, err := t.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, d.trace())))
	if err != nil {
		return Answer{Left: !d.stop(), Err: why(ctx, err)}
	}
	defer res.Body.Close()
	a := Answer{Left: !d.stop(), Status: res.StatusCode}
	if !a.Left || d.early.Load() {
		a.Status, a.Err = 0, errEarly
	} else if a.tells() {
		a.Body, a.Err = c.read(ctx, res)
	}
	return a
}

// request makes the request. GetBody stays nil and the body is no reader that
// net/http knows how to rewind: it resends a POST with an Idempotency-Key as soon
// as it could.
func (c *Caller) request(ctx context.Context, method string, r Request) (*http.Request, error) {
	u, err := url.Parse(c.base.String() + r.Path)
	if err != nil || u.Host != c.base.Host || u.User != nil {
		return nil, errBadPath
	}
	req := &http.Request{
		Method: method, URL: u, Host: u.Host, Header: r.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if method == http.MethodPost {
		req.Body, req.ContentLength = &once{*bytes.NewReader(r.Body)}, int64(len(r.Body))
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	return req.WithContext(ctx), nil
}

// once is a body that is read once.
type once struct{ r bytes.Reader }

func (o *once) Read(p []byte) (int, error) { return o.r.Read(p) }
func (o *once) Close() error               { return nil }

// read reads a whole body, if it is not too large.
func (c *Caller) read(ctx context.Context, res *http.Response) ([]byte, error) {
	if res.ContentLength > c.cfg.MaxAnswer {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.cfg.MaxAnswer+1))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, why(ctx, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errCutOff, err)
	case int64(len(body)) > c.cfg.MaxAnswer:
		return nil, errTooLarge
	}
	return body, nil
}
