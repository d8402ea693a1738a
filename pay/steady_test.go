package pay_test

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// How long ago a sender stopped can be told only by a clock that nobody has set
// since, and that somebody watched. What was seen before counts as of then.
func TestAClockThatWasSetSaysNothingOfWhatWasBefore(t *testing.T) {
	for _, row := range []struct {
		sentence string
		steady   time.Duration // the sender stopped 3 s after noon; H + L are 8 s
		absent   time.Duration
		want     pay.Do
		at       time.Duration
	}{
		{"a clock that was steady all the time", 0, 11 * time.Second, pay.Send, 3125 * time.Millisecond},
		{"one that was set since the sender stopped", 4 * time.Second, 11 * time.Second, pay.Check, 12 * time.Second},
		{"one that was set, and H + L have passed since", 4 * time.Second, 12 * time.Second, pay.Send, 3125 * time.Millisecond},
		{"one that was set after it was looked for", 12 * time.Second, 11*time.Second + µs, pay.Check, 12 * time.Second},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			o := op(mayHaveArrived, notFound(row.absent))
			got := forgets.Next(&o, pay.Clock{Now: after(12 * time.Second), Steady: after(row.steady)})
			if got.Do != row.want || got.At.After(after(row.at+time.Second)) {
				t.Errorf("%s at %s, want %s", got.Do, got.At.Sub(noon), row.want)
			}
		})
	}
}

// What another process wrote down is of a time that may be off by as much as clocks
// may be apart: an absence proves as much later.
func TestClocksThatAreApartProveLater(t *testing.T) {
	for absent, want := range map[time.Duration]pay.Do{15*time.Second - µs: pay.Check, 15 * time.Second: pay.Send} {
		o := op(mayHaveArrived, notFound(absent))
		if got := forgets.Next(&o, pay.Clock{Now: after(15 * time.Second), Apart: 4 * time.Second}); got.Do != want {
			t.Errorf("not found %v after the send it says %s, want %s", absent, got.Do, want)
		}
	}
}
