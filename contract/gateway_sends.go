package contract

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// sending is what is promised of sends to a side that behaves well, and of those
// that never leave.
var sending = []gatewayPromise{
	{"what was carried out is done, with amount, currency and the gateway's id", func(v *visit) {
		c := v.f.Fine("att_1")
		f := v.send(v.Context(), c)
		if f.Outcome != pay.Done || f.Amount != c.Amount || f.Currency != c.Currency || f.GatewayID == "" || f.Absent {
			v.Errorf("got %+v for %+v", f, c)
		}
		v.wantSends("att_1")
	}, false},
	{"a decline is one, with its reason", func(v *visit) {
		f := v.send(v.Context(), v.f.Declined("att_1"))
		if f.Outcome != pay.Declined || f.Failure.Code == "" || f.Reach != pay.MayHaveArrived {
			v.Errorf("got %+v", f)
		}
		v.wantSends("att_1")
	}, false},
	{"a refusal is no decline: nothing was done, and it says why", func(v *visit) {
		f := v.send(v.Context(), v.f.Refused("att_1"))
		if f.Outcome != pay.Unknown || f.Reach != pay.Refused || f.Failure.Code != "gateway_rejected" {
			v.Errorf("got %+v", f)
		}
		v.wantSends("att_1")
	}, false},
	{"the same again is the same body, with the operation's id and the payment's", sameAgain, false},
	{"a repeat is answered like the first", func(v *visit) {
		c := v.f.Fine("att_1")
		if first, again := v.send(v.Context(), c), v.send(v.Context(), c); first != again {
			v.Errorf("first %+v, then %+v", first, again)
		}
	}, false},
	{"many at once are as many requests", manySends, false},
	{"a send to nobody never left", func(v *visit) {
		v.close()
		v.wantNeverLeft(v.send(v.Context(), v.f.Fine("att_1")))
		v.wantSends()
	}, false},
	{"a send whose caller has left already never left", func(v *visit) {
		ctx, leave := context.WithCancel(v.Context())
		leave()
		v.wantNeverLeft(v.send(ctx, v.f.Fine("att_1")))
		v.wantSends()
	}, false},
	{"what never left is not kept to be sent later", func(v *visit) {
		v.close()
		v.send(v.Context(), v.f.Fine("att_1"))
		v.open()
		v.quiet()
		v.wantSends()
	}, false},
}

func (v *visit) wantNeverLeft(f pay.Finding) {
	v.Helper()
	if want := (pay.Finding{Reach: pay.NeverLeft, Detail: f.Detail}); f != want || f.Detail == "" {
		v.Errorf("it cannot have left, and is told as %+v", f)
	}
}

// quiet waits for what somebody might send behind our back.
func (v *visit) quiet() { time.Sleep(500 * time.Millisecond) }

func sameAgain(v *visit) {
	c := v.f.Fine("att_1")
	v.send(v.Context(), c)
	v.send(v.Context(), c)
	v.wantSends("att_1", "att_1")
	seen := v.seen()
	if len(seen) == 2 && !bytes.Equal(seen[0].body(), seen[1].body()) { // a header may tell when it was sent
		v.Errorf("first\n%s\nthen\n%s", seen[0].text, seen[1].text)
	}
	for _, p := range seen {
		if !bytes.Contains(p.text, []byte(c.Payment)) || !bytes.Contains(p.text, []byte(c.Operation)) {
			v.Errorf("the payment %s or the operation %s is not in\n%s", c.Payment, c.Operation, p.text)
		}
	}
}

func manySends(v *visit) {
	const operations, each = 10, 3
	var want []string
	ids := make([]atomic.Pointer[string], operations)
	for i := range operations * each {
		want = append(want, fmt.Sprint("att_", i%operations))
	}
	many(len(want), func(i int) {
		c := v.f.Fine(want[i])
		f := v.send(v.Context(), c)
		if !ids[i%operations].CompareAndSwap(nil, &f.GatewayID) && *ids[i%operations].Load() != f.GatewayID || f.Outcome != pay.Done {
			v.Errorf("%s got %+v, and another send of it %s", c.Operation, f, *ids[i%operations].Load())
		}
		if g := v.check(v.Context(), c); g.GatewayID != f.GatewayID {
			v.Errorf("%s got %s, and a check at the same time %s", c.Operation, f.GatewayID, g.GatewayID)
		}
	})
	v.wantSends(want...)
}

// body is what comes after the header.
func (p passerby) body() []byte {
	_, body, _ := bytes.Cut(p.text, []byte("\r\n\r\n"))
	return body
}

// half is the first half of an answer's body, with all before it.
func half(answer []byte) []byte {
	head, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	return answer[:len(head)+4+len(body)/2]
}

