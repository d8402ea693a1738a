package contract

import (
	"fmt"
	"math"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// extremeOperations are charges with everything in its extremes.
func (b *bank) extremeOperations() (all []*pay.Operation) {
	p := b.plain(func(p *pay.Payment) { p.Amount = pay.MaxAmount })
	add := func(change func(*pay.Operation)) { all = append(all, b.operation(p, pay.Charge, change)) }
	for _, text := range texts {
		for _, at := range []func(*pay.Operation) *string{
			func(o *pay.Operation) *string { return &o.GatewayID },
			func(o *pay.Operation) *string { return &o.ActionURL },
			func(o *pay.Operation) *string { return &o.Failure.Code },
			func(o *pay.Operation) *string { return &o.Failure.DeclineCode },
			func(o *pay.Operation) *string { return &o.Failure.Message },
			func(o *pay.Operation) *string { return &o.Parked },
			func(o *pay.Operation) *string { return &o.Owner },
			func(o *pay.Operation) *string { return &o.Key },
			func(o *pay.Operation) *string { return &o.Followers },
			func(o *pay.Operation) *string { return &o.RequestID },
			func(o *pay.Operation) *string { return &o.Transfer },
		} {
			add(func(o *pay.Operation) { *at(o) = text })
		}
	}
	for _, n := range []int64{1, 1<<53 + 1, math.MaxInt64} {
		add(func(o *pay.Operation) { o.Outcome, o.Moved, o.Booked = pay.Done, n, n })
		add(func(o *pay.Operation) { o.Outcome, o.Moved, o.Suspended = pay.Conflict, n, n })
		for _, at := range []func(*pay.Operation) *int64{
			func(o *pay.Operation) *int64 { return &o.Epoch },
			func(o *pay.Operation) *int64 { return &o.Attempt },
			func(o *pay.Operation) *int64 { return &o.Checks },
			func(o *pay.Operation) *int64 { return &o.Blanks },
			func(o *pay.Operation) *int64 { return &o.Adrift },
		} {
			add(func(o *pay.Operation) { *at(o) = n })
		}
	}
	for _, at := range times {
		for _, field := range []func(*pay.Operation) *time.Time{
			func(o *pay.Operation) *time.Time { return &o.FirstSentAt },
			func(o *pay.Operation) *time.Time { return &o.SentAt },
			func(o *pay.Operation) *time.Time { return &o.LeaseUntil },
			func(o *pay.Operation) *time.Time { return &o.StoppedAt },
			func(o *pay.Operation) *time.Time { return &o.ResendUntil },
			func(o *pay.Operation) *time.Time { return &o.CheckedAt },
			func(o *pay.Operation) *time.Time { return &o.AbsentAt },
			func(o *pay.Operation) *time.Time { return &o.DueAt },
			func(o *pay.Operation) *time.Time { return &o.CreatedAt },
			func(o *pay.Operation) *time.Time { return &o.UpdatedAt },
		} {
			add(func(o *pay.Operation) { *field(o) = at })
		}
	}
	for _, lag := range []time.Duration{time.Microsecond, time.Second, math.MaxInt64 / 1000 * 1000} {
		add(func(o *pay.Operation) { o.Lag = lag })
		add(func(o *pay.Operation) { o.LookupLag = lag })
		add(func(o *pay.Operation) { o.InFlight = lag })
	}
	for outcome := pay.Unknown; outcome <= pay.Conflict; outcome++ {
		add(func(o *pay.Operation) { o.Outcome = outcome })
	}
	for verb := pay.ToCreate; verb <= pay.ToCheck; verb++ {
		add(func(o *pay.Operation) { o.Asked = verb })
	}
	add(func(o *pay.Operation) { o.Amount = 0 })
	add(func(o *pay.Operation) { o.Last = true })
	add(func(o *pay.Operation) { o.Exposed = true })
	add(func(o *pay.Operation) { o.Hinted = true })
	add(func(o *pay.Operation) { o.Kind = pay.Authorize })
	add(func(o *pay.Operation) { // nothing of it was ever sent
		*o = pay.Operation{ID: o.ID, Kind: pay.Charge, Amount: 1, CreatedAt: b.now, UpdatedAt: b.now}
	})
	return all
}

func operationsAreKept(b *bank) {
	extremes := b.extremeOperations()
	b.wantEveryField(extremes)
	var all []*pay.Payment
	for _, o := range extremes {
		all = append(all, b.plain(func(p *pay.Payment) { p.Amount, p.Operations = pay.MaxAmount, []*pay.Operation{o} }))
	}
	b.must(b.Commit(b.ctx, b.payments(all...)))
	for _, p := range all {
		b.wantPayment(p)
	}
}

// Each extreme operation becomes the next one, beside one that does not change.
func operationChangesAreKept(b *bank) {
	p := b.plain(func(p *pay.Payment) {
		p.Amount = pay.MaxAmount
		b.operation(p, pay.Charge, nil)
		b.operation(p, pay.Refund, func(o *pay.Operation) { o.Key, o.DueAt = "k", times[1] })
	})
	b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	for range 2 {
		for _, next := range b.extremeOperations() {
			next.ID = p.Operations[0].ID
			p.Operations[0], p.Version = next, p.Version+1
			b.show(p)
			b.must(b.Commit(b.ctx, b.payments(p.Clone())))
			b.wantPayment(p)
		}
	}
}

// Their ids say nothing of their order, nor do their times.
func operationsAreInOrder(b *bank) {
	p := b.plain(func(p *pay.Payment) { b.operation(p, pay.Authorize, func(o *pay.Operation) { o.ID = "att_zz" }) })
	b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	for i := range pay.MaxOperations - 1 { // 99 is 7 * 14 + 1
		kind := []pay.Kind{pay.Capture, pay.Void, pay.Refund}[i%3]
		b.operation(p, kind, func(o *pay.Operation) {
			o.ID = fmt.Sprintf("%c%d", 'z'-i%26, 200-i)
			o.CreatedAt = b.now.Add(-time.Duration(i) * time.Second)
		})
		if i%14 > 0 {
			continue
		}
		p.Version++
		b.show(p)
		b.must(b.Commit(b.ctx, b.payments(p.Clone())))
		b.same("the payment", p, b.payment(p.Ref))
		b.same("loaded", []*pay.Payment{p}, b.loadPayments(pay.Rows{Payments: []pay.Ref{p.Ref}}).Payments)
	}
	b.same("operations", pay.MaxOperations, len(b.payment(p.Ref).Operations))
}
