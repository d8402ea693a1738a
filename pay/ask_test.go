package pay

import (
	"slices"
	"testing"
)

// What the gateway is asked about is what is not known, and else what began it.
func TestQuestions(t *testing.T) {
	for _, row := range []struct {
		sentence   string
		operations []*Operation
		want       []int // their places
	}{
		{"nothing was asked of anybody", nil, nil},
		{"all of it is settled", []*Operation{was(Charge, Done, 100), was(Refund, Done, 40), was(Refund, Declined, 60)}, []int{0}},
		{"it was declined", []*Operation{was(Charge, Declined, 100)}, []int{0}},
		{"a refund is at work", []*Operation{was(Charge, Done, 100), was(Refund, Done, 40), was(Refund, Unknown, 60, held)}, []int{2}},
		{"two are in doubt", []*Operation{was(Charge, Done, 100), was(Refund, Unknown, 40, mayBe), was(Refund, Unknown, 60, mayBe, reviewed)}, []int{1, 2}},
		{"the customer must act", []*Operation{was(Charge, ActionRequired, 100)}, []int{0}},
		{"a capture contradicts itself", []*Operation{was(Authorize, Done, 100), was(Capture, Conflict, 60)}, []int{1}},
		{"given up and charged: each is settled, and both cannot be", []*Operation{was(Charge, Done, 100), was(Void, Done, 0)}, []int{0, 1}},
		{"more was captured than there was", []*Operation{was(Authorize, Done, 100), was(Capture, Done, 60), was(Capture, Done, 60)}, []int{0, 1, 2}},
	} {
		p := &Payment{Amount: 100, Operations: row.operations}
		p.derive()
		var got []int
		for _, o := range p.Questions() {
			got = append(got, slices.Index(row.operations, o))
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: asked about are %v, want %v", row.sentence, got, row.want)
		}
	}
}
