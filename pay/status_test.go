package pay

import (
	"strings"
	"testing"
)

// was is an operation that came to an outcome, and moved as much as it was about.
func was(k Kind, o Outcome, amount int64, more ...func(*Operation)) *Operation {
	op := &Operation{ID: k.String(), Kind: k, Amount: amount, Outcome: o}
	if o == Done || o == Conflict {
		op.Moved = amount
	}
	for _, f := range more {
		f(op)
	}
	return op
}

// What else can be known of an operation.
func last(o *Operation)     { o.Last = true }
func mayBe(o *Operation)    { o.Exposed = true }
func held(o *Operation)     { o.LeaseUntil = noon }
func reviewed(o *Operation) { o.Parked = "nobody knows" }

func moved(n int64) func(*Operation) { return func(o *Operation) { o.Moved = n } }

// What the operations of a payment of 100 come to. docs/states.md draws it.
var statuses = []struct {
	sentence           string
	operations         []*Operation
	status             Status
	inDoubt            bool
	captured, refunded int64
}{
	{"nothing was asked of anybody", nil, RequiresConfirmation, false, 0, 0},

	// A charge.
	{"a charge at work", []*Operation{was(Charge, Unknown, 100, held)}, Processing, false, 0, 0},
	{"a charge that never left", []*Operation{was(Charge, Unknown, 100)}, Processing, false, 0, 0},
	{"a charge that may have arrived", []*Operation{was(Charge, Unknown, 100, mayBe)}, Processing, true, 0, 0},
	{"one that may have arrived, and is being sent again", []*Operation{was(Charge, Unknown, 100, mayBe, held)}, Processing, false, 0, 0},
	{"a charge that nobody could learn about", []*Operation{was(Charge, Unknown, 100, mayBe, reviewed)}, NeedsReview, true, 0, 0},
	{"a charge that waits for the customer", []*Operation{was(Charge, ActionRequired, 100)}, RequiresAction, false, 0, 0},
	{"a charge that was declined", []*Operation{was(Charge, Declined, 100)}, Failed, false, 0, 0},
	{"a charge that was made", []*Operation{was(Charge, Done, 100)}, Succeeded, false, 100, 0},
	{"a charge of a part, which a human has accepted", []*Operation{was(Charge, Done, 100, moved(90))}, Succeeded, false, 90, 0},
	{"a charge that was declined and made", []*Operation{was(Charge, Conflict, 100)}, NeedsReview, true, 100, 0},
	{"a charge that contradicts itself, and moved nothing", []*Operation{was(Charge, Conflict, 100, moved(0))}, NeedsReview, true, 0, 0},

	// An authorization.
	{"an authorization at work", []*Operation{was(Authorize, Unknown, 100, held)}, Processing, false, 0, 0},
	{"an authorization that may have arrived", []*Operation{was(Authorize, Unknown, 100, mayBe)}, Processing, true, 0, 0},
	{"an authorization that waits for the customer", []*Operation{was(Authorize, ActionRequired, 100)}, RequiresAction, false, 0, 0},
	{"an authorization that was declined", []*Operation{was(Authorize, Declined, 100)}, Failed, false, 0, 0},
	{"an authorization", []*Operation{was(Authorize, Done, 100)}, Authorized, false, 0, 0},
	{"an authorization that contradicts itself", []*Operation{was(Authorize, Conflict, 100)}, NeedsReview, true, 0, 0},

	// A capture.
	{"a capture at work", []*Operation{was(Authorize, Done, 100), was(Capture, Unknown, 100, held)}, Processing, false, 0, 0},
	{"a capture that may have arrived", []*Operation{was(Authorize, Done, 100), was(Capture, Unknown, 100, mayBe)}, Processing, true, 0, 0},
	{"a capture that was declined", []*Operation{was(Authorize, Done, 100), was(Capture, Declined, 100)}, Authorized, false, 0, 0},
	{"a capture of all", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 100)}, Succeeded, false, 100, 0},
	{"a capture of a part, with more to come", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60)}, Authorized, false, 60, 0},
	{"a capture of a part, and no more", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60, last)}, Succeeded, false, 60, 0},
	{"a last capture that was declined", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60), was(Capture, Declined, 40, last)}, Authorized, false, 60, 0},
	{"two captures that are all of it", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60), was(Capture, Done, 40)}, Succeeded, false, 100, 0},
	{"captures of more than all of it", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60), was(Capture, Done, 60)}, NeedsReview, true, 120, 0},
	{"captures of more than all of it, and the rest given back", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60), was(Capture, Done, 60), was(Refund, Done, 20)}, Succeeded, false, 120, 20},
	{"captures of more than all of it, and not all of the rest given back", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60), was(Capture, Done, 60), was(Refund, Done, 19)}, NeedsReview, true, 120, 19},
	{"a capture that contradicts itself", []*Operation{was(Authorize, Done, 100), was(Capture, Conflict, 60)}, NeedsReview, true, 60, 0},
	{"a capture that nobody could learn about", []*Operation{was(Authorize, Done, 100), was(Capture, Unknown, 60, mayBe, reviewed)}, NeedsReview, true, 0, 0},
	{"a capture of all that a human has accepted of an authorization", []*Operation{was(Authorize, Done, 100, moved(90)), was(Capture, Done, 90)}, Succeeded, false, 90, 0},

	{"a capture that somebody must act for", []*Operation{was(Authorize, Done, 100), was(Capture, ActionRequired, 60)}, Processing, false, 0, 0},

	// A void.
	{"a void at work", []*Operation{was(Authorize, Done, 100), was(Void, Unknown, 0, held)}, Processing, false, 0, 0},
	{"a void that may have arrived", []*Operation{was(Authorize, Done, 100), was(Void, Unknown, 0, mayBe)}, Processing, true, 0, 0},
	{"a void that nobody could learn about", []*Operation{was(Authorize, Done, 100), was(Void, Unknown, 0, mayBe, reviewed)}, NeedsReview, true, 0, 0},
	{"a void of an authorization", []*Operation{was(Authorize, Done, 100), was(Void, Done, 0)}, Canceled, false, 0, 0},
	{"a void that was declined", []*Operation{was(Authorize, Done, 100), was(Void, Declined, 0)}, Authorized, false, 0, 0},
	{"a second void, after one that was declined", []*Operation{was(Authorize, Done, 100), was(Void, Declined, 0), was(Void, Done, 0)}, Canceled, false, 0, 0},
	{"a void of what waited for the customer", []*Operation{was(Charge, ActionRequired, 100), was(Void, Done, 0)}, Canceled, false, 0, 0},
	{"a void that was declined, of what waits for the customer", []*Operation{was(Charge, ActionRequired, 100), was(Void, Declined, 0)}, RequiresAction, false, 0, 0},
	{"a void of what is declined by that", []*Operation{was(Charge, Declined, 100), was(Void, Done, 0)}, Canceled, false, 0, 0},
	{"a void, and an authorization before it that was heard of late", []*Operation{was(Authorize, Done, 100), was(Void, Done, 0)}, Canceled, false, 0, 0},
	{"a void that somebody must act for", []*Operation{was(Authorize, Done, 100), was(Void, ActionRequired, 0)}, Processing, false, 0, 0},
	{"a void that contradicts itself", []*Operation{was(Authorize, Done, 100), was(Void, Conflict, 0)}, NeedsReview, true, 0, 0},
	{"a void that came too late: given up and charged", []*Operation{was(Charge, Done, 100), was(Void, Done, 0)}, NeedsReview, true, 100, 0},
	{"a void that was declined because it came too late", []*Operation{was(Charge, Done, 100), was(Void, Declined, 0)}, Succeeded, false, 100, 0},
	{"given up and captured", []*Operation{was(Authorize, Done, 100), was(Void, Done, 0), was(Capture, Conflict, 60)}, NeedsReview, true, 60, 0},

	// A refund, which has a status of its own.
	{"a refund at work", []*Operation{was(Charge, Done, 100), was(Refund, Unknown, 40, held)}, Succeeded, false, 100, 0},
	{"a refund that somebody must act for", []*Operation{was(Charge, Done, 100), was(Refund, ActionRequired, 40)}, Succeeded, false, 100, 0},
	{"a refund that may have arrived", []*Operation{was(Charge, Done, 100), was(Refund, Unknown, 40, mayBe)}, Succeeded, true, 100, 0},
	{"a refund of a part", []*Operation{was(Charge, Done, 100), was(Refund, Done, 40)}, Succeeded, false, 100, 40},
	{"a refund of all", []*Operation{was(Charge, Done, 100), was(Refund, Done, 40), was(Refund, Done, 60)}, Succeeded, false, 100, 100},
	{"a refund that was declined", []*Operation{was(Charge, Done, 100), was(Refund, Declined, 40)}, Succeeded, false, 100, 0},
	{"a refund that nobody could learn about", []*Operation{was(Charge, Done, 100), was(Refund, Unknown, 40, mayBe, reviewed)}, Succeeded, true, 100, 0},
	{"a refund that contradicts itself", []*Operation{was(Charge, Done, 100), was(Refund, Conflict, 40)}, Succeeded, true, 100, 40},
	{"a refund of a part while more can be captured", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60), was(Refund, Done, 10)}, Authorized, false, 60, 10},

	// What is most urgent is what shows.
	{"a contradiction is more urgent than work", []*Operation{was(Authorize, Conflict, 100), was(Capture, Unknown, 60, held)}, NeedsReview, true, 0, 0},
	{"work is more urgent than what was declined", []*Operation{was(Authorize, Declined, 100), was(Void, Unknown, 0, held)}, Processing, false, 0, 0},
}

