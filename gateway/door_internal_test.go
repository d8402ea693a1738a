package gateway

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// bad and good are what sends come to.
var (
	bad     = pay.Finding{Detail: "HTTP 500"}
	dead    = pay.Finding{Reach: pay.NeverLeft, Detail: "the connection was refused"}
	good    = pay.Finding{Outcome: pay.Done}
	no      = pay.Finding{Outcome: pay.Declined}
	refused = pay.Finding{Reach: pay.Refused}
	tooLate = pay.Finding{Reach: pay.TooLate}
)

func testDoor(change ...func(*Config)) *door {
	cfg := Config{Name: "acme"}.withDefaults()
	for _, c := range change {
		c(&cfg)
	}
	return newDoor(cfg)
}

func (d *door) reports(n int, f pay.Finding) {
	for range n {
		d.report(Answer{Left: true}, &f)
	}
}

func wantClosed(t *testing.T, d *door, reason string) {
	t.Helper()
	if got := d.closed(); (got == "") != (reason == "") || !strings.Contains(got, reason) {
		t.Errorf("it says %q, want %q", got, reason)
	}
}

const broken = "does not answer as it should"

func TestBreakerOpens(t *testing.T) {
	for _, row := range []struct {
		name   string
		report func(*door)
		reason string
	}{
		{"when sends go unanswered", func(d *door) { d.reports(20, bad) }, broken},
		{"when it cannot be reached", func(d *door) { d.reports(20, dead) }, broken},
		{"when it comes to them too late", func(d *door) { d.reports(20, tooLate) }, broken},
		{"when half of them are", func(d *door) { d.reports(10, good); d.reports(10, bad) }, broken},
		{"not when fewer are", func(d *door) { d.reports(11, good); d.reports(9, bad) }, ""},
		{"not for some of the first", func(d *door) { d.reports(19, bad) }, ""},
		{"not when customers' banks say no", func(d *door) { d.reports(100, no) }, ""},
		{"not when it refuses what is wrong", func(d *door) { d.reports(100, refused) }, ""},
		{"not when we were in our own way", func(d *door) {
			for range 100 {
				d.report(Answer{Err: errNoPlace}, &dead)
			}
		}, ""},
		{"not where it is off", func(d *door) { d.breaker = nil; d.reports(100, bad) }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := testDoor()
			row.report(d)
			wantClosed(t, d, row.reason)
		})
	}
}

// A breaker that was open lets a few through, and closes when they were answered.
func TestBreakerLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testDoor(func(c *Config) { c.Breaker.Trials = 3 })
		d.reports(20, bad)
		time.Sleep(5*time.Second - time.Millisecond)
		wantClosed(t, d, broken)
		time.Sleep(time.Millisecond)
		for range 100 { // who asks and sends nothing takes nothing from others
			wantClosed(t, d, "")
		}
		enter(t, d, 3)
		wantClosed(t, d, broken)
		time.Sleep(time.Second)
		wantClosed(t, d, "")
		d.reports(2, good)
		if got := d.state(); got != "closed" {
			t.Errorf("two of three were answered, and it is %s", got)
		}
		enter(t, d, 100)
		wantClosed(t, d, "")
	})
}

func TestBreakerOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testDoor(func(c *Config) { c.Breaker.Trials = 3 })
		d.reports(20, bad)
		time.Sleep(5 * time.Second)
		wantClosed(t, d, "")
		enter(t, d, 3)
		d.reports(2, bad)
		wantClosed(t, d, broken)
		time.Sleep(4 * time.Second)
		wantClosed(t, d, broken)
	})
}

// What was written down goes out, whatever the breaker says.
func TestOpenBreakerStopsNothingThatIsWrittenDown(t *testing.T) {
	d := testDoor()
	d.reports(20, bad)
	wantClosed(t, d, broken)
	enter(t, d, 50)
}

// enter lets sends out, which return at once.
func enter(t *testing.T, d *door, n int) {
	t.Helper()
	for range n {
		leave, err := d.enter(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		leave()
	}
}

func TestFullHouse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testDoor(func(c *Config) { c.MaxSends = 2 })
		first, err := d.enter(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		wantClosed(t, d, "")
		if _, err := d.enter(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, d, "as many requests to answer as it may")
		began := time.Now()
		if _, err := d.enter(t.Context(), time.Second); err != errNoPlace || time.Since(began) != time.Second {
			t.Errorf("a third got %v after %v", err, time.Since(began))
		}
		time.AfterFunc(time.Second/2, first)
		if _, err := d.enter(t.Context(), time.Second); err != nil {
			t.Errorf("a place became free, and the one who waited got %v", err)
		}
		if got := d.inside.Load(); got != 2 {
			t.Errorf("%d are inside", got)
		}
	})
}

// The rate is kept by waiting before a send leaves, and by taking nothing new
// while the line is long.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testDoor(func(c *Config) { c.Rate = 10 })
		began, out := time.Now(), make(chan time.Duration, 100)
		for range 25 {
			go func() {
				if _, err := d.enter(t.Context(), 10*time.Second); err == nil {
					out <- time.Since(began)
				}
			}()
		}
		synctest.Wait()
		wantClosed(t, d, "than it takes in a second")
		if _, err := d.enter(t.Context(), time.Second); err != errRate {
			t.Errorf("one who would wait for more than a second got %v", err)
		}
		time.Sleep(1500 * time.Millisecond)
		wantClosed(t, d, "")
		time.Sleep(10 * time.Second)
		perSecond := map[int]int{}
		for range 25 {
			perSecond[int(<-out/time.Second)]++
		}
		if perSecond[0] != 10 || perSecond[1] != 10 || perSecond[2] != 5 {
			t.Errorf("sends left in these seconds: %v", perSecond)
		}
	})
}
