package pay

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// sent is a payment whose charge was sent at noon by another process and not
// heard of, in a book.
func sent(attempt int64, c Contract) (*Book, *Payment) {
	o := &Operation{
		ID: "att_1", Kind: Charge, Amount: 100, Last: true, Attempt: attempt, Owner: "p1",
		FirstSentAt: noon, SentAt: noon, LeaseUntil: noon.Add(c.Lease()), ResendUntil: c.resendUntil(noon), CreatedAt: noon,
	}
	p := &Payment{Ref: Ref{Tenant: "t", ID: "pay_1"}, Amount: 100, Currency: "EUR", Gateway: "g", Operations: []*Operation{o}}
	b := NewBook()
	b.WantPayment(p.Ref)
	b.PutPayment(p)
	b.wantAccounts(p)
	b.Reserve(1)
	return b, p
}

// What may be done about a send depends on what is known of its sender: that it
// has stopped, or only that nothing was heard of it. In the second case nothing
// that the gateway does not know proves anything, until the sender is heard of.
func TestALostSenderProvesNothing(t *testing.T) {
	careful := Contract{Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second}
	once := careful
	once.Window = 24 * time.Hour
	soon := careful // and soon forgotten
	soon.Window = 5*time.Minute + 34*time.Second
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	absent := func(s int) Record { return Record{Finding: &Finding{Absent: true}, Began: at(s)} }
	type step struct {
		at int // seconds after noon
		Record
	}
	for name, row := range map[string]struct {
		contract Contract
		attempt  int64
		steps    []step
		want     Do
		adrift   int64
	}{
		"a sender that is gone, and a check long after: it is sent": {
			careful, 1, []step{{8, Record{Gone: true, Sender: 1}}, {17, absent(17)}}, Send, 0},
		"a sender that is gone, and a check too soon: it is checked again": {
			careful, 1, []step{{8, Record{Gone: true, Sender: 1}}, {15, absent(15)}}, Check, 0},
		"a sender that is lost, and a check long after: it is checked for ever": {
			careful, 1, []step{{8, Record{Lost: true, Sender: 1}}, {600, absent(600)}}, Check, 1},
		"a sender that is lost is given up when its lease is over, not before": {
			careful, 1, []step{{7, Record{Lost: true, Sender: 1}}}, Wait, 0},
		"who gives another attempt up gives nothing up": {
			careful, 2, []step{{8, Record{Gone: true, Lost: true, Sender: 1}}}, Wait, 0},
		"who names no attempt gives up the last": {
			careful, 2, []step{{1, Record{Gone: true}}}, Check, 0},
		"a lost sender that says it sent nothing has stopped: a check long after that counts": {
			careful, 1, []step{
				{8, Record{Lost: true, Sender: 1}},
				{20, Record{Attempt: 1, Finding: &Finding{Detail: "late"}}},
				{29, absent(29)},
			}, Send, 0},
		"a check counts from when the lost sender was heard of": {
			careful, 1, []step{
				{8, Record{Lost: true, Sender: 1}},
				{20, Record{Attempt: 1, Finding: &Finding{}}},
				{27, absent(27)},
			}, Check, 0},
		"where the gateway does it once, it is sent again all the same": {
			once, 1, []step{{8, Record{Lost: true, Sender: 1}}, {9, absent(9)}, {10, Record{}}}, Wait, 1},
		"a second send that ends does not make up for the first, which is lost": {
			careful, 2, []step{{8, Record{Lost: true, Sender: 2}}, {9, Record{Attempt: 1, Finding: &Finding{}}}, {600, absent(600)}}, Check, 2},
		"a second send that is heard of does not make up for the first, which is lost": {
			soon, 1, []step{
				{8, Record{Lost: true, Sender: 1}}, {9, absent(9)}, {10, Record{}},
				{11, Record{Attempt: 2, Finding: &Finding{}}}, {40, absent(40)},
			}, Check, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b, p := sent(row.attempt, row.contract)
			house := House{Process: "p2", Gateways: map[string]Terms{"g": {Contract: row.contract}}}
			for _, s := range row.steps {
				s.Ref, s.Operation, s.House = p.Ref, "att_1", house
				house.Gateways = map[string]Terms{"g": {Contract: row.contract}}
				if row.want == Send {
					house.Gateways["g"] = Terms{Contract: row.contract, Closed: "only to be asked what is next"}
					s.House = house
				}
				if _, err := s.Decide(b, ledger.Moment{Now: at(s.at), IDs: id.NewSource([32]byte{})}); err != nil {
					t.Fatal(err)
				}
			}
			last := row.steps[len(row.steps)-1].at
			o := p.Charge()
			if move := row.contract.Next(o, Clock{Now: at(last)}); move.Do != row.want {
				t.Errorf("what is next is to %s, want %s (%+v)", move.Do, row.want, o)
			}
			if o.Adrift != row.adrift {
				t.Errorf("adrift is %d, want %d", o.Adrift, row.adrift)
			}
		})
	}
}

// A check that was on its way when a notice came does not answer the notice.
func TestACheckThatBeganBeforeANoticeDoesNotAnswerIt(t *testing.T) {
	c := Contract{Lookup: true}
	for name, row := range map[string]struct {
		began time.Duration
		still bool
	}{
		"one that began before leaves it open": {-time.Second, true},
		"one that began since answers it":      {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			b, p := sent(1, c)
			o := p.Charge()
			o.Hinted, o.DueAt = true, noon.Add(time.Minute)
			r := Record{
				Ref: p.Ref, Operation: o.ID, Began: o.DueAt.Add(row.began), Finding: &Finding{},
				House: House{Gateways: map[string]Terms{"g": {Contract: c}}},
			}
			if _, err := r.Decide(b, ledger.Moment{Now: o.DueAt.Add(time.Second), IDs: id.NewSource([32]byte{})}); err != nil {
				t.Fatal(err)
			}
			if o.Hinted != row.still {
				t.Errorf("hinted is %v, want %v", o.Hinted, row.still)
			}
		})
	}
}
