package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/oncepay/oncepay/once"
)

// Action is what a broker is to be told of a delivery. The zero Action is Retry: what was not
// decided comes again.
type Action uint8

// The actions.
const (
	Retry Action = iota // it is not done: deliver it again
	Ack                 // its effect is durable, by this delivery or an earlier one
	Dead                // it will never be done: it is in the dead letter, or is to go to the broker's
)

func (a Action) String() string { return [...]string{"retry", "ack", "dead"}[a] }

// Outcome is what a delivery came to.
type Outcome struct {
	Action Action
	After  time.Duration // Retry: not before that
	Err    error         // Retry, Dead: why
	Failed bool          // Retry: it counts as a failure of the message's own
}

// Tries say how often a message is tried, and when again. The zero Tries work.
type Tries struct {
	// Failures is how often its function may fail before a message is a dead letter. What is
	// not the message's fault does not count: a store that is away, a key that is
	// busy, a connection that broke, what is wrapped in [Later]. Failures are counted
	// by each process.
	//
	// Defaults to 5.
	Failures int

	// Deliveries is how often the broker may deliver a message: one that comes more
	// often has killed whoever took it, and is a dead letter without being run.
	// Outages count here, so that it must be more than fit into the longest.
	//
	// Defaults to 1,000: three days of the longest pause.
	Deliveries int

	// First and Most are the pause after the first failure, which is doubled after each,
	// and the longest.
	//
	// Default to 1 second and 5 minutes.
	First, Most time.Duration
}

func (t Tries) withDefaults() Tries {
	t.Failures = cmp.Or(t.Failures, 5)
	t.Deliveries = cmp.Or(t.Deliveries, 1000)
	t.First = cmp.Or(t.First, time.Second)
	t.Most = cmp.Or(t.Most, max(t.First, 5*time.Minute))
	return t
}

func (t Tries) check() error {
	if t.Failures < 1 || t.Deliveries < t.Failures || t.First <= 0 || t.Most < t.First {
		return fmt.Errorf("consume: %+v are no Tries: 1 ≤ Failures ≤ Deliveries, 0 < First ≤ Most", t)
	}
	return nil
}

// Decide says what is to be told to the broker about a message whose effect ended with
// err, which would be its nth failure. It is the whole protocol with brokers.
func (t Tries) Decide(err error, nth int) Outcome {
	busy, later := (*once.BusyError)(nil), (*laterError)(nil)
	switch {
	case err == nil, errors.Is(err, once.ErrNotKept): // done, now or before
		return Outcome{Action: Ack}
	case errors.As(err, new(*poisonError)), errors.As(err, new(*once.Refusal)):
		return Outcome{Action: Dead, Err: err}
	case errors.Is(err, once.ErrMismatch), errors.Is(err, once.ErrExpired), errors.Is(err, once.ErrParked): // retrying never helps
		return Outcome{Action: Dead, Err: err}
	case errors.As(err, &busy):
		return Outcome{Action: Retry, After: busy.RetryAfter, Err: err}
	case errors.As(err, &later):
		return Outcome{Action: Retry, After: later.after, Err: err}
	case passing(err):
		return Outcome{Action: Retry, After: t.pause(nth), Err: err}
	case nth >= t.Failures:
		return Outcome{Action: Dead, Err: err}
	}
	return Outcome{Action: Retry, After: t.pause(nth), Err: err, Failed: true}
}

// pause is how long to wait after the nth failure.
func (t Tries) pause(nth int) time.Duration {
	d := t.First
	for range nth - 1 {
		if d >= t.Most/2 {
			return t.Most
		}
		d *= 2
	}
	return d
}

// passing says whether an error is of the surroundings, and not the message's.
func passing(err error) bool {
	for _, known := range []error{once.ErrUnavailable, once.ErrBusy, once.ErrFenced, once.ErrLeaseLost, once.ErrScope, context.Canceled} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, new(*net.OpError))
}

// Later wraps the error of a function that cannot be run now, and may be after d: it
// counts as no failure. Nothing of it may have happened; in a [Keyed] effect wrap it in
// once.NothingHappened as well.
func Later(err error, d time.Duration) error { return &laterError{err, d} }

type laterError struct {
	err   error
	after time.Duration
}

func (l *laterError) Error() string { return l.err.Error() }
func (l *laterError) Unwrap() error { return l.err }

// Poison wraps the error of a message that will never be done: it is a dead letter at once.
func Poison(err error) error { return &poisonError{err} }

type poisonError struct{ err error }

func (p *poisonError) Error() string { return p.err.Error() }
func (p *poisonError) Unwrap() error { return p.err }

// failures counts those of messages, in this process. The zero failures are ready.
type failures struct {
	mu    sync.Mutex
	times map[string]int
}

// maxFailing is how many messages are counted at once: some megabytes. What is dropped
// beyond it is tried a few times more.
const maxFailing = 50_000

func (f *failures) of(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.times[id]
}

func (f *failures) note(id string, o Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.Action != Retry {
		delete(f.times, id)
		return
	}
	if !o.Failed {
		return
	}
	if f.times == nil {
		f.times = map[string]int{}
	}
	if _, known := f.times[id]; !known && len(f.times) >= maxFailing {
		for some := range f.times {
			delete(f.times, some)
			break
		}
	}
	f.times[id]++
}

// Brief is an error for a header of a dead letter: its beginning, on one line.
func Brief(err error, most int) string {
	text := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(err.Error(), "?")), " "))
	return string(text[:min(len(text), most)])
}
