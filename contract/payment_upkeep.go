package contract

import (
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

var paymentUpkeep = []promise{
	{"operations are due as their time comes, the longest due first", dueOperations},
	{"an operation is due no more, or later, when that is written", dueTimesChange},
	{"operations of every tenant are due", dueOfAll},
	{"what is due at a gateway hides nothing that is due at another", dueOfEach},
	{"of each gateway the longest due is told", longestDue},
	{"a notice can be matched once its payment is there", noticesOfPayments},
	{"a notice can be matched once an operation has its gateway's id", noticesOfGatewayIDs},
	{"a notice that was matched is not matched again", matchedNotices},
	{"a notice is not matched with what is another's", strangeNotices},
	{"notices are matched oldest first, so many at a time", noticesInOrder},
	{"what can be matched at a gateway hides nothing of another", noticesOfEach},
	{"a notice is forgotten after thirty days, and not before", noticesAreSwept},
	{"a sweep of notices leaves payments alone", sweepsLeavePayments},
}

// due is what is due at the sandbox at a time, as positions in ids.
func (b *bank) due(now time.Time, limit int, ids []string) (found []int) {
	b.Helper()
	due, err := b.DueOperations(b.ctx, "sandbox", now, limit)
	b.must(err)
	for _, d := range due {
		for i, id := range ids {
			if d.Operation == id {
				found = append(found, i)
			}
		}
	}
	b.same("those of them that are known", len(due), len(found))
	return found
}

func dueOperations(b *bank) {
	var ids []string
	for _, in := range []time.Duration{time.Hour, time.Minute, 0, time.Microsecond} {
		p := b.plain(func(p *pay.Payment) {
			b.operation(p, pay.Authorize, nil) // has nothing to do
			b.operation(p, pay.Void, func(o *pay.Operation) { o.DueAt = b.now.Add(in) })
			b.operation(p, pay.Refund, func(o *pay.Operation) { o.DueAt = b.now.Add(2 * in).Add(time.Second) })
		})
		ids = append(ids, p.Operations[1].ID, p.Operations[2].ID)
		b.must(b.Commit(b.ctx, b.payments(p)))
	}
	for _, row := range []struct {
		after time.Duration
		limit int
		want  []int
	}{
		{-time.Microsecond, 10, nil},
		{0, 10, []int{4}},
		{time.Microsecond, 10, []int{4, 6}},
		{time.Second, 10, []int{4, 6, 5}},
		{time.Minute - time.Microsecond, 10, []int{4, 6, 5, 7}},
		{time.Minute, 10, []int{4, 6, 5, 7, 2}},
		{3 * time.Hour, 10, []int{4, 6, 5, 7, 2, 3, 0, 1}},
		{3 * time.Hour, 2, []int{4, 6}},
		{3 * time.Hour, 1, []int{4}},
	} {
		b.same(fmt.Sprintf("%d that are due after %v", row.limit, row.after), row.want, b.due(b.now.Add(row.after), row.limit, ids))
	}
}

func dueTimesChange(b *bank) {
	p := b.plain(func(p *pay.Payment) {
		b.operation(p, pay.Authorize, func(o *pay.Operation) { o.DueAt = b.now })
		b.operation(p, pay.Refund, nil)
	})
	ids := []string{p.Operations[0].ID, p.Operations[1].ID}
	b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	for _, row := range []struct {
		what        string
		first, last time.Time // when the two are due from now on
		want        []int     // in an hour
	}{
		{"one that has something to do again", b.now, b.now.Add(-time.Hour), []int{1, 0}},
		{"one that is due later", b.now.Add(2 * time.Hour), b.now, []int{1}},
		{"one that is due earlier", b.now.Add(-2 * time.Hour), b.now, []int{0, 1}},
		{"one that has nothing to do any more", time.Time{}, b.now, []int{1}},
		{"none of them", time.Time{}, time.Time{}, nil},
		{"both of them", b.now, b.now.Add(time.Hour), []int{0, 1}},
	} {
		p.Operations[0].DueAt, p.Operations[1].DueAt = row.first, row.last
		p.Version++
		b.must(b.Commit(b.ctx, b.payments(p.Clone())))
		b.same(row.what, row.want, b.due(b.now.Add(time.Hour), 10, ids))
	}
}

func dueOfAll(b *bank) {
	var want []pay.Due
	for _, t := range []string{tenant, "other", tenant} {
		want = append(want, b.falls(t, "sandbox", b.now))
		b.wait(time.Microsecond)
	}
	got, err := b.DueOperations(b.ctx, "sandbox", b.now, 10)
	b.must(err)
	b.same("due", want, got)
}

// falls writes a payment whose charge is due at a gateway.
func (b *bank) falls(tenant, gateway string, at time.Time) pay.Due {
	b.Helper()
	p := b.plain(func(p *pay.Payment) {
		p.Tenant, p.Gateway = tenant, gateway
		b.operation(p, pay.Charge, func(o *pay.Operation) { o.DueAt = at })
	})
	b.must(b.Commit(b.ctx, b.payments(p)))
	return pay.Due{Ref: p.Ref, Operation: p.Charge().ID, Gateway: gateway, At: at}
}

func dueOfEach(b *bank) {
	for i := range 20 {
		b.falls(tenant, "gone", b.now.Add(-time.Duration(i+1)*time.Hour))
	}
	want := map[string][]pay.Due{"sandbox": {b.falls(tenant, "sandbox", b.now)}, "blind": {b.falls("other", "blind", b.now)}, "none": nil}
	for gateway, due := range want {
		got, err := b.DueOperations(b.ctx, gateway, b.now, 1)
		b.must(err)
		b.same("due at "+gateway, due, got)
	}
}

func longestDue(b *bank) {
	in := func(d time.Duration) time.Time { return b.now.Add(d) }
	b.falls(tenant, "b", in(2*time.Hour))
	later := b.falls("other", "b", in(time.Hour))
	first := b.falls("other", "c", in(0))
	b.falls(tenant, "c", in(time.Second))
	last, same := b.falls(tenant, "B", in(3*time.Hour)), b.falls(tenant, "a", in(time.Hour))
	b.must(b.Commit(b.ctx, b.payments(b.plain(func(p *pay.Payment) { // has nothing to do
		p.Gateway = "idle"
		b.operation(p, pay.Charge, nil)
	}))))
	for _, row := range []struct {
		after time.Duration
		want  []pay.Due
	}{
		{-time.Microsecond, nil},
		{0, []pay.Due{first}},
		{time.Hour - time.Microsecond, []pay.Due{first}},
		{time.Hour, []pay.Due{same, later, first}},
		{4 * time.Hour, []pay.Due{last, same, later, first}},
	} {
		got, err := b.LongestDue(b.ctx, in(row.after))
		b.must(err)
		b.same(fmt.Sprintf("the longest due after %v", row.after), row.want, got)
	}
}

// unmatched writes notices that were not matched.
func (b *bank) unmatched(notices ...pay.Notice) {
	b.Helper()
	for i, n := range notices {
		n.Tenant, n.Version = tenant, 1
		if n.Gateway == "" {
			n.Gateway = "sandbox"
		}
		if n.ID == "" {
			n.ID = fmt.Sprint("notice ", i)
		}
		if n.At.IsZero() {
			n.At = b.now
		}
		b.write(pay.Changes{Notices: []*pay.Notice{&n}})
	}
}

// wantMatchable holds which notices of the sandbox can be matched, with what.
func (b *bank) wantMatchable(want ...pay.Notice) {
	b.Helper()
	got, err := b.Matchable(b.ctx, "sandbox", 100)
	b.must(err)
	b.same("notices that can be matched", want, got)
}

// arrived is a payment that the gateway has an id for, "" for none yet.
func (b *bank) arrived(gateway, id string) *pay.Payment {
	return b.plain(func(p *pay.Payment) {
		p.Gateway = gateway
		b.operation(p, pay.Authorize, func(o *pay.Operation) { o.GatewayID = id })
		b.operation(p, pay.Capture, func(o *pay.Operation) { o.GatewayID = id })
	})
}

func noticesOfPayments(b *bank) {
	p := b.arrived("sandbox", "ch_1")
	charge, capture := p.Operations[0].ID, p.Operations[1].ID
	b.unmatched(
		pay.Notice{NoticeID: notice("a"), Payment: p.ID, Operation: capture, Type: "operation.succeeded"},
		pay.Notice{NoticeID: notice("b"), Operation: charge},
		pay.Notice{NoticeID: notice("c"), Payment: p.ID, GatewayID: "ch_1"},
		pay.Notice{NoticeID: notice("d"), Payment: p.ID, Operation: capture, GatewayID: "ch_9"},
	)
	b.wantMatchable()
	b.must(b.Commit(b.ctx, b.payments(p)))
	b.wantMatchable(
		pay.Notice{NoticeID: notice("a"), Payment: p.ID, Operation: capture, Type: "operation.succeeded", At: b.now, Version: 1},
		pay.Notice{NoticeID: notice("b"), Payment: p.ID, Operation: charge, At: b.now, Version: 1},
		pay.Notice{NoticeID: notice("c"), Payment: p.ID, Operation: charge, GatewayID: "ch_1", At: b.now, Version: 1},
		pay.Notice{NoticeID: notice("d"), Payment: p.ID, Operation: capture, GatewayID: "ch_9", At: b.now, Version: 1},
	)
	b.same("what is kept of it", "", b.seen(notice("b")).Payment)
}

func noticesOfGatewayIDs(b *bank) {
	p := b.arrived("sandbox", "")
	b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	b.unmatched(pay.Notice{NoticeID: notice("a"), GatewayID: "ch_1"}, pay.Notice{NoticeID: notice("b"), GatewayID: "ch_2"})
	b.wantMatchable()
	p.Operations[1].GatewayID, p.Version = "ch_1", 2
	b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	want := pay.Notice{NoticeID: notice("a"), Payment: p.ID, Operation: p.Operations[1].ID, GatewayID: "ch_1", At: b.now, Version: 1}
	b.wantMatchable(want)
	p.Operations[0].GatewayID, p.Version = "ch_1", 3
	b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	want.Operation = p.Operations[0].ID // it was made first
	b.wantMatchable(want)
}

func matchedNotices(b *bank) {
	p := b.arrived("sandbox", "ch_1")
	b.must(b.Commit(b.ctx, b.payments(p.Clone())))
	b.unmatched(pay.Notice{NoticeID: notice("a"), Payment: p.ID, Operation: p.Charge().ID})
	b.write(pay.Changes{Notices: []*pay.Notice{{NoticeID: notice("b"), Payment: p.ID, GatewayID: "ch_1", Matched: true, At: b.now, Version: 1}}})
	found, err := b.Matchable(b.ctx, "sandbox", 100)
	b.must(err)
	b.same("notices that can be matched", 1, len(found))
	b.pay(pay.TakeNotice{Notice: found[0], House: house})
	b.wantMatchable()
	b.same("it is known to be matched", true, b.seen(notice("a")).Matched)
	b.same("it was told of", "webhook", b.lines(p.Ref)[0].Type)
}

func strangeNotices(b *bank) {
	p, q := b.arrived("sandbox", "ch_1"), b.arrived("blind", "ch_2")
	theirs, other, fresh := b.arrived("sandbox", "ch_3"), b.arrived("sandbox", "ch_4"), b.arrived("sandbox", "")
	theirs.Tenant = "other"
	b.must(b.Commit(b.ctx, b.payments(p.Clone(), q.Clone(), theirs.Clone(), other.Clone(), fresh.Clone())))
	b.unmatched(
		pay.Notice{Payment: p.ID, Operation: other.Charge().ID},
		pay.Notice{Payment: p.ID, GatewayID: "ch_4"},
		pay.Notice{Payment: fresh.ID},
		pay.Notice{Payment: p.ID, Operation: q.Charge().ID},
		pay.Notice{Payment: p.ID, Operation: "att_none", GatewayID: "ch_1"},
		pay.Notice{Payment: p.ID},
		pay.Notice{Payment: p.ID, GatewayID: "ch_2"},
		pay.Notice{Payment: q.ID, Operation: q.Charge().ID},
		pay.Notice{GatewayID: "ch_2"},
		pay.Notice{GatewayID: "ch_3"},
		pay.Notice{Operation: theirs.Charge().ID},
		pay.Notice{Payment: theirs.ID, GatewayID: "ch_3"},
		pay.Notice{},
	)
	b.wantMatchable()
}

func noticesInOrder(b *bank) {
	p := b.arrived("sandbox", "ch_1")
	var want []string
	for i := range 9 {
		name := fmt.Sprint((i * 7) % 9)
		b.unmatched(pay.Notice{NoticeID: notice(name), GatewayID: "ch_1"}, pay.Notice{NoticeID: notice("never " + name), GatewayID: "ch_9"})
		want = append(want, name)
		b.wait(time.Microsecond)
	}
	b.must(b.Commit(b.ctx, b.payments(p)))
	for _, limit := range []int{1, 4, 9, 10} {
		found, err := b.Matchable(b.ctx, "sandbox", limit)
		b.must(err)
		var got []string
		for _, n := range found {
			got = append(got, n.ID)
		}
		b.same(fmt.Sprintf("of them, %d", limit), want[:min(limit, 9)], got)
	}
}

func noticesOfEach(b *bank) {
	want := map[string]string{"none": ""}
	for _, gateway := range []string{"gone", "gone", "sandbox", "blind"} {
		name := fmt.Sprint("of ", gateway, " ", len(want))
		b.must(b.Commit(b.ctx, b.payments(b.arrived(gateway, "ch_1"))))
		b.unmatched(pay.Notice{NoticeID: pay.NoticeID{Gateway: gateway, ID: name}, GatewayID: "ch_1"})
		if want[gateway] == "" { // it came first
			want[gateway] = name
		}
		b.wait(time.Microsecond)
	}
	for gateway, name := range want {
		found, err := b.Matchable(b.ctx, gateway, 1)
		b.must(err)
		got := ""
		for _, n := range found {
			got = n.ID
		}
		b.same("the first of "+gateway, name, got)
	}
}

func noticesAreSwept(b *bank) {
	p := b.arrived("sandbox", "ch_1")
	b.must(b.Commit(b.ctx, b.payments(p)))
	b.unmatched(pay.Notice{NoticeID: notice("a"), GatewayID: "ch_1"})
	b.write(pay.Changes{Notices: []*pay.Notice{{NoticeID: notice("b"), Matched: true, At: b.now, Version: 1}}})
	over := b.now.Add(engine.NoticesKept)
	b.sweep(over, never)
	if b.seen(notice("a")) == nil || b.seen(notice("b")) == nil {
		b.Fatal("a notice of thirty days is forgotten")
	}
	b.unmatched(pay.Notice{NoticeID: notice("c"), At: b.now.Add(time.Microsecond)})
	b.sweep(over.Add(time.Microsecond), never)
	if b.seen(notice("a")) != nil || b.seen(notice("b")) != nil {
		b.Fatal("a notice of more than thirty days is known")
	}
	if b.seen(notice("c")) == nil {
		b.Fatal("a younger notice is forgotten")
	}
	b.wantMatchable()
	b.unmatched(pay.Notice{NoticeID: notice("a"), At: over}) // it may come anew
}

func sweepsLeavePayments(b *bank) {
	var commits []*engine.Changes
	for i := range 3 {
		c := b.weigh(charge(fmt.Sprint(i)))
		b.must(b.Commit(b.ctx, c))
		commits = append(commits, c)
	}
	var notices []*pay.Notice
	for i := range 3000 {
		notices = append(notices, &pay.Notice{NoticeID: notice(fmt.Sprint(i)), At: b.now, Version: 1})
	}
	b.write(pay.Changes{Notices: notices})
	late := b.now.AddDate(10, 0, 0)
	b.sweep(late, late)
	for i := range 3000 {
		if b.seen(notice(fmt.Sprint(i))) != nil {
			b.Fatalf("notice %d is still known", i)
		}
	}
	want := b.expected(commits...)
	want.Since = late
	b.same("the store", want, b.all())
}
