package demo

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// network is between the shoppers and whoever serves them. It loses requests, it
// loses answers, and sometimes it sends a request twice.
type network struct {
	seed  uint64
	calls *http.Client

	requests, requestsLost, answersLost, doubled, suppressed atomic.Int64
}

// How many of a hundred requests meet which fate.
const (
	loseRequest = 4
	loseAnswer  = 5
	double      = 3
)

var errLost = errors.New("demo: the connection was lost")

func newNetwork(seed uint64) *network {
	return &network{seed: seed, calls: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// message is a request, and its answer if there is one.
type message struct {
	method, url string
	header      http.Header
	body        string

	order   string // with the try, what the fate is drawn by
	try     int
	timeout time.Duration
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// send brings a message there and the answer back, or fails like a network does.
func (n *network) send(ctx context.Context, m message) (*answer, error) {
	n.requests.Add(1)
	fate := n.fate(m)
	switch {
	case fate < loseRequest:
		n.requestsLost.Add(1)
		return nil, errLost
	case fate < loseRequest+double:
		n.doubled.Add(1)
		return n.twice(ctx, m)
	}
	a, err := n.deliver(ctx, m)
	if err == nil && fate >= 100-loseAnswer {
		n.answersLost.Add(1)
		return nil, errLost
	}
	return a, err
}

// twice delivers a message two times at once, as a proxy that retries does. The
// second answer is the one that arrives.
func (n *network) twice(ctx context.Context, m message) (*answer, error) {
	var first sync.WaitGroup
	first.Go(func() { n.deliver(ctx, m) })
	a, err := n.deliver(ctx, m)
	first.Wait()
	return a, err
}

// fate draws from 0 to 99 what happens to a try of an order.
func (n *network) fate(m message) uint64 {
	h := fnv.New64a()
	io.WriteString(h, m.order)
	h.Write([]byte{byte(m.try), byte(n.seed), byte(n.seed >> 8), byte(n.seed >> 16), byte(n.seed >> 24)})
	return mix(h.Sum64()) % 100
}

// mix spreads what little a short text leaves in the low bits of a hash.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

func (n *network) deliver(ctx context.Context, m message) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	var body io.Reader
	if m.body != "" {
		body = strings.NewReader(m.body)
	}
	req, err := http.NewRequestWithContext(ctx, m.method, m.url, body)
	if err != nil {
		return nil, err
	}
	req.Header, req.GetBody = m.header, nil
	resp, err := n.calls.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.Header.Get("Idempotency-Replayed") != "" {
		n.suppressed.Add(1)
	}
	return &answer{resp.StatusCode, resp.Header, b}, nil
}
