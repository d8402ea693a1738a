package pay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// The ways into everything that a command can meet a payment in.
var ways = map[string]func(fataler, *world) *pay.Payment{
	"requires_confirmation": func(t fataler, w *world) *pay.Payment { return w.create(t) },

	"processing": func(t fataler, w *world) *pay.Payment { return w.confirmed(t) },
	"processing, never left": func(t fataler, w *world) *pay.Payment {
		return w.answered1(t, w.confirmed(t), unsent)
	},
	"processing, in doubt": func(t fataler, w *world) *pay.Payment {
		return w.answered1(t, w.confirmed(t), silence)
	},
	"processing, a capture in doubt": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.capture(p, 60, true))
		return w.answered1(t, p, silence)
	},
	"processing, a void in doubt": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.cancel(p))
		return w.answered1(t, p, silence)
	},

	"processing, somebody must act for a capture": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.capture(p, 100, true))
		return w.answered1(t, p, action)
	},

	"requires_action":         func(t fataler, w *world) *pay.Payment { return w.answered1(t, w.confirmed(t), action) },
	"requires_action, manual": func(t fataler, w *world) *pay.Payment { return w.answered1(t, w.confirmed(t, manual), action) },

	"authorized": func(t fataler, w *world) *pay.Payment { return w.authorized(t) },
	"authorized, a part captured": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.capture(p, 60, true))
		return w.answered1(t, p, done(60))
	},
	"authorized, a void declined": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.cancel(p))
		return w.answered1(t, p, declined)
	},

	"succeeded": func(t fataler, w *world) *pay.Payment { return w.succeeded(t) },
	"succeeded, captured": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.capture(p, 60, false))
		return w.answered1(t, p, done(60))
	},
	"succeeded, a refund at work": func(t fataler, w *world) *pay.Payment {
		p := w.succeeded(t)
		w.do(t, w.refund(p, 40))
		return p
	},
	"succeeded, a refund in doubt": func(t fataler, w *world) *pay.Payment {
		p := w.succeeded(t)
		w.do(t, w.refund(p, 40))
		return w.answered1(t, p, silence)
	},
	"succeeded, a refund that needs a review": func(t fataler, w *world) *pay.Payment {
		p := w.succeeded(t)
		w.do(t, w.refund(p, 40))
		w.answer(t, p, silence)
		return w.givenUp(t, p)
	},
	"succeeded, all given back": func(t fataler, w *world) *pay.Payment {
		p := w.succeeded(t)
		w.do(t, w.refund(p, 100))
		return w.answered1(t, p, done(100))
	},

	"failed": func(t fataler, w *world) *pay.Payment { return w.answered1(t, w.confirmed(t), declined) },

	"canceled": func(t fataler, w *world) *pay.Payment { return w.do(t, w.cancel(w.create(t))).Payment },
	"canceled, authorized before": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.cancel(p))
		return w.answered1(t, p, done(0))
	},

	"needs_review": func(t fataler, w *world) *pay.Payment {
		p := w.confirmed(t)
		w.answer(t, p, silence)
		return w.givenUp(t, p)
	},
	"needs_review, an authorization": func(t fataler, w *world) *pay.Payment {
		p := w.confirmed(t, manual)
		w.answer(t, p, silence)
		return w.givenUp(t, p)
	},
	"needs_review, while a capture is at work": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.capture(p, 60, true))
		w.check(t, p, p.Charge().ID, declined)
		return w.at(p)
	},
	"needs_review, declined and charged": func(t fataler, w *world) *pay.Payment {
		p := w.answered1(t, w.confirmed(t), declined)
		w.check(t, p, "", done(100))
		return w.at(p)
	},
	"needs_review, given up and charged": func(t fataler, w *world) *pay.Payment {
		p := w.answered1(t, w.confirmed(t), action)
		w.do(t, w.cancel(p))
		w.answer(t, p, done(0))
		w.check(t, p, w.at(p).Charge().ID, done(100))
		return w.at(p)
	},
	"needs_review, too much captured": func(t fataler, w *world) *pay.Payment {
		p := w.authorized(t)
		w.do(t, w.capture(p, 60, true))
		w.answer(t, p, declined)
		first := w.last(p).ID
		w.do(t, w.capture(p, 100, false))
		w.answer(t, p, done(100))
		w.check(t, p, first, done(60))
		return w.do(t, w.resolve(p, true)).Payment
	},
}

func (w *world) answered1(t fataler, p *pay.Payment, f pay.Finding) *pay.Payment {
	w.answer(t, p, f)
	return w.at(p)
}

func (w *world) authorized(t fataler) *pay.Payment {
	return w.answered1(t, w.confirmed(t, manual), done(100))
}

func (w *world) succeeded(t fataler) *pay.Payment {
	return w.answered1(t, w.confirmed(t), done(100))
}

// givenUp is the payment a day later, when nobody could learn what became of it.
func (w *world) givenUp(t fataler, p *pay.Payment) *pay.Payment {
	w.now = w.now.Add(24*time.Hour + time.Minute)
	w.check(t, p, "", silence)
	return w.at(p)
}

