package consume_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/once"
)

// What an error means for the broker: the protocol's specification.
func TestDecide(t *testing.T) {
	const first, most = time.Second, 10 * time.Second
	tries := consume.Tries{Failures: 4, Deliveries: 100, First: first, Most: most}
	failure, away := errors.New("no such customer"), fmt.Errorf("%w: claim: x", once.ErrUnavailable)
	for _, row := range []struct {
		sentence string
		err      error
		nth      int
		want     consume.Action
		after    time.Duration
		failed   bool
	}{
		{"what is done is acknowledged", nil, 1, consume.Ack, 0, false},
		{"what was done, and said too much to be kept, is acknowledged", once.ErrNotKept, 1, consume.Ack, 0, false},
		{"a failure is tried again after a pause", failure, 1, consume.Retry, first, true},
		{"which is doubled", failure, 2, consume.Retry, 2 * first, true},
		{"the last failure makes a dead letter", failure, 4, consume.Dead, 0, false},
		{"a store that is away is no failure of the message's, however often", away, 100, consume.Retry, most, false},
		{"nor is a broken connection", &net.OpError{Op: "read", Err: errors.New("reset")}, 100, consume.Retry, most, false},
		{"nor is the end of the process", context.Canceled, 100, consume.Retry, most, false},
		{"nor is a lease that was lost: it is not known what became of it, and the key knows what then", once.ErrFenced, 100, consume.Retry, most, false},
		{"a function that always takes too long is one", context.DeadlineExceeded, 4, consume.Dead, 0, false},
		{"a message that somebody is at comes when they may be done", &once.BusyError{RetryAfter: 3 * time.Second}, 100, consume.Retry, 3 * time.Second, false},
		{"a function says itself when it can be run", consume.Later(failure, time.Minute), 100, consume.Retry, time.Minute, false},
		{"or that it never can", fmt.Errorf("parse: %w", consume.Poison(failure)), 1, consume.Dead, 0, false},
		{"a final no is a dead letter, for a human to see", &once.Refusal{Code: "x"}, 1, consume.Dead, 0, false},
		{"another message under the same id is never taken for the first", once.ErrMismatch, 1, consume.Dead, 0, false},
		{"what came after it was forgotten is not run", once.ErrExpired, 1, consume.Dead, 0, false},
		{"what a human must decide does not go round", once.ErrParked, 1, consume.Dead, 0, false},
	} {
		got := tries.Decide(row.err, row.nth)
		if got.Action != row.want || got.After != row.after || got.Failed != row.failed {
			t.Errorf("%s: it is %v after %v (failed: %v), want %v after %v (%v)", row.sentence, got.Action, got.After, got.Failed, row.want, row.after, row.failed)
		}
		if (got.Action == consume.Ack) != (got.Err == nil) {
			t.Errorf("%s: why is %v", row.sentence, got.Err)
		}
	}
}

// No pause is longer than the longest, whatever the number.
func TestPausesAreBounded(t *testing.T) {
	tries := consume.Tries{Failures: 1 << 30, First: 7 * time.Millisecond, Most: time.Second}
	last := time.Duration(0)
	for nth := 1; nth < 1000; nth++ {
		after := tries.Decide(errors.New("x"), nth).After
		if after < last || after > tries.Most {
			t.Fatalf("after failure %d the pause is %v, and was %v", nth, after, last)
		}
		last = after
	}
	if last != tries.Most {
		t.Errorf("the last pause is %v", last)
	}
}
