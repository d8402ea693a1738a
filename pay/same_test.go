package pay

import (
	"testing"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
)

// A store writes every operation that changed, whatever changed it, and is told
// of those that did not.
func TestWhatIsTheSameIsTold(t *testing.T) {
	gateway := House{Gateways: map[string]Terms{"g": {Contract: Contract{Lookup: true}}}}
	for name, row := range map[string]struct {
		charge, other Operation
		said          Finding
		same          bool // the charge is
	}{
		"a refund changes nothing of the charge": {
			Operation{Kind: Charge, Outcome: Done, Moved: 100, Booked: 100}, Operation{Kind: Refund}, Finding{Outcome: Done, Amount: 60}, true,
		},
		"what could not be given up may have been taken: it is asked about": {
			Operation{Kind: Authorize, Outcome: ActionRequired}, Operation{Kind: Void}, Finding{Outcome: Declined}, false,
		},
		"a void that came too late moves the charge's money": {
			Operation{Kind: Charge, Outcome: Done, Moved: 100, Booked: 100}, Operation{Kind: Void}, Finding{Outcome: Done}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, p := sent(1, Contract{})
			charge, other := row.charge, row.other
			charge.ID, charge.Amount, other.ID = "att_1", 100, "op_2"
			if other.Kind == Refund {
				other.Amount = 60
			}
			other.Attempt, other.FirstSentAt, other.SentAt, other.LeaseUntil = 1, noon, noon, noon.Add(1)
			p = p.Clone()
			p.Version++
			p.Operations = []*Operation{&charge, &other}
			p.derive()
			b.PutPayment(p)
			r := Record{Ref: p.Ref, Operation: "op_2", Attempt: 1, House: gateway, Finding: &row.said}
			if _, err := r.Decide(b, ledger.Moment{Now: noon, IDs: id.NewSource([32]byte{})}); err != nil {
				t.Fatal(err)
			}
			c, err := b.PaymentChanges()
			if err != nil {
				t.Fatal(err)
			}
			if c.Same(&charge) != row.same || c.Same(&other) {
				t.Errorf("the charge is the same: %v, the other: %v", c.Same(&charge), c.Same(&other))
			}
		})
	}
}
