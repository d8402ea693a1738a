package contract

import (
	"fmt"
	"testing"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// paymentFences are the ways in which a commit about payments finds a row not as
// it expects it. Each makes changes of which only the last row of its sort is
// fenced off.
var paymentFences = map[string]func(b *bank, p *pay.Payment) *engine.Changes{
	"a payment that is there": func(b *bank, _ *pay.Payment) *engine.Changes {
		c := b.weigh(create("2"), create(""))
		b.must(b.Commit(b.ctx, b.payments(c.Payments.Payments[1].Clone())))
		return c
	},
	"a payment that was changed meanwhile": func(b *bank, p *pay.Payment) *engine.Changes {
		c := b.weigh(charge("2"), captured(p))
		b.pay(found(p, pay.Finding{}))
		return c
	},
	"a payment that is not there": func(b *bank, _ *pay.Payment) *engine.Changes {
		c := b.weigh(create("2"), create(""))
		c.Payments.Payments[1].Version = 2
		return c
	},
	"a version of a payment that was never reached": func(b *bank, p *pay.Payment) *engine.Changes {
		c := b.weigh(create("2"), captured(p))
		c.Payments.Payments[1].Version++
		return c
	},
	"an order that has a payment meanwhile": func(b *bank, _ *pay.Payment) *engine.Changes {
		c := b.weigh(create("2"), create("3"))
		b.pay(create("3"))
		return c
	},
	"an order that has another payment meanwhile": func(b *bank, p *pay.Payment) *engine.Changes {
		b.pay(found(p, pay.Finding{Outcome: pay.Declined}))
		c := b.weigh(create("2"), create("1"))
		b.pay(create("1"))
		return c
	},
	"an order that was never seen": func(b *bank, _ *pay.Payment) *engine.Changes {
		c := b.weigh(create("2"), create("3"))
		c.Payments.References[1].Version = 2
		return c
	},
	"a notice that was seen meanwhile": func(b *bank, p *pay.Payment) *engine.Changes {
		c := b.weigh(create("2"), b.notify(p, "2"), b.notify(p, "3"))
		b.write(pay.Changes{Notices: []*pay.Notice{{NoticeID: notice("3"), At: b.now, Version: 1}}})
		return c
	},
	"a notice that was matched meanwhile": func(b *bank, p *pay.Payment) *engine.Changes {
		b.write(pay.Changes{Notices: []*pay.Notice{{NoticeID: notice("3"), At: b.now, Version: 1}}})
		c := b.weigh(create("2"), b.notify(p, "2"), b.notify(p, "3"))
		b.write(pay.Changes{Notices: []*pay.Notice{{NoticeID: notice("3"), At: b.now, Matched: true, Version: 2}}})
		return c
	},
	"a key that was claimed meanwhile": func(b *bank, p *pay.Payment) *engine.Changes {
		c := b.weigh(create("2"), captured(p))
		c.Keys = []once.Record{b.claim("new"), b.claim("k")}
		b.must(b.Commit(b.ctx, b.keys(b.claim("k"))))
		return c
	},
	"a key that was answered meanwhile": func(b *bank, p *pay.Payment) *engine.Changes {
		claim := b.claim("k")
		b.must(b.Commit(b.ctx, b.keys(claim)))
		c := b.weigh(create("2"), captured(p))
		c.Keys = []once.Record{b.claim("new"), b.done(claim)}
		b.must(b.Commit(b.ctx, b.keys(b.done(claim))))
		return c
	},
	"an account whose balance changed meanwhile": func(b *bank, p *pay.Payment) *engine.Changes {
		other := b.pays(charge("3"))
		b.pay(captured(other))
		c := b.weigh(create("2"), captured(p))
		b.do(move("merchant:default", "b", 1))
		return c
	},
	"an account that was opened meanwhile": func(b *bank, p *pay.Payment) *engine.Changes {
		c := b.weigh(create("2"), captured(p))
		b.do(open("merchant:default"))
		return c
	},
}

// noPaymentOrAll also holds that money, keys and events are not written where a
// payment is fenced off.
func noPaymentOrAll(b *bank) {
	for name, broken := range paymentFences {
		b.Run(name, func(t *testing.T) {
			b := newBank(t, b.fixture)
			b.do(open("a"), open("b"))
			p := b.pays(charge("1"))
			c := broken(b, p)
			moved := b.decide(move("a", "b", 1), open("new")).Ledger
			if len(c.Ledger.Entries) == 0 { // whatever else there is comes with it
				moved.Events = append(moved.Events, c.Ledger.Events...)
				c.Ledger = moved
			}
			if len(c.Keys) == 0 {
				c.Keys = []once.Record{b.record("new")}
			}
			before := b.all()
			for range 2 { // it does not wear off
				b.wantConflict(b.Commit(b.ctx, c))
				b.same("the store", before, b.all())
				if n := b.seen(notice("2")); n != nil {
					b.Fatalf("notice 2 was written: %+v", n)
				}
			}
		})
	}
}

// notify is a webhook about a payment's charge.
func (b *bank) notify(p *pay.Payment, id string) pay.TakeNotice {
	return pay.TakeNotice{House: house, Notice: pay.Notice{
		NoticeID: notice(id), Payment: p.ID, Operation: p.Charge().ID, Type: "operation.succeeded",
	}}
}

func oneHolds(b *bank) {
	var commits []*engine.Changes
	for range racers {
		commits = append(commits, b.weigh(charge("1")))
	}
	b.same("winners", int64(1), b.race(commits))
	made := allPaymentsOf(b, tenant, engine.PaymentFilter{}, engine.Page{})
	b.same("payments", 1, len(made))
	rows := b.loadPayments(pay.Rows{References: []pay.ReferenceID{order("1")}})
	b.same("the holder", made[0].ID, rows.References[0].Payment)
}

func oneChangesAPayment(b *bank) {
	p := b.pays(charge("1"))
	var commits []*engine.Changes
	for range racers {
		commits = append(commits, b.weigh(found(p, pay.Finding{Outcome: pay.Declined}))) // moves no money
	}
	b.same("winners", int64(1), b.race(commits))
	b.same("answers", 1, count(b.lines(p.Ref), func(l pay.Line) bool { return l.Type == "answer" }))
}

func oneSees(b *bank) {
	var commits []*engine.Changes
	for i := range racers {
		c := b.decide(open(fmt.Sprint(i)))
		c.Payments = &pay.Changes{Notices: []*pay.Notice{{NoticeID: notice("1"), Payment: fmt.Sprint(i), At: b.now, Version: 1}}}
		commits = append(commits, c)
	}
	b.same("winners", int64(1), b.race(commits))
	b.same("accounts", []string{b.seen(notice("1")).Payment}, names(allAccounts(b, engine.Page{})))
}

func count[T any](rows []T, is func(T) bool) (n int) {
	for _, r := range rows {
		if is(r) {
			n++
		}
	}
	return n
}
