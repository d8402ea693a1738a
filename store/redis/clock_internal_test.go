package redis

import (
	"testing"
	"testing/synctest"
	"time"
)

// The time is the server's, goes on between its answers, and never runs backwards,
// whatever it answers.
func TestTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		want := func(at time.Time) {
			t.Helper()
			if got := c.now(); !got.Equal(at) {
				t.Errorf("it is %v, want %v", got, at)
			}
		}
		c.set(born)
		want(born)
		time.Sleep(time.Second)
		want(born.Add(time.Second))
		c.set(born.Add(time.Hour)) // it was set, or another server was asked
		want(born.Add(time.Hour))
		c.set(born)
		want(born.Add(time.Hour))
		time.Sleep(time.Minute)
		want(born.Add(time.Hour))
		time.Sleep(time.Hour)
		want(born.Add(time.Hour + time.Minute))
	})
}

func TestTheServerIsAskedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		asked := 0
		for range 1_000 {
			if c.due() {
				asked++
			}
			time.Sleep(time.Millisecond)
		}
		if want := int(time.Second / askEvery); asked != want {
			t.Errorf("it was asked %d times in a second, want %d", asked, want)
		}
	})
}
