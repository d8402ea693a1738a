package pay

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
)

// What is learned of earlier sends counts for the next one: those that certainly
// came to nothing do not stand in its way, and what a clock that was set says of
// them never counts again.
func TestWhatEarlierSendsCameTo(t *testing.T) {
	prompt := Contract{Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second}
	once := prompt
	once.Window = 24 * time.Hour
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	absent := func(s int) Record { return Record{Finding: &Finding{Absent: true}, Began: at(s)} }
	answer := func(n int64, f Finding) Record { return Record{Attempt: n, Finding: &f} }
	jumped := func(r Record) Record { r.House.Jumped = true; return r }
	type step struct {
		at int // seconds after noon
		Record
	}
	for name, row := range map[string]struct {
		contract Contract
		steps    []step
		want     Do
		outcome  Outcome
	}{
		"the first was never seen, the second is refused: it did not happen": {
			prompt, []step{{3, answer(1, Finding{})}, {11, absent(11)}, {12, Record{}}, {13, answer(2, Finding{Reach: Refused})}}, Rest, Declined},
		"the first may have arrived, the second is refused: nobody knows, and it would be refused again": {
			once, []step{{3, answer(1, Finding{})}, {4, absent(4)}, {5, Record{}}, {6, answer(2, Finding{Reach: Refused})}, {7, absent(7)}, {8, Record{}}}, Check, Unknown},
		"the first was never seen, the second never left: it is sent, and nobody is asked": {
			prompt, []step{{3, answer(1, Finding{})}, {11, absent(11)}, {12, Record{}}, {13, answer(2, Finding{Reach: NeverLeft})}}, Send, Unknown},
		"the first was never seen, the second came too late: it is sent, and nobody is asked": {
			prompt, []step{{3, answer(1, Finding{})}, {11, absent(11)}, {12, Record{}}, {13, answer(2, Finding{Reach: TooLate})}}, Send, Unknown},
		"the first may have arrived, the second came too late: the first is asked about": {
			once, []step{{3, answer(1, Finding{})}, {4, absent(4)}, {5, Record{}}, {6, answer(2, Finding{Reach: TooLate})}}, Check, Unknown},
		"and the same again need not come too late": {
			once, []step{{3, answer(1, Finding{})}, {4, absent(4)}, {5, Record{}}, {6, answer(2, Finding{Reach: TooLate})}, {7, absent(7)}}, Send, Unknown},
		"the clock was set once: it is not repeated, also when the clock is right again": {
			once, []step{{3, jumped(answer(1, Finding{}))}, {4, absent(4)}}, Check, Unknown},
		"the clock was never set: it is": {
			once, []step{{3, answer(1, Finding{})}, {4, absent(4)}}, Send, Unknown},
		"a sender was lost, and is gone with its process: a check long after that counts": {
			prompt, []step{{8, Record{Lost: true, Sender: 1}}, {20, Record{Gone: true, Alone: true, Sender: 1}}, {28, absent(28)}}, Send, Unknown},
		"who is gone was not alone: the one that was lost may still be at it": {
			prompt, []step{{8, Record{Lost: true, Sender: 1}}, {20, Record{Gone: true, Sender: 1}}, {28, absent(28)}}, Check, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			b, p := sent(1, row.contract)
			o := p.Charge()
			for i, s := range row.steps {
				terms := Terms{Contract: row.contract}
				if i == len(row.steps)-1 {
					terms.Closed = "only to be asked what is next"
				}
				s.Ref, s.Operation, s.House.Process, s.House.Gateways = p.Ref, o.ID, "p2", map[string]Terms{"g": terms}
				if _, err := s.Decide(b, ledger.Moment{Now: at(s.at), IDs: id.NewSource([32]byte{})}); err != nil {
					t.Fatal(err)
				}
			}
			last := row.steps[len(row.steps)-1].at
			if move := row.contract.Next(o, Clock{Now: at(last)}); move.Do != row.want || o.Outcome != row.outcome {
				t.Errorf("it is %s, and what is next is to %s, want %s and %s", o.Outcome, move.Do, row.outcome, row.want)
			}
		})
	}
}

// What is begun while the clock cannot be relied on is never repeated by time.
func TestWhatIsBegunWithAWrongClockIsNotRepeated(t *testing.T) {
	for jumped, want := range map[bool]bool{false: false, true: true} {
		b := NewBook()
		b.Reserve(1)
		house := House{Jumped: jumped, Gateways: map[string]Terms{"g": {Contract: Contract{Window: time.Hour}}}}
		c := CreatePayment{Ask: Ask{House: house}, Payment: Payment{Ref: Ref{Tenant: "t"}, Amount: 1, Currency: "EUR", Gateway: "g"}, Confirm: true}
		r, err := c.Decide(b, ledger.Moment{Now: noon, IDs: id.NewSource([32]byte{})})
		if err != nil || r.Operation.ResendUntil.IsZero() != want {
			t.Errorf("the clock jumped: %v; it may be repeated until %v (%v)", jumped, r.Operation.ResendUntil, err)
		}
	}
}
