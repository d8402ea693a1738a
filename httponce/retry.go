package httponce

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// send sends the request until it has an answer that is not to be asked for again, or
// it is given up.
func (c *outgoing) send() (*http.Response, error) {
	c.ends = time.Now().Add(cmp.Or(c.MaxTime, time.Minute))
	for {
		c.tries++
		res, err := c.base.RoundTrip(c.request())
		if err == nil {
			res.Request = c.told
		}
		if again, after := c.judge(res, err); !again || c.tries >= c.most() || !c.pause(after) {
			return c.giveUp(res, err)
		}
		if err == nil {
			discard(res.Body)
		}
	}
}

// giveUp returns what the last try came to. Who does not want it any more is told so.
func (c *outgoing) giveUp(res *http.Response, err error) (*http.Response, error) {
	if ended := c.ctx.Err(); ended != nil {
		if err == nil {
			discard(res.Body)
		}
		res, err = nil, errors.Join(ended, err)
	}
	if err != nil {
		return nil, &CallError{Key: c.key, Tries: c.tries, Err: err}
	}
	return res, nil
}

// most is how often the request is sent at most.
func (c *outgoing) most() int {
	if c.large {
		return 1
	}
	return cmp.Or(c.Tries, 8)
}

// judge says whether the request may be sent again, and how long it should not be
// before: as the server says. That it may at all is what its key, or its method, is for.
func (c *outgoing) judge(res *http.Response, err error) (again bool, after time.Duration) {
	if err != nil {
		return c.ctx.Err() == nil && !isPermanent(err), 0
	}
	if said, told := saidBy(res); told {
		again = said.Retryable && said.SameKey
	} else {
		switch res.StatusCode {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			again = true
		}
	}
	return again, retryAfter(res.Header)
}

// isPermanent says whether the next try would fail as this one did: who answered is
// not who was asked for.
func isPermanent(err error) bool {
	wrong := (*tls.CertificateVerificationError)(nil)
	return errors.As(err, &wrong)
}

// said is what a problem says of trying again.
type said struct {
	Retryable bool
	SameKey   bool
}

// saidBy reads what the problem of an answer says, if it is one that says both. The
// body can be read as before.
func saidBy(res *http.Response) (s said, told bool) {
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if res.StatusCode < 400 || err != nil || media != "application/problem+json" {
		return s, false
	}
	const most = 64 << 10 // bytes: a problem has some hundreds
	text, err := io.ReadAll(io.LimitReader(res.Body, most))
	res.Body = readCloser{io.MultiReader(bytes.NewReader(text), res.Body), res.Body} // an error comes again
	var p struct {
		Retryable *bool `json:"retryable"`
		SameKey   *bool `json:"same_key"`
	}
	if err != nil || json.Unmarshal(text, &p) != nil || p.Retryable == nil || p.SameKey == nil {
		return s, false
	}
	return said{*p.Retryable, *p.SameKey}, true
}

// retryAfter is how long a server wants to be left alone (RFC 9110, section 10.2.3):
// seconds, or a date, by the server's own clock if it tells it.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	const most = math.MaxInt64 / uint64(time.Second) // 292 years
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, most)) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(at.Sub(now), 0)
}

// pause lets some time pass before the next try: at least after, and a part of the
// pause that is due, by chance. It returns false, at once, if the request would be
// too late then.
func (c *outgoing) pause(after time.Duration) bool {
	if after > time.Until(c.ends) {
		return false
	}
	pause := after + rand.N(c.longest()+1)
	back := time.Now().Add(pause)
	if deadline, has := c.ctx.Deadline(); back.After(c.ends) || has && back.After(deadline) {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// longest is the longest pause before the next try.
func (c *outgoing) longest() time.Duration {
	most := cmp.Or(c.MaxPause, 10*time.Second)
	pause := cmp.Or(c.Pause, 200*time.Millisecond)
	for range c.tries - 1 {
		if pause >= most {
			break
		}
		pause *= 2
	}
	return min(pause, most)
}

// discard reads the rest of a body that nobody wants, if it is small, so that its
// connection can be used again.
func discard(body io.ReadCloser) {
	const most = 64 << 10
	io.CopyN(io.Discard, body, most) // an error is the end of it, too
	body.Close()
}
