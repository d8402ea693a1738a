package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// late is how long after it was due a request may be sent before it counts as
// late: timers on a busy machine are no better than this.
const late = time.Millisecond

// A tally counts what came back. Safe for concurrent use: one lock for all
// connections costs less than a histogram for each.
type tally struct {
	mu      sync.Mutex
	classes [classes]counts
	recent  *hdrhistogram.Histogram // since the last line of progress
	errors  map[string]uint64       // by failure
	sent    uint64
	failed  uint64
	late    uint64
	latest  time.Duration // the longest that a request was sent late
}

// counts are the figures of one class.
type counts struct {
	requests  uint64
	transfers uint64 // acknowledged ones, replays not counted
	statuses  [600]uint64
	latency   *hdrhistogram.Histogram
}

func newTally() *tally {
	return &tally{recent: newHistogram(), errors: map[string]uint64{}}
}

// newHistogram counts microseconds up to an hour with three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Hour.Microseconds(), 3) }

// observe counts one request of class c that was sent lag after it was due,
// and took so long since then. Broken connections have no latency: nothing was
// waited for.
func (t *tally) observe(c class, lag, took time.Duration, acked, status int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := &t.classes[c]
	counts.requests++
	counts.transfers += uint64(acked)
	t.sent++
	if lag > late {
		t.late++
		t.latest = max(t.latest, lag)
	}
	if err == nil {
		counts.statuses[min(status, len(counts.statuses)-1)]++
	} else {
		t.failed++
		t.errors[failure(err)]++
	}
	if err == nil || failure(err) == "timeout" {
		t.record(counts, took)
	}
}

func (t *tally) record(c *counts, took time.Duration) {
	if c.latency == nil {
		c.latency = newHistogram()
	}
	us := min(took, time.Hour).Microseconds() // inside the range of both
	_, _ = c.latency.RecordValue(us), t.recent.RecordValue(us)
}

// glance returns how many requests were counted and failed so far, and the p99
// since the last glance.
func (t *tally) glance() (sent, failed uint64, p99 time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p99 = time.Duration(t.recent.ValueAtQuantile(99)) * time.Microsecond
	t.recent.Reset()
	return t.sent, t.failed, p99
}
