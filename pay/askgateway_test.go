package pay_test

import (
	"testing"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// Whoever comes to it asks the gateway, of whatever there is a question about, and
// until then a client sees no other payment.
func TestTheGatewayIsAskedByWhoeverComesToIt(t *testing.T) {
	for way, hinted := range map[string][]bool{
		"succeeded":                          {true},
		"processing":                         {true},
		"requires_action":                    {true},
		"needs_review":                       {true},
		"needs_review, given up and charged": {true, true},
	} {
		t.Run(way, func(t *testing.T) {
			w := newWorld(prompt)
			p := ways[way](t, w)
			before, events := w.at(p).AppendJSON(nil), len(w.events)
			r := w.do(t, pay.AskGateway{Ref: p.Ref, House: w.house})
			if r.Verb != pay.ToCheck || !r.Interim || r.Order == nil || r.Order.Attempt != 0 || r.Order.Operation != p.Operations[0].ID {
				t.Errorf("it came to %+v", r)
			}
			for i, o := range w.at(p).Operations {
				if o.Hinted != hinted[i] || o.Hinted && !o.DueAt.Equal(w.now) {
					t.Errorf("the %s is hinted: %v, due at %s", o.Kind, o.Hinted, o.DueAt)
				}
			}
			if after := w.at(p).AppendJSON(nil); string(after) != string(before) || len(w.events) != events {
				t.Errorf("a client sees\n%s, before\n%s", after, before)
			}
		})
	}
}

// What was never sent needs no gateway; and one that nobody here can ask is not
// asked.
func TestAGatewayThatIsNotAsked(t *testing.T) {
	w := newWorld(prompt)
	p := w.create(t)
	if r := w.do(t, pay.AskGateway{Ref: p.Ref}); r.Interim || r.Order != nil {
		t.Errorf("of what was never sent it came to %+v", r)
	}
	p = w.succeeded(t)
	w.refuse(t, pay.AskGateway{Ref: p.Ref}, ledger.Unavailable, "")
	for terms, code := range map[pay.Terms]ledger.Code{
		{Contract: prompt, Untold: true}:            ledger.Unavailable,
		{Contract: blind}:                           ledger.StateConflict,
		{Contract: prompt, Closed: "it has enough"}: "",
	} {
		ask := pay.AskGateway{Ref: p.Ref, House: pay.House{Gateways: map[string]pay.Terms{"g": terms}}}
		if code == "" { // asking is nothing new
			w.do(t, ask)
		} else {
			w.refuse(t, ask, code, "")
		}
	}
}
