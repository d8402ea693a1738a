package delivery

import "time"

// pauses before the next attempt, by how many have failed: as the specification of Standard
// Webhooks advises. A receiver may be away for a weekend.
var pauses = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const (
	// Tries is how many attempts a round has.
	Tries = len(pauses) + 1

	// FailingAfter is how long an endpoint may take nothing before it is disabled: longer than
	// a round is, so that what its owner lost he finds among the dead.
	FailingAfter = 5 * 24 * time.Hour

	// maxRetryAfter is how far an endpoint can put an attempt off.
	maxRetryAfter = 24 * time.Hour
)

// Heard is what an attempt has come to.
type Heard struct {
	Status     int           // of the answer; 0: there was none
	RetryAfter time.Duration // how long the endpoint wants to be left alone; 0: it does not say
}

// Next is what becomes of a delivery after an attempt.
type Next struct {
	Status  Status
	After   time.Duration // Pending: until the next attempt
	Disable Reason        // the endpoint is disabled; "": it is not
}

// Decide says what becomes of a delivery. luck is from 0 up to 1: attempts that failed together
// come apart again by a tenth of their pauses.
func Decide(w *Work, h Heard, luck float64) Next {
	switch {
	case h.Status/100 == 2:
		return Next{Status: Delivered}
	case h.Status == 410:
		return Next{Status: Dead, Disable: Gone}
	}
	n := Next{Status: Dead}
	if w.FailingFor > FailingAfter {
		n.Disable = Failing
	}
	if w.Tries < len(pauses) {
		pause := pauses[w.Tries]
		pause += time.Duration((luck - 0.5) / 5 * float64(pause))
		n.Status, n.After = Pending, max(pause, min(h.RetryAfter, maxRetryAfter))
	}
	return n
}

// breaker is whether an endpoint is well. Its zero value is: attempts may be made.
type breaker struct {
	failed int       // attempts in a row
	next   time.Time // until then none is made, if there were too many
}

const (
	tolerated  = 5               // failures in a row before an endpoint is left alone
	firstPause = time.Second     // it is left alone for so long at first,
	lastPause  = 5 * time.Minute // and at most
)

// room is how many attempts may be on their way, of most: one is enough to see whether an
// endpoint is well again.
func (b *breaker) room(now time.Time, most int) int {
	switch {
	case b == nil || b.failed < tolerated:
		return most
	case now.Before(b.next):
		return 0
	default:
		return 1
	}
}

// failure counts one.
func (b *breaker) failure(now time.Time) {
	b.next = now
	if b.failed++; b.failed >= tolerated {
		b.next = now.Add(min(firstPause<<min(b.failed-tolerated, 16), lastPause))
	}
}