// accidents are those after which a send may have been carried out.
func accidents() map[string]accident {
	all := map[string]accident{
		"is lost":                     lost,
		"is unanswered":               unanswered,
		"is dropped":                  dropped,
		"is answered by a reset":      func(c net.Conn, answer func() []byte) { answer(); reset(c) },
		"is answered by one byte":     cut(func(a []byte) []byte { return a[:1] }, closed),
		"is reset after one byte":     cut(func(a []byte) []byte { return a[:1] }, reset),
		"is cut off in the header":    cut(func(a []byte) []byte { return a[:20] }, closed),
		"is cut off in the body":      cut(half, closed),
		"is reset in the body":        cut(half, reset),
		"is stuck in the body":        cut(half, func(c net.Conn) { c.Read(make([]byte, 1)) }),
		"is answered something else":  cut(func([]byte) []byte { return []byte("+OK " + secret + "\r\n\r\n") }, closed),
		"is answered by a web page":   instead(200, "Content-Type: text/html\r\n", "<p>"+secret),
		"is answered by half a JSON":  instead(200, "", `{"secret":"`+secret),
		"is answered by other JSON":   instead(200, "", `{"secret":"`+secret+`"}`),
		"is answered by nothing":      instead(200, "", ""),
		"is answered 204":             instead(204, "", ""),
		"is answered without end":     instead(200, "", `{"secret":"`+strings.Repeat(secret, 1<<16)+`"}`),
		"is answered 402 by a page":   instead(402, "", "<p>"+secret),
		"is answered 404 by a page":   instead(404, "", "<p>"+secret),
		"is answered 400 by a page":   instead(400, "", "<p>"+secret),
		"is asked to identify itself": instead(407, "Proxy-Authenticate: Basic\r\n", ""),
	}
	for _, status := range []int{400, 402, 404, 408, 409, 422, 425, 429, 500, 501, 502, 503, 504} {
		all[fmt.Sprint("is answered rightly, but with ", status)] = restated(status)
	}
	return all
}

// failing is what is promised of sends and checks that accidents happen to.
func failing() (promises []gatewayPromise) {
	for name, a := range accidents() {
		silent := name == "is unanswered" || name == "is stuck in the body"
		promises = append(promises, gatewayPromise{"a send that " + name + " is unknown, and was one request", func(v *visit) {
			v.happens(a)
			v.within("it", func() { v.wantUnknown(v.send(v.Context(), v.f.Fine("att_1"))) })
			v.wantSends("att_1")
		}, silent}, gatewayPromise{"a check that " + name + " tells nothing, and is not absent", func(v *visit) {
			c := v.f.Fine("att_1")
			v.send(v.Context(), c)
			v.happens(a)
			v.within("it", func() { v.wantUnknown(v.check(v.Context(), c)) })
			v.wantSends("att_1")
		}, silent})
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		promises = append(promises, gatewayPromise{fmt.Sprint("a redirect with ", status, " is not followed"), func(v *visit) { redirected(v, status) }, false})
	}
	return append(promises, leaving...)
}

// leaving is what is promised when connections and callers leave.
var leaving = []gatewayPromise{
	{"a used connection that is dropped is not tried again", func(v *visit) {
		v.send(v.Context(), v.f.Fine("att_1"))
		v.happens(dropped)
		v.wantUnknown(v.send(v.Context(), v.f.Fine("att_2")))
		v.wantSends("att_1", "att_2")
	}, false},
	{"an accident is not made good later", func(v *visit) {
		v.happens(dropped)
		v.send(v.Context(), v.f.Fine("att_1"))
		v.happens(nil)
		v.quiet()
		v.wantSends("att_1")
	}, false},
	{"a caller who leaves is let go at once, and the send is unknown", leaves, true},
	{"a caller's own time counts, where it is shorter", func(v *visit) {
		v.happens(unanswered)
		v.soon("it", func(try string) {
			ctx, cancel := context.WithTimeout(v.Context(), v.timeout/4)
			defer cancel()
			if f := v.send(ctx, v.f.Fine(try)); f.Outcome != pay.Unknown {
				v.Errorf("it is told as %+v", f)
			}
		})
	}, true},
}

func redirected(v *visit, status int) {
	var followed atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer other.Close()
	v.happens(instead(status, "Location: "+other.URL+"/\r\n", ""))
	c := v.f.Fine("att_1")
	v.wantUnknown(v.send(v.Context(), c))
	v.wantUnknown(v.check(v.Context(), c))
	v.wantSends("att_1")
	if followed.Load() > 0 {
		v.Errorf("it was followed")
	}
}

func leaves(v *visit) {
	var sent []string
	v.soon("it", func(try string) {
		sent = append(sent, try)
		ctx, leave := context.WithCancel(v.Context())
		v.happens(func(c net.Conn, answer func() []byte) { leave(); unanswered(c, answer) })
		v.wantUnknown(v.send(ctx, v.f.Fine(try)))
	})
	v.quiet()
	v.wantSends(sent...)
}