func TestWhatAPaymentShowsFollowsFromItsOperations(t *testing.T) {
	reached := map[Status]bool{}
	for _, row := range statuses {
		reached[row.status] = true
		t.Run(row.sentence, func(t *testing.T) {
			p := &Payment{Ref: Ref{Tenant: "t", ID: "pay_1"}, Amount: 100, Operations: row.operations}
			p.derive()
			if p.Status != row.status || p.InDoubt != row.inDoubt || p.Captured != row.captured || p.Refunded != row.refunded {
				t.Errorf("%s, in doubt %v, %d captured, %d refunded; want %s, %v, %d, %d",
					p.Status, p.InDoubt, p.Captured, p.Refunded, row.status, row.inDoubt, row.captured, row.refunded)
			}
			if err := p.Check(); err != nil {
				t.Error(err)
			}
		})
	}
	canceled := &Payment{Amount: 100, Canceled: true}
	canceled.derive()
	if canceled.Status != Canceled {
		t.Errorf("a payment that was canceled before anything was sent is %s", canceled.Status)
	}
	for s := RequiresConfirmation; s <= NeedsReview; s++ {
		if !reached[s] {
			t.Errorf("no row is %s", s)
		}
	}
}

// What is derived depends on the operations, not on what was shown before.
func TestWhatIsShownIsNoPartOfWhatItFollowsFrom(t *testing.T) {
	for _, row := range statuses {
		p := &Payment{Amount: 100, Operations: row.operations, Status: NeedsReview, InDoubt: true, Captured: 7, Refunded: 8}
		p.derive()
		if p.Status != row.status || p.InDoubt != row.inDoubt || p.Captured != row.captured || p.Refunded != row.refunded {
			t.Errorf("%s: %+v", row.sentence, p)
		}
	}
}

