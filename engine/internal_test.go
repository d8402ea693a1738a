package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/once"
)

// Each tenant's jobs come in their order, whoever else there is; and between
// two jobs of one tenant every other that waits has a turn.
func TestTheQueueIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newFairQueue()
		waiting := map[string][]*Job{} // the model: a list for each tenant
		passed := map[string]int{}     // turns of others since the tenant's last, while it waited
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				tenant := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "tenant")
				j := &Job{Tenant: tenant}
				q.push(j)
				waiting[tenant] = append(waiting[tenant], j)
			},
			"put back": func(t *rapid.T) {
				tenant := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "tenant")
				j := &Job{Tenant: tenant}
				q.putBack(j)
				waiting[tenant] = append([]*Job{j}, waiting[tenant]...)
			},
			"pop": func(t *rapid.T) {
				if q.size == 0 {
					t.Skip("it is empty")
				}
				j := q.pop()
				if waiting[j.Tenant][0] != j {
					t.Fatalf("%s's jobs are out of order", j.Tenant)
				}
				waiting[j.Tenant] = waiting[j.Tenant][1:]
				for tenant, jobs := range waiting {
					if passed[tenant]++; tenant == j.Tenant || len(jobs) == 0 {
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
					if q.of(tenant) != len(jobs) {
						t.Fatalf("%s has %d, want %d", tenant, q.of(tenant), len(jobs))
					}
				}
				if q.size != size || len(q.ring) != len(q.lanes) {
					t.Fatalf("size %d, want %d; %d in the ring, %d lanes", q.size, size, len(q.ring), len(q.lanes))
				}
			},
		})
	})
}

// What was answered last is there, and the whole of it has a bound.
func TestRecentAnswersHaveABound(t *testing.T) {
	r := newRecent()
	body := make([]byte, 1<<20)
	key := func(i int) once.Key { return once.Key{Tenant: "acme", ID: fmt.Sprint(i)} }
	for i := range 100 {
		r.put(once.Record{Key: key(i), State: once.Done, Answer: once.Answer{Body: body}})
		if _, ok := r.get(key(i)); !ok {
			t.Fatalf("answer %d is gone at once", i)
		}
		if held := len(r.young) + len(r.old); held > 2*recentBytes>>20 {
			t.Fatalf("%d answers of a mebibyte are held", held)
		}
	}
	if _, ok := r.get(key(0)); ok {
		t.Error("the oldest answer is still held")
	}
	if _, ok := r.get(key(99 - recentBytes>>20)); !ok {
		t.Error("the generation before this one is gone")
	}
}

// A zero here would have keys forgotten at once, and executed again.
func TestKeysAreKeptFor400DaysIfNobodySaysOtherwise(t *testing.T) {
	if got := (UpkeepConfig{}).withDefaults().Tombstones; got != 400*24*time.Hour {
		t.Errorf("they are kept for %v", got)
	}
}

// Where the machine's clock was set back, or is behind the last commit, the store's
// goes on at half the speed until the other has caught up.
func TestTheClockNeverRunsBackwardsNorStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		if got := c.now(); !got.Equal(time.Now()) {
			t.Errorf("its zero value tells %v", got)
		}
		ahead := time.Now().Add(time.Hour).UTC()
		c.start(ahead)
		for _, at := range []struct{ after, want time.Duration }{
			{0, 0}, {time.Minute, 30 * time.Second}, {time.Hour, 30 * time.Minute}, {2 * time.Hour, time.Hour}, {3 * time.Hour, 2 * time.Hour},
		} {
			time.Sleep(time.Until(ahead.Add(at.after - time.Hour)))
			for range 3 { // reading it does not hold it back
				if got := c.now(); !got.Equal(ahead.Add(at.want)) {
					t.Errorf("after %v it has gone on by %v, want %v", at.after, got.Sub(ahead), at.want)
				}
			}
		}
	})
}
