package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/once"
)

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