func TestRefundsHaveAStatusOfTheirOwn(t *testing.T) {
	for _, row := range []struct {
		sentence string
		refund   *Operation
		want     string
	}{
		{"at work", was(Refund, Unknown, 40, held), "processing"},
		{"that may have arrived", was(Refund, Unknown, 40, mayBe), "processing"},
		{"that waits for somebody at the gateway", was(Refund, ActionRequired, 40), "processing"},
		{"that was made", was(Refund, Done, 40), "succeeded"},
		{"that was declined", was(Refund, Declined, 40), "failed"},
		{"that contradicts itself", was(Refund, Conflict, 40), "needs_review"},
		{"that nobody could learn about", was(Refund, Unknown, 40, mayBe, reviewed), "needs_review"},
	} {
		if got := row.refund.RefundStatus(); got != row.want {
			t.Errorf("a refund %s is %s, want %s", row.sentence, got, row.want)
		}
	}
}

// What can still be given back counts every refund that is not known to have come
// to nothing.
func TestRefundable(t *testing.T) {
	for _, row := range []struct {
		sentence   string
		operations []*Operation
		want       int64
	}{
		{"nothing, where nothing was captured", []*Operation{was(Authorize, Done, 100)}, 0},
		{"all, where nothing was given back", []*Operation{was(Charge, Done, 100)}, 100},
		{"the rest, after a refund", []*Operation{was(Charge, Done, 100), was(Refund, Done, 40)}, 60},
		{"the rest, while a refund is at work", []*Operation{was(Charge, Done, 100), was(Refund, Unknown, 40, held)}, 60},
		{"the rest, while a refund is in doubt", []*Operation{was(Charge, Done, 100), was(Refund, Unknown, 40, reviewed)}, 60},
		{"the rest, after a refund that contradicts itself", []*Operation{was(Charge, Done, 100), was(Refund, Conflict, 40)}, 60},
		{"the rest of what it really gave back", []*Operation{was(Charge, Done, 100), was(Refund, Conflict, 40, moved(70))}, 30},
		{"all, after a refund that was declined", []*Operation{was(Charge, Done, 100), was(Refund, Declined, 40)}, 100},
		{"nothing, when all was given back", []*Operation{was(Charge, Done, 100), was(Refund, Done, 100)}, 0},
	} {
		p := &Payment{Amount: 100, Operations: row.operations}
		p.derive()
		if got := p.Refundable(); got != row.want {
			t.Errorf("%s: %d, want %d", row.sentence, got, row.want)
		}
	}
}