// transitions is what each command does to a payment: the status that it has then,
// or the code of the refusal. "conflict" is state_conflict.
var transitions = []struct {
	is string
	//  confirm       capture      cancel      refund      resolve: it happened, it did not
	becomes string
}{
	{"requires_confirmation",
		"processing     conflict     canceled    conflict     conflict      conflict"},
	{"processing",
		"processing     in_progress  in_progress in_progress  in_progress   in_progress"},
	{"processing, never left",
		"processing     in_progress  in_progress in_progress  succeeded     failed"},
	{"processing, in doubt",
		"processing     in_progress  in_progress in_progress  succeeded     failed"},
	{"processing, a capture in doubt",
		"processing     in_progress  in_progress in_progress  authorized    authorized"},
	{"processing, a void in doubt",
		"processing     in_progress  in_progress in_progress  canceled      authorized"},
	{"processing, somebody must act for a capture",
		"processing     in_progress  in_progress in_progress  succeeded     authorized"},
	{"requires_action",
		"requires_action conflict    processing  conflict     succeeded     failed"},
	{"requires_action, manual",
		"requires_action conflict    processing  conflict     authorized    failed"},
	{"authorized",
		"authorized     processing   processing  conflict     conflict      conflict"},
	{"authorized, a part captured",
		"authorized     processing   conflict    authorized   conflict      conflict"},
	{"authorized, a void declined",
		"authorized     processing   processing  conflict     conflict      conflict"},
	{"succeeded",
		"succeeded      conflict     conflict    succeeded    conflict      conflict"},
	{"succeeded, captured",
		"succeeded      conflict     conflict    succeeded    conflict      conflict"},
	{"succeeded, a refund at work",
		"succeeded      in_progress  in_progress in_progress  in_progress   in_progress"},
	{"succeeded, a refund in doubt",
		"succeeded      in_progress  in_progress in_progress  succeeded     succeeded"},
	{"succeeded, a refund that needs a review",
		"succeeded      conflict     conflict    succeeded    succeeded     succeeded"},
	{"succeeded, all given back",
		"succeeded      conflict     conflict    refund_exceeds_captured conflict conflict"},
	{"failed",
		"failed         conflict     conflict    conflict     conflict      conflict"},
	{"canceled",
		"conflict       conflict     conflict    conflict     conflict      conflict"},
	{"canceled, authorized before",
		"conflict       conflict     conflict    conflict     conflict      conflict"},
	{"needs_review",
		"needs_review   conflict     conflict    conflict     succeeded     failed"},
	{"needs_review, an authorization",
		"needs_review   conflict     conflict    conflict     authorized    failed"},
	{"needs_review, while a capture is at work",
		"needs_review   in_progress  in_progress in_progress  processing    processing"},
	{"needs_review, declined and charged",
		"needs_review   conflict     conflict    conflict     succeeded     failed"},
	{"needs_review, given up and charged",
		"needs_review   conflict     conflict    conflict     succeeded     canceled"},
	{"needs_review, too much captured",
		"needs_review   conflict     conflict    needs_review conflict      conflict"},
}

// verbs are the columns of the table.
var verbs = []struct {
	name    string
	command func(*world, *pay.Payment) pay.Command
}{
	{"confirm", func(w *world, p *pay.Payment) pay.Command { return pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref} }},
	{"capture", func(w *world, p *pay.Payment) pay.Command { return pay.CapturePayment{Ask: w.ask(""), Ref: p.Ref} }},
	{"cancel", func(w *world, p *pay.Payment) pay.Command { return w.cancel(p) }},
	{"refund", func(w *world, p *pay.Payment) pay.Command { return pay.RefundPayment{Ask: w.ask(""), Ref: p.Ref} }},
	{"resolve as happened", func(w *world, p *pay.Payment) pay.Command { return w.resolve(p, true) }},
	{"resolve as absent", func(w *world, p *pay.Payment) pay.Command {
		w.now = w.now.Add(prompt.InFlight) // nothing of it can arrive any more
		return w.resolve(p, false)
	}},
}

func TestEveryCommandInEveryStatus(t *testing.T) {
	if len(ways) != len(transitions) {
		t.Errorf("%d ways into %d rows", len(ways), len(transitions))
	}
	for _, row := range transitions {
		for i, becomes := range strings.Fields(row.becomes) {
			t.Run(verbs[i].name+" of one that is "+row.is, func(t *testing.T) {
				w := newWorld(prompt)
				p := ways[row.is](t, w)
				if status, _, _ := strings.Cut(row.is, ","); p.Status.String() != status {
					t.Fatalf("the way there leads to %s", p.Status)
				}
				before := w.commits
				o := w.batch(t, verbs[i].command(w, p))[0]
				got := w.at(p).Status.String()
				if o.refusal != nil {
					got = strings.TrimPrefix(string(o.refusal.Code), "state_")
					if w.commits != before {
						t.Error("it was refused and changed something")
					}
				}
				if got != becomes {
					t.Errorf("it comes to %s, want %s", got, becomes)
				}
			})
		}
	}
}

// What does not exist is nobody's.
func TestEveryCommandOfAnotherTenantsPayment(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	p.Tenant = "other"
	for _, v := range verbs {
		t.Run(v.name, func(t *testing.T) { w.refuse(t, v.command(w, p), "not_found", "") })
	}
	for name, c := range map[string]pay.Command{
		"record":                 pay.Record{Ref: p.Ref, Operation: p.Charge().ID, House: w.house},
		"record of no operation": pay.Record{Ref: pay.Ref{Tenant: tenant, ID: p.ID}, Operation: "att_0", House: w.house},
		"show":                   pay.ShowPayment{Ref: p.Ref},
		"ask":                    pay.AskGateway{Ref: p.Ref, House: w.house},
	} {
		t.Run(name, func(t *testing.T) { w.refuse(t, c, "not_found", "") })
	}
}
