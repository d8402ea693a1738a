package contract

import (
	"context"
	"net"
	"sync"

	"github.com/oncepay/oncepay/pay"
)

// checking is what is promised of checks.
var checking = []gatewayPromise{
	{"a check finds what a send did, and says the same of it", func(v *visit) {
		c := v.f.Fine("att_1")
		sent, found := v.send(v.Context(), c), v.check(v.Context(), c)
		if sent.Detail = found.Detail; found != sent || found.Outcome != pay.Done {
			v.Errorf("sent %+v, found %+v", sent, found)
		}
	}, false},
	{"a check finds a decline, and says the same of it", func(v *visit) {
		c := v.f.Declined("att_1")
		sent, found := v.send(v.Context(), c), v.check(v.Context(), c)
		if sent.Detail = found.Detail; found != sent || found.Outcome != pay.Declined {
			v.Errorf("sent %+v, found %+v", sent, found)
		}
	}, false},
	{"a check finds what was done and never answered", func(v *visit) {
		c := v.f.Fine("att_1")
		v.happens(dropped)
		v.send(v.Context(), c)
		v.happens(nil)
		if f := v.check(v.Context(), c); f.Outcome != pay.Done || f.Amount != c.Amount || f.GatewayID == "" {
			v.Errorf("found %+v", f)
		}
		v.wantSends("att_1")
	}, false},
	{"a check of what never came is absent, and moves nothing", func(v *visit) {
		c := v.f.Fine("att_1")
		for range 3 {
			if f := v.check(v.Context(), c); !f.Absent || f.Outcome != pay.Unknown {
				v.Errorf("found %+v", f)
			}
		}
		v.wantSends()
	}, false},
	{"a check of another operation of the payment does not find this one", func(v *visit) {
		v.send(v.Context(), v.f.Fine("att_1"))
		if f := v.check(v.Context(), v.f.Fine("att_2")); !f.Absent {
			v.Errorf("found %+v", f)
		}
	}, false},
	{"an answer about another operation is none", func(v *visit) {
		v.send(v.Context(), v.f.Fine("att_1"))
		other := v.answered(v.f.Fine("att_1"))
		v.happens(cut(func([]byte) []byte { return other }, closed))
		v.wantUnknown(v.send(v.Context(), v.f.Fine("att_2")))
		v.wantUnknown(v.check(v.Context(), v.f.Fine("att_3")))
	}, false},
	{"a check of nobody tells nothing", func(v *visit) {
		v.close()
		if f := v.check(v.Context(), v.f.Fine("att_1")); f.Absent || f.Outcome != pay.Unknown {
			v.Errorf("found %+v", f)
		}
	}, false},
	{"a caller of a check who leaves is let go at once", func(v *visit) {
		v.happens(unanswered)
		v.soon("it", func(try string) {
			ctx, leave := context.WithTimeout(v.Context(), v.timeout/8)
			defer leave()
			v.wantUnknown(v.check(ctx, v.f.Fine(try)))
		})
		v.wantSends()
	}, true},
}

// answered returns the answer to a send, as it is on the wire.
func (v *visit) answered(c pay.Call) (text []byte) {
	var once sync.Mutex
	v.happens(func(conn net.Conn, answer func() []byte) {
		once.Lock()
		defer once.Unlock()
		text = answer()
		conn.Write(text)
	})
	v.send(v.Context(), c)
	once.Lock()
	defer once.Unlock()
	return text
}