// A row that was damaged is told of when it is read, and before it is written.
func TestCheckTellsOfEveryRowThatCannotBe(t *testing.T) {
	good := func() *Payment {
		p := &Payment{
			Ref: Ref{Tenant: "t", ID: "pay_1"}, Amount: 100,
			Operations: []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60), was(Refund, Done, 10)},
		}
		p.derive()
		return p
	}
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for sentence, row := range map[string]struct {
		damage func(*Payment)
		says   string
	}{
		"a payment of nothing":                {func(p *Payment) { p.Amount = 0 }, "is about 0"},
		"a payment of more than there is":     {func(p *Payment) { p.Amount = MaxAmount + 1 }, "is about 1000000000000"},
		"another status":                      {func(p *Payment) { p.Status = Succeeded }, "shows succeeded"},
		"a status that does not exist":        {func(p *Payment) { p.Status = 99 }, "shows status(99)"},
		"a doubt that there is not":           {func(p *Payment) { p.InDoubt = true }, "shows authorized"},
		"more captured than captures say":     {func(p *Payment) { p.Captured++ }, "61 captured"},
		"more refunded than refunds say":      {func(p *Payment) { p.Refunded++ }, "11 refunded"},
		"a kind that does not exist":          {func(p *Payment) { p.Operations[2].Kind = 99; p.derive() }, "kind(99)"},
		"no kind":                             {func(p *Payment) { p.Operations[2].Kind = 0; p.derive() }, "kind(0)"},
		"an outcome that does not exist":      {func(p *Payment) { p.Operations[2].Outcome = 99; p.derive() }, "outcome(99)"},
		"a capture that nothing was before":   {func(p *Payment) { p.Operations = p.Operations[1:]; p.derive() }, "is a capture at place 0"},
		"a second charge":                     {func(p *Payment) { p.Operations[2].Kind = Charge; p.derive() }, "is a charge at place 2"},
		"a capture of more than any payment":  {func(p *Payment) { p.Operations[1].Amount = MaxAmount + 1 }, "moves 1000000000000"},
		"a refund of less than nothing":       {func(p *Payment) { p.Operations[2].Amount = -1 }, "moves -1"},
		"a refund that gave back less":        {func(p *Payment) { p.Operations[2].Moved = -1; p.derive() }, "moved -1"},
		"less than nothing on the books":      {func(p *Payment) { p.Operations[1].Booked = -1 }, "operation capture"},
		"less than nothing in suspense":       {func(p *Payment) { p.Operations[1].Suspended = -1 }, "operation capture"},
		"an operation that was sent, not yet": {func(p *Payment) { p.Operations[1].Attempt = 1 }, "sent 1 times and never first"},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := good()
			row.damage(p)
			if err := p.Check(); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("it says %v, want %q", err, row.says)
			}
		})
	}
}
