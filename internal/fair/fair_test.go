package fair_test

import (
	"fmt"
	"testing"

	"github.com/oncepay/oncepay/internal/fair"
)

// Items are a tenant's letter and a number.
func queue(items ...string) *fair.Queue[string] {
	q := fair.New(func(item string) string { return item[:1] })
	for _, item := range items {
		q.Push(item)
	}
	return &q
}

func drain(q *fair.Queue[string]) (all []string) {
	for q.Len() > 0 {
		all = append(all, q.Pop())
	}
	return all
}

func TestEachTenantInTurn(t *testing.T) {
	q := queue("a1", "a2", "a3", "b1", "c1", "c2")
	if q.Len() != 6 || q.Of("a") != 3 || q.Of("b") != 1 || q.Of("nobody") != 0 {
		t.Errorf("there are %d, of a %d, of b %d, of nobody %d", q.Len(), q.Of("a"), q.Of("b"), q.Of("nobody"))
	}
	if got := fmt.Sprint(drain(q)); got != "[a1 b1 c1 a2 c2 a3]" {
		t.Errorf("they came as %s", got)
	}
	if q.Of("a") != 0 {
		t.Error("a still has some")
	}
}

func TestWhoComesAnewWaitsItsTurn(t *testing.T) {
	q := queue("a1", "a2", "b1")
	first := q.Pop()
	q.Push("d1")
	if got := fmt.Sprint(drain(q)); first != "a1" || got != "[b1 a2 d1]" {
		t.Errorf("they came as %s", got)
	}
}

func TestWhatIsPutBackIsTheFirstOfItsTenant(t *testing.T) {
	q := queue("a1", "a2", "b1")
	q.PutBack(q.Pop())
	if got := fmt.Sprint(drain(q)); got != "[b1 a1 a2]" {
		t.Errorf("they came as %s", got)
	}
	q.PutBack("c1") // of a tenant that has nothing
	if q.Len() != 1 || q.Pop() != "c1" {
		t.Error("it is not there")
	}
}
