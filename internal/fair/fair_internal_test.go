package fair

import (
	"testing"

	"pgregory.net/rapid"
)

type item struct{ tenant string }

// Each tenant's items come in their order, whoever else there is; and between
// two items of one tenant every other that waits has a turn.
func TestTheQueueIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := New(func(i *item) string { return i.tenant })
		waiting := map[string][]*item{} // the model: a list for each tenant
		passed := map[string]int{}      // turns of others since the tenant's last, while it waited
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				tenant := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "tenant")
				j := &item{tenant}
				q.Push(j)
				waiting[tenant] = append(waiting[tenant], j)
			},
			"put back": func(t *rapid.T) {
				tenant := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "tenant")
				j := &item{tenant}
				q.PutBack(j)
				waiting[tenant] = append([]*item{j}, waiting[tenant]...)
			},
			"pop": func(t *rapid.T) {
				if q.Len() == 0 {
					t.Skip("it is empty")
				}
				j := q.Pop()
				if waiting[j.tenant][0] != j {
					t.Fatalf("%s's items are out of order", j.tenant)
				}
				waiting[j.tenant] = waiting[j.tenant][1:]
				for tenant, jobs := range waiting {
					if passed[tenant]++; tenant == j.tenant || len(jobs) == 0 {
						passed[tenant] = 0
					}
					if passed[tenant] > 3 {
						t.Fatalf("%s waits while others had %d turns", tenant, passed[tenant])
					}
				}
			},
			"": func(t *rapid.T) {
				size := 0
				for tenant, jobs := range waiting {
					size += len(jobs)
					if q.Of(tenant) != len(jobs) {
						t.Fatalf("%s has %d, want %d", tenant, q.Of(tenant), len(jobs))
					}
				}
				if q.Len() != size || len(q.ring) != len(q.lanes) {
					t.Fatalf("size %d, want %d; %d in the ring, %d lanes", q.size, size, len(q.ring), len(q.lanes))
				}
			},
		})
	})
}
