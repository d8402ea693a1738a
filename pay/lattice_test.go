package pay_test

import (
	"testing"

	"github.com/oncepay/oncepay/pay"
)

var outcomes = []pay.Outcome{pay.Unknown, pay.ActionRequired, pay.Declined, pay.Done, pay.Conflict}

// The join of two outcomes, all of it.
func TestJoin(t *testing.T) {
	for _, row := range []struct {
		sentence string
		a, b     pay.Outcome
		want     pay.Outcome
	}{
		{"silence says nothing", pay.Unknown, pay.Unknown, pay.Unknown},
		{"silence takes nothing back: an action", pay.Unknown, pay.ActionRequired, pay.ActionRequired},
		{"silence takes nothing back: a decline", pay.Unknown, pay.Declined, pay.Declined},
		{"silence takes nothing back: a success", pay.Unknown, pay.Done, pay.Done},
		{"silence takes nothing back: a contradiction", pay.Unknown, pay.Conflict, pay.Conflict},
		{"an action is required, again", pay.ActionRequired, pay.ActionRequired, pay.ActionRequired},
		{"an action comes before a decline", pay.ActionRequired, pay.Declined, pay.Declined},
		{"an action comes before a success", pay.ActionRequired, pay.Done, pay.Done},
		{"an action mends no contradiction", pay.ActionRequired, pay.Conflict, pay.Conflict},
		{"declined, again", pay.Declined, pay.Declined, pay.Declined},
		{"declined and succeeded contradict each other", pay.Declined, pay.Done, pay.Conflict},
		{"a decline mends no contradiction", pay.Declined, pay.Conflict, pay.Conflict},
		{"succeeded, again", pay.Done, pay.Done, pay.Done},
		{"a success mends no contradiction", pay.Done, pay.Conflict, pay.Conflict},
		{"contradicted, again", pay.Conflict, pay.Conflict, pay.Conflict},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			if got := row.a.Join(row.b); got != row.want {
				t.Errorf("%s ⊔ %s is %s, want %s", row.a, row.b, got, row.want)
			}
		})
	}
}

// It is a join: the least that is not below either. So neither the order nor the
// number of answers matters.
func TestOutcomesAreALattice(t *testing.T) {
	for _, a := range outcomes {
		if a.Join(a) != a {
			t.Errorf("%s ⊔ %[1]s is %s", a, a.Join(a))
		}
		for _, b := range outcomes {
			if a.Join(b) != b.Join(a) {
				t.Errorf("%s ⊔ %s is %s, the other way %s", a, b, a.Join(b), b.Join(a))
			}
			for _, c := range outcomes {
				if one, other := a.Join(b).Join(c), a.Join(b.Join(c)); one != other {
					t.Errorf("(%s ⊔ %s) ⊔ %s is %s, and %s with the other two first", a, b, c, one, other)
				}
			}
		}
	}
}

func TestFinalOutcomes(t *testing.T) {
	for o, want := range map[pay.Outcome]bool{
		pay.Unknown: false, pay.ActionRequired: false, pay.Declined: true, pay.Done: true, pay.Conflict: false,
	} {
		if o.Final() != want {
			t.Errorf("%s is final: %v", o, o.Final())
		}
	}
}
